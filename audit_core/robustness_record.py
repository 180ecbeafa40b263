"""Recorded robustness of shipped circuits: shown before a measurement of minutes, then replaced by it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from audit_core.audits.robustness import RobustnessResult
from audit_core.claim import Claim
from audit_core.data_folder import DATA, read_record
from audit_core.models.known import find_known
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.story import MeasuredWith

FOLDER = DATA / "robustness"
MAX_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class RecordedRobustness:
    """One result, with everything that it depends on."""

    model_file_sha256: str
    """Digest of the file that the known model is converted from: identifies it before it is loaded."""
    circuit: str
    """Id of the shipped circuit."""
    asked: dict[str, object]
    """The request as described in the log."""
    prompts_sha256: str
    version: int
    """Version of the audit's result; see `Audit.shows`."""
    wall_s: float
    measured_with: MeasuredWith
    result: RobustnessResult

    def is_about(
        self, model: str, prompts: PromptSet | TokenisedPrompts, claim: Claim, *, weights_sha256: str | None = None
    ) -> bool:
        """Whether it answers this question, in the form that the audit of today stores.

        Args:
            model: a known model's name; it need not be loaded.
            prompts: the whole set.
            weights_sha256: of the model, if it is loaded.
        """
        known, asked = find_known(model), claim.to_json()
        return (
            known is not None
            and known.member_sha256 == self.model_file_sha256
            and weights_sha256 in (None, self.measured_with.identity["weights_sha256"])
            and prompts.sha256 == self.prompts_sha256
            and all(asked[name] == value for name, value in self.asked.items() if name in asked)
            and get_plugin("audits", "robustness").shows(self.version)
        )


@cache
def list_recorded_robustness() -> tuple[RecordedRobustness, ...]:
    """The shipped records.

    Raises:
        IntegrityError: one is too large or does not parse.
    """
    paths = sorted(FOLDER.glob("*.json"))
    return tuple(read_record(path, RecordedRobustness, max_bytes=MAX_BYTES) for path in paths)
