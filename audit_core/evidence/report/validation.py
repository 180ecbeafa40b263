"""Validation report: a pack's documents in the fourteen sections that reviewers of models expect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from audit_core.evidence.report.answers import describe_answers
from audit_core.evidence.report.blocks import (
    Block,
    Facts,
    Heading,
    Line,
    Paragraph,
    Report,
    Section,
    Table,
    code,
    join_spans,
    line,
    theirs,
)
from audit_core.evidence.report.brief import find_last_run
from audit_core.evidence.report.build import MANIFEST, build_report
from audit_core.evidence.report.cells import ABSENT, cell, digest_cell
from audit_core.evidence.report.claims import describe_preregistration, describe_runs, state_claims
from audit_core.evidence.report.closing import describe_checking
from audit_core.evidence.report.disclosure import describe_history
from audit_core.evidence.report.findings import print_findings, tabulate_assumptions
from audit_core.evidence.report.judgement import describe_criteria, describe_deviations, disclose_attempts
from audit_core.evidence.report.opening import summarise
from audit_core.evidence.report.pack_view import Documents, PackView, as_list, as_table, as_tables
from audit_core.evidence.report.register import describe_register
from audit_core.evidence.report.signing import DECISIONS, Signature, describe_signatures
from audit_core.evidence.report.words_for import RESULTS, find_word

SECTIONS = (
    ("control", "Document control"),
    ("summary", "Summary and status"),
    ("purpose", "Purpose, use and model"),
    ("data", "Data and method"),
    ("soundness", "Conceptual soundness"),
    ("process", "Process verification"),
    ("outcomes", "Outcomes analysis"),
    ("sensitivity", "Sensitivity and stability"),
    ("monitoring", "Monitoring and triggers"),
    ("limitations", "Limitations and compensating controls"),
    ("register", "Findings register"),
    ("conditions", "Conditions and recommendation"),
    ("signoff", "Independence and sign-off"),
    ("appendix", "Appendix: tests, versions and attempts"),
)
"""Key and title of each section, in order."""
ROBUSTNESS = ("random_baseline", "ablation_agreement", "completeness", "stability", "transfer")
_NOT_LISTED = ("schemas/", "attestations/")
"""Names of attestations would show decisions that blind reviews hide."""
_SIGN_OFF = (("preparer", "Prepared"), ("reviewer", "Reviewed"), ("approver", "Decided"))


def build_validation_report(
    documents: Documents,
    *,
    root_digest: str,
    signatures: Sequence[Signature] | None = None,
    n_hidden: int = 0,
) -> Report:
    """Return the content of a validation report; what a pack does not record is said to be not recorded.

    Args:
        documents: path in the pack → parsed JSON.
        root_digest: SHA-256 of the pack's manifest, hexadecimal.
        signatures: every signed statement about the pack.
        n_hidden: decisions that are left out, because reviews are blind.

    Raises:
        Refused: a malformed digest, or `pack.json` is missing.
    """
    plain = build_report(
        documents, root_digest=root_digest, digest_of=MANIFEST, signatures=signatures, n_hidden=n_hidden
    )
    pack = PackView(documents)
    signed = tuple(signatures or ())
    write: Mapping[str, Callable[[], tuple[Block, ...]]] = {
        "control": lambda: _control(pack),
        "summary": lambda: (*_status(signed, n_hidden), *summarise(pack).blocks),
        "purpose": lambda: (_purpose(pack), *state_claims(pack).blocks),
        "data": lambda: (
            *describe_preregistration(pack).blocks,
            *describe_history(pack).blocks,
            *describe_runs(pack).blocks,
        ),
        "soundness": lambda: _soundness(pack),
        "process": lambda: _process(pack),
        "outcomes": lambda: (
            *print_findings(pack).blocks,
            *describe_criteria(pack).blocks,
            *(b for one in describe_answers(pack) for b in one.blocks),
        ),
        "sensitivity": lambda: _sensitivity(pack),
        "monitoring": lambda: _monitoring(pack),
        "limitations": lambda: _limitations(pack),
        "register": lambda: describe_register(pack),
        "conditions": lambda: (*_conditions(signed), *_say_hidden(n_hidden)),
        "signoff": lambda: _sign_off(
            signed, n_hidden, describe_signatures(signatures, has_pack=True, n_hidden=n_hidden)
        ),
        "appendix": lambda: _appendix(pack),
    }
    sections = tuple(
        Section(key, f"{at}. {title}", write[key](), is_page=key == "signoff")
        for at, (key, title) in enumerate(SECTIONS, 1)
    )
    return replace(plain, kind="Validation report", sections=sections)


def _control(pack: PackView) -> tuple[Block, ...]:
    header = pack.header
    producer = as_table(header.get("producer"))
    owners = sorted({str(claim["owner"]) for claim in pack.claims if claim.get("owner")})
    due = sorted({str(claim["expires_at"]) for claim in pack.claims if claim.get("expires_at")})
    return (
        Facts(
            (
                ("Document", digest_cell(header.get("pack_id"))),
                ("Organisation", cell(header.get("organisation"))),
                ("System", cell(header.get("system_name"))),
                ("Tier of the model", line(ABSENT)),
                ("Owners of the claims", cell(owners)),
                ("Made", cell(header.get("created_at"))),
                ("Made with", line(*cell(producer.get("name")), " ", *cell(producer.get("version")))),
                ("Next review by", cell(due)),
                ("Replaces pack with root", digest_cell(header.get("supersedes"))),
            )
        ),
    )


def _status(signed: Sequence[Signature], n_hidden: int) -> tuple[Block, ...]:
    decided = [one for one in signed if one.decision]
    blocks: list[Block] = []
    if decided:
        rows = tuple(
            (line(theirs(one.person)), line(theirs(one.role)), line(DECISIONS.get(one.decision, ABSENT)), _key(one))
            for one in decided
        )
        blocks.append(Table("Status: decisions about this pack", ("person", "role", "decision", "signature"), rows))
    elif not n_hidden:
        blocks.append(Paragraph(line("Status: no decision about this pack is signed."), is_lead=True))
    return (*blocks, *_say_hidden(n_hidden))


def _key(one: Signature) -> Line:
    return line("checked with a trusted key" if one.is_checked else "key not checked")


def _say_hidden(n_hidden: int) -> tuple[Block, ...]:
    """Decisions that the reader may not see yet are counted, so that their absence reads as no decision nowhere."""
    return (
        (Paragraph(line(f"Decisions left out of this copy, because reviews are blind: {n_hidden}.")),)
        if n_hidden
        else ()
    )


def _purpose(pack: PackView) -> Facts:
    models = tuple(("Model", cell(identity.get("model") or name)) for name, identity in pack.models())
    return Facts((("Intended purpose", cell(pack.header.get("intended_purpose"))), *models))


def _soundness(pack: PackView) -> tuple[Block, ...]:
    blocks: list[Block] = [
        Paragraph(line("A causal reading holds under assumptions. Each is listed with what the run found about it."))
    ]
    for claim in pack.claims:
        claim_id = str(claim.get("claim_id", ""))
        run = find_last_run(pack, claim_id)
        found = [] if run is None else tabulate_assumptions(as_table(run.result_of(claim_id)))
        nothing = Paragraph(line("No assumption is recorded for this claim."))
        blocks += [Heading(line(code(claim_id))), *(found or [nothing])]
    return tuple(blocks)


def _process(pack: PackView) -> tuple[Block, ...]:
    counts = [len(pack.tables(f"runs/{run.run_id}/reruns.json")) for run in pack.runs]
    facts = Facts((("Runs", line(str(len(counts)))), ("Comparisons of a rerun with a run", line(str(sum(counts))))))
    return (facts, *describe_deviations(pack).blocks, *describe_checking().blocks)


def _sensitivity(pack: PackView) -> tuple[Block, ...]:
    rows = [row for row in as_tables(pack.verdict.get("criteria")) if row.get("id") in ROBUSTNESS]
    absent = [name for name in ROBUSTNESS if name not in {row.get("id") for row in rows}]
    blocks: list[Block] = []
    if rows:
        cells = tuple((cell(row.get("id")), cell(row.get("claim_id")), _result(row)) for row in rows)
        blocks.append(
            Table("Criteria of robustness; their numbers are in section 7", ("criterion", "claim", "result"), cells)
        )
    if absent:
        blocks.append(Paragraph(line("The verdict has no criterion ", *cell(absent), ".")))
    return tuple(blocks)


def _result(row: Mapping[str, Any]) -> Line:
    reason = line(": ", theirs(row["reason"])) if row.get("reason") else ()
    return line(find_word(RESULTS, row.get("result")).marked, *reason)


def _monitoring(pack: PackView) -> tuple[Block, ...]:
    rows = tuple((line(code(claim.get("claim_id", ""))), cell(claim.get("expires_at"))) for claim in pack.claims)
    return (
        Table("When each claim is due for review", ("claim", "review by"), rows),
        Paragraph(
            line(
                "A claim becomes stale when its model, prompts, policy or libraries change, when its plan was deviated from, "
                "when a key is revoked, on an incident, or on this date. A pack does not show what happened after its export."
            )
        ),
        Paragraph(line("A plan to monitor the system in use is not part of this evidence.")),
    )


def _limitations(pack: PackView) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for title, key in (("Limitations", "limitations"), ("Not assessed", "not_assessed")):
        items = as_list(pack.header.get(key))
        rows = tuple((cell(item), line(ABSENT), line(ABSENT)) for item in items)
        columns = (title.lower(), "impact", "compensating control")
        blocks.append(
            Table(title, columns, rows, widths=(60, 18, 22)) if rows else Paragraph(line(f"{title}: none recorded."))
        )
    return (
        *blocks,
        Paragraph(line("Impact and compensating control are for people to state. This pack has no place for them.")),
    )


def _conditions(signed: Sequence[Signature]) -> tuple[Block, ...]:
    rows = tuple(
        (line(theirs(one.person)), line(theirs(one.role)), cell(text)) for one in signed for text in one.conditions
    )
    table = Table("Conditions of signed decisions", ("person", "role", "condition"), rows)
    none = Paragraph(line("No condition is in a signature of this copy."))
    return (
        table if rows else none,
        Paragraph(line("Assay recommends nothing. A recommendation is for the reviewer to write.")),
    )


def _sign_off(signed: Sequence[Signature], n_hidden: int, signatures: Section) -> tuple[Block, ...]:
    rows: list[tuple[Line, ...]] = []
    for role, words in _SIGN_OFF:
        own = [one for one in signed if one.role == role]
        rows += [(line(words), *_signed_cells(one)) for one in own]
        if not own:
            rows.append((line(words), *(line("________________") for _ in range(4))))
    columns = ("", "name", "date", "relation to the preparer", "signature")
    table = Table("Sign-off", columns, tuple(rows), widths=(12, 22, 22, 24, 20))
    empty = "An empty line means that no signature in this role is in this copy."
    note = f"{empty} The digest on every page identifies what is signed."
    return (table, Paragraph(line(note)), *_say_hidden(n_hidden), *signatures.blocks)


def _signed_cells(one: Signature) -> tuple[Line, Line, Line, Line]:
    stated = cell(one.independence) if one.role != "preparer" else line("–")
    return line(theirs(one.person)), cell(one.at), stated, _key(one)


def _appendix(pack: PackView) -> tuple[Block, ...]:
    members = [code(name) for name in sorted(pack.documents) if not name.startswith(_NOT_LISTED)]
    return (
        Paragraph(line("Versions of model and software are in section 4, tests and criteria in section 7.")),
        *disclose_attempts(pack).blocks,
        Heading(line("Documents of the pack that this report was read from")),
        Paragraph(join_spans(members)),
    )
