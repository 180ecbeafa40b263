"""Does everything that writes, each time in processes of their own that are killed at one step on the way to the disk.

    python -m toy.dying FOLDER

A step is whatever changes what is on the disk: a statement or commit of the store, half of a file's bytes, a sync, a name that is
given, changed or taken away. Each place in the code that takes a step is killed there once, before the step is taken; then the same
is tried again in a copy of what was left. FOLDER/deaths.json says where each death left its home.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from toy.additive import AdditiveSubject
from toy.steps import Steps

from audit_core.claim import Claim
from audit_core.cli import main, verify
from audit_core.cli.keys import describe_trust
from audit_core.component import head
from audit_core.confirm import freeze_claim, run_confirmatory
from audit_core.evidence.keys import load_log_key
from audit_core.evidence.report import pdf
from audit_core.packs import pack_members
from audit_core.packs.pack import ExportOptions, export_pack
from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.registry import get_plugin
from audit_core.run import Actor, Auditor
from audit_core.shipped import load_shipped_policy
from audit_core.store import RunLog, list_events, load_key, open_database, verify_log
from audit_core.store.claims.register import Register
from audit_core.store.database.events import find_log_id
from audit_core.store.database.private import tighten_home

PACK, TRUST, VERIFIER = "packs/p.zip", "trust.toml", "verify_pack.py"


@dataclass(frozen=True)
class ModelStatus:
    """What a later process finds in a home."""

    findings: list[str]
    """Of `verify_log`, checkpoints included."""
    events: list[tuple[str, str]]
    """Action and hash."""
    checkpoints: int
    claims: int
    runs: list[str]
    """Outcomes, the newest first."""

    def count(self, action: str) -> int:
        return sum(event[0] == action for event in self.events)


@dataclass(frozen=True)
class Death:
    """One process that was killed."""

    act: str
    site: str
    """What it was about to do, and the calls that led there."""
    home: str
    """As the killed process left it; nobody opened it since."""
    again: str
    """A copy of it, in which the same was done once more."""
    answer: Any
    """What that gave."""
    before: ModelStatus
    left: ModelStatus
    """Of `begin`, after it was done once more: looking begins a log."""
    after: ModelStatus

    @property
    def step(self) -> str:
        return self.site.split(" < ")[0]


SUBJECT = AdditiveSubject({head(1, 0): 1.0, head(0, 1): 0.5})
PROMPTS = PromptSet(
    "additive", tuple(Prompt(f"p{i}", f"good {i} x", f"bad {i} x", " yes", " no", f"t{i % 5}") for i in range(20))
)
CLAIM = Claim("the second layer's head is needed", (head(1, 0),))


def look(home: Path) -> ModelStatus:
    with open_database(home) as connection:
        found = verify_log(connection, public_key=load_log_key(home).public_key)
        events = [(event.action, event.entry) for event in list_events(connection)]
    runs = [run.outcome for run in RunLog(home).list_runs()]
    return ModelStatus(
        [one.text for one in found.findings], events, found.checkpoints, len(Register(home).list_claims()), runs
    )


def begin(home: Path) -> Any:
    with open_database(home) as connection:
        return find_log_id(connection)


def make_anna(home: Path) -> Any:
    return main(["keys", "make", "anna", "--json"])


def prepare(home: Path) -> Any:
    (home / "packs").mkdir()
    main(["keys", "make", "ben", "--json"])
    (home / TRUST).write_text(describe_trust(home, [("anna", "preparer"), ("ben", "reviewer")]))


def freeze(home: Path) -> Any:
    plan = freeze_claim(
        Register(home), SUBJECT, CLAIM, PROMPTS, load_shipped_policy(), owner="anna", model="additive", questions=()
    )  # fmt: skip
    return plan.claim_id


def run(home: Path) -> Any:
    actor = Actor("anna", "test")
    return run_confirmatory(Register(home), "C-0001", lambda name: Auditor(SUBJECT, RunLog(home)), actor=actor).attempt


def export(home: Path) -> Any:
    key, issue = load_key(home, "anna"), ExportOptions("anna", "Example")
    return dict(export_pack(home, ["C-0001"], home / PACK, key=key, issue=issue).attempts)


def approve(home: Path) -> Any:
    return main(["approve", str(home / PACK), "--key", "ben", "--role", "reviewer", "--json"])


def write_verifier(home: Path) -> Any:
    return main(["verifier", "--out", str(home / VERIFIER)])


ACTS: dict[str, Callable[[Path], Any]] = {
    "begin": begin, "key": make_anna, "prepare": prepare, "freeze": freeze, "run": run, "pack": export,
    "approve": approve, "verifier": write_verifier,
}  # fmt: skip
"""In this order, each in the home that the ones before it made."""
SURVIVED = ("prepare",)
"""What a test needs, and nobody would kill."""


def live(act: str, home: Path, last: int | None) -> int:
    """Do it in a process of its own; whoever lives writes beside the home what there was before and after."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.environ["AUDIT_HOME"] = str(home)
            left = look(home) if last is None and act != "begin" else None
            # Files that an act left open to others are tightened once a process: not at a step of some and not of others.
            tighten_home(home.resolve(), os.getpid())
            steps = Steps(home, last)
            steps.watch()
            said: dict[str, Any] = {"answer": ACTS[act](home), "sites": list(steps.sites)}
            after = look(home)
            home.with_suffix(".json").write_text(
                json.dumps(said | {"left": asdict(left or after), "after": asdict(after)})
            )
            status = 0
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def do_whole(act: str, home: Path) -> dict[str, Any]:
    if code := live(act, home, None):
        raise SystemExit(f"{act} in {home} ended with {code}")
    reported: dict[str, Any] = json.loads(home.with_suffix(".json").read_text())
    return reported | {"left": ModelStatus(**reported["left"]), "after": ModelStatus(**reported["after"])}


