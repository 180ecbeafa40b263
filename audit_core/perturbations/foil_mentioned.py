"""A sentence before both texts that quotes the wrong answer."""

from __future__ import annotations

from dataclasses import replace

from audit_core.perturbation import Group, Perturbation
from audit_core.prompts.prompt_set import Prompt


class FoilMentioned(Perturbation):
    def edit(self, prompt: Prompt) -> Prompt:
        sentence = f"The word {prompt.foil.strip()} was read aloud. "
        return replace(prompt, clean=sentence + prompt.clean, corrupted=sentence + prompt.corrupted)


PLUGIN = FoilMentioned(
    "foil_mentioned", Group.ADVERSARIAL, "the wrong answer mentioned before it",
    "A sentence that quotes the wrong answer of the clean text precedes both texts.",
)  # fmt: skip
