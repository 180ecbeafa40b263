"""Policies of this installation: each version is an event of the log, and its text is stored under its digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from audit_core.errors import PolicyRefused
from audit_core.governance.policy import Policy, parse_policy
from audit_core.governance.policy_changes import Direction, compare_policies
from audit_core.store.data_directory import keep_policy, load_kept_policy
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events

if TYPE_CHECKING:
    import duckdb

MAX_REASON = 2_000
"""Longest reason in characters."""


@dataclass(frozen=True)
class PolicyRetirement:
    """Why a version is out of force, and since when."""

    reason: str
    by: str
    at: str


@dataclass(frozen=True)
class SavedPolicy:
    """One version of a policy."""

    policy_id: str
    version: int
    """From 1, for each id."""
    sha256: str
    """Of the file, which a frozen claim names."""
    replaces: str
    """Digest of the version before; empty for the first."""
    reason: str
    by: str
    at: str
    stricter: int
    """Changes that ask for more than the version before."""
    laxer: int
    retired: PolicyRetirement | None = None
    """None while claims and questions may be frozen under it."""


def save_policy(home: Path, policy: Policy, *, based_on: str, reason: str, by: str) -> SavedPolicy:
    """Store a policy and log it as the newest version of its id.

    Args:
        based_on: digest of the version that it replaces, as its author read it; empty for a new id.

    Raises:
        PolicyRefused: no reason, nothing changed, or another version was saved meanwhile.
    """
    reason = _check_reason(reason, "why this policy, or this change")
    with open_database(home) as connection:
        versions = [
            one for one in _read(list_events(connection, action=Action.POLICY_SAVED)) if one.policy_id == policy.id
        ]
        newest = versions[-1].sha256 if versions else ""
        _check_base(policy, based_on, newest)
        changes = (
            compare_policies(parse_policy(load_kept_policy(newest, home=home), "policy.toml"), policy) if newest else ()
        )
        keep_policy(policy.text, home=home)
        payload = {
            "policy_sha256": policy.sha256,
            "replaces": newest,
            "version": len(versions) + 1,
            "reason": reason,
            "stricter": sum(one.direction is Direction.STRICTER for one in changes),
            "laxer": sum(one.direction is Direction.LAXER for one in changes),
        }
        event = append_event(connection, actor=by, action=Action.POLICY_SAVED, object_id=policy.id, payload=payload)
    return _read([event])[0]


def retire_policy(home: Path, sha256: str, *, reason: str, by: str) -> SavedPolicy:
    """Take one version out of force: nothing new is frozen under it, and what was frozen under it keeps it.

    Args:
        sha256: digest of the version.

    Raises:
        PolicyRefused: no reason, no such version, or it was retired before.
    """
    reason = _check_reason(reason, "why this version is out of force")
    with open_database(home) as connection:
        found = _find_version(_read_all(connection), sha256)
        if found is None:
            raise PolicyRefused(
                f"No version {sha256[:12]!r} was saved here.",
                wanted="the digest of a saved version.",
                remedy="run `policy list`, or open the versions on the page Policies.",
            )
        _refuse_retired(found)
        payload = {"policy_sha256": found.sha256, "version": found.version, "reason": reason}
        event = append_event(connection, actor=by, action=Action.POLICY_RETIRED, object_id=found.policy_id, payload=payload)  # fmt: skip
    return replace(found, retired=PolicyRetirement(reason, by, event.ts))


def keep_policy_in_force(policy: Policy, *, home: Path) -> None:
    """Store a policy that something is about to be frozen under.

    Raises:
        PolicyRefused: this version was retired.
    """
    with open_database(home) as connection:
        if (found := _find_version(_read_all(connection), policy.sha256)) is not None:
            _refuse_retired(found)
    keep_policy(policy.text, home=home)


def _find_version(versions: Sequence[SavedPolicy], sha256: str) -> SavedPolicy | None:
    """The last version with this digest: a file that was retired may be saved again, which puts it in force."""
    return next((one for one in reversed(versions) if one.sha256 == sha256), None)


def _refuse_retired(saved: SavedPolicy) -> None:
    if saved.retired is not None:
        raise PolicyRefused(
            f"{saved.policy_id}, version {saved.version}, was retired by {saved.retired.by} on {saved.retired.at[:10]}: {saved.retired.reason}",
            wanted="a version in force.",
            remedy="choose another policy, or save a new version.",
        )


def _check_reason(reason: str, wanted: str) -> str:
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON:
        raise PolicyRefused(
            f"A reason of {len(reason):,} characters.",
            wanted=f"{wanted}, in 1 to {MAX_REASON:,} characters.",
            remedy="write it for the people who will be judged by it.",
        )
    return reason


def _check_base(policy: Policy, based_on: str, newest: str) -> None:
    if policy.sha256 == newest:
        raise PolicyRefused(
            f"This is the newest version of {policy.id} already.", wanted="a change.", remedy="change a value first."
        )
    if based_on != newest:
        raise PolicyRefused(
            f"{policy.id} has another newest version ({newest[:12]}…) than the one you began with."
            if newest
            else f"There is no version of {policy.id} yet.",
            wanted="a change of the newest version.",
            remedy="read the newest version, then make the change again." if newest else "save it as a new policy.",
        )


def list_policies(home: Path) -> tuple[SavedPolicy, ...]:
    """Every saved version, oldest first; retired ones say so."""
    with open_database(home) as connection:
        return _read_all(connection)


def list_current_policies(home: Path) -> tuple[SavedPolicy, ...]:
    """The newest version of each id, in order of the ids; none of an id whose newest version was retired."""
    newest = {one.policy_id: one for one in list_policies(home)}
    return tuple(one for _, one in sorted(newest.items()) if one.retired is None)


def load_saved_policy(home: Path, saved: SavedPolicy) -> Policy:
    """The policy of a saved version."""
    return parse_policy(load_kept_policy(saved.sha256, home=home), f"{saved.policy_id}.toml")


def _read_all(connection: duckdb.DuckDBPyConnection) -> tuple[SavedPolicy, ...]:
    """Every version; a retirement is of the last version with its digest before it."""
    found: list[SavedPolicy] = []
    for event in list_events(connection, action=(Action.POLICY_SAVED, Action.POLICY_RETIRED)):
        if event.action == Action.POLICY_SAVED:
            found += _read([event])
            continue
        place = next(at for at in reversed(range(len(found))) if found[at].sha256 == event.payload["policy_sha256"])
        found[place] = replace(found[place], retired=PolicyRetirement(event.payload["reason"], event.actor, event.ts))
    return tuple(found)


def _read(events: Sequence[AuditEvent]) -> tuple[SavedPolicy, ...]:
    return tuple(
        SavedPolicy(
            event.object_id, event.payload["version"], event.payload["policy_sha256"], event.payload["replaces"],
            event.payload["reason"], event.actor, event.ts, event.payload["stricter"], event.payload["laxer"],
        )
        for event in events
    )  # fmt: skip