def die_everywhere(act: str, before: Path, seen: ModelStatus, folder: Path) -> tuple[list[Death], Path, ModelStatus]:
    """One death at each site; and the home in which nobody died, with what is seen there."""
    whole = shutil.copytree(before, folder / f"{act}-whole")
    lived = do_whole(act, whole)
    sites, deaths = lived["sites"], []
    for step in sorted(sites.index(site) for site in set(sites)) if act not in SURVIVED else ():
        left, again = folder / f"{act}-{step}-left", folder / f"{act}-{step}-again"
        shutil.copytree(before, left)
        if live(act, left, step) != -signal.SIGKILL:
            raise SystemExit(f"{act} outlived step {step}: {sites[step]}")
        shutil.copytree(left, again)
        reported = do_whole(act, again)
        deaths.append(
            Death(
                act, sites[step], str(left), str(again), reported["answer"], seen, reported["left"], reported["after"]
            )
        )
    return deaths, whole, lived["after"]


def hurry() -> None:
    """What takes long and writes nothing is done once: packages, a claim's measurement, the joined verifier. No PDF is drawn."""
    audit, measured = get_plugin("audits", "confirmation"), []
    measure = type(audit).run

    def recall(*args: Any, **options: Any) -> Any:
        measured.extend([] if measured else [measure(*args, **options)])
        return measured[0]

    type(audit).run = recall
    pack_members.list_packages = cache(pack_members.list_packages)
    verify.join_modules = cache(verify.join_modules)
    pdf.render_pdf = lambda *args, **options: b"%PDF-1.7\n"  # type: ignore[assignment]


def die(folder: Path) -> list[Death]:
    hurry()
    # Everything once in this process: its children find all libraries loaded and the claim measured.
    warm, home = folder / "warm", folder / "empty"
    for place in (warm, home):
        place.mkdir(parents=True)
    os.environ["AUDIT_HOME"] = str(warm)
    for act in ACTS.values():
        act(warm)
    deaths: list[Death] = []
    seen = ModelStatus([], [], 0, 0, [])
    for act in ACTS:
        died, home, seen = die_everywhere(act, home, seen, folder)
        deaths += died
    for death in [death for death in deaths if death.act == "run" and death.answer == 2][::4]:
        do_whole("pack", Path(death.again))
    return deaths


def read_deaths(folder: Path) -> list[Death]:
    """What `python -m toy.dying` tells."""
    rows = json.loads((folder / "deaths.json").read_text())
    return [Death(**row | {name: ModelStatus(**row[name]) for name in ("before", "left", "after")}) for row in rows]


if __name__ == "__main__":
    reported = Path(sys.argv[1]).resolve() / "deaths.json"
    reported.write_text(json.dumps([asdict(death) for death in die(reported.parent)]))
