"""Witnesses on the pages: whether a pack's log, or this installation's own log, was cosigned by a quorum."""

from __future__ import annotations

from audit_core.store import AuditLogView
from audit_core.witness import (
    UNWITNESSED,
    WITNESSED,
    WITNESSES_FAILED,
    Cosignature,
    WitnessFinding,
    list_cosignatures,
)
from ui.parts.header import counted, plain


def describe_witnesses(found: WitnessFinding) -> str:
    """Describe one pack's witnesses in half a sentence."""
    if found.result == WITNESSED:
        return f"witnessed by {len(found.names)} of {found.listed} ({plain(', '.join(found.names))}), existed by {found.at}"
    if found.result == WITNESSES_FAILED:
        return f"**the cosigned checkpoint does not match**: {plain(found.detail)}"
    if found.result == UNWITNESSED:
        return f"unwitnessed, {plain(found.detail)}"
    return "unwitnessed as far as known, because the data directory has no `witnesses.toml`"


def describe_own_log(trail: AuditLogView) -> str:
    """Describe the newest cosigned checkpoint of this log in one sentence."""
    cosigned = list_cosignatures(trail.events)
    if not cosigned:
        return (
            "Unwitnessed: no witness has cosigned this log. To ask witnesses: "
            "`python -m audit_core log witness --witnesses witnesses.toml`."
        )
    names, newest = _list_newest(cosigned)
    return (
        f"Witnessed: {plain(', '.join(names))} cosigned the first {counted(newest.size, 'event')}, last at {plain(newest.at)}. "
        "How many witnesses are enough is for the reader's own list to say."
    )


def _list_newest(cosigned: tuple[Cosignature, ...]) -> tuple[list[str], Cosignature]:
    size = max(one.size for one in cosigned)
    newest = [one for one in cosigned if one.size == size]
    return sorted({one.name for one in newest}), newest[-1]
