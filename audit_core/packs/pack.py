"""Export one signed pack of registered claims and of answers to audits without a claim, and log the export."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.errors import AuditError, Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.keys import SigningKey
from audit_core.evidence.report.disclosure import say_beginning
from audit_core.evidence.report.pack_view import parse_members
from audit_core.evidence.statement import seal_pack
from audit_core.governance.policy import Policy, parse_policy
from audit_core.packs.answers import choose_answers_policy, read_answers, write_answers
from audit_core.packs.disclosure import describe_disclosure
from audit_core.packs.family import list_family, read_attempts
from audit_core.packs.finding_documents import write_findings
from audit_core.packs.pack_documents import LIMITATIONS, NOT_ASSESSED, WITHHELD, Attempt
from audit_core.packs.pack_log import choose_events, log_export, write_log
from audit_core.packs.pack_members import write_documents
from audit_core.packs.pack_scan import find_personal_data, refuse_personal_data, refuse_quotes, refuse_secrets
from audit_core.packs.withholding import Withholding, dump_openings, withhold
from audit_core.run import list_versions
from audit_core.store.claims.register import Register, RegisteredClaim
from audit_core.store.data_directory import load_kept_policy
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events, read_clock
from audit_core.store.keys.openings import keep_openings
from audit_core.store.log.run_log import RunRecord
from audit_core.verifier.attempts import count_attempts, list_attempts
from audit_core.verifier.documents import read_documents
from audit_core.verifier.schemas_disclosure import DISCLOSURE_MEMBER
from audit_core.verifier.semantics import recompute_verdict

DISCLAIMER = "findings-not-assurance-1"
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class ExportOptions:
    """Preparer of a pack, and what it withholds."""

    person: str
    organisation: str = ""
    system_name: str = ""
    intended_purpose: str = ""
    withhold_prompts: bool = False
    """Replace text and numbers of every prompt by salted commitments."""
    acknowledge_personal_data: bool = False
    """The preparer confirms that apparent personal data may be exported."""


@dataclass(frozen=True)
class Exported:
    """A written pack."""

    path: Path
    pack_id: str
    root_digest: str
    """SHA-256 of the manifest, which identifies the pack."""
    attempts: Mapping[str, int]
    overall: str
    """Overall result under the policy, from `verdict.json`."""
    withheld_count: int = 0
    """Number of items whose openings this data directory stores."""


def export_pack(
    home: Path,
    claim_ids: Sequence[str],
    out: Path,
    *,
    key: SigningKey,
    issue: ExportOptions,
    answers: Sequence[str] = (),
    supersedes: str | None = None,
) -> Exported:
    """Write one pack about registered claims with every attempt; the export is logged before the file is written.

    Args:
        answers: ids of runs of other audits whose results the pack contains too, with or without claims. The policy of a pack
            without claims is the one that their questions were frozen under, or the shipped one.

    Raises:
        Refused: no claims and no answers, a claim without attempts, claims or questions under different policies, files that no pack can contain, an
            apparent secret, personal data without acknowledgement, or a quote of a withheld prompt.
        IntegrityError: a plan differs from the frozen one.
    """
    claims = [Register(home).find(claim_id) for claim_id in dict.fromkeys(claim_ids)]
    records = _read_answers(home, answers, issue)
    policy = choose_answers_policy(home, records) if records and not claims else _read_policy(claims)
    pack_id = make_ulid()
    names = [record.run_id for record in records]
    disclosure = disclose(home, claims, hides_words=issue.withhold_prompts)
    options = _describe_options(issue, names, disclosure)
    events, note, findings = log_export(home, pack_id, claims, issue.person, options)
    shown = choose_events(events, claims, pack_id, names)
    attempts = {known.claim_id: read_attempts(home, known, shown) for known in claims}
    try:
        withholding, attempts = withhold(claims, attempts) if issue.withhold_prompts else (Withholding(), attempts)
        families = {known.claim_id: list_family(home, known) for known in claims}
        files = write_documents(claims, attempts, families, shown, policy, withholding)
        files |= {DISCLOSURE_MEMBER: dump_canonical(disclosure)}
        files |= write_log(events, shown, note) | write_findings(findings) | write_answers(records)
        header = describe_header(claims, attempts, shown, issue, withholding, say_beginning(disclosure)) | {
            "pack_id": pack_id,
            "supersedes": supersedes,
        }
        header |= _scan(files | {"pack.json": dump_canonical(header)}, issue, withholding)
        files["pack.json"] = dump_canonical(header)
        files |= _write_verdict(files, policy)
        files |= _write_renderings(files)
        if withholding.n_items:
            keep_openings(home, pack_id, dump_openings(pack_id, withholding))
        overall = str(json.loads(files["verdict/verdict.json"])["overall"])
        digest = seal_pack(
            out, files, key, pack_id=pack_id, person=issue.person, organisation=issue.organisation, at=read_clock()
        )
    except AuditError as error:
        with open_database(home) as connection:
            reported = {"reason": type(error).__name__}
            append_event(
                connection, actor=issue.person, action=Action.PACK_REFUSED, object_id=pack_id, payload=reported
            )
        raise
    return Exported(
        out, pack_id, digest, {name: len(runs) for name, runs in attempts.items()}, overall, withholding.n_items
    )


def disclose(home: Path, claims: Sequence[RegisteredClaim], *, hides_words: bool) -> dict[str, Any]:
    """The disclosure as of now; see `describe_disclosure`."""
    with open_database(home) as connection:
        events = list_events(connection)
    return describe_disclosure(home, claims, events, hides_words=hides_words) if events else {}


def _read_answers(home: Path, answers: Sequence[str], issue: ExportOptions) -> tuple[RunRecord, ...]:
    if answers and issue.withhold_prompts:
        raise Refused(
            "Answers of audits beside withheld prompts.",
            wanted="one of both: a result may quote its prompts.",
            remedy="write a pack for the answers, and another for the claims.",
        )
    return read_answers(home, answers)


def _describe_options(issue: ExportOptions, answers: Sequence[str], disclosure: Mapping[str, Any]) -> dict[str, Any]:
    """Options for the export's event, with the answers and the digest of the disclosure, so that neither can be left out."""
    asked = {
        "prompts_withheld": issue.withhold_prompts,
        "personal_data_acknowledged": issue.acknowledge_personal_data,
    }
    options: dict[str, Any] = {name: True for name, was_asked in asked.items() if was_asked}
    options |= {"answers": list(answers)} if answers else {}
    return options | {"disclosure_sha256": hashlib.sha256(dump_canonical(disclosure)).hexdigest()}


