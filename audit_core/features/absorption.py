"""Absorption: words on which a dictionary's features of their first letter are silent and another feature carries the letter."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import ACTIVATIONS
from audit_core.dictionaries.dictionary import Dictionary
from audit_core.probes.linear import fit_probe
from audit_core.prompts.answers import Tokenizer, Tokens
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import share_by_cluster
from audit_core.subject import Floats, Subject

PER_LETTER, FEWEST = 40, 20
"""Words of a letter, at most; letters with fewer are left out."""
LEAST_GAIN, MOST_MAIN = 0.03, 3
"""A further feature belongs to a letter if it raises F1 by so much, as in SAEBench."""
LEAST_COSINE, LEAST_SHARE = 0.025, 0.4
"""Of an absorbing feature with the probe, and of its part in the word's projection on the probe: the thresholds of SAEBench."""
CAVEAT = (
    "Absorption depends on two conventional thresholds, and is of first letters alone. Where no feature detects letters, there is "
    "nothing to absorb: read it beside F1."
)

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LetterWords:
    """Words of one token, and the stream at each, alone after the first token."""

    letters: tuple[str, ...]
    """First letter of each word."""
    stream: Floats
    """Shape (word, d_model)."""
    is_train: Flags


@dataclass(frozen=True)
class Absorption:
    """What was found of one dictionary."""

    f1: Estimate | None
    """Of "a feature of the letter fires", on words not chosen on; mean over letters."""
    share: Estimate | None
    """Absorbed words among those whose letter the probe reads; None where it reads none."""


def read_letter_words(subject: Subject, layer: int) -> LetterWords | None:
    """Words of the vocabulary; None where it has too few of at least two letters."""
    ids = list_words(subject.tokenizer, subject.geometry.n_vocabulary)
    if len({letter for letter, _ in ids}) < 2:
        return None
    bos = subject.tokenizer.bos_id
    rows: list[Tokens] = [(*(() if bos is None else (bos,)), token) for _, token in ids]
    stream = np.stack([one[-1] for one in ACTIVATIONS.of(subject).read_stream(rows, layer)])
    return LetterWords(tuple(letter for letter, _ in ids), stream, np.arange(len(ids)) % 2 == 0)


def list_words(tokenizer: Tokenizer, n_tokens: int) -> list[tuple[str, int]]:
    """Tokens that are a lower-case word of three letters or more, with their first letter; spread over each letter's tokens."""
    by_letter: dict[str, list[int]] = {letter: [] for letter in string.ascii_lowercase}
    for token in range(n_tokens):
        piece = tokenizer.piece(token)
        word = piece.strip()
        if len(word) >= 3 and piece != word and word.isascii() and word.isalpha() and word.islower():
            by_letter[word[0]].append(token)
    found = []
    for letter, tokens in by_letter.items():
        n = min(PER_LETTER, len(tokens))
        if n >= FEWEST:
            found += [(letter, tokens[at * len(tokens) // n]) for at in range(n)]
    return found


def measure_absorption(dictionary: Dictionary, words: LetterWords, *, seed: int) -> Absorption:
    """Absorption over all letters; features and probes are chosen on one split of the words and measured on the other.

    Source: Chanin et al. 2024, arXiv:2409.14507; Karvonen et al. 2025, arXiv:2503.09532 (SAEBench).
    """
    values = dictionary.encode(words.stream)
    letters, names, hits, scores = np.array(words.letters), [], [], []
    for letter in dict.fromkeys(words.letters):
        is_own: Flags = np.equal(letters, letter)
        main = _choose_main(values[words.is_train] > 0, is_own[words.is_train])
        fires: Flags = np.any(values[:, list(main)] > 0, axis=1)
        test: Flags = ~words.is_train
        scores.append(_score(fires[test], is_own[test]))
        probe = fit_probe(words.stream[words.is_train].astype(np.float64), is_own[words.is_train])
        read = probe.score(words.stream.astype(np.float64)) > 0
        for at in np.flatnonzero(test & is_own & read):
            names.append(letter)
            hits.append(not fires[at] and _is_carried(dictionary, values[at], words.stream[at], probe.weights, main))
    if not scores:
        return Absorption(None, None)
    clusters = [str(at) for at in range(len(scores))]
    f1 = bootstrap_mean(np.array(scores), clusters, unit="F1, mean over letters", seed=seed)
    return Absorption(f1, share_by_cluster(hits, names, "of the words whose letter is read") if hits else None)


def _choose_main(fires: Flags, is_own: Flags) -> tuple[int, ...]:
    """Features of a letter: the one with the largest F1, then others while any of them firing raises it."""
    main: list[int] = []
    best, any_fires = 0.0, np.zeros(len(is_own), bool)
    while len(main) < MOST_MAIN:
        scores = _score_all(fires | any_fires[:, None], is_own)
        at = int(scores.argmax())
        if main and scores[at] < best + LEAST_GAIN:
            break
        main.append(at)
        best, any_fires = float(scores[at]), any_fires | fires[:, at]
    return tuple(main)


def _score_all(fires: Flags, is_own: Flags) -> NDArray[np.float64]:
    """F1 of each feature; shape (word, feature) → (feature,)."""
    right = (fires & is_own[:, None]).sum(0)
    return np.asarray(2 * right / np.maximum(fires.sum(0) + is_own.sum(), 1))


def _score(fires: Flags, is_own: Flags) -> float:
    return float(_score_all(fires[:, None], is_own)[0])


def _is_carried(
    dictionary: Dictionary, values: Floats, x: Floats, direction: NDArray[np.float64], main: Sequence[int]
) -> bool:
    """Whether one feature that is no feature of the letter makes up most of the word's projection on the probe."""
    unit = direction / np.linalg.norm(direction)
    cosines = dictionary.decoder @ unit
    parts = np.where(cosines >= LEAST_COSINE, values * cosines, 0.0)
    parts[list(main)] = 0.0
    total = float((x - dictionary.centre) @ unit)
    return total > 0 and float(parts.max()) >= LEAST_SHARE * total
