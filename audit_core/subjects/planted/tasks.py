"""Tasks of planted models: successor of a word, majority vote. Each prompt depends on the seed, not on the number of prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.subjects.planted.weights import EQUALS, NOUNS, A, B

PLACES = range(1, 9)
"""Positions of the queried word in the context; one template each."""
VOTES = tuple((voters, margin) for voters in (9, 11, 13, 15) for margin in (1, 3))
"""Numbers of letters and majorities; one template each."""
_CONTEXT_WORDS = 12


@dataclass(frozen=True)
class _Context:
    """Distinct words, with the positions of query and foil."""

    words: tuple[str, ...]
    at: int
    """Index of the queried word; its successor is the answer."""
    other: int
    """Index of the word whose successor is the foil; not adjacent to the first."""
    unrelated: str
    """A word outside the context."""

    def replace(self, *words: tuple[int, str]) -> tuple[str, ...]:
        found = list(self.words)
        for index, word in words:
            found[index] = word
        return tuple(found)


@dataclass(frozen=True)
class _Corruption:
    words: tuple[str, ...]
    foil: str


def make_query(n_per_template: int, seed: int) -> PromptSet:
    """`… a b … c d … a`, answer b; corrupted, the last word is c instead, and its answer d."""
    return PromptSet("query", _make_successors("query", n_per_template, seed, _ask_another))


def make_mode(n_per_template: int, seed: int, *, modes: Sequence[str]) -> PromptSet:
    """`make_query` with a mode as first word; each mode with each position is a template."""
    prompts = [p for mode in modes for p in _make_successors(f"mode-{mode}", n_per_template, seed, _ask_another, mode)]
    return PromptSet("-".join(["mode", *modes]), tuple(prompts))


def make_context(n_per_template: int, seed: int) -> PromptSet:
    """`… a b … c d … a`, answer b; corrupted, a and c are swapped, so that d follows a."""

    def swap(context: _Context) -> _Corruption:
        asked, other = context.words[context.at], context.words[context.other]
        words = context.replace((context.at, other), (context.other, asked))
        return _Corruption((*words, asked), context.words[context.other + 1])

    return PromptSet("context", _make_successors("context", n_per_template, seed, swap))


def make_absence(n_per_template: int, seed: int) -> PromptSet:
    """`… a b … a`, answer b; corrupted, the first a is another word, and the answer is "=": no match."""

    def erase(context: _Context) -> _Corruption:
        asked = context.words[context.at]
        return _Corruption((*context.replace((context.at, context.unrelated)), asked), EQUALS)

    return PromptSet("absence", _make_successors("absence", n_per_template, seed, erase))


def make_vote(n_per_template: int, seed: int) -> PromptSet:
    """`A A B … =`, answer the more frequent letter; corrupted, all letters are swapped."""
    prompts = []
    for at, (voters, margin) in enumerate(VOTES):
        draw = Random(f"vote {seed} {at}")
        minorities = [(winner, rest) for winner in "AB" for rest in combinations(range(voters), (voters - margin) // 2)]
        draw.shuffle(minorities)
        for number in range(n_per_template):
            winner, rest = minorities[number]
            loser = B if winner == A else A
            letters = [loser if place in rest else winner for place in range(voters)]
            flipped = [winner if letter == loser else loser for letter in letters]
            clean, corrupted = (" ".join([*these, EQUALS]) for these in (letters, flipped))
            template = f"{voters} letters, majority {margin}"
            prompts.append(
                Prompt(f"vote-{voters}-{margin}-{number:03d}", clean, corrupted, f" {winner}", f" {loser}", template)
            )
    return PromptSet("vote", tuple(prompts))


def _ask_another(context: _Context) -> _Corruption:
    other = context.words[context.other]
    return _Corruption((*context.words, other), context.words[context.other + 1])


def _make_successors(
    name: str, n_per_template: int, seed: int, corrupt: Callable[[_Context], _Corruption], mode: str = ""
) -> tuple[Prompt, ...]:
    first, behind = ((mode,), f" behind {mode}") if mode else ((), "")
    prompts = []
    for place in PLACES:
        draw = Random(f"{name} {seed} {place}")
        for number in range(n_per_template):
            context = _draw_context(draw, place)
            corruption = corrupt(context)
            prompts.append(
                Prompt(
                    f"{name}-{place}-{number:03d}",
                    " ".join([*first, *context.words, context.words[place]]),
                    " ".join([*first, *corruption.words]),
                    f" {context.words[place + 1]}",
                    f" {corruption.foil}",
                    f"match at word {place + 1}{behind}",
                )
            )
    return tuple(prompts)


def _draw_context(draw: Random, place: int) -> _Context:
    *words, unrelated = draw.sample(NOUNS, _CONTEXT_WORDS + 1)
    other = draw.choice([index for index in range(_CONTEXT_WORDS - 1) if abs(index - place) > 1])
    return _Context(tuple(words), place, other, unrelated)
