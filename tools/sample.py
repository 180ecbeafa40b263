"""Record the sample organisation: `make sample` writes `data/sample/` from real runs, in about ten minutes on two cores.

Dates, numbers and signatures are those of the recording. The signing keys are destroyed with the temporary folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from audit_core import Auditor, RunLog, load_prompt_set, open_subject  # noqa: E402
from audit_core.change import Artefact, EffectQuestion, compare_models, measure_effect_diff  # noqa: E402
from audit_core.change.revalidation import rerun_stale, revalidate_claims  # noqa: E402
from audit_core.circuits import list_claim_questions  # noqa: E402
from audit_core.claim import Claim  # noqa: E402
from audit_core.cli.keys import describe_trust  # noqa: E402
from audit_core.component import parse_components  # noqa: E402
from audit_core.confirm import freeze_claim, run_confirmatory  # noqa: E402
from audit_core.evidence.source import hash_source  # noqa: E402
from audit_core.findings import find_rules, list_suggestions  # noqa: E402
from audit_core.intervention import Replacement  # noqa: E402
from audit_core.models import find_known  # noqa: E402
from audit_core.models.edited import silence_head  # noqa: E402
from audit_core.packs import ExportOptions, export_pack  # noqa: E402
from audit_core.packs.rerun import rerun_pack  # noqa: E402
from audit_core.prompts import PromptSet  # noqa: E402
from audit_core.prompts.prompt_set import take_split  # noqa: E402
from audit_core.review import Decider, ReviewDecision, decide, load_home_trust, take_pack  # noqa: E402
from audit_core.run import Actor, find_folder  # noqa: E402
from audit_core.sample import ARCHIVE, CHANGE, CHECKPOINT, NOTE, RECORD, SCHEMA  # noqa: E402
from audit_core.shipped import load_shipped_policy  # noqa: E402
from audit_core.store import (  # noqa: E402
    Action,
    AnchorKind,
    FindingEdit,
    FindingRegister,
    FindingStatus,
    Register,
    anchor_checkpoint,
    append_event,
    load_key,
    make_checkpoint,
    make_key,
    open_database,
    verify_log,
)
from audit_core.store.database.events import read_clock  # noqa: E402
from audit_core.store.log.backup import back_up  # noqa: E402
from audit_core.subjects.planted import find_planted  # noqa: E402
from audit_core.subjects.transformer import load_transformer  # noqa: E402

OUT = ROOT / "data/sample"
ORGANISATION = "Sample organisation"
PREPARER, REVIEWER, APPROVER = "sample-ada", "sample-ben", "sample-cleo"
PEOPLE = (REVIEWER, APPROVER, PREPARER)
ACTOR = Actor(PREPARER, "sample")
EDITED_HEAD = "L23.H3"
"""The edited sibling is the default model with this head's output weights set to zero."""
PER_TEMPLATE, COMPARED_TEMPLATES = 2, 6
"""Prompts of each template in each split of a shipped set, and templates of the comparison of all heads: small, so that
the recording ends within minutes."""


@dataclass(frozen=True)
class Plan:
    """One claim to record."""

    name: str
    components: str
    model: str
    prompts: PromptSet
    questions: tuple[str, ...] = ()
    ablation: Replacement = Replacement.RESAMPLE
    is_tested: bool = True


def list_plans() -> tuple[Plan, ...]:
    """The claims, in the order of the register; the last one is frozen after its split was used, which makes it exploratory."""
    ioi, pronoun = take_few("indirect_object"), take_few("gender_pronoun")
    dose, suppression = make_planted("planted-dose", 60), make_planted("planted-suppression", 8)
    return (
        Plan("L23.H3 is needed to name the indirect object", "L23.H3", "default", ioi),
        Plan("L24.H4 looks at the indirect object and is needed to name it", "L24.H4", "default", ioi),
        Plan("L23.H3 is needed to name the indirect object, by mean ablation", "L23.H3", "default", ioi, ablation=Replacement.MEAN),
        Plan("L23.H3 is needed to choose the pronoun", "L23.H3", "default", pronoun),
        Plan("L25.H1 is needed to choose the pronoun", "L25.H1", "default", pronoun, is_tested=False),
        Plan("L1.H0 is needed to continue a sequence", "L1.H0", "planted-dose", dose, list_claim_questions(usual=True)),
        Plan("L2.H0 is needed to continue a sequence", "L2.H0", "planted-suppression", suppression),
        Plan("L1.H1 is needed to continue a sequence", "L1.H1", "planted-suppression", suppression, is_tested=False),
        Plan("L1.H0 is needed to continue a sequence", "L1.H0", "planted-suppression", suppression),
    )  # fmt: skip


