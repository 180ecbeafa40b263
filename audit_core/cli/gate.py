"""The command `gate`: evaluate a checked pack against a policy; the exit code is the decision."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from audit_core.cli.output import print_json, print_result, print_status
from audit_core.cli.session import current_actor
from audit_core.errors import PolicyRefused
from audit_core.governance.gate import GateResult, GateRow, PackCheck, PackDocuments, decide_gate
from audit_core.governance.gate_report import describe_gate, show_text, write_junit
from audit_core.governance.latest import DeskRecord
from audit_core.governance.waiver import load_waivers
from audit_core.policy_choice import read_policy
from audit_core.review.checked_pack import log_gate
from audit_core.store import audit_home


def add_gate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("pack", type=Path, help="an evidence pack")
    command.add_argument(
        "--policy", type=Path, required=True, help="your policy in TOML, or the id of a saved one; not the pack's"
    )
    command.add_argument("--trust", type=Path, help="trusted keys in TOML; without it no signer is checked, exit 3")
    command.add_argument(
        "--waivers", type=Path, help="waivers in TOML: accepted findings with person, reason and expiry"
    )
    command.add_argument("--junit", type=Path, help="where to write JUnit XML")


def pass_gate(
    options: argparse.Namespace,
    check: PackCheck,
    documents: PackDocuments | None,
    *,
    pack: str,
    desk: DeskRecord | None = None,
) -> int:
    """Decide on a checked pack, and log the decision.

    Args:
        check: findings of the verifier.
        documents: documents of the pack; None if it could not be read.
        pack: its id, or its file name if it could not be read.
        desk: decisions about the pack on this desk; None if the pack is not on it.

    Returns:
        Exit code of `docs/reference/cli.md`.
    """
    if options.junit:
        # Truncate first, so that an older report is not taken for this one if the command fails.
        write_file(options.junit, b"")
    policy = read_policy(audit_home(), options.policy)
    waivers = load_waivers(options.waivers) if options.waivers else ()
    result = decide_gate(policy, check, documents, waivers=waivers, now=datetime.now(UTC), desk=desk)
    log_gate(audit_home(), result, pack=pack, actor=current_actor().name)
    if options.junit:
        write_file(options.junit, write_junit(result))
    if options.json:
        print_json(describe_gate(result))
    else:
        _print_gate(result)
    return result.exit_code


def _print_gate(result: GateResult) -> None:
    for row in result.rows:
        print_result(_describe(row))
    for note in result.notes:
        print_status(show_text(note))
    if result.decisions:
        print_result(f"decisions: {show_text(result.decisions)}.")
    required, evaluated = result.coverage
    print_result(
        f"{result.overall}: {evaluated} of {required} required rows evaluated, {len(result.waived)} waived; "
        f"policy {result.policy_id} (sha256 {result.policy_sha256[:12]}). This is a factual finding."
    )


def _describe(row: GateRow) -> str:
    mark = " (waived)" if row.waiver else "" if row.is_required else " (optional)"
    reason = f"  {show_text(row.reason)}" if row.reason else ""
    return f"{row.result + mark:<26} {show_text(row.claim_id or 'pack'):<10} {row.id}{reason}"


def write_file(path: Path, data: bytes) -> None:
    """Write a report.

    Raises:
        PolicyRefused: it cannot be written there.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise PolicyRefused(
            f"{path} cannot be written: {error.strerror}.", wanted="a writable file.", remedy="choose another path."
        ) from error
