"""The commands `pack`, `approve`, `rerun`, `openings` and `gate`: write, sign, rerun and evaluate evidence packs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from audit_core.cli.files import read_file, write_file
from audit_core.cli.gate import add_gate_options, pass_gate
from audit_core.cli.keys import ROLES
from audit_core.cli.output import print_json, print_result, show_fetch, show_progress
from audit_core.cli.session import Adder, current_actor, open_subject
from audit_core.errors import NotMeasured, Refused
from audit_core.evidence.statement import Approval
from audit_core.evidence.whole_file import write_whole
from audit_core.packs.openings import hand_out_openings
from audit_core.packs.pack import ExportOptions, export_pack
from audit_core.packs.rerun import Comparison, RerunTerms, rerun_pack
from audit_core.review.checked_pack import load_trust, read_check, read_evidence
from audit_core.review.desk_record import consult_desk
from audit_core.review.file_approval import approve_file
from audit_core.review.reading import read_pack
from audit_core.run import Auditor
from audit_core.store import RunLog, audit_home, load_key
from audit_core.store.database.events import read_clock
from audit_core.verifier.container import MAX_PACK_BYTES, BadPack
from audit_core.verifier.container import read_pack as read_container
from audit_core.verifier.walk import verify_pack
from audit_core.verifier.withheld import MAX_OPENINGS_BYTES

REPORT_FORMS = ("pdf", "html", "json")
NOT_DECIDABLE = NotMeasured.exit_code


def add_pack_commands(add: Adder) -> None:
    pack = add(
        "pack", write_evidence, "write a signed evidence pack about registered claims, or about results of other audits"
    )
    pack.add_argument("claim_id", nargs="*", help="as prereg printed it")
    pack.add_argument(
        "--answer",
        action="append",
        default=[],
        metavar="RUN",
        help="run id of an audit without a claim, such as documents",
    )
    pack.add_argument("--out", type=Path, required=True, help="where to write the pack")
    pack.add_argument("--key", required=True, metavar="PERSON", help="who prepares and signs it")
    pack.add_argument("--organisation", default="")
    pack.add_argument("--system", default="", help="name of the system that the model is part of")
    pack.add_argument("--purpose", default="", help="what that system is for")
    pack.add_argument(
        "--withhold-prompts", action="store_true",
        help="commitments instead of prompts and their numbers; the data directory keeps the openings",
    )  # fmt: skip
    pack.add_argument(
        "--acknowledge-personal-data",
        action="store_true",
        help="allow apparent personal data in the pack; recorded in the pack",
    )
    approve = add("approve", approve_evidence, "add a person's signed decision to a pack")
    approve.add_argument("pack", type=Path)
    approve.add_argument("--key", required=True, metavar="PERSON")
    approve.add_argument("--role", choices=ROLES[1:], required=True)
    approve.add_argument("--decision", choices=("approve", "reject", "approve_with_conditions"), default="approve")
    approve.add_argument("--condition", action="append", default=[])
    approve.add_argument("--independence", default="", help="your relationship to the preparer")
    approve.add_argument("--organisation", default="")
    rerun = add("rerun", rerun_evidence, "repeat a pack's runs here and compare, on four levels")
    rerun.add_argument("pack", type=Path)
    rerun.add_argument("--model", default="default", help="default, a known name, a folder, or a hub id")
    rerun.add_argument("--out", type=Path, help="where to write the comparison as JSON")
    rerun.add_argument("--openings", type=Path, metavar="F", help="openings of prompts that the pack withholds")
    rerun.add_argument(
        "--other-code", action="store_true",
        help="compare old and new code although they differ; recorded as not comparable, with the findings",
    )  # fmt: skip
    rerun.add_argument("--attention", choices=("eager", "sdpa"), default="", help="attention implementation to use")
    report = add("report", write_report, "write the validation report of a pack as PDF, HTML or JSON")
    report.add_argument("pack", type=Path)
    report.add_argument("--out", type=Path, required=True, help="file that ends in .pdf, .html or .json")
    opening = add("openings", write_openings, "write the openings of prompts that a pack withholds, for an auditor")
    opening.add_argument("pack", type=Path)
    opening.add_argument("--item", action="append", default=[], metavar="ID", help="such as item-0007; none for all")
    opening.add_argument("--out", type=Path, required=True)
    add_gate_options(add("gate", gate_evidence, "evaluate a pack against a policy; the exit code is the decision"))


def write_evidence(options: argparse.Namespace) -> int:
    """Write one signed pack."""
    home = audit_home()
    issue = ExportOptions(
        options.key, options.organisation, options.system, options.purpose, options.withhold_prompts, options.acknowledge_personal_data
    )  # fmt: skip
    found = export_pack(
        home, options.claim_id, options.out, key=load_key(home, options.key), issue=issue, answers=options.answer
    )
    if options.json:
        return print_json(
            {
                "out": str(found.path), "pack_id": found.pack_id, "root_digest": found.root_digest,
                "attempts": dict(found.attempts), "overall": found.overall, "withheld_count": found.withheld_count,
            }
        )  # fmt: skip
    print_result(f"{found.path}: pack {found.pack_id}, manifest {found.root_digest}")
    print_result(f"  under the policy: {found.overall}{'' if options.claim_id else '; no claim'}")
    if found.withheld_count:
        print_result(
            f"  {found.withheld_count} prompts withheld; `openings {found.path} --out F` writes their openings"
        )
    print_result(f"  next: python verify_pack.py {found.path} --trust trust.toml")
    return 0


def write_report(options: argparse.Namespace) -> int:
    """Write the validation report of one pack; signatures are checked with the trusted keys of the data directory."""
    form = options.out.suffix.lower().removeprefix(".")
    if form not in REPORT_FORMS:
        raise Refused(
            f"{options.out} ends in {form or 'nothing'}.", wanted="a file that ends in .pdf, .html or .json.", remedy="rename it."
        )  # fmt: skip
    try:
        data = read_container(options.pack)
    except (OSError, BadPack) as error:
        raise Refused(
            f"{options.pack} cannot be read: {error}.", wanted="an evidence pack.", remedy="check the path."
        ) from error
    reading = read_pack(audit_home(), data, now=datetime.now(UTC))
    write_whole(options.out, reading.render_validation(form))
    if options.json:
        return print_json({"out": str(options.out), "form": form, "root_digest": reading.root_digest})
    print_result(f"{options.out}: validation report on the pack with manifest {reading.root_digest}")
    return 0


def write_openings(options: argparse.Namespace) -> int:
    """Write openings of withheld prompts into a file that only its owner can read."""
    count = hand_out_openings(audit_home(), options.pack, options.item, options.out, actor=current_actor().name)
    if options.json:
        return print_json({"out": str(options.out), "items": count})
    print_result(
        f"{options.out}: opens {count} prompts. Give it only to people who may read them, separately from the pack."
    )
    return 0


def approve_evidence(options: argparse.Namespace) -> int:
    """Sign a decision about a pack."""
    approval = Approval(
        options.role, options.key, options.organisation, options.decision, read_clock(), None, tuple(options.condition),
        options.independence,
    )  # fmt: skip
    home = audit_home()
    signed = approve_file(home, options.pack, approval, load_key(home, options.key), actor=current_actor().name)
    seen = list(signed.approval.decisions_seen or ())
    if options.json:
        return print_json({"member": signed.member, "decisions_seen": seen})
    print_result(f"{options.pack}: {signed.member}, which names {len(seen)} earlier decision{'s' * (len(seen) != 1)}")
    return 0


def rerun_evidence(options: argparse.Namespace) -> int:
    """Repeat a pack's runs; exit code 0 if all decisions agree, 1 if not, 3 if nothing is comparable."""

    def open_auditor() -> Auditor:
        return Auditor(open_subject(options.model, on_progress=show_fetch), RunLog(audit_home()))

    openings = None if options.openings is None else read_file(options.openings, MAX_OPENINGS_BYTES)
    terms = RerunTerms(options.other_code, options.attention)
    found = rerun_pack(
        options.pack, open_auditor, actor=current_actor(), openings=openings, terms=terms, on_progress=show_progress
    )
    payload = [asdict(one) for one in found]
    if options.out is not None:
        write_file(options.out, (json.dumps(payload, indent=1) + "\n").encode())
    if options.json:
        print_json(payload)
    else:
        for one in found:
            _print_comparison(one)
    if not all(one.is_comparable for one in found):
        return NOT_DECIDABLE
    return int(any(one.decision != "DECISION_EQUAL" or one.numeric != "WITHIN_TOLERANCE" for one in found))


def _print_comparison(one: Comparison) -> None:
    is_rerun = one.is_comparable and not one.although
    print_result(f"{one.claim_id}, run {one.run_id[:12]}: {'COMPARABLE' if is_rerun else 'NOT_COMPARABLE'}")
    for line in one.differs:
        print_result(f"  {line}")
    for line in one.although:
        name, _, values = line.partition(": ")
        print_result(f"  compared although the {name} differs: {values}; logged as not comparable")
    if one.is_comparable:
        print_result(f"  bits      {one.bitwise}")
        print_result(
            f"  numbers   {one.numeric}: {one.n_outside} of {one.n_values} outside, largest difference {one.worst:.2g}"
        )
        print_result(f"  decision  {one.decision}{': ' + '; '.join(one.flipped) if one.flipped else ''}")


def gate_evidence(options: argparse.Namespace) -> int:
    """Verify a pack, then evaluate it against a policy."""
    data = read_file(options.pack, MAX_PACK_BYTES)
    found = verify_pack(data, None if options.trust is None else load_trust(options.trust))
    desk = consult_desk(audit_home(), found.manifest_sha256)
    name = found.pack_id or options.pack.name
    return pass_gate(options, read_check(found), read_evidence(found), pack=name, desk=desk)
