"""What a plug-in of `perturbations/` is: one change of prompts or of decoding, under which a claim is tested again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from audit_core.errors import NotMeasured
from audit_core.prompts.alignment import align_again
from audit_core.prompts.answers import PromptForm, Tokenizer
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts


class Group(StrEnum):
    """What a perturbation varies."""

    PARAPHRASE = "paraphrase"
    """Other words for the same text."""
    ADVERSARIAL = "adversarial"
    """Text that is meant to mislead."""
    COUNTERFACTUAL = "counterfactual"
    """The other text of each pair."""
    DECODING = "decoding"
    """How the answer is chosen from the model's probabilities."""
    SHIFT = "shift"
    """Other prompts of the task."""
    MODEL = "model"
    """Another model of the same shape, such as an edited sibling; named in the request, so that it is no plug-in."""


@dataclass(frozen=True)
class Perturbation:
    """One change. A plug-in overrides `edit`, or names a metric, or uses other prompts."""

    name: str
    group: Group
    label: str
    """Name on pages, such as "a sentence before it"."""
    change: str
    """What is changed, in a sentence."""
    metric: str = ""
    """Metric that reads the answer instead of the claim's; empty for the claim's."""
    uses_other_prompts: bool = False
    """Whether the exploratory prompts are measured in place of the claim's."""

    @property
    def question(self) -> str:
        """What is asked of the claim."""
        return f"Does the verdict stay with {self.label}?"

    @property
    def edits_texts(self) -> bool:
        """Whether the texts of the prompts change."""
        return not self.metric and not self.uses_other_prompts

    def apply(self, prompt: Prompt) -> Prompt | None:
        """The changed prompt; None if nothing in it changes, or if its text is a complete input of a chat model."""
        if prompt.form is PromptForm.VERBATIM:
            return None
        changed = self.edit(prompt)
        is_same = (changed.clean, changed.corrupted) == (prompt.clean, prompt.corrupted)
        return None if is_same else changed

    def edit(self, prompt: Prompt) -> Prompt:
        """The prompt with the change in both of its texts; the same prompt if the change does not apply to it."""
        return prompt


def perturb(prompts: TokenisedPrompts, perturbation: Perturbation, tokenizer: Tokenizer) -> TokenisedPrompts:
    """The prompts that the perturbation changes, with the templates of the unchanged ones.

    Raises:
        NotMeasured: it changes none of them.
        PromptRefused: no changed pair fits the tokenizer.
    """
    changed = {pair.prompt.id: perturbation.apply(pair.prompt) for pair in prompts.pairs}
    texts = tuple(text for text in changed.values() if text is not None)
    if not texts:
        raise NotMeasured("control_failed", "it changes none of these prompts.")
    return align_again(prompts, PromptSet(f"{prompts.name}, {perturbation.name}", texts), tokenizer)