def make_ulid() -> str:
    """Make a ULID: 48 bits of milliseconds and 80 random bits as 26 characters of Crockford's base 32."""
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    return "".join(_BASE32[number >> shift & 31] for shift in range(125, -1, -5))


def _read_policy(claims: Sequence[RegisteredClaim]) -> Policy:
    """Read the policy that all these claims were frozen under."""
    if not claims:
        raise Refused(
            "No claims and no answers.", wanted="at least one claim or run id.", remedy="name one: `claims` lists them."
        )
    digests = {known.plan.pins.policy_sha256 for known in claims}
    if len(digests) > 1:
        raise Refused(
            f"Claims frozen under {len(digests)} policies.",
            wanted="claims of one policy.",
            remedy="export a pack for each; `gate` evaluates any pack under any policy.",
        )
    (digest,) = digests
    return parse_policy(load_kept_policy(digest), f"{digest[:12]}.toml")


def describe_header(
    claims: Sequence[RegisteredClaim], attempts: Mapping[str, Sequence[Attempt]], shown: Sequence[AuditEvent], issue: ExportOptions, withholding: Withholding,
    beginning: str,
) -> dict[str, Any]:  # fmt: skip
    """Content of `pack.json`, except the pack's id and the pack that it supersedes.

    Args:
        beginning: the sentence of `say_beginning`, the first limitation.
    """
    claim_ids = [known.claim_id for known in claims]
    limits = [beginning, *LIMITATIONS, *([WITHHELD.format(withholding.n_items)] if withholding.n_items else [])]
    return {
        "schema": "assay/pack/1", "created_at": read_clock(), "organisation": issue.organisation,
        "system_name": issue.system_name, "intended_purpose": issue.intended_purpose,
        "producer": {
            "name": "assay", "version": list_versions()["assay"], "git_commit": None, "git_dirty": None, "wheel_sha256": None,
        },
        "claim_ids": claim_ids, "run_ids": [run.record.run_id for claim_id in claim_ids for run in attempts[claim_id]],
        "attempts": count_attempts(list_attempts([json.loads(event.body) for event in shown], claim_ids)),
        "withheld_count": withholding.n_items, "limitations": limits, "not_assessed": list(NOT_ASSESSED), "disclaimer_id": DISCLAIMER,
    }  # fmt: skip


def _scan(files: Mapping[str, bytes], issue: ExportOptions, withholding: Withholding) -> dict[str, Any]:
    """Refuse secrets and quotes of withheld prompts; return the header's entry about personal data."""
    refuse_secrets(files)
    refuse_quotes(
        files,
        (text for one in withholding.sets.values() for prompt in one.prompts.prompts for text in prompt.list_texts()),
    )
    found = find_personal_data(files)
    if not issue.acknowledge_personal_data:
        refuse_personal_data(found)
    acknowledged = {"acknowledged_by": issue.person, "places": [str(one) for one in found]}
    return {"personal_data": acknowledged} if found else {}


def _write_verdict(files: Mapping[str, bytes], policy: Policy) -> dict[str, bytes]:
    found = recompute_verdict(read_documents(files, without=("verdict/verdict.json",)))
    header = {
        "policy_sha256": policy.sha256, "evaluated_at": read_clock(), "evaluator": f"assay {list_versions()['assay']}", "waived": [],
    }  # fmt: skip
    return {"verdict/verdict.json": dump_canonical(header | found)}


def _write_renderings(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Render the reports and exports; the digest in them covers all other members."""
    # Imported here: the writers' four libraries would delay every page.
    from audit_core.evidence.ml_bom import dump_model_bom, dump_package_bom
    from audit_core.evidence.model_card import dump_model_card
    from audit_core.evidence.report.html import render_html
    from audit_core.evidence.report.pdf import render_pdf
    from audit_core.evidence.ro_crate import dump_crate

    documents = parse_members(files)
    listed = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    digest = hashlib.sha256(listed.encode()).hexdigest()
    what = "SHA-256 of the list of all documents that this report is made of"
    made = {
        "report/report.html": render_html(documents, root_digest=digest, digest_of=what),
        "report/report.pdf": render_pdf(documents, root_digest=digest, digest_of=what),
        "environment/sbom.cdx.json": dump_package_bom(documents),
    }
    for name in [name for name in files if name.startswith("models/")]:
        model = json.loads(files[name])["model"]
        folder = name.rsplit("/", 1)[0]
        made[f"{folder}/mlbom.cdx.json"] = dump_model_bom(documents, model_id=model)
        made[f"{folder}/README.md"] = dump_model_card(documents, model_id=model)
    return made | {"ro-crate-metadata.json": dump_crate(documents, paths=[*files, *made])}
