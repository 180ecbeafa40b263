"""Makes one golden pack, by the product's own commands alone: prereg, amend, run, pack, rerun, approve.

Run from the repository root: `PYTHONPATH=. python data/packs/make.py planted-strict-1`, or `default-1` for one of the default model. It makes that
pack again, if it is there, and leaves every other one as it is. The keys live in a temporary folder and are gone when it ends.
What must come out stands in `expected.json`, by hand; `python -m pytest tests/spec/test_golden_packs.py` holds the packs to it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from audit_core.subjects import find_planted

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLANTED = HERE / "planted-strict"
DEFAULT_PROMPTS = ROOT / "data/prompts/indirect_object.jsonl"
PREPARER, REVIEWER = "golden-preparer", "golden-reviewer"
SCHEMA = 'schema = "assay/trust/1"\n'


@dataclass(frozen=True)
class Home:
    """A home of its own, thrown away with its keys; whoever runs the script is not named in the packs."""

    folder: Path

    def call(self, *words: object) -> dict:
        """One command of the product; what it says as JSON."""
        environment = os.environ | {"AUDIT_HOME": str(self.folder / "home"), "LOGNAME": "golden-maker"}
        environment.pop("ASSAY_KEY_PASSPHRASE", None)
        command = [sys.executable, "-m", "audit_core", *map(str, words), "--json"]
        found = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        # An inconclusive run ends with 3, and is one.
        if found.returncode not in ((0, 3) if words[0] == "run" else (0,)):
            sys.exit(f"{' '.join(command)} ended with {found.returncode}: {found.stdout}")
        return json.loads(found.stdout)

    def freeze(self, component: str, *words: object) -> str:
        """Freeze a claim that this part is needed; returns its id."""
        file = self.folder / "claim.toml"
        file.write_text(f'name = "{component} is needed"\ncomponents = ["{component}"]\n', encoding="utf-8")
        return self.call("prereg", file, *words)["claim_id"]

    def pack(self, *words: object) -> None:
        self.call("pack", *words, "--key", PREPARER, "--organisation", "Golden packs")


def make_planted(home: Home, out: Path) -> None:
    """A cause and a decoy: two claims in one pack, one plan amended, a rerun recorded, a reviewer's decision."""
    model = PLANTED.relative_to(ROOT).as_posix()
    named = ("--prompts", write_prompts(home.folder), "--model", model)
    cause, decoy = home.freeze("L1.H0", *named), home.freeze("L1.H1", *named)
    home.call("amend", decoy, "--reason", "golden packs hold an amendment", "--class", "scope", "--delta", "0.2")
    for claim in (cause, decoy):
        home.call("run", claim)
    draft = home.folder / "draft.zip"
    home.pack(cause, decoy, "--out", draft)
    home.call("rerun", draft, "--model", model)
    home.pack(cause, decoy, "--out", out)
    home.call(
        "approve", out, "--key", REVIEWER, "--role", "reviewer", "--independence", "none: made by the same script"
    )


def make_default(home: Home, out: Path) -> None:
    """A head of the last layer of the default model, which no later part can repair, on so few prompts that a rerun takes seconds."""
    rows = [json.loads(line) for line in DEFAULT_PROMPTS.read_text(encoding="utf-8").splitlines()]
    templates = sorted({row["template"] for row in rows})[:4]
    chosen = [row for name in templates for row in [one for one in rows if one["template"] == name][:2]]
    file = home.folder / "indirect_object.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in chosen), encoding="utf-8")
    claim = home.freeze("L29.H0", "--prompts", file, "--model", "default", "--ask")
    home.call("run", claim)
    home.pack(claim, "--out", out)


def write_prompts(folder: Path) -> Path:
    """Six prompts for each of eight templates of the planted model's task."""
    model = find_planted(PLANTED.name)
    if not PLANTED.is_dir():
        PLANTED.mkdir()
        model.build(PLANTED, 0)
    file = folder / "planted_query.jsonl"
    prompts = model.find_task("query").make(6, 0).prompts
    rows = [{name: value for name, value in vars(prompt).items() if value} for prompt in prompts]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def describe_trust(home: Home, name: str) -> str:
    """The trust file of all packs: this one's keys instead of those it had."""
    own, shared = home.folder / "trust.toml", HERE / "trust.toml"
    home.call("keys", "trust", "--key", f"{PREPARER}:preparer", "--key", f"{REVIEWER}:reviewer", "--out", own)
    text = shared.read_text(encoding="utf-8") if shared.exists() else ""
    blocks = dict(re.findall(r"^# (\S+)\n(.*?)(?=^# |\Z)", text, re.M | re.S))
    blocks[name] = own.read_text(encoding="utf-8").removeprefix(SCHEMA).strip() + "\n\n"
    reported = "".join(f"# {one}\n{blocks[one]}" for one in sorted(blocks))
    return f"{SCHEMA}\n{reported.rstrip()}\n"


def make(name: str) -> None:
    """Make the pack of this name: a model and a number."""
    model = name.rpartition("-")[0]
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        for person in (PREPARER, REVIEWER):
            home.call("keys", "make", person)
        out = home.folder / f"{name}.evidence.zip"
        {PLANTED.name: make_planted, "default": make_default}[model](home, out)
        data, trust = out.read_bytes(), describe_trust(home, name)
    # Both at the end: a run that is stopped must not leave a pack beside a trust file without its key.
    (HERE / out.name).write_bytes(data)
    (HERE / "trust.toml").write_text(trust, encoding="utf-8")
    print(f"{out.name}: {len(data):,} bytes")


if __name__ == "__main__":
    make(sys.argv[1])
