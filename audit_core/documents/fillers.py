"""Fillers: neutral text of a document's length in tokens, without a content word of the question or of any answer."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from random import Random

from audit_core.errors import NotMeasured
from audit_core.prompts.answers import Tokenizer, Tokens

FILLERS = (
    "The house has a small garden and a blue door .",
    "The weather was mild for most of the year .",
    "A long road leads from the station to the hill .",
    "The report was written in the spring of that year .",
    "Many visitors come to the market on Saturday .",
    "Some of the old trees were planted along the path .",
    "The train was late because of heavy rain in the valley .",
    "There is a quiet room with two wide windows upstairs .",
    "Fresh bread is sold near the bridge every morning .",
    "The river is shallow and clear after a dry summer .",
    "Most of the shelves were empty when the shop closed .",
    "An open field begins behind the last row of houses .",
)
"""Sentences that fillers are cut from; a space before each full stop, so that a vocabulary of whole words has it."""
_TRIES = 200
_EMPTY_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "because",
        "by",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "in",
        "is",
        "it",
        "its",
        "most",
        "of",
        "on",
        "or",
        "she",
        "some",
        "that",
        "the",
        "their",
        "there",
        "they",
        "this",
        "to",
        "was",
        "were",
        "when",
        "which",
        "with",
        "every",
        "many",
    ]
)


def list_content(text: str) -> frozenset[str]:
    """Content words of a text, in lower case: everything but articles, prepositions and forms of to be and to have."""
    return frozenset(word for word in re.findall(r"\w+", text.casefold()) if len(word) > 1) - _EMPTY_WORDS


def choose_filler(length: int, banned: Collection[str], tokenizer: Tokenizer, *, number: int, seed: int) -> Tokens:
    """Tokens of a filler.

    Args:
        length: in tokens.
        banned: content words that it must not have.
        number: the how-manieth filler of one document; each begins with another sentence.

    Raises:
        NotMeasured: none of this length is free of them.
    """
    rng = Random(f"filler {seed} {number} {length}")
    usable = [text for text in FILLERS if not list_content(text) & set(banned)]
    if len(usable) < 3:
        raise NotMeasured("control_failed", "too few filler sentences share no content word with the question.")
    for _ in range(_TRIES):
        order = rng.sample(usable, len(usable))
        first = usable[number % len(usable)]
        sentences = [first, *(text for text in order if text != first)]
        ids = _join(sentences, length, tokenizer)
        # Cutting may make another word of the last one.
        if len(ids) == length and not list_content(_write(ids, tokenizer)) & set(banned):
            return ids
    raise NotMeasured("control_failed", "no filler of a document's length is free of the question's words.")


def choose_text_filler(n_words: int, banned: Collection[str], *, number: int, seed: int) -> str:
    """A filler of this many words, for a model whose tokens are not known.

    Args:
        banned, number: as in `choose_filler`.

    Raises:
        NotMeasured: none of this length is free of them.

    Example:
        >>> choose_text_filler(4, frozenset(), number=1, seed=0)
        'The weather was mild.'
    """
    usable = [text for text in FILLERS if not list_content(text) & set(banned)]
    if len(usable) < 3:
        raise NotMeasured("control_failed", "too few filler sentences share no content word with the question.")
    first = usable[number % len(usable)]
    rest = [text for text in usable if text != first]
    Random(f"text filler {seed} {number} {n_words}").shuffle(rest)
    words = " ".join((first, *rest)).replace(" .", ".").split()
    words = (words * (1 + n_words // len(words)))[:n_words]
    text = " ".join(words).rstrip(".")
    return f"{text}." if text else "."


def _join(sentences: Sequence[str], length: int, tokenizer: Tokenizer) -> Tokens:
    ids: list[int] = []
    for text in (*sentences, *sentences, *sentences):
        ids += tokenizer.encode(f" {text}".replace(" .", ".") if _is_subword(tokenizer) else f" {text}")
        if len(ids) >= length:
            break
    return tuple(ids[:length])


def _is_subword(tokenizer: Tokenizer) -> bool:
    """Whether a point can follow a word without a space."""
    return len(tokenizer.encode(" door.")) > 1


def _write(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    pieces = [tokenizer.piece(token) for token in ids]
    return "".join(pieces) if _is_subword(tokenizer) else " ".join(pieces)
