"""The index of a dictionary: what each feature fires on, with examples, and what it writes, for searches without the model."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audit_core.data_folder import read_record
from audit_core.dictionaries.dictionary import Dictionary
from audit_core.dictionaries.shelf import DictionaryEntry
from audit_core.errors import IntegrityError
from audit_core.evidence.kind import NotEvidence, Observational
from audit_core.evidence.whole_file import write_whole
from audit_core.prompts.answers import Tokenizer, Tokens
from audit_core.subject import Floats

INDEX = "index.json"
MAX_INDEX_BYTES = 16 * 1024**2
_STRONGEST, _SPREAD, _TOKENS, _NEAREST = 5, 3, 6, 5
_BEFORE, _AFTER = 12, 5
"""Tokens of context of an example."""
_DIGITS = 4


@dataclass(frozen=True)
class Shown:
    """A token in its context, and the feature's value there."""

    before: NotEvidence[str]
    token: NotEvidence[str]
    after: NotEvidence[str]
    value: Observational[float]


@dataclass(frozen=True)
class TokenWeight:
    """A token and its weight."""

    token: NotEvidence[str]
    weight: Observational[float]


@dataclass(frozen=True)
class IndexedFeature:
    """What was observed of a feature on the texts of the index."""

    rate: Observational[float]
    """Share of tokens on which it is active."""
    largest: Observational[float]
    """Largest value; the decoder has length 1, so this is the norm of what it adds."""
    strongest: NotEvidence[tuple[Shown, ...]]
    """Largest values, one a text."""
    spread: NotEvidence[tuple[Shown, ...]]
    """Values at equal steps of rank below them: the strongest alone mislead about what a feature fires on."""
    tokens: NotEvidence[tuple[TokenWeight, ...]]
    """Tokens with the largest shares of the sum of its values."""
    writes: NotEvidence[tuple[TokenWeight, ...]]
    """Tokens whose logits a unit of its decoder raises most, directly through the final norm's weights; see `build_index`."""
    opposes: NotEvidence[tuple[TokenWeight, ...]]
    """Tokens whose logits it lowers most."""
    nearest: NotEvidence[tuple[tuple[int, float], ...]]
    """Features whose decoders point most nearly the same way, with the cosine."""


@dataclass(frozen=True)
class FeatureIndex:
    """Observations of every feature of a dictionary."""

    dictionary: str
    """Digest of the weights."""
    n_tokens: int
    features: tuple[IndexedFeature, ...]


def build_index(
    dictionary: Dictionary,
    rows: Sequence[Tokens],
    stream: Sequence[Floats],
    tokenizer: Tokenizer,
    unembedding: NDArray[np.float32] | None,
    *,
    most: int = 10,
) -> FeatureIndex:
    """Observe every feature on some texts.

    Args:
        stream: activations entering the dictionary's layer; each of shape (pos, d_model).
        unembedding: rows scaled by the final norm's weights, centred over the tokens; shape (token, d_model). The norm divides by
            the length of the stream, so that weights compare tokens and are not in logits. None: what features write is left out.
    """
    x = np.concatenate([one[1:] for one in stream])
    text_of = np.repeat(np.arange(len(rows)), [len(row) - 1 for row in rows])
    place_of = np.concatenate([np.arange(1, len(row)) for row in rows])
    ids = np.concatenate([np.array(row[1:]) for row in rows])
    values = dictionary.encode(x)
    cosines = dictionary.decoder @ dictionary.decoder.T
    np.fill_diagonal(cosines, -2)
    found = []
    for at in range(len(dictionary)):
        column = values[:, at]
        weights = np.zeros(0, np.float32) if unembedding is None else unembedding @ dictionary.decoder[at]
        active = np.flatnonzero(column > 0)
        ranked = active[np.argsort(-column[active], kind="stable")]
        first = _first_of_each(ranked, text_of)

        def show(token: int, column: NDArray[np.float32] = column) -> Shown:
            row, place = rows[text_of[token]], int(place_of[token])
            write = [tokenizer.piece(int(one)) for one in row]
            before = "".join(write[max(1, place - _BEFORE) : place])
            after = "".join(write[place + 1 : place + 1 + _AFTER])
            return Shown(before, write[place], after, round(float(column[token]), _DIGITS))

        steps = [len(ranked) * (k + 1) // (_SPREAD + 1) for k in range(_SPREAD)] if len(ranked) > 4 * _SPREAD else []
        sums: dict[int, float] = defaultdict(float)
        for token in active:
            sums[int(ids[token])] += float(column[token])
        total = sum(sums.values())
        order = np.argsort(-weights, kind="stable")
        near = np.argsort(-cosines[at], kind="stable")[:_NEAREST]
        found.append(IndexedFeature(
            rate=round(len(active) / len(x), 6), largest=round(float(column.max(initial=0)), _DIGITS),
            strongest=tuple(show(int(one)) for one in first[:_STRONGEST]),
            spread=tuple(show(int(ranked[step])) for step in steps),
            tokens=tuple(
                TokenWeight(tokenizer.piece(one), round(value / total, 3)) for one, value in sorted(sums.items(), key=lambda one: -one[1])[:_TOKENS]
            ),
            writes=_weigh(order[:most], weights, tokenizer), opposes=_weigh(order[::-1][:most], weights, tokenizer),
            nearest=tuple((int(one), round(float(cosines[at, one]), 3)) for one in near),
        ))  # fmt: skip
    return FeatureIndex(dictionary.sha256, len(x), tuple(found))


def _first_of_each(ranked: NDArray[np.intp], text_of: NDArray[np.intp]) -> list[int]:
    """The strongest token of each text, in the order of strength."""
    seen, found = set(), []
    for token in ranked:
        if int(text_of[token]) not in seen:
            seen.add(int(text_of[token]))
            found.append(int(token))
    return found


def _weigh(tokens: NDArray[np.intp], weights: NDArray[np.float32], tokenizer: Tokenizer) -> tuple[TokenWeight, ...]:
    return tuple(TokenWeight(tokenizer.piece(int(one)), round(float(weights[one]), 3)) for one in tokens)


def write_index(index: FeatureIndex, folder: Path) -> None:
    """Write the index beside its dictionary."""
    text = json.dumps(asdict(index), ensure_ascii=False, separators=(",", ":"))
    write_whole(folder / INDEX, f"{text}\n".encode())


def read_index(folder: Path) -> FeatureIndex:
    """The index beside a dictionary.

    Raises:
        IntegrityError: it is missing, too large, or not of this form.
    """
    found: FeatureIndex = read_record(folder / INDEX, FeatureIndex, max_bytes=MAX_INDEX_BYTES)
    return found


def find_index(entry: DictionaryEntry) -> FeatureIndex | None:
    """What the features of a dictionary fire on and write; None for a dictionary without texts.

    Raises:
        IntegrityError: the index is of another dictionary.
    """
    if entry.folder is None or not (entry.folder / INDEX).is_file():
        return None
    found = _read_once(entry.folder, entry.sha256)
    if found.dictionary != entry.sha256:
        raise IntegrityError(f"The index of {entry.name} is of another dictionary.")
    return found


@cache
def _read_once(folder: Path, dictionary: str) -> FeatureIndex:
    """Kept by digest, as another dictionary may take the folder."""
    return read_index(folder)
