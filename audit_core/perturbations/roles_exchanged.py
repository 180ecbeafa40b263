"""The two texts of each pair exchanged, with their answers."""

from __future__ import annotations

from dataclasses import replace

from audit_core.perturbation import Group, Perturbation
from audit_core.prompts.prompt_set import Prompt


class RolesExchanged(Perturbation):
    def edit(self, prompt: Prompt) -> Prompt:
        return replace(
            prompt,
            clean=prompt.corrupted, corrupted=prompt.clean, answer=prompt.foil, foil=prompt.answer,
            more_answers=prompt.more_foils, more_foils=prompt.more_answers,
        )  # fmt: skip


PLUGIN = RolesExchanged(
    "roles_exchanged", Group.COUNTERFACTUAL, "clean and corrupted exchanged",
    "The corrupted text is measured, and the clean one replaces it.",
)  # fmt: skip
