"""From a claim to a pack on a model whose wiring is known: what was frozen decides, every attempt counts, a stranger can check it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from toy.planted import make_induction

from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.specificity import SpecificityRequest
from audit_core.audits.sweep import SweepRequest
from audit_core.circuits import OtherTask
from audit_core.claim import Claim
from audit_core.cli import main
from audit_core.component import head
from audit_core.confirm import describe_sought, freeze_claim, pin_now, run_confirmatory
from audit_core.errors import Cancelled, ClaimRefused, IntegrityError, NotMeasured, Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.container import make_manifest, write_pack
from audit_core.evidence.keys import make_key
from audit_core.evidence.report.blocks import spell
from audit_core.evidence.report.brief import read_brief
from audit_core.evidence.report.pack_view import PackView
from audit_core.home.result_page import render_result
from audit_core.packs.pack import ExportOptions, export_pack
from audit_core.packs.rerun import rerun_pack
from audit_core.preregistration import ChangeKind, Preregistration, PriorAccess
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet, take_split
from audit_core.registry import get_plugin
from audit_core.run import Actor, Auditor
from audit_core.shipped import load_shipped_policy
from audit_core.store import RunLog, load_key, revoke_key, revoke_log_key, rotate_key, rotate_log_key
from audit_core.store import make_key as make_logged_key
from audit_core.store.claims.earlier_runs import Sought
from audit_core.store.claims.register import Register
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events
from audit_core.store.log.trail import read_log_view
from audit_core.subjects.transformer import TransformerSubject
from audit_core.verifier.container import read_members

pytestmark = pytest.mark.usefixtures("short_draws")

ME = Actor("anna", "test")
CLAIM = Claim("the copying head is needed", (head(1, 0),))
ROOT = Path(__file__).resolve().parents[2]
"""Of the project: where `verify_pack.py` lies."""


@dataclass
class Measured:
    """What claim tests found in this file, by the model, the prompts and the claim."""

    known: dict[tuple[str, ...], Any] = field(default_factory=dict)
    is_reused: bool = True


@pytest.fixture(scope="module", autouse=True)
def measured() -> Iterator[Measured]:
    """Every claim is measured once; later runs find the same numbers at once, and all around them happens as ever."""
    audit, found = type(get_plugin("audits", "claim_test")), Measured()
    measure = audit.run

    def run(self: Any, subject: TransformerSubject, request: ClaimTestRequest, **options: Any) -> Any:
        ids = ",".join(pair.prompt.id for pair in request.prompts.pairs)
        asked = (subject.identity.short, request.prompts.sha256, ids, str(request.describe()), str(request.seed))
        if not found.is_reused or asked not in found.known:
            found.known[asked] = measure(self, subject, request, **options)
        return found.known[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "run", run)
        yield found


@pytest.fixture
def measured_again(measured: Measured) -> Iterator[None]:
    """For what is about equal numbers of two measurements."""
    measured.is_reused = False
    yield
    measured.is_reused = True


@pytest.fixture(scope="module")
def subject(planted: TransformerSubject) -> TransformerSubject:
    return planted


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    return make_induction(40, change="query", n_templates=6)


def freeze(home: Path, subject: TransformerSubject, prompts: PromptSet, **said: object) -> Preregistration:
    return freeze_claim(
        Register(home),
        subject,
        CLAIM,
        prompts,
        load_shipped_policy(),
        owner="anna",
        model="planted",
        questions=(),
        **said,
    )  # type: ignore[arg-type]


def run(home: Path, subject: TransformerSubject, claim_id: str) -> object:
    return run_confirmatory(Register(home), claim_id, lambda name: Auditor(subject, RunLog(home)), actor=ME)


def look_at(home: Path, subject: TransformerSubject, prompts: PromptSet, *, explored: bool) -> None:
    from audit_core.audits.ablation import AblationRequest

    half = tokenise(take_split(prompts, exploratory=explored), subject.tokenizer)
    Auditor(subject, RunLog(home)).run("ablation", AblationRequest(half, half, (head(1, 0),)), actor=ME)


@pytest.mark.usefixtures("measured_again")
def test_attempts_are_numbered_by_the_log(home: Path, subject: TransformerSubject, prompts: PromptSet) -> None:
    plan = freeze(home, subject, prompts)
    found = [run(home, subject, plan.claim_id) for _ in range(2)]
    assert [one.attempt for one in found] == [1, 2]  # type: ignore[attr-defined]
    assert not found[0].exploratory  # type: ignore[attr-defined]
    assert found[0].result == found[1].result  # type: ignore[attr-defined]


def test_what_the_log_shows_of_the_split_makes_a_plan_exploratory_and_the_other_split_does_not(
    home: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    look_at(home, subject, prompts, explored=True)
    assert freeze(home, subject, prompts).prior_access is PriorAccess.NO_RESULTS_SEEN
    look_at(home, subject, prompts, explored=False)
    late = freeze(home, subject, prompts)
    assert late.prior_access is PriorAccess.RESULTS_SEEN
    assert run(home, subject, late.claim_id).exploratory  # type: ignore[attr-defined]


def _rename(prompts: PromptSet) -> PromptSet:
    return PromptSet("another file", tuple(replace(p, id=f"x{at}") for at, p in enumerate(prompts.prompts)))


def _drop_and_turn(prompts: PromptSet) -> PromptSet:
    return PromptSet(prompts.name, prompts.prompts[:0:-1])


def _retype(prompts: PromptSet) -> PromptSet:
    return PromptSet(prompts.name, tuple(replace(p, template=p.id, group="g") for p in prompts.prompts))


@pytest.mark.parametrize("change", [_rename, _drop_and_turn, _retype])
def test_prompts_that_were_seen_under_another_id_order_or_file_are_found_by_their_texts(
    home: Path, subject: TransformerSubject, prompts: PromptSet, change: Callable[[PromptSet], PromptSet]
) -> None:
    look_at(home, subject, prompts, explored=False)
    assert freeze(home, subject, change(prompts)).prior_access is PriorAccess.RESULTS_SEEN


def test_the_share_of_seen_prompts_is_in_the_log(home: Path, subject: TransformerSubject, prompts: PromptSet) -> None:
    half = take_split(prompts, exploratory=False)
    few = PromptSet("few", half.prompts[:5])
    look_at(home, subject, few, explored=False)
    assert freeze(home, subject, prompts).prior_access is PriorAccess.RESULTS_SEEN
    with open_database(home) as connection:
        frozen = list_events(connection, action=Action.PREREG_FROZEN)[-1].payload
    assert frozen["seen_share"] == pytest.approx(5 / len(half), abs=1e-4)


def test_a_split_that_was_shown_as_another_task_was_seen(
    home: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    """Specificity measures one task's circuit on the confirmatory halves of the others."""
    own = make_induction(40, change="context", n_templates=6)
    halves = [tokenise(take_split(one, exploratory=False), subject.tokenizer) for one in (own, prompts)]
    asked = SpecificityRequest(halves[0], halves[0], (head(1, 0),), others=(OtherTask(halves[1], ()),))
    Auditor(subject, RunLog(home)).run("specificity", asked, actor=ME)
    assert freeze(home, subject, prompts).prior_access is PriorAccess.RESULTS_SEEN


