"""Searches of a dictionary: by label, by the tokens that a feature fires on or writes, and by a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit_core.capability import ACTIVATIONS
from audit_core.dictionaries.dictionary import Dictionary
from audit_core.errors import Refused
from audit_core.evidence.kind import NotEvidence, Observational
from audit_core.features.index import FeatureIndex, TokenWeight
from audit_core.subject import Subject

MAX_FOUND, MAX_QUERY = 30, 200
MAX_TEXT_TOKENS = 256


@dataclass(frozen=True)
class Found:
    """A feature that a search found."""

    index: NotEvidence[int]
    why: NotEvidence[str]
    """Where it was found."""
    score: Observational[float]
    """By which the found features are ordered: a share of its activation, a logit weight, or its largest value in the text."""


def search_labels(labels: Mapping[int, str], query: str) -> list[Found]:
    """Features whose label has every word of the query, whatever the case."""
    words = _read(query).casefold().split()
    hits = [(index, text) for index, text in sorted(labels.items()) if all(one in text.casefold() for one in words)]
    return [Found(index, f"label: {text}", 1.0) for index, text in hits][:MAX_FOUND]


def search_firing(index: FeatureIndex, query: str) -> list[Found]:
    """Features that fire on tokens with this text, by the share of their activation on them."""
    return _search_tokens([one.tokens for one in index.features], query, "fires on")


def search_writes(index: FeatureIndex, query: str) -> list[Found]:
    """Features that raise the logits of tokens with this text, by the weight."""
    return _search_tokens([one.writes for one in index.features], query, "writes")


def search_text(subject: Subject, dictionary: Dictionary, text: str) -> list[Found]:
    """Features that fire on a text, by their largest value in it.

    Raises:
        Refused: an empty or too long text.
    """
    tokenizer = subject.tokenizer
    ids = tokenizer.encode(text.strip())
    row = (*(() if tokenizer.bos_id is None else (tokenizer.bos_id,)), *ids)
    if not 2 <= len(row) <= MAX_TEXT_TOKENS:
        raise Refused(
            f"A text of {len(ids)} tokens.",
            wanted=f"at most {MAX_TEXT_TOKENS - 1}, and one or more.",
            remedy="change it.",
        )
    (stream,) = ACTIVATIONS.of(subject).read_stream([row], dictionary.layer)
    # The first token is neither trained on nor read.
    values = dictionary.encode(stream[1:])
    top = values.max(0)
    order = [int(one) for one in np.argsort(-top, kind="stable")[:MAX_FOUND] if top[one] > 0]
    at = values.argmax(0)
    return [Found(one, f"fires on “{tokenizer.piece(row[1 + int(at[one])])}”", float(top[one])) for one in order]


def _search_tokens(lists: Sequence[Sequence[TokenWeight]], query: str, verb: str) -> list[Found]:
    """A token that is the query counts before one that only contains it."""
    wanted = _read(query).casefold()
    found = []
    for index, tokens in enumerate(lists):
        hits = [one for one in tokens if wanted in one.token.strip().casefold()]
        if hits:
            best = max(hits, key=lambda one: (one.token.strip().casefold() == wanted, one.weight))
            is_whole = best.token.strip().casefold() == wanted
            found.append((is_whole, Found(index, f"{verb} “{best.token}”", best.weight)))
    found.sort(key=lambda one: (not one[0], -one[1].score))
    return [one for _, one in found][:MAX_FOUND]


def _read(query: str) -> str:
    text = query.strip()
    if not 1 <= len(text) <= MAX_QUERY:
        raise Refused(f"{len(text)} characters to search for.", wanted=f"1 to {MAX_QUERY}.", remedy="change the words.")
    return text