def make_planted(name: str, per_template: int) -> PromptSet:
    model = find_planted(name)
    assert model is not None
    return model.find_task("query").make(per_template, 0)


def record(home: Path) -> None:
    """Freeze, test, export, decide and revalidate, as people at a desk would."""
    for person in PEOPLE:
        make_key(home, person)
    auditors: dict[str, Auditor] = {}
    plans = list_plans()
    # Every plan is frozen before its split is used, except the one that shows what happens otherwise.
    ids = [*test_claims(home, plans[:-1], auditors), *test_claims(home, plans[-1:], auditors)]
    Register(home).withdraw(ids[7], by=PREPARER, reason="Sample: withdrawn to show this state.")
    trust = describe_trust(home, [(PREPARER, "preparer"), (REVIEWER, "reviewer"), (APPROVER, "approver")])
    (home / "trust.toml").write_text(trust, encoding="utf-8")
    signed = put_on_desk(home, [ids[5]], auditors["planted-dose"])
    sign(home, signed, REVIEWER, "reviewer")
    sign(home, signed, APPROVER, "approver")
    record_findings(home, weak=ids[1], closed=ids[2])
    put_on_desk(home, ids[:2], None)
    change(home, ids[2], auditors["default"])


def test_claims(home: Path, plans: Sequence[Plan], auditors: dict[str, Auditor]) -> list[str]:
    """Freeze all plans, then test those to be tested; returns the claims' ids."""
    register, log = Register(home), RunLog(home)
    ids = []
    for plan in plans:
        if plan.model not in auditors:
            auditors[plan.model] = Auditor(open_subject(plan.model), log)
        claim = Claim(f"Sample: {plan.name}", parse_components(plan.components), ablation=plan.ablation)
        frozen = freeze_claim(
            register, auditors[plan.model].subject, claim, plan.prompts, load_shipped_policy(), owner=PREPARER,
            model=plan.model, questions=plan.questions,
        )  # fmt: skip
        ids.append(frozen.claim_id)
    for plan, claim_id in zip(plans, ids, strict=True):
        if plan.is_tested:
            found = run_confirmatory(register, claim_id, lambda name: auditors[name], actor=ACTOR)
            verdict = found.result.verdict
            say(f"{claim_id}: {verdict.state} {verdict.reason or ''} ({found.wall_s:.0f} s) {verdict.sentence}")
    return ids


def put_on_desk(home: Path, claim_ids: Sequence[str], rerun_on: Auditor | None) -> str:
    """Export a pack and put it on the desk, after a rerun of a draft where a model is given; returns its digest."""
    out, issue = Path("pack.zip"), ExportOptions(PREPARER, ORGANISATION, "Sample system", "To show this product")
    if rerun_on is not None:
        export_pack(home, claim_ids, out, key=load_key(home, PREPARER), issue=issue)
        rerun_pack(out, lambda: rerun_on, actor=Actor(REVIEWER, "sample"))
    found = export_pack(home, claim_ids, out, key=load_key(home, PREPARER), issue=issue)
    take_pack(home, out.read_bytes(), by=PREPARER, trust=load_home_trust(home))
    say(f"pack {found.root_digest[:12]} of {', '.join(claim_ids)}: {found.overall}")
    return found.root_digest


def sign(home: Path, digest: str, person: str, role: str) -> None:
    asked = ReviewDecision(
        role, "approve", "Sample: none, signed by the same program", evidence_viewed=("the whole report",)
    )
    decide(home, digest, asked, Decider(load_key(home, person), organisation=ORGANISATION))