def test_a_run_that_was_cancelled_half_way_may_have_shown_something(
    home: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    half = tokenise(take_split(prompts, exploratory=False), subject.tokenizer)

    def stop(done: int, total: int) -> None:
        raise Cancelled("a person")

    with pytest.raises(Cancelled):
        Auditor(subject, RunLog(home)).run("sweep", SweepRequest(half, half), actor=ME, on_progress=stop)
    assert freeze(home, subject, prompts).prior_access is PriorAccess.RESULTS_SEEN


def test_the_opening_of_a_split_is_logged_once_and_before_the_run(
    home: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    plan = freeze(home, subject, prompts)
    for _ in range(2):
        run(home, subject, plan.claim_id)
    reported = [event.action for event in read_log_view(home).events if event.action in ("half.opened", "run.started")]
    assert reported == ["half.opened", "run.started", "run.started"]


def test_a_question_without_an_answer_costs_the_verdict_nothing(
    home: Path, subject: TransformerSubject, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise NotMeasured("low_power", "too few")

    plan = freeze_claim(
        Register(home), subject, CLAIM, prompts, load_shipped_policy(), owner="anna", model="planted", questions=("recomposition",)
    )  # fmt: skip
    monkeypatch.setattr(type(get_plugin("audits", "recomposition")), "run", refuse)
    found = run(home, subject, plan.claim_id).result  # type: ignore[attr-defined]
    assert found.recomposition is None
    assert "too few" in found.not_measured["recomposition"]
    assert found.verdict.families["resample"] is not None
    monkeypatch.setattr(type(get_plugin("audits", "claim_test")), "run", refuse)
    with pytest.raises(NotMeasured):
        run(home, subject, plan.claim_id)


def test_a_policy_changed_on_disk_packs_nothing_and_the_log_says_so(
    home: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    plan = freeze(home, subject, prompts)
    run(home, subject, plan.claim_id)
    (kept,) = (home / "policies").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b"0.30", b"0.03"))
    with pytest.raises(IntegrityError, match="changed on disk after it was frozen"):
        export_pack(home, [plan.claim_id], home / "p.zip", key=make_key(home, "anna"), issue=ExportOptions("anna"))
    assert not (home / "p.zip").exists()


def test_a_pack_that_cannot_be_written_leaves_nothing_and_is_logged(
    home: Path, subject: TransformerSubject, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = freeze(home, subject, prompts)
    run(home, subject, plan.claim_id)

    def refuse(*args: object) -> None:
        raise Refused("No.", wanted="yes.", remedy="wait.")

    monkeypatch.setattr("audit_core.evidence.statement.write_pack", refuse)
    with pytest.raises(Refused):
        export_pack(home, [plan.claim_id], home / "p.zip", key=make_key(home, "anna"), issue=ExportOptions("anna"))
    reported = [event.action for event in read_log_view(home).events][-2:]
    assert reported == ["pack.exported", "pack.refused"]
    assert not (home / "p.zip").exists()


def test_what_an_owner_declares_is_never_made_better(
    home: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    plan = freeze(home, subject, prompts, declared=PriorAccess.RESULTS_SEEN)
    assert plan.prior_access is PriorAccess.RESULTS_SEEN


@pytest.mark.parametrize(
    ("field", "said"), [("model_digest", "model"), ("prompts_sha256", "prompts"), ("code_sha256", "code")]
)
def test_a_run_with_anything_else_than_what_was_frozen_is_refused(
    home: Path, subject: TransformerSubject, prompts: PromptSet, field: str, said: str
) -> None:
    register = Register(home)
    plan = freeze(home, subject, prompts)
    register.amend(
        plan.claim_id, lambda old: replace(old, pins=replace(old.pins, **{field: "0" * 64})), by="anna", reason="to try",
        kind=ChangeKind.OTHER, sought=Sought((), ()),
    )  # fmt: skip
    with pytest.raises(ClaimRefused, match=said):
        run(home, subject, plan.claim_id)


def test_a_claim_frozen_under_other_code_says_how_to_pin_the_code_of_today(
    home: Path, subject: TransformerSubject, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = Register(home)
    with monkeypatch.context() as older:
        older.setattr("audit_core.confirm.hash_source", lambda: "0" * 64)
        plan = freeze(home, subject, prompts)
    with pytest.raises(ClaimRefused) as refused:
        run(home, subject, plan.claim_id)
    assert f"`amend {plan.claim_id} --repin --reason TEXT`" in refused.value.remedy
    pins = pin_now(subject, prompts, load_shipped_policy())
    register.amend(
        plan.claim_id, lambda old: replace(old, pins=replace(pins, prompts=old.pins.prompts)), by="anna", reason="update",
        kind=ChangeKind.OTHER, sought=describe_sought(prompts, pins.prompts_sha256),
    )  # fmt: skip
    assert [row.field for row in register.find(plan.claim_id).deviations] == ["pins.code_sha256"]
    assert not run(home, subject, plan.claim_id).exploratory  # type: ignore[attr-defined]


def test_a_change_after_a_look_is_a_deviation_and_before_it_an_amendment(
    home: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    register = Register(home)
    plan = freeze(home, subject, prompts)

    def change(delta: float) -> None:
        register.amend(
            plan.claim_id, lambda old: replace(old, claim=replace(old.claim, delta=delta)), by="anna", reason="a slip",
            kind=ChangeKind.ERROR, sought=describe_sought(prompts, plan.pins.prompts_sha256),
        )  # fmt: skip

    change(0.2)
    known = register.find(plan.claim_id)
    assert (known.plan.version, known.has_deviated) == (2, False)
    assert [(row.field, row.before, row.after) for row in known.deviations] == [("claim.delta", "0.1", "0.2")]
    run(home, subject, plan.claim_id)
    change(0.3)
    assert register.find(plan.claim_id).has_deviated
    assert run(home, subject, plan.claim_id).exploratory  # type: ignore[attr-defined]
    with pytest.raises(ClaimRefused, match="plan is unchanged"):
        change(0.3)


def test_a_plan_edited_in_the_database_is_found(home: Path, subject: TransformerSubject, prompts: PromptSet) -> None:
    plan = freeze(home, subject, prompts)
    with open_database(home) as connection:
        connection.execute("DROP TRIGGER preregistration_fixed ON preregistration")
        connection.execute("UPDATE preregistration SET body = replace(body, '\"delta\": 0.1', '\"delta\": 0.9')")
    with pytest.raises(IntegrityError, match="not what was frozen"):
        run(home, subject, plan.claim_id)


def test_a_withdrawn_claim_stays_and_is_not_run(home: Path, subject: TransformerSubject, prompts: PromptSet) -> None:
    plan, register = freeze(home, subject, prompts), Register(home)
    register.withdraw(plan.claim_id, by="anna", reason="superseded")
    with pytest.raises(ClaimRefused, match="withdrawn"):
        run(home, subject, plan.claim_id)
    assert [known.withdrawn for known in register.list_claims()] == ["superseded"]


@pytest.mark.parametrize(
    ("claim", "questions", "said"),
    [
        (replace(CLAIM, components=(head(9, 0),)), (), "not in this model"),
        (CLAIM, ("specificity",), "Question"),
        (CLAIM, ("everything",), "Question"),
    ],
)
def test_what_cannot_be_run_is_not_frozen(
    home: Path, subject: TransformerSubject, prompts: PromptSet, claim: Claim, questions: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ClaimRefused, match=said):
        freeze_claim(
            Register(home),
            subject,
            claim,
            prompts,
            load_shipped_policy(),
            owner="anna",
            model="planted",
            questions=questions,
        )
    assert Register(home).list_claims() == ()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, subject: TransformerSubject, prompts: PromptSet) -> Iterator[Path]:
    """Two attempts, then a pack with its trust file."""
    from audit_core.cli.keys import describe_trust

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIT_HOME", str(home))
        plan = freeze(home, subject, prompts)
        for _ in range(2):
            run(home, subject, plan.claim_id)
        key = make_logged_key(home, "anna")
        export_pack(home, [plan.claim_id], home / "p.zip", key=key, issue=ExportOptions("anna", "Example"))
        (home / "trust.toml").write_text(describe_trust(home, [("anna", "preparer")]))
        yield home


def verify(home: Path, pack: str, *more: str) -> subprocess.CompletedProcess[str]:
    """As a stranger would: the standard library alone, in an empty folder."""
    empty = home / "empty"
    empty.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "verify_pack.py"), str(home / pack), *more],
        cwd=empty, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_third_party_checks_the_pack_without_the_project(packed: Path) -> None:
    found = verify(packed, "p.zip", "--trust", str(packed / "trust.toml"))
    assert found.returncode == 0, found.stdout + found.stderr
    assert verify(packed, "p.zip").returncode == 3, "no trust file: nobody is known to have signed"


def test_packs_from_before_and_after_every_change_of_key_are_checked_by_one_trust_file(
    packed: Path, tmp_path: Path
) -> None:
    from audit_core.cli.keys import describe_trust

    home = tmp_path / "changed"
    shutil.copytree(packed, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIT_HOME", str(home))
        rotate_log_key(home, actor="root")
        export_pack(home, ["C-0001"], home / "q.zip", key=rotate_key(home, "anna"), issue=ExportOptions("anna"))
        revoke_log_key(home, actor="root", reason="stolen")
        revoke_key(home, "anna", actor="root", reason="stolen")
        key = make_logged_key(home, "anna")
        export_pack(home, ["C-0001"], home / "r.zip", key=key, issue=ExportOptions("anna"))
        (home / "trust.toml").write_text(describe_trust(home, [("anna", "preparer")]))
    said = [verify(home, name, "--trust", str(home / "trust.toml")) for name in ("p.zip", "q.zip", "r.zip")]
    assert [one.returncode for one in said] == [0, 3, 0]
    assert "signed by a key of anna that was revoked later" in said[1].stdout
    assert "the log's key was revoked later" in said[1].stdout


def test_no_private_key_is_in_any_pack_log_or_answer(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Raw, hexadecimal, base64 and as the key file holds it; the control is the public half, which is meant to be there."""
    home = tmp_path / "searched"
    shutil.copytree(packed, home)
    monkeypatch.setenv("AUDIT_HOME", str(home))
    secrets = [*_spell_secrets(home)]
    for arguments in (
        ["keys", "make", "ben", "--json"], ["keys", "rotate", "ben", "--json"], ["log", "key", "rotate", "--json"],
        ["pack", "C-0001", "--out", str(home / "r.zip"), "--key", "ben", "--json"],
        ["approve", str(home / "r.zip"), "--key", "anna", "--role", "reviewer", "--json"],
        ["keys", "trust", "--key", "ben:preparer", "--out", str(home / "t.toml")], ["log", "export", "--events"],
        ["log", "verify", "--json"], ["log", "status", "--json"], ["keys", "make", "ben"],
    ):  # fmt: skip
        main(arguments)
        secrets += _spell_secrets(home)
    said = capsys.readouterr()
    seen = {"stdout": said.out.encode(), "stderr": said.err.encode(), "trust": (home / "t.toml").read_bytes()}
    seen |= {path.name: path.read_bytes() for path in home.glob("runs.duckdb*")}
    for name in ("p.zip", "r.zip"):
        with zipfile.ZipFile(home / name) as pack:
            seen |= {f"{name}: {member}": pack.read(member) for member in pack.namelist()}
    public = load_key(home, "ben").public_key
    assert public.hex().encode() in seen["stdout"]
    assert base64.b64encode(public) in seen["trust"]
    assert len(set(secrets)) >= 5 * 5, "two keys that were there, one made, and the two that followed"
    assert [name for name, data in seen.items() if any(secret in data for secret in secrets)] == []


def _spell_secrets(home: Path) -> Iterator[bytes]:
    for path in (home / "keys").iterdir():
        text = path.read_bytes()
        raw = load_pem_private_key(text, None).private_bytes_raw()  # type: ignore[union-attr]
        yield from (
            raw,
            raw.hex().encode(),
            raw.hex().upper().encode(),
            base64.b64encode(raw)[:-4],
            text.splitlines()[1],
        )


def test_every_attempt_is_in_the_pack_with_its_numbers(packed: Path) -> None:
    with zipfile.ZipFile(packed / "p.zip") as pack:
        header = json.loads(pack.read("pack.json"))
        assert header["attempts"] == {"total": 2, "completed": 2, "failed": 0, "abandoned": 0}
        assert len(header["run_ids"]) == 2
        for run_id in header["run_ids"]:
            rows = [json.loads(line) for line in pack.read(f"runs/{run_id}/items.jsonl").splitlines()]
            metrics = json.loads(pack.read(f"runs/{run_id}/metrics.json"))
            own = {row["ablation"]: row["estimate"] for row in metrics if row["metric"] == "necessity_drop"}
            for family, estimate in own.items():
                mine = [row for row in rows if row["ablation"] == family]
                gap = sum(row["clean"] - row["empty"] for row in mine)
                assert sum(row["effect"] for row in mine) / gap == pytest.approx(estimate, abs=1e-9)


def test_other_claims_on_the_same_prompts_are_named_in_the_pack_with_their_verdicts(
    packed: Path, tmp_path: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    """Two more were frozen, under another name of the file and in another order; one of them was never run."""
    home = tmp_path / "family"
    shutil.copytree(packed, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIT_HOME", str(home))
        turned = PromptSet("renamed", tuple(reversed(prompts.prompts)))
        tested, _ = freeze(home, subject, turned), freeze(home, subject, prompts)
        run(home, subject, tested.claim_id)
        export_pack(home, ["C-0001"], home / "q.zip", key=load_key(home, "anna"), issue=ExportOptions("anna"))
    members = {
        name: json.loads(data)
        for name, data in read_members((home / "q.zip").read_bytes()).items()
        if name.endswith(".json")
    }
    (claim,) = members["claims/claims.json"]
    assert [(one["claim_id"], one["state"]) for one in claim["family"]] == [
        ("C-0002", "supported"),
        ("C-0003", "not run"),
    ]
    assert {one["n_shared"] for one in claim["family"]} == {len(take_split(prompts, exploratory=False))}
    brief = read_brief(PackView(members), "C-0001")
    said = " ".join(spell(one) for one in (*brief.speaks_for, *brief.speaks_against))
    assert "2 other claims were frozen on these prompts: C-0002 (supported), C-0003 (not run)." in said
    assert "Among all 3 the verdict holds at Holm's level." in said
    (alone,) = [
        json.loads(data)
        for name, data in read_members((packed / "p.zip").read_bytes()).items()
        if name == "claims/claims.json"
    ]
    assert alone[0]["family"] == []


def test_one_changed_byte_of_any_member_is_found(packed: Path) -> None:
    with zipfile.ZipFile(packed / "p.zip") as pack:
        members = {name: pack.read(name) for name in pack.namelist()}
    names = sorted(name for name, data in members.items() if data)[:: max(1, len(members) // 8)]
    for name in names:
        data = bytearray(members[name])
        data[len(data) // 2] ^= 1
        with zipfile.ZipFile(packed / "bad.zip", "w", zipfile.ZIP_DEFLATED) as bad:
            for other, content in members.items():
                bad.writestr(zipfile.ZipInfo(other, (1980, 1, 1, 0, 0, 0)), bytes(data) if other == name else content)
        assert verify(packed, "bad.zip", "--trust", str(packed / "trust.toml")).returncode == 4, name


@pytest.mark.usefixtures("measured_again")
def test_a_rerun_here_gives_the_same_bits_and_decisions_and_the_next_pack_says_so(
    packed: Path, subject: TransformerSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_HOME", str(packed))
    (found,) = rerun_pack(
        packed / "p.zip", lambda: Auditor(subject, RunLog(packed)), actor=ME, run_ids=_runs(packed)[:1]
    )
    assert (found.bitwise, found.numeric, found.decision) == ("BITWISE_EQUAL", "WITHIN_TOLERANCE", "DECISION_EQUAL")
    assert found.n_values > 100
    assert not found.differs
    export_pack(packed, [found.claim_id], packed / "q.zip", key=load_key(packed, "anna"), issue=ExportOptions("anna"))
    with zipfile.ZipFile(packed / "q.zip") as pack:
        (row,) = json.loads(pack.read(f"runs/{found.run_id}/reruns.json"))
        rows = json.loads(pack.read("verdict/verdict.json"))["criteria"]
    assert (row["L0"], row["L3"]) == ("COMPARABLE", "DECISION_EQUAL")
    assert [one["result"] for one in rows if one["id"] == "rerun"] == ["MEETS"]
    assert verify(packed, "q.zip", "--trust", str(packed / "trust.toml")).returncode == 0


def test_plans_that_were_changed_are_packed_with_every_change_and_verify(
    home: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    """Twice before anything was run, then after: two amendments, and a deviation."""
    from audit_core.cli.keys import describe_trust

    register, plan = Register(home), freeze(home, subject, prompts)

    def change(**fields: object) -> None:
        register.amend(
            plan.claim_id, lambda old: replace(old, **fields), by="anna", reason="a slip", kind=ChangeKind.ERROR,
            sought=describe_sought(prompts, plan.pins.prompts_sha256),
        )  # fmt: skip

    change(seed=1)
    change(claim=replace(CLAIM, delta=0.2, name="the copying head is much needed"), questions=("recomposition",))
    run(home, subject, plan.claim_id)
    change(pins=replace(plan.pins, code_version="0.1.0+local"), seed=2)
    run(home, subject, plan.claim_id)
    key = make_key(home, "anna")
    export_pack(home, [plan.claim_id], home / "p.zip", key=key, issue=ExportOptions("anna"))
    (home / "trust.toml").write_text(describe_trust(home, [("anna", "preparer")]))
    found = verify(home, "p.zip", "--trust", str(home / "trust.toml"))
    assert found.returncode == 0, found.stdout
    with zipfile.ZipFile(home / "p.zip") as pack:
        rows = [json.loads(line) for line in pack.read("prereg/deviations.jsonl").splitlines()]
        criteria = json.loads(pack.read("verdict/verdict.json"))["criteria"]
        assert json.loads(pack.read("pack.json"))["attempts"]["total"] == 2
    assert {row["field"] for row in rows} == {"seed", "claim.delta", "claim.name", "questions", "pins.code_version"}
    assert "MEETS" not in {row["result"] for row in criteria if row["metric"] is not None}


def test_a_run_and_a_claim_are_pages_that_fetch_nothing(packed: Path) -> None:
    for name in (_runs(packed)[0], "C-0001"):
        page = render_result(packed, name).decode()
        assert "the copying head is needed" in page
        assert "default-src" in page
        assert "<script" not in page
        assert str(packed) not in page
        assert "kind of evidence unknown" not in page
    with pytest.raises(Refused, match="No run"):
        render_result(packed, "0" * 32)


def test_another_attention_implementation_is_not_compared(packed: Path, subject: TransformerSubject) -> None:
    other = copy(subject)
    other.identity = replace(subject.identity, attention="sdpa")
    (found, _) = rerun_pack(packed / "p.zip", lambda: Auditor(other, RunLog(packed)), actor=ME)
    assert not found.is_comparable
    assert any("attention" in line and "sdpa" in line for line in found.differs)
    assert (found.bitwise, found.numeric, found.decision, found.worst) == ("NOT_EVALUATED",) * 3 + (None,)


def test_a_pack_whose_numbers_were_shifted_is_outside_and_its_decision_is_reported(
    packed: Path, subject: TransformerSubject
) -> None:
    """Nobody can make such a pack verify; a rerun must see it even where somebody who may sign did."""
    with zipfile.ZipFile(packed / "p.zip") as pack:
        members = {name: pack.read(name) for name in pack.namelist()}
    (run_id, *_) = _runs(packed)
    name = f"runs/{run_id}/items.jsonl"
    rows = [json.loads(line) for line in members[name].splitlines()]
    rows[0]["patched"] += 0.01
    members[name] = b"".join(dump_canonical(row) + b"\n" for row in rows)
    result = json.loads(members[f"runs/{run_id}/result.json"])
    members[f"runs/{run_id}/result.json"] = dump_canonical(result | {"state": "negligible"})
    members["MANIFEST.sha256"] = make_manifest({n: d for n, d in members.items() if n != "MANIFEST.sha256"})
    write_pack(packed / "shifted.zip", members)
    (found,) = rerun_pack(packed / "shifted.zip", lambda: Auditor(subject, RunLog(packed)), actor=ME, run_ids=[run_id])
    assert (found.numeric, found.n_outside, found.decision) == ("OUTSIDE_TOLERANCE", 1, "DECISION_FLIPPED")
    assert found.flipped[0].startswith("verdict: negligible")


def _runs(home: Path) -> list[str]:
    with zipfile.ZipFile(home / "p.zip") as pack:
        return list(json.loads(pack.read("pack.json"))["run_ids"])


def test_a_claim_that_was_never_run_is_not_packed(home: Path, subject: TransformerSubject, prompts: PromptSet) -> None:
    plan = freeze(home, subject, prompts)
    with pytest.raises(Refused, match="has no attempt"):
        export_pack(home, [plan.claim_id], home / "p.zip", key=make_key(home, "anna"), issue=ExportOptions("anna"))
    assert not (home / "p.zip").exists()


def test_no_secret_of_the_machine_is_in_the_pack(packed: Path) -> None:
    import getpass

    secrets = [str(packed), str(Path.home()) + "/", f'"{getpass.getuser()}@']
    with zipfile.ZipFile(packed / "p.zip") as pack:
        for name in pack.namelist():
            text = pack.read(name).decode("utf-8", "replace")
            assert not [secret for secret in secrets if secret in text], name
