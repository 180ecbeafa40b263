"""The request about a file of concepts: its layer and dictionary are those of the model where none is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from audit_core.data_folder import DATA, load_texts
from audit_core.dictionaries.dictionary import SHIPPED
from audit_core.dictionaries.shelf import open_dictionary
from audit_core.errors import ModelRefused
from audit_core.request_form import list_form_fields, read_answers
from audit_core.steering.concepts import SteeringTask, ask_prompts, read_concepts
from audit_core.steering.results import SteeringFile, SteeringRequest
from audit_core.subject import Subject

FILE = "concepts.toml"
_MIDDLE = 0.4
"""Depth of the layer of a model without a dictionary: that of the default model's."""
OTHERS = 6
"""Shipped texts on which the off-target cost is measured."""


def read_shipped() -> bytes:
    """The shipped concepts."""
    return (DATA / "steering" / FILE).read_bytes()


def ask_concepts(
    subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
) -> SteeringRequest:
    """The request about a file of concepts.

    Raises:
        Refused: the file or an answer cannot be used.
    """
    asked = read_answers(SteeringFile, answers)
    only = asked.concepts.replace(",", " ").split()
    task, texts = read_concepts(raw, name, only=only, others=load_texts()[:OTHERS])
    given = {one.name: one.parse(answers[one.name]) for one in list_form_fields(SteeringRequest) if one.name in answers}
    return make_request(subject, task, texts, seed=seed, **given)


def make_request(
    subject: Subject, task: SteeringTask, texts: Sequence[str], *, seed: int = 0, **fields: Any
) -> SteeringRequest:
    """The request about concepts, with the beginnings of texts that are continued.

    Args:
        fields: of the request; others keep their defaults.
    """
    name, layer = find_own_dictionary(subject)
    made = SteeringRequest(ask_prompts(task.name, texts, subject.tokenizer), task, dictionary=name, seed=seed, **fields)
    if made.layer != -1:
        return made
    return replace(made, layer=round(_MIDDLE * (subject.geometry.n_layers - 1)) if layer is None else layer)


def find_own_dictionary(subject: Subject) -> tuple[str, int | None]:
    """Name and layer of the shipped dictionary of a model; an empty name where it has none."""
    for name in SHIPPED:
        try:
            _, found = open_dictionary(subject, name)
        except ModelRefused:
            continue
        return name, found.layer
    return "", None
