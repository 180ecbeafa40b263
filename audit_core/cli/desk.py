"""The command `desk`: packs that wait for review or approval, and their decisions."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from audit_core.calibration.report import describe_share
from audit_core.cli.output import print_json, print_result
from audit_core.cli.session import Adder, current_actor
from audit_core.errors import Refused
from audit_core.evidence.whole_file import write_whole
from audit_core.review.checked_pack import load_home_trust, load_trust
from audit_core.review.desk import assemble_pack, decide, list_cases, take_pack
from audit_core.review.desk_rules import Case, Decider, ReviewDecision
from audit_core.review.review_agreement import measure_agreement
from audit_core.stats.estimates import format_estimate
from audit_core.store import audit_home, load_key
from audit_core.verifier.container import BadPack, read_pack


def add_desk_commands(add: Adder) -> None:
    desk = add("desk", run_desk, "the review desk: add a pack, list open packs, decide, write the signed pack")
    desk.add_argument("action", choices=("take", "list", "decide", "out"))
    desk.add_argument("what", nargs="?", help="for take: the pack's file; for decide and out: its manifest digest")
    desk.add_argument(
        "--trust", type=Path, help="for take: the trusted keys; default: trust.toml of the data directory, else none"
    )
    desk.add_argument("--key", metavar="PERSON", help="for decide: who signs")
    desk.add_argument("--role", choices=("reviewer", "approver"), help="for decide")
    desk.add_argument("--decision", choices=("approve", "reject", "approve_with_conditions"), help="for decide")
    desk.add_argument("--condition", action="append", default=[], help="for decide; may be given again")
    desk.add_argument("--independence", default="", help="for decide: your relationship to the preparer")
    desk.add_argument("--organisation", default="", help="for decide")
    desk.add_argument("--out", type=Path, help="for out: where to write the pack with its signatures")


def run_desk(options: argparse.Namespace) -> int:
    """Run one action of the desk."""
    return {"take": _take, "list": _list, "decide": _decide, "out": _hand_out}[options.action](options)


def _take(options: argparse.Namespace) -> int:
    path = Path(_need(options.what, "the pack's file"))
    trust = load_home_trust(audit_home()) if options.trust is None else load_trust(options.trust)
    try:
        data = read_pack(path)
    except (OSError, BadPack) as error:
        raise Refused(
            f"{path} cannot be read: {error}.", wanted="an evidence pack.", remedy="check the path."
        ) from error
    pack = take_pack(audit_home(), data, by=current_actor().name, trust=trust)
    if options.json:
        return print_json({"root_digest": pack.root_digest, "pack_id": pack.pack_id, "signer": pack.check_found})
    print_result(f"{pack.root_digest}: pack {pack.pack_id}, {', '.join(pack.claim_ids)}; {pack.check_found}")
    return 0


def _list(options: argparse.Namespace) -> int:
    cases = list_cases(audit_home())
    agreement = measure_agreement(cases)
    if options.json:
        return print_json({"cases": [_describe(case) for case in cases], "agreement": asdict(agreement)})
    for case in cases:
        print_result(
            f"{case.pack.root_digest[:16]}  {case.state:<26} {', '.join(case.pack.claim_ids)}  pack {case.pack.pack_id}"
        )
    if agreement.agreed is not None:
        kappa = agreement.reason if agreement.kappa is None else format_estimate(agreement.kappa)
        print_result(f"two blind reviews agree: {describe_share(agreement.agreed)} packs; {kappa}")
    return 0


def _decide(options: argparse.Namespace) -> int:
    review_decision = ReviewDecision(
        _need(options.role, "--role"), _need(options.decision, "--decision"), options.independence, tuple(options.condition)
    )  # fmt: skip
    decider = Decider(load_key(audit_home(), _need(options.key, "--key")), organisation=options.organisation)
    found = decide(audit_home(), _need(options.what, "the manifest digest of a pack"), review_decision, decider)
    payload = {"number": found.number, "root_digest": found.root_digest, "role": found.role, "decision": found.decision}
    if options.json:
        return print_json(payload)
    print_result(f"{found.person}, {found.role}: {found.decision}")
    return 0


def _hand_out(options: argparse.Namespace) -> int:
    data = assemble_pack(audit_home(), _need(options.what, "the manifest digest of a pack"))
    if options.out is None:
        raise Refused("No --out.", wanted="where to write the pack.", remedy="name a file.")
    write_whole(options.out, data)
    if options.json:
        return print_json({"out": str(options.out)})
    print_result(str(options.out))
    return 0


def _describe(case: Case) -> dict[str, object]:
    return {
        "root_digest": case.pack.root_digest,
        "pack_id": case.pack.pack_id,
        "claims": list(case.pack.claim_ids),
        "state": case.state,
        "decisions": [{"role": one.role, "person": one.person, "decision": one.decision} for one in case.decisions],
    }


def _need(given: str | None, wanted: str) -> str:
    if not given:
        raise Refused(f"No {wanted}.", wanted=wanted + ".", remedy="give it.")
    return given