def change(home: Path, claim_id: str, before: Auditor) -> None:
    """Compare the default model with its edited sibling, and test one claim again on the sibling."""
    was = Path(str(before.subject.identity.folder))
    head = parse_components(EDITED_HEAD)[0]
    edited = silence_head(was, Path("models/edited-sibling"), head.layer, head.index)
    after = Auditor(load_transformer(edited), RunLog(home))
    stale = revalidate_claims(home, Artefact("edited-sibling", edited, was), [claim_id], actor=ACTOR)
    stale = rerun_stale(home, stale, lambda: after, actor=ACTOR)
    for one in stale.claims:
        say(f"{one.claim_id} on the edited sibling: {one.regression}")
    few = take_split(take_few("indirect_object"), exploratory=True)
    templates = list(dict.fromkeys(prompt.template for prompt in few.prompts))[:COMPARED_TEMPLATES]
    prompts = PromptSet(few.name, tuple(prompt for prompt in few.prompts if prompt.template in templates))
    effects = measure_effect_diff(before, after, EffectQuestion(prompts), actor=ACTOR)
    recorded = {"models": asdict(compare_models(was, edited)), "effects": asdict(effects)}
    (home / CHANGE).write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def record_findings(home: Path, *, weak: str, closed: str) -> None:
    """Two findings with a history, from what the records suggest: one is worked on, and the closed one reopens with its claim's change."""
    register = FindingRegister(home)
    for claim_id, severity in ((weak, "high"), (closed, "medium")):
        draft = list_suggestions(home, claim_id)[0].prefill()
        draft = replace(draft, severity=severity, title=f"Sample: {draft.title}"[:80], owner=PREPARER)
        found = register.record(draft, find_rules(home, (claim_id,)), by=REVIEWER)
        edit = FindingEdit(status=FindingStatus.IN_REMEDIATION)
        found = register.change(
            found.finding_id,
            edit,
            find_rules(home, (claim_id,)),
            based_on=found.version,
            by=PREPARER,
            reason="Sample: begun.",
        )
        if claim_id == closed:
            reason = "Sample: read again, and the limit is stated in the report."
            found = register.close(found.finding_id, based_on=found.version, by=APPROVER, reason=reason)
        say(f"{found.finding_id} about {claim_id}: {found.status_words}, {found.version} changes")


def take_few(key: str) -> PromptSet:
    """The first prompts of each template in each split of a shipped set."""
    whole = load_prompt_set(key)
    kept = []
    for is_explored in (True, False):
        seen: Counter[str] = Counter()
        for prompt in take_split(whole, exploratory=is_explored).prompts:
            seen[prompt.template] += 1
            kept += [prompt] if seen[prompt.template] <= PER_TEMPLATE else []
    return PromptSet(f"{key}-sample", tuple(kept))


def close(home: Path) -> None:
    """Verify the log, store a checkpoint outside it, and write the archive without any private key."""
    with open_database(home) as connection:
        found = verify_log(connection)
        assert not found.findings
        checkpoint = make_checkpoint(connection, home)
        anchor_checkpoint(
            connection, actor=REVIEWER, kind=AnchorKind.FILE, target=f"data/sample/{CHECKPOINT}", size=checkpoint.size
        )
        payload = {"size": found.size, "findings": 0}
        append_event(connection, actor=REVIEWER, action=Action.LOG_VERIFIED, object_id=found.log_id, payload=payload)
    with open_database(home) as connection:
        last = make_checkpoint(connection, home)
    record = {"schema": SCHEMA, "recorded_at": read_clock(), "code_sha256": hash_source(), "people": PEOPLE}
    (home / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    OUT.mkdir(exist_ok=True)
    archive = OUT / ARCHIVE
    archive.unlink(missing_ok=True)
    back_up(home, archive, with_private_keys=False)
    archive.chmod(0o644)
    (OUT / CHECKPOINT).write_text(last.note, encoding="utf-8")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    note = {name: record[name] for name in ("schema", "recorded_at", "code_sha256")} | {"archive_sha256": digest}
    (OUT / NOTE).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    say(f"{archive.stat().st_size:,} bytes in {archive.name}")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    known = find_known("default")
    assert known is not None
    cached = find_folder(known.name)
    with tempfile.TemporaryDirectory() as work, chdir(work):
        # Relative, so that no run records a path of this machine.
        (Path("models")).mkdir()
        (Path("models") / known.folder_name).symlink_to(cached)
        os.environ |= {"AUDIT_MODELS": "models", "AUDIT_HOME": str(Path(work) / "home")}
        home = Path(work) / "home"
        home.mkdir(mode=0o700)
        record(home)
        close(home)


if __name__ == "__main__":
    main()
