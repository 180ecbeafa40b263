"""Texts for a dictionary: rows of equal length, split by document into training and held-out ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit_core.errors import Refused
from audit_core.prompts.answers import Tokenizer, Tokens

LENGTH = 64
"""Tokens in a row."""
MAX_CHARACTERS = 50_000_000
_HELD_OUT = 0.1
"""Share of the documents that is held out."""


@dataclass(frozen=True)
class TextRows:
    """Rows of token ids."""

    train: tuple[Tokens, ...]
    held_out: tuple[Tokens, ...]
    held_out_names: tuple[str, ...]
    """Document of each held-out row."""
    sha256: str
    """Of all documents."""


def split_texts(documents: Sequence[str], tokenizer: Tokenizer, *, most: int, seed: int) -> TextRows:
    """Cut documents into rows of `LENGTH` tokens; a document is either trained on or held out.

    Args:
        most: rows to train on, at most.

    Raises:
        Refused: no text, too much of it, or too few documents to hold two out.
    """
    if (size := sum(map(len, documents))) > MAX_CHARACTERS or len(documents) < 4:
        raise Refused(
            f"{len(documents)} documents of {size:,} characters.",
            wanted=f"4 documents or more, of at most {MAX_CHARACTERS:,} characters.",
            remedy="give another text, or split it.",
        )
    n_held = max(2, round(_HELD_OUT * len(documents)))
    order = np.random.default_rng(seed).permutation(len(documents))
    digest = hashlib.sha256("\0".join(documents).encode()).hexdigest()
    held: list[tuple[Tokens, str]] = []
    train: list[Tokens] = []
    for place, number in enumerate(map(int, order)):
        if place >= n_held and len(train) >= most:
            break
        rows = _cut(documents[number], tokenizer)
        if place < n_held:
            held += [(row, str(number)) for row in rows]
        else:
            train += rows
    if not train or len({name for _, name in held}) < 2:
        raise Refused(
            "Documents that are too short.", wanted=f"{LENGTH} tokens or more in each.", remedy="join short texts."
        )
    limit = max(4, most // 8)
    kept = [held[at * len(held) // min(limit, len(held))] for at in range(min(limit, len(held)))]
    return TextRows(tuple(train[:most]), tuple(row for row, _ in kept), tuple(name for _, name in kept), digest)


def _cut(text: str, tokenizer: Tokenizer) -> list[Tokens]:
    first = () if tokenizer.bos_id is None else (tokenizer.bos_id,)
    ids, step = tokenizer.encode(text), LENGTH - len(first)
    return [(*first, *ids[at : at + step]) for at in range(0, len(ids) - step + 1, step)]
