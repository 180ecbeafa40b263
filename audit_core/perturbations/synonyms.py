"""Words replaced by others of nearly the same meaning, by a fixed list."""

from __future__ import annotations

import re
from dataclasses import replace

from audit_core.perturbation import Group, Perturbation
from audit_core.prompts.prompt_set import Prompt

SYNONYMS = {
    "gave": "handed", "handed": "gave", "sent": "mailed", "passed": "handed", "lent": "loaned", "wrote": "penned",
    "bought": "purchased", "poured": "made", "kept": "saved", "threw": "tossed", "store": "shop", "house": "home",
    "because": "since", "since": "because", "happy": "glad", "tired": "sleepy", "hungry": "thirsty", "called": "phoned",
    "every": "each", "know": "believe", "think": "believe", "said": "claimed", "near": "beside", "beside": "near",
    "building": "house", "married": "wed", "built": "made", "probably": "perhaps", "arrive": "come", "large": "big",
}  # fmt: skip
"""Lower-case word → replacement. Each word is replaced in both texts of a pair alike."""
_WORD = re.compile(r"[A-Za-z]+")


class Synonyms(Perturbation):
    def edit(self, prompt: Prompt) -> Prompt:
        spared = {text.strip().lower() for text in (*prompt.answers, *prompt.foils)}

        def exchange(text: str) -> str:
            return _WORD.sub(lambda found: _pick(found[0], spared), text)

        return replace(prompt, clean=exchange(prompt.clean), corrupted=exchange(prompt.corrupted))


def _pick(word: str, spared: set[str]) -> str:
    other = None if word.lower() in spared else SYNONYMS.get(word.lower())
    if other is None:
        return word
    return other.capitalize() if word[0].isupper() else other


PLUGIN = Synonyms(
    "synonyms", Group.PARAPHRASE, "synonyms", "Words of a fixed list are replaced by others of nearly the same meaning."
)
