"""Result of verifying a pack: eight steps, and separate results for separate questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit_core.verifier.decisions import DecisionsFinding
from audit_core.verifier.documents import Documents
from audit_core.verifier.trust import Signer
from audit_core.verifier.withheld import PromptsFinding
from audit_core.verifier.witnessed import WitnessFinding

STEPS = ("container", "manifest", "statement", "signature", "schema", "semantics", "log", "time")
PASSED, FAILED, NOT_CHECKED = "PASSED", "FAILED", "NOT_CHECKED"
EXIT_VERIFIED, EXIT_USAGE, EXIT_UNDECIDED, EXIT_FAILED, EXIT_INTERNAL = 0, 2, 3, 4, 5


@dataclass(frozen=True)
class Step:
    """One step and its result."""

    name: str
    result: str
    """PASSED | FAILED | NOT_CHECKED"""
    detail: str


@dataclass(frozen=True)
class Verification:
    """Results of a verification; each answers a separate question."""

    steps: tuple[Step, ...]
    integrity: str
    """INTEGRITY_VERIFIED | INTEGRITY_FAILED: whether the pack is complete and unchanged, and its documents agree."""
    authenticity: str
    """SIGNER_VERIFIED | SIGNER_NOT_CHECKED (no trust file, or a preparer it does not name) | SIGNER_FAILED"""
    time: str
    """ANCHORED | UNANCHORED: whether the log extends a checkpoint that the reader saved."""
    reproduction: str
    """Result of the reruns recorded in the pack; no rerun is made here."""
    judgement: str
    """Recomputed result of the pack's policy on its metrics; NOT_EVALUATED if integrity failed."""
    prompts: PromptsFinding
    """Whether the prompts match the runs, as far as they are shown or opened."""
    decisions: DecisionsFinding
    """Whether every decision that a later one references is in the pack."""
    witnesses: WitnessFinding
    """Whether a quorum of the reader's witnesses cosigned a log that contains the pack's."""
    signers: tuple[Signer, ...]
    pack_id: str | None
    manifest_sha256: str | None
    exit_code: int
    documents: Documents | None
    """The pack's documents; None if integrity failed."""

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        plain = (
            "pack_id", "manifest_sha256", "integrity", "authenticity", "time", "reproduction", "judgement", "exit_code",
        )  # fmt: skip
        return {name: getattr(self, name) for name in plain} | {
            "prompts": vars(self.prompts),
            "decisions": vars(self.decisions),
            "witnesses": vars(self.witnesses),
            "signers": [vars(signer) for signer in self.signers],
            "steps": [{"step": number, **vars(step)} for number, step in enumerate(self.steps, 1)],
        }
