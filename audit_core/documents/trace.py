"""A document through the layers: what enters each layer at its positions is that of a filler; also the check of the edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audit_core.capability import DOCUMENTS
from audit_core.component import Component, Kind
from audit_core.controls import Controls
from audit_core.documents.question import encode_values
from audit_core.documents.question_runs import QuestionRuns
from audit_core.documents.results import DocumentTrace
from audit_core.documents.runs import read_values
from audit_core.effect import get_metric, measure_effect
from audit_core.errors import ControlFailed
from audit_core.intervention import Replacement, intervene
from audit_core.prompts.answers import Contrast
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Subject

MOST_LAYERS = 6
_SLACK = 10
"""Tolerances by which the two ways to replace a document may differ."""


def trace_question(
    subject: Subject, pair: TokenPair, found: QuestionRuns, *, seed: int
) -> tuple[tuple[DocumentTrace, ...], Controls]:
    """Replace each document by its first filler at some layers.

    Raises:
        ControlFailed: an edit of the engine did not work, or replacing what enters the first layer differs from replacing
            the text.
    """
    encoded, values = found.encoded, encode_values(found.question, DOCUMENTS.of(subject), subject.tokenizer)
    contrast = Contrast((), ((values[found.given],),), ((values[found.foil],),))
    rows = replace(
        pair, clean_ids=encoded.join(encoded.bodies), corrupted_ids=encoded.join([each[0] for each in found.fillers]),
        contrast=contrast,
    )  # fmt: skip
    layers = _spread(subject.geometry.n_layers)
    runs = [
        intervene([Component(layer, Kind.RESID, 0, place) for place in encoded.find_places(at)], Replacement.RESAMPLE)
        for at in range(found.n) for layer in layers
    ]  # fmt: skip
    effect = measure_effect(
        subject, TokenisedPrompts("documents", (rows,), ""), runs, get_metric("logit_difference"), seed=seed
    )
    lost = (effect.clean - effect.patched)[:, 0]
    traces = []
    for at in range(found.n):
        mine = lost[at * len(layers) : (at + 1) * len(layers)]
        _compare(subject, found, values, at, float(mine[0]))
        traces.append(
            DocumentTrace(id=found.question.id, rank=at + 1, lost=tuple(map(float, mine)), layers=tuple(layers))
        )
    return tuple(traces), effect.controls


def _compare(subject: Subject, found: QuestionRuns, values: dict[str, int], number: int, lost: float) -> None:
    bodies = [f[0] if at == number else b for at, (b, f) in enumerate(zip(found.encoded.bodies, found.fillers))]
    read = read_values(subject, [found.encoded.join(bodies)], (values[found.given], values[found.foil]))[0][0]
    difference = abs(found.lead - float(read[0] - read[1]) - lost)
    if difference > _SLACK * subject.tolerance:
        raise ControlFailed(
            f"Replacing document {number + 1} in the first layer differs from replacing its text by {difference:.3g} logits."
        )


def _spread(n_layers: int) -> Sequence[int]:
    """At most `MOST_LAYERS` layers from the first on."""
    step = max(1, -(-n_layers // MOST_LAYERS))
    return range(0, n_layers, step)
