"""A neutral sentence before both texts."""

from __future__ import annotations

from dataclasses import replace

from audit_core.perturbation import Group, Perturbation
from audit_core.prompts.prompt_set import Prompt

SENTENCE = "This is a short text. "


class LeadingSentence(Perturbation):
    def edit(self, prompt: Prompt) -> Prompt:
        return replace(prompt, clean=SENTENCE + prompt.clean, corrupted=SENTENCE + prompt.corrupted)


PLUGIN = LeadingSentence(
    "leading_sentence", Group.PARAPHRASE, "a neutral sentence before it", f"“{SENTENCE.strip()}” precedes both texts."
)
