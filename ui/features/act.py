"""Writing labels of features, and making dictionaries: each checks the permission of the signed-in user, and logs a refusal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from audit_core import Auditor, audit_home
from audit_core.features import (
    DictionaryEntry,
    NewDictionary,
    Origin,
    Recipe,
    check_new_name,
    import_own,
    make_baseline,
    predict_training_s,
    train_own,
)
from audit_core.governance import Permission
from audit_core.jobs import Report
from audit_core.prompts import TokenisedPrompts
from audit_core.store import FeatureLabel, FeatureLabels, LabelEvidence
from ui.features import texts
from ui.flow import sample, services

__all__ = ["add_baseline", "import_files", "predict_training_s", "train", "write_label"]
Make = Callable[[NewDictionary, Report], DictionaryEntry]


def write_label(
    dictionary: str, component: str, text: str, based_on: int, test: LabelEvidence | None, name: str
) -> FeatureLabel:
    """Append a version of a label in the signed-in user's name.

    Args:
        name: the author without sign-in.
    """
    sample.refuse_on_sample("no label was written")
    person = services.authorize(Permission.RUN, component)
    by = services.name_author(person, name)
    return FeatureLabels(audit_home()).write(dictionary, component, text, by=by, based_on=based_on, test=test)


def train(auditor: Auditor, model: str, name: str, layer: int, recipe: Recipe, upload: tuple[str, bytes] | None) -> str:
    """Train a dictionary in the background; returns the job's id.

    Raises:
        AuditError: the user may not, the name is taken, or the texts cannot be used.
    """
    read, _ = texts.read_texts(auditor, model, upload, exploratory=True)
    if upload is None:
        train_on, other = read, texts.read_texts(auditor, model, None)[0]
    else:
        train_on, other = _split(read)
    seconds = predict_training_s(recipe, auditor.subject.geometry.d_model)

    def make(asked: NewDictionary, report: Report) -> DictionaryEntry:
        return train_own(auditor.subject, asked, train_on, other, layer, recipe, on_progress=report)

    return _submit(model, name, f"Train {name} at layer {layer}", make, seconds)


def import_files(auditor: Auditor, model: str, name: str, config: bytes, weights: bytes) -> str:
    """Keep a dictionary of SAELens in the background; returns the job's id."""
    read, _ = texts.read_texts(auditor, model, None, exploratory=True)

    def make(asked: NewDictionary, report: Report) -> DictionaryEntry:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / name
            folder.mkdir()
            (folder / "cfg.json").write_bytes(config)
            (folder / "sae_weights.safetensors").write_bytes(weights)
            return import_own(auditor.subject, asked, folder, read)

    return _submit(model, name, f"Import {name}", make, None)


def add_baseline(auditor: Auditor, model: str, name: str, like: str, origin: Origin) -> str:
    """Keep a baseline in the background; returns the job's id."""
    read, _ = texts.read_texts(auditor, model, None, exploratory=True)

    def make(asked: NewDictionary, report: Report) -> DictionaryEntry:
        return make_baseline(auditor.subject, asked, like, origin, read)

    return _submit(model, name, f"Add {origin.value} as {name}", make, None)


def _submit(model: str, name: str, title: str, make: Make, predicted_s: float | None) -> str:
    sample.refuse_on_sample("no dictionary was made")
    check_new_name(name)
    asked = NewDictionary(name, model, audit_home(), services.person().id)
    return services.submit_work(f"dictionary {name}", title, partial(make, asked), predicted_s=predicted_s)


def _split(read: TokenisedPrompts) -> tuple[TokenisedPrompts, TokenisedPrompts]:
    """Every eighth text is kept from the training."""
    held = [at for at in range(len(read)) if at % 8 == 0]
    return read.take([at for at in range(len(read)) if at % 8]), read.take(held)
