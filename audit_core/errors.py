"""All errors that the library raises on purpose, in one tree.

AuditError
├── Refused                invalid input: found, wanted, remedy (exit 2)
│   ├── ComponentRefused   an address that does not parse or is not in the model
│   ├── CapabilityRefused  a subject that lacks what an audit demands; names all that is missing
│   ├── PromptRefused      prompts that cannot be used; names every bad row
│   ├── InterventionRefused  a replacement that is undefined for this run
│   ├── ClaimRefused       a claim file that is incomplete or contradictory
│   ├── FindingRefused     a finding that cannot be recorded, or a change of one that cannot be made
│   ├── PolicyRefused      a policy or a waiver that cannot be applied
│   ├── DecisionRefused    a decision about a pack that this person may not make; with a reason code
│   ├── PackDecided        a pack that carries decisions from elsewhere; readable, no longer decidable here
│   ├── ModelRefused       weights that must not or cannot be loaded
│   ├── StoreRefused       the run log cannot be opened or written
│   ├── SampleRefused      a write to the sample organisation, which is read-only
│   ├── QueueFull          the queue is full; try again later
│   └── AccessRefused      a person who may not do this, or not now; `why` is the reason code
├── NotMeasured            valid question without an answer, with a reason code (exit 3)
│   └── ControlFailed      an instrument check failed, so no number is reported
├── IntegrityError         bytes do not match their digest (exit 4)
└── Cancelled              a person stopped the run; nothing is stored
"""

from __future__ import annotations


class AuditError(Exception):
    """Root of the tree: the widest error that pages and commands catch."""

    exit_code = 5


class Refused(AuditError):
    """Invalid input, rejected on entry.

    Args:
        found: the rejected input, quoted and short.
        wanted: what is accepted.
        remedy: what the reader can do.
    """

    exit_code = 2

    def __init__(self, found: str, *, wanted: str, remedy: str) -> None:
        self.found, self.wanted, self.remedy = found, wanted, remedy
        super().__init__(f"{found} Wanted: {wanted} What to do: {remedy}")


class ComponentRefused(Refused):
    """An address that does not parse, or that is not in the model."""


class CapabilityRefused(Refused):
    """A subject that lacks what an audit demands of it; found before any work."""


class PromptRefused(Refused):
    """Prompts that cannot be used; names every bad row."""


class InterventionRefused(Refused):
    """A replacement that is undefined for this run."""


class ClaimRefused(Refused):
    """A claim that is incomplete or contradictory."""


class FindingRefused(Refused):
    """A finding cannot be recorded, or a change of one cannot be made; nothing was saved."""


class PolicyRefused(Refused):
    """A policy or a waiver that cannot be applied."""


class DecisionRefused(Refused):
    """A decision about a pack was rejected.

    Args:
        code: machine-readable reason, as in the audit log.
    """

    def __init__(self, found: str, *, wanted: str, remedy: str, code: str = "refused") -> None:
        self.code = code
        super().__init__(found, wanted=wanted, remedy=remedy)


class PackDecided(Refused):
    """A pack that carries decisions from elsewhere: a desk can show it, and no one can decide about it there."""


class ModelRefused(Refused):
    """Weights that must not or cannot be loaded."""


class StoreRefused(Refused):
    """The run log cannot be opened or written."""


class SampleRefused(Refused):
    """A write to the sample organisation, which is read-only; nothing was written or signed."""


class QueueFull(Refused):
    """The queue is full; the request itself is valid."""


class AccessRefused(Refused):
    """A person may not do this, or not now.

    Args:
        why: machine-readable code, one of `people.REFUSALS`.
    """

    def __init__(self, found: str, *, wanted: str, remedy: str, why: str = "not_allowed") -> None:
        self.why = why
        super().__init__(found, wanted=wanted, remedy=remedy)


class NotMeasured(AuditError):
    """The question has no answer, with the reason.

    Args:
        reason: machine-readable code, one of `verdict.REASONS`.
        detail: one actionable sentence.
    """

    exit_code = 3

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class ControlFailed(NotMeasured):
    """An instrument check failed: the measurement is invalid, whatever the model does."""

    def __init__(self, detail: str) -> None:
        super().__init__("control_failed", detail)


class IntegrityError(AuditError):
    """Bytes do not match their digest."""

    exit_code = 4


class Cancelled(AuditError):
    """A person stopped the run; nothing is stored."""

    exit_code = 3
