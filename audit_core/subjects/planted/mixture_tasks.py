"""Prompts of the planted mixtures: context words, all but the last fixed by the template, then the word that is asked."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.subjects.planted.mixture_weights import ANSWERS, ASKED_WORDS, CONTEXT_WORDS, SILENT_WORDS
from audit_core.subjects.planted.weights import EQUALS

_N_CONTEXT = 6


def make_lookup(n_per_template: int, seed: int) -> PromptSet:
    """`c03 c01 … s07`, answer a07; corrupted, another word is asked, and its answer is the foil."""

    def ask_another(draw: Random, asked: str) -> tuple[str, str]:
        other = draw.choice([word for word in ASKED_WORDS if word != asked])
        return other, ANSWERS[other]

    return _make("lookup", n_per_template, seed, ask_another)


def make_silence(n_per_template: int, seed: int) -> PromptSet:
    """`c03 c01 … s07`, answer a07; corrupted, a word without an answer is asked, and the foil is "="."""
    return _make("silence", n_per_template, seed, lambda draw, asked: (draw.choice(SILENT_WORDS), EQUALS))


def _make(name: str, n_per_template: int, seed: int, corrupt: Callable[[Random, str], tuple[str, str]]) -> PromptSet:
    prompts = []
    for at, first in enumerate(CONTEXT_WORDS):
        # Templates have no word in common at any fixed place, so that their texts are recognised as different ones.
        turned = (*CONTEXT_WORDS[at:], *CONTEXT_WORDS[:at])
        draw = Random(f"{name} {seed} {first}")
        seen: set[str] = set()
        while len(seen) < n_per_template:
            asked = draw.choice(ASKED_WORDS)
            context = " ".join((*turned[: _N_CONTEXT - 1], draw.choice(CONTEXT_WORDS)))
            other, foil = corrupt(draw, asked)
            clean = f"{context} {asked}"
            if clean in seen:
                continue
            prompts.append(
                Prompt(
                    f"{name}-{first}-{len(seen):03d}",
                    clean,
                    f"{context} {other}",
                    f" {ANSWERS[asked]}",
                    f" {foil}",
                    f"begins with {first}",
                )
            )
            seen.add(clean)
    return PromptSet(name, tuple(prompts))
