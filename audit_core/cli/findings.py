"""The command `finding`: the findings register, and notices of what is due."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit_core.cli.output import print_json, print_result
from audit_core.cli.session import current_actor
from audit_core.errors import FindingRefused
from audit_core.evidence.whole_file import write_whole
from audit_core.findings import find_rules, list_changes, list_notices, list_suggestions, write_calendar, write_feed
from audit_core.governance.gate_report import show_text
from audit_core.store import FindingDraft, FindingEdit, FindingRegister, FindingStatus, RegisteredFinding, audit_home

FIELDS = ("severity", "title", "finding", "remediation", "owner", "due")


def add_finding_commands(finding: argparse.ArgumentParser) -> None:
    """Add the actions of `finding`, each with `--json`."""
    actions = finding.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    listed = add("list", list_register, "every finding with its state; --json adds the history")
    listed.add_argument("--claim", metavar="CLAIM_ID", help="only those about this claim")
    suggested = add("suggest", print_suggestions, "what a person may record as a finding about a claim")
    suggested.add_argument("claim_id")
    new = add("add", add_finding, "record a finding about claims or runs")
    new.add_argument(
        "--claim", action="append", default=[], metavar="CLAIM_ID", help="what it is about; may be repeated"
    )
    new.add_argument("--run", action="append", default=[], metavar="RUN_ID", help="may be given again")
    new.add_argument(
        "--suggestion", type=int, metavar="N", help="fill in what is left out from this row of `finding suggest`"
    )
    _ask_fields(new, "its policy's latest date unless given")
    update = add("update", update_finding, "change fields of a finding; closed ones are reopened first")
    _ask_fields(update, "may be later than the policy's, with a reason")
    update.add_argument("--status", choices=("open", "in_remediation"))
    for name, command, text in (
        ("close", _close, "close a finding as remediated; its owner cannot"),
        ("accept", _accept, "accept a finding as it is, in your name; its owner cannot"),
        ("reopen", _reopen, "reopen a closed or accepted finding"),
    ):
        _ask_change(add(name, command, text))
    _ask_change(update)
    notices = add("notices", show_notices, "due findings, open triggers and expiring claims; nothing is sent")
    notices.add_argument("--out", type=Path, help="file that ends in .ics (iCalendar) or .json (JSON feed)")
    changes = add(
        "changes",
        show_changes,
        "what changed since a date, from the audit log: claims, packs, decisions, findings, policies",
    )
    changes.add_argument(
        "--since", required=True, metavar="DATE", help="a date, or a time of RFC 3339; UTC unless it names a zone"
    )


def _ask_fields(command: argparse.ArgumentParser, due: str) -> None:
    for name in FIELDS:
        command.add_argument(f"--{name}", help=f"YYYY-MM-DD; {due}" if name == "due" else None)


def _ask_change(command: argparse.ArgumentParser) -> None:
    command.add_argument("finding_id", metavar="FINDING_ID")
    command.add_argument("--reason", required=True, help="recorded in the history")
    command.add_argument(
        "--version", type=int, help="the version that you read: a later one refuses; default: the latest"
    )


def list_register(options: argparse.Namespace) -> int:
    """Print the register."""
    today = datetime.now(UTC).date()
    found = [one for one in FindingRegister(audit_home()).list_findings() if options.claim in (None, *one.claims)]
    if options.json:
        return print_json([one.to_json() | {"overdue": one.is_overdue(today)} for one in found])
    for one in found:
        late = "  ! overdue" if one.is_overdue(today) else ""
        about = ", ".join(one.claims or one.runs)
        print_result(
            show_text(f"{one.finding_id}  {one.severity}  {one.status_words}  due {one.due}{late}  {one.owner}  {about}: {one.title}")
        )  # fmt: skip
    return 0


def print_suggestions(options: argparse.Namespace) -> int:
    """Print the suggestions about one claim, numbered for `finding add --suggestion`."""
    found = list_suggestions(audit_home(), options.claim_id)
    if options.json:
        return print_json([{"number": at} | asdict(one) for at, one in enumerate(found, 1)])
    for at, one in enumerate(found, 1):
        print_result(show_text(f"{at}  {one.text}  ({one.source})"))
    return 0


def add_finding(options: argparse.Namespace) -> int:
    """Record a finding; a person names severity and owner."""
    home, given = audit_home(), {name: getattr(options, name) for name in FIELDS if getattr(options, name) is not None}
    claims, runs, basis = tuple(options.claim), tuple(options.run), ""
    if options.suggestion is not None:
        draft = _find_suggestion(home, options)
        given = {"title": draft.title, "finding": draft.finding, "remediation": draft.remediation} | given
        runs, basis = (*runs, *draft.runs), draft.basis
    draft = FindingDraft(**{**dict.fromkeys(FIELDS, ""), **given}, claims=claims, runs=runs, basis=basis)
    return _print(options, FindingRegister(home).record(draft, find_rules(home, claims), by=current_actor().name))


def _find_suggestion(home: Path, options: argparse.Namespace) -> FindingDraft:
    found = list_suggestions(home, options.claim[0]) if options.claim else ()
    if not 0 < options.suggestion <= len(found):
        raise FindingRefused(
            f"Suggestion {options.suggestion} of {len(found)}.",
            wanted="--claim, and a number that `finding suggest` lists for it.",
            remedy="list them again: recorded ones are left out.",
        )
    return found[options.suggestion - 1].prefill()


def update_finding(options: argparse.Namespace) -> int:
    """Change fields of a finding."""
    home = audit_home()
    known = FindingRegister(home).find(options.finding_id)
    status = None if options.status is None else FindingStatus(options.status)
    edit = FindingEdit(**{name: getattr(options, name) for name in FIELDS}, status=status)
    rules = find_rules(home, known.claims)
    found = FindingRegister(home).change(
        known.finding_id, edit, rules, based_on=options.version or known.version, by=current_actor().name, reason=options.reason
    )  # fmt: skip
    return _print(options, found)


def _close(options: argparse.Namespace) -> int:
    return _step(options, FindingRegister.close)


def _accept(options: argparse.Namespace) -> int:
    return _step(options, FindingRegister.accept)


def _reopen(options: argparse.Namespace) -> int:
    return _step(options, FindingRegister.reopen)


def _step(options: argparse.Namespace, act: Callable[..., RegisteredFinding]) -> int:
    register = FindingRegister(audit_home())
    version = options.version or register.find(options.finding_id).version
    found = act(register, options.finding_id, based_on=version, by=current_actor().name, reason=options.reason)
    return _print(options, found)


def _print(options: argparse.Namespace, found: RegisteredFinding) -> int:
    if options.json:
        return print_json(found.to_json())
    print_result(
        show_text(
            f"{found.finding_id}, version {found.version}: {found.severity}, {found.status_words}, due {found.due}"
        )
    )
    return 0


def show_notices(options: argparse.Namespace) -> int:
    """Print the notices, or write them as a file."""
    now = datetime.now(UTC)
    found = list_notices(audit_home(), now=now)
    if options.out is not None:
        forms: dict[str, Callable[[], bytes]] = {
            ".ics": lambda: write_calendar(found, now=now),
            ".json": lambda: write_feed(found),
        }
        if options.out.suffix not in forms:
            raise FindingRefused(
                f"{options.out.name[:80]!r} as the file.", wanted="a name that ends in .ics or .json.", remedy="rename it."
            )  # fmt: skip
        write_whole(options.out, forms[options.out.suffix]())
    payload: list[dict[str, Any]] = [asdict(one) | {"kind": one.kind.value} for one in found]
    if options.json:
        return print_json(payload)
    for one in found:
        print_result(show_text(f"{one.day}  {one.kind}  {one.about}  {one.title}  {one.who}"))
    return 0


def show_changes(options: argparse.Namespace) -> int:
    """Print what changed since a date, the newest first."""
    try:
        datetime.fromisoformat(options.since)
    except ValueError as error:
        raise FindingRefused(
            f"{options.since[:40]!r} as the date.", wanted="a date such as 2026-11-30.", remedy="correct it."
        ) from error
    found = list_changes(audit_home(), options.since)
    if options.json:
        return print_json([asdict(one) for one in found])
    for one in found:
        print_result(show_text(f"{one.at[:19]}  {one.what}  {one.about}  {one.by}"))
    return 0
