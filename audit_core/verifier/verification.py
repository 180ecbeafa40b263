"""What was found of a pack: eight steps, and five results that are never one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit_core.verifier.decisions import DecisionsFinding
from audit_core.verifier.documents import Documents
from audit_core.verifier.trust import Signer
from audit_core.verifier.withheld import PromptsFinding

STEPS = ("container", "manifest", "statement", "signature", "schema", "semantics", "log", "time")
PASSED, FAILED, NOT_CHECKED = "PASSED", "FAILED", "NOT_CHECKED"
EXIT_VERIFIED, EXIT_USAGE, EXIT_UNDECIDED, EXIT_FAILED, EXIT_INTERNAL = 0, 2, 3, 4, 5


@dataclass(frozen=True)
class Step:
    """One step and what came of it."""

    name: str
    result: str
    """PASSED | FAILED | NOT_CHECKED"""
    detail: str


@dataclass(frozen=True)
class Verification:
    """The five results answer five questions, and none stands for another."""

    steps: tuple[Step, ...]
    integrity: str
    """INTEGRITY_VERIFIED | INTEGRITY_FAILED: whether the pack is whole and its documents agree."""
    authenticity: str
    """SIGNER_VERIFIED | SIGNER_NOT_CHECKED (no trust file, or a preparer it does not name) | SIGNER_FAILED"""
    time: str
    """ANCHORED | UNANCHORED: whether the log continues a checkpoint that the reader had saved."""
    reproduction: str
    """What the reruns recorded in the pack say; nothing is run again here."""
    judgement: str
    """What the pack's own policy says of its own metrics, computed again; NOT_EVALUATED unless integrity holds."""
    prompts: PromptsFinding
    """Whether the prompts are those that were run, as far as they are shown or were opened."""
    decisions: DecisionsFinding
    """Whether every decision that another one names is in the pack."""
    signers: tuple[Signer, ...]
    pack_id: str | None
    manifest_sha256: str | None
    exit_code: int
    documents: Documents | None
    """What the pack says; None unless its integrity holds."""

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        plain = (
            "pack_id", "manifest_sha256", "integrity", "authenticity", "time", "reproduction", "judgement", "exit_code",
        )  # fmt: skip
        return {name: getattr(self, name) for name in plain} | {
            "prompts": vars(self.prompts),
            "decisions": vars(self.decisions),
            "signers": [vars(signer) for signer in self.signers],
            "steps": [{"step": number, **vars(step)} for number, step in enumerate(self.steps, 1)],
        }
