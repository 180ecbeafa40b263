"""The recorded answer to the question on which the live audit opens: shown while the model loads, then measured live."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from audit_core.audits.ablation import AblationResult
from audit_core.audits.attention import AttentionResult
from audit_core.audits.sweep import SweepResult
from audit_core.data_folder import DATA, read_record
from audit_core.models.known import find_known
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.story import MeasuredWith

RECORD = DATA / "first_answer/indirect_object.json"
MAX_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class FirstAnswer:
    """Three results on one prompt, with everything that they depend on."""

    model_file_sha256: str
    """Digest of the file that the known model is converted from: identifies it before it is loaded."""
    prompts: str
    prompts_sha256: str
    prompt: str
    """Id of the prompt."""
    components: tuple[str, ...]
    versions: dict[str, int]
    """Audit → version of its result; another version is not shown."""
    measured_with: MeasuredWith
    attention: AttentionResult
    sweep: SweepResult
    ablation: AblationResult

    def is_about(
        self, model: str, prompts: PromptSet | TokenisedPrompts, prompt: str, components: tuple[str, ...]
    ) -> bool:
        """Whether it answers this question, in the form that the audits of today store.

        Args:
            model: a known model's name; it need not be loaded.
        """
        known = find_known(model)
        return (
            known is not None
            and known.member_sha256 == self.model_file_sha256
            and (prompts.name, prompts.sha256, prompt) == (self.prompts, self.prompts_sha256, self.prompt)
            and components == self.components
            and all(get_plugin("audits", audit).version == version for audit, version in self.versions.items())
        )


@cache
def load_first_answer() -> FirstAnswer:
    """The shipped record.

    Raises:
        IntegrityError: it is missing, too large, or does not parse.
    """
    found: FirstAnswer = read_record(RECORD, FirstAnswer, max_bytes=MAX_BYTES)
    return found
