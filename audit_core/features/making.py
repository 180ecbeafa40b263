"""Dictionaries of one's own: trained here, imported from SAELens, or made as a baseline; kept in the data directory and logged."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from audit_core.capability import ACTIVATIONS
from audit_core.circuits.circuit_search import share_progress
from audit_core.dictionaries.dictionary import Dictionary, Features, draw_dictionary
from audit_core.dictionaries.shelf import (
    BASELINES,
    DictionaryEntry,
    Origin,
    add_dictionary,
    check_new_name,
    open_dictionary,
)
from audit_core.dictionaries.store import import_saelens
from audit_core.errors import NotMeasured, Refused
from audit_core.features.held_out import HeldOutTexts, list_rows
from audit_core.features.index import build_index, write_index
from audit_core.features.measurement import list_dimensions, list_principal
from audit_core.features.quality import Training, measure_quality
from audit_core.features.training import Recipe, train_dictionary
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.store.log.dictionaries import note_dictionary
from audit_core.subject import Floats, Progress, Subject, no_progress

READ, TRAINED, WHOLE = 4, 8, 10
"""Units of the progress: after reading, after training, and in all."""
_FACTOR = 10.0
"""Products of this size in a step: forward and backward of encoder, decoder and auxiliary loss, and the optimiser beside them."""


@dataclass(frozen=True)
class NewDictionary:
    """A dictionary to be made: its name, the model's, and who makes it."""

    name: str
    model: str
    """Name that the model is opened by."""
    home: Path
    by: str


def predict_training_s(recipe: Recipe, d_model: int) -> float:
    """Seconds of a training on this machine, without reading the texts: one matrix product of a step is timed."""
    return _FACTOR * recipe.steps * _time_product(recipe.batch, recipe.width, d_model)


@cache
def _time_product(batch: int, width: int, d_model: int) -> float:
    x, encoder = np.ones((batch, d_model), np.float32), np.ones((d_model, width), np.float32)
    start = time.perf_counter()
    x @ encoder
    return time.perf_counter() - start


def train_own(
    subject: Subject,
    asked: NewDictionary,
    train: TokenisedPrompts,
    held_out: TokenisedPrompts,
    layer: int,
    recipe: Recipe,
    *,
    on_progress: Progress = no_progress,
) -> DictionaryEntry:
    """Train a dictionary on the texts of some prompts, measure it on others, and keep it.

    Raises:
        Refused: a layer that the model lacks, a number outside its bounds, or a name that is taken.
        NotMeasured: the activations do not vary, or the training diverged.
    """
    if not 0 <= layer < subject.geometry.n_layers:
        raise Refused(f"Layer {layer}.", wanted=f"0 to {subject.geometry.n_layers - 1}.", remedy="choose another.")
    check_new_name(asked.name)
    texts, other = list_rows(train), list_rows(held_out)
    stream = _read(subject, texts.rows, layer, share_progress(on_progress, WHOLE, 0, READ))
    training = share_progress(on_progress, WHOLE, READ, TRAINED - READ)
    made = train_dictionary(np.concatenate([one[1:] for one in stream]), layer, recipe, on_progress=training)
    n_tokens = sum(len(row) - 1 for row in texts.rows)
    found: dict[str, Any] = {
        "text_sha256": train.sha256, "texts": train.name, "recipe": asdict(recipe), "train_tokens": n_tokens
    }  # fmt: skip
    try:
        source = Training(subject.identity.weights_sha256, train.sha256, recipe, n_tokens)
        card = measure_quality(subject, made, other.rows, other.names, source, seed=recipe.seed)
        found |= card.to_json()
    except NotMeasured as error:
        # Kept without figures, and with the reason in their place.
        found |= {"not_measured": error.detail}
    on_progress(WHOLE, WHOLE)
    return _keep(subject, asked, made, Origin.TRAINED, found, texts, stream)


def import_own(subject: Subject, asked: NewDictionary, folder: Path, texts: TokenisedPrompts) -> DictionaryEntry:
    """Keep a dictionary from a folder of SAELens.

    Args:
        texts: that its features are indexed on, for searches.

    Raises:
        Refused: as `import_saelens`, or a name that is taken.
    """
    geometry = subject.geometry
    made, rows = import_saelens(folder, geometry.n_layers, geometry.d_model), list_rows(texts)
    stream = _read(subject, rows.rows, made.layer, no_progress)
    return _keep(subject, asked, made, Origin.IMPORTED, {"folder": folder.name[:60]}, rows, stream)


def make_baseline(
    subject: Subject, asked: NewDictionary, like: str, origin: Origin, texts: TokenisedPrompts, *, seed: int = 0
) -> DictionaryEntry:
    """Keep directions that no training made, at the layer of a dictionary, so that they can be chosen in its place.

    Args:
        like: name of the dictionary: random directions fire as often as its features, and there are no more components.
        texts: on which they are matched and indexed.

    Raises:
        Refused: no such baseline or dictionary, or a name that is taken.
        ModelRefused: the dictionary is of another model.
    """
    if origin not in BASELINES:
        raise Refused(
            f"{origin.value} is no baseline.", wanted=", ".join(BASELINES) + ".", remedy="choose one of them."
        )
    entry, dictionary = open_dictionary(subject, like)
    rows = list_rows(texts)
    stream = _read(subject, rows.rows, dictionary.layer, no_progress)
    x = np.concatenate([one[1:] for one in stream])
    made = {
        Origin.RANDOM: lambda: draw_dictionary(dictionary, x, seed=seed),
        Origin.PRINCIPAL: lambda: list_principal(dictionary, x, max(1, min(x.shape[1], len(dictionary) // 2))),
        Origin.DIMENSIONS: lambda: list_dimensions(dictionary, x),
    }[origin]()
    card = {
        "like": entry.name,
        "like_sha256": entry.sha256,
        "texts": texts.name,
        "text_sha256": texts.sha256,
        "seed": seed,
    }
    return _keep(subject, asked, made, origin, card, rows, stream)


def _read(subject: Subject, rows: Sequence[Tokens], layer: int, on_progress: Progress) -> list[Floats]:
    return ACTIVATIONS.of(subject).read_stream(rows, layer, on_progress=on_progress)


def _keep(
    subject: Subject,
    asked: NewDictionary,
    made: Dictionary,
    origin: Origin,
    card: Mapping[str, Any],
    texts: HeldOutTexts,
    stream: Sequence[Floats],
) -> DictionaryEntry:
    entry = add_dictionary(
        made,
        name=asked.name,
        model=asked.model,
        weights_sha256=subject.identity.weights_sha256,
        origin=origin,
        card=card,
    )
    assert entry.folder is not None
    unembedding = subject.read_unembedding() if isinstance(subject, Features) else None
    write_index(build_index(made, texts.rows, stream, subject.tokenizer, unembedding), entry.folder)
    note_dictionary(asked.home, entry, by=asked.by)
    return entry
