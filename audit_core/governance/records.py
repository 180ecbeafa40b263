"""Inputs of the key figures: plain records of claims, runs, packs, reruns, approvals and the log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClaimRecord:
    """One claim of the register."""

    claim_id: str
    status: str
    """draft, preregistered, tested, superseded or withdrawn."""
    frozen_at: str | None = None
    """RFC 3339, of its preregistration; None where it has none."""


@dataclass(frozen=True)
class AttemptRecord:
    """One confirmatory run that was started, with any outcome."""

    run_id: str
    claim_id: str
    started_at: str


@dataclass(frozen=True)
class DeviationRecord:
    """One deviation from a preregistration after results could be known."""

    prereg_id: str
    kind: str
    """error, feasibility, scope or other."""


@dataclass(frozen=True)
class PackRecord:
    """One exported pack."""

    pack_id: str
    claim_ids: tuple[str, ...]
    is_verified: bool | None
    """Whether a verifier confirmed both integrity and signer; None where none was run."""
    expires_at: str | None
    open_triggers: tuple[str, ...] = ()
    """Revalidation triggers raised since the export."""
    is_superseded: bool = False


@dataclass(frozen=True)
class RerunRecord:
    """One comparison of a rerun with a pack."""

    pack_id: str
    is_comparable: bool
    is_within_tolerance: bool | None
    is_decision_equal: bool | None


@dataclass(frozen=True)
class ApprovalRecord:
    """One signed statement about a pack."""

    pack_id: str
    role: str
    person: str
    decision: str | None
    """approve, reject or approve_with_conditions; None for the preparer."""
    at: str


@dataclass(frozen=True)
class LogRecord:
    """State of the audit log."""

    size: int
    """Events."""
    began_at: str | None
    """Of the first event."""
    anchored_size: int | None
    """Events covered by the last external checkpoint; None where there is none."""
    anchored_at: str | None
    verified_at: str | None
    """When the whole log was last checked."""


@dataclass(frozen=True)
class ProcessRecords:
    """All records; None where a source was not read, an empty tuple where it is empty."""

    claims: tuple[ClaimRecord, ...] | None = None
    preregistrations: int | None = None
    """Frozen ones."""
    attempts: tuple[AttemptRecord, ...] | None = None
    deviations: tuple[DeviationRecord, ...] | None = None
    packs: tuple[PackRecord, ...] | None = None
    reruns: tuple[RerunRecord, ...] | None = None
    approvals: tuple[ApprovalRecord, ...] | None = None
    log: LogRecord | None = None
