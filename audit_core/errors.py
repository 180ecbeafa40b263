"""Every error the library raises on purpose, in one tree.

AuditError
├── Refused                an input is wrong: found, wanted, remedy (exit 2)
│   ├── ComponentRefused   an address that does not parse or is not in the model
│   ├── PromptRefused      prompts that cannot be used; names every bad row
│   ├── InterventionRefused  a replacement that is undefined for this run
│   ├── ClaimRefused       a claim file that is incomplete or contradictory
│   ├── PolicyRefused      a policy or a waiver that cannot be applied
│   ├── DecisionRefused    a decision about a pack that this person may not make; has a reason code
│   ├── ModelRefused       weights that must not or cannot be loaded
│   ├── StoreRefused       the run log cannot be opened or written
│   ├── QueueFull          too much waits already; the same may be asked again later
│   └── AccessRefused      a person who may not do this, or not now; says which by `why`
├── NotMeasured            the question was sound and has no answer: a reason code (exit 3)
│   └── ControlFailed      an instrument check failed, so no number may be shown
├── IntegrityError         bytes are not what their digest says (exit 4)
└── Cancelled              a person stopped the run; nothing it computed is kept
"""

from __future__ import annotations


class AuditError(Exception):
    """Root of the tree; pages and commands catch this and nothing wider."""

    exit_code = 5


class Refused(AuditError):
    """An input was refused at the border where it entered.

    Args:
        found: what was met, quoted and short.
        wanted: what would have been accepted.
        remedy: what the reader can do now.
    """

    exit_code = 2

    def __init__(self, found: str, *, wanted: str, remedy: str) -> None:
        self.found, self.wanted, self.remedy = found, wanted, remedy
        super().__init__(f"{found} Wanted: {wanted} What to do: {remedy}")


class ComponentRefused(Refused):
    """An address that does not parse, or that is not in the model."""


class PromptRefused(Refused):
    """Prompts that cannot be used; names every bad row."""


class InterventionRefused(Refused):
    """A replacement that is undefined for this run."""


class ClaimRefused(Refused):
    """A claim that is incomplete or contradictory."""


class PolicyRefused(Refused):
    """A policy or a waiver that cannot be applied."""


class DecisionRefused(Refused):
    """A decision about a pack was turned away.

    Args:
        code: machine-readable, as the audit log has it.
    """

    def __init__(self, found: str, *, wanted: str, remedy: str, code: str = "refused") -> None:
        self.code = code
        super().__init__(found, wanted=wanted, remedy=remedy)


class ModelRefused(Refused):
    """Weights that must not or cannot be loaded."""


class StoreRefused(Refused):
    """The run log cannot be opened or written."""


class QueueFull(Refused):
    """Nothing is wrong with what was asked: as much waits as may wait."""


class AccessRefused(Refused):
    """A person may not do this, or not now.

    Args:
        why: machine-readable code, one of `people.REFUSALS`.
    """

    def __init__(self, found: str, *, wanted: str, remedy: str, why: str = "not_allowed") -> None:
        self.why = why
        super().__init__(found, wanted=wanted, remedy=remedy)


class NotMeasured(AuditError):
    """There is no number, and this is why.

    Args:
        reason: machine-readable code, one of `verdict.REASONS`.
        detail: one sentence a reviewer can act on.
    """

    exit_code = 3

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class ControlFailed(NotMeasured):
    """A liveness control failed: the instrument, not the model, is in question."""

    def __init__(self, detail: str) -> None:
        super().__init__("control_failed", detail)


class IntegrityError(AuditError):
    """Bytes are not what their digest says."""

    exit_code = 4


class Cancelled(AuditError):
    """A person stopped the run; nothing that it computed is kept."""

    exit_code = 3
