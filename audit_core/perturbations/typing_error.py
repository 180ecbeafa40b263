"""Two letters swapped in one word that both texts share."""

from __future__ import annotations

import re
from dataclasses import replace

from audit_core.perturbation import Group, Perturbation
from audit_core.prompts.prompt_set import Prompt

_WORD = re.compile(r"\b[a-z]{4,}\b")


class TypingError(Perturbation):
    def edit(self, prompt: Prompt) -> Prompt:
        """Swap the second and third letter of the longest lower-case word that occurs once in both texts."""
        spared = {text.strip() for text in (*prompt.answers, *prompt.foils)}
        words = [
            word
            for word in dict.fromkeys(_WORD.findall(prompt.clean))
            if word not in spared and word[1] != word[2] and _occurs_once(word, prompt.clean, prompt.corrupted)
        ]
        if not words:
            return prompt
        word = max(words, key=len)
        wrong = word[0] + word[2] + word[1] + word[3:]
        clean, corrupted = (re.sub(rf"\b{word}\b", wrong, text) for text in (prompt.clean, prompt.corrupted))
        return replace(prompt, clean=clean, corrupted=corrupted)


def _occurs_once(word: str, *texts: str) -> bool:
    return all(len(re.findall(rf"\b{word}\b", text)) == 1 for text in texts)


PLUGIN = TypingError(
    "typing_error",
    Group.ADVERSARIAL,
    "a typing error",
    "Two letters of the longest word that both texts share are swapped.",
)
