"""The command `policy`: read policies in words, compare them, try them on the desk's packs, and save versions."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from audit_core.cli.output import print_json, print_result
from audit_core.cli.session import current_actor
from audit_core.evidence.whole_file import write_whole
from audit_core.governance.gate import GateRow
from audit_core.governance.gate_report import show_text
from audit_core.governance.policy import load_policy
from audit_core.governance.policy_changes import compare_policies
from audit_core.policy_choice import list_policy_choices, load_policy_choice, read_policy, save_own_policy
from audit_core.review.policy_trial import read_trial_packs, try_policy
from audit_core.review.policy_words import describe_policy
from audit_core.store import audit_home, retire_policy

NAMED = "a file in TOML, or the id or digest of a saved policy"


def add_policy_commands(policy: argparse.ArgumentParser) -> None:
    """Add the actions of `policy`, each with `--json`."""
    actions = policy.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    add("list", list_own, "the newest version of each saved policy, and the shipped example")
    shown = add(
        "show", show_policy, "one policy in words: what each criterion asks, and whose judgement its threshold is"
    )
    shown.add_argument("policy", help=NAMED)
    shown.add_argument("--out", type=Path, help="also write its file there")
    compared = add("compare", compare, "what differs between two policies: stricter, laxer or neither")
    compared.add_argument("before", help=NAMED)
    compared.add_argument("after", help=NAMED)
    tried = add("try", try_on_desk, "what a policy would decide on the packs of the desk; decides and logs nothing")
    tried.add_argument("policy", help=NAMED)
    tried.add_argument("--against", help="the policy to compare with; each pack's own unless given")
    saved = add("save", save, "save a policy as the newest version of its id, with a reason that enters the log")
    saved.add_argument("policy", type=Path, help="a file in TOML with an id of its own")
    saved.add_argument("--reason", required=True, help="why this policy, or this change")
    saved.add_argument(
        "--replaces", default="", metavar="DIGEST", help="the version that you changed; left out for a new id"
    )
    retired = add(
        "retire", retire, "take a version out of force, with a reason that enters the log; what was frozen keeps it"
    )
    retired.add_argument("policy", help="the id of a saved policy for its newest version, or the digest of one")
    retired.add_argument("--reason", required=True, help="why it is out of force")


def list_own(options: argparse.Namespace) -> int:
    """Print every policy that can be chosen."""
    found = list_policy_choices(audit_home())
    if options.json:
        return print_json([{"policy_id": one.policy_id, "saved": None if one.saved is None else asdict(one.saved)} for one in found])  # fmt: skip
    for one in found:
        about = (
            ""
            if one.saved is None
            else f"  {one.saved.sha256[:12]}  {one.saved.at}  {one.saved.by}: {one.saved.reason}"
        )
        print_result(show_text(one.label + about))
    return 0


def show_policy(options: argparse.Namespace) -> int:
    """Print one policy in words."""
    policy = read_policy(audit_home(), options.policy)
    if options.out is not None:
        write_whole(options.out, policy.text)
    found = describe_policy(policy)
    if options.json:
        return print_json({"id": policy.id, "sha256": policy.sha256, "criteria": [asdict(one) for one in found]})
    print_result(show_text(f"{policy.id}, SHA-256 {policy.sha256}"))
    for one in found:
        print_result(show_text(f"{'required' if one.is_required else 'optional'}  {one.name}: {one.question}"))
        print_result(show_text(f"    met where {one.rule}; {one.applies_to}"))
        if one.source:
            print_result(show_text(f"    set by {one.source}: {one.why}"))
    return 0


def compare(options: argparse.Namespace) -> int:
    """Print what differs between two policies."""
    home = audit_home()
    found = compare_policies(read_policy(home, options.before), read_policy(home, options.after))
    if options.json:
        return print_json([asdict(one) | {"direction": one.direction.value} for one in found])
    for one in found:
        print_result(show_text(f"{one.direction:<8}  {one.place}: {one.before or 'absent'} -> {one.after or 'absent'}"))
    if not found:
        print_result("No difference.")
    return 0


def try_on_desk(options: argparse.Namespace) -> int:
    """Print what a policy would decide on each pack of the desk."""
    home = audit_home()
    policy = read_policy(home, options.policy)
    against = None if options.against is None else read_policy(home, options.against)
    tried = try_policy(read_trial_packs(home), against, policy, now=datetime.now(UTC))
    if options.json:
        return print_json([asdict(one) for one in tried])
    for pack in tried:
        print_result(show_text(f"{', '.join(pack.claim_ids)}: {pack.before} -> {pack.after}"))
        for row in pack.rows:
            if row.is_changed:
                print_result(
                    show_text(f"    {row.criterion} {row.claim_id}: {_name(row.before)} -> {_name(row.after)}")
                )
    print_result("Nothing was decided: a policy that is written after its results cannot be met by them.")
    return 0


def _name(row: GateRow | None) -> str:
    return "absent" if row is None else row.result + ("" if row.is_required else " (optional)")


def save(options: argparse.Namespace) -> int:
    """Save a policy."""
    found = save_own_policy(
        audit_home(), load_policy(options.policy), based_on=options.replaces, reason=options.reason, by=current_actor().name
    )  # fmt: skip
    if options.json:
        return print_json(asdict(found))
    print_result(show_text(f"{found.policy_id}, version {found.version}, SHA-256 {found.sha256}: {found.stricter} stricter, {found.laxer} laxer"))  # fmt: skip
    return 0


def retire(options: argparse.Namespace) -> int:
    """Take a version out of force."""
    home = audit_home()
    sha256 = load_policy_choice(home, options.policy).sha256
    found = retire_policy(home, sha256, reason=options.reason, by=current_actor().name)
    if options.json:
        return print_json(asdict(found))
    print_result(
        show_text(f"{found.policy_id}, version {found.version}, is out of force. What was frozen under it keeps it.")
    )
    return 0
