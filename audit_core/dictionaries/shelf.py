"""The dictionaries that ship: trained ones in `data/features/`, and the one that is written for a planted model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from audit_core.data_folder import DATA
from audit_core.dictionaries.dictionary import SHIPPED, Dictionary, Features
from audit_core.dictionaries.planted import write_planted
from audit_core.dictionaries.store import CARD, load_dictionary, read_object
from audit_core.errors import ModelRefused, Refused
from audit_core.subject import Subject

DEFAULT, PLANTED = "default-layer-12", "planted-strict"


@dataclass(frozen=True, eq=False)
class ShippedDictionary:
    """A dictionary of the shelf."""

    name: str
    model: str
    """Name of the model that it is of."""
    weights_sha256: str
    """Of that model; empty for a planted model, which is known by its name."""
    sha256: str
    folder: Path | None
    """None for one that is written in code."""

    def load(self) -> Dictionary:
        """The weights, once they are those that the card names.

        Raises:
            IntegrityError: they are not.
        """
        return write_planted() if self.folder is None else _load(self.folder)[0]

    def read_card(self) -> dict[str, Any]:
        """The card; empty for a dictionary that was not trained."""
        return {} if self.folder is None else _load(self.folder)[1]


@cache
def find_dictionary(name: str) -> ShippedDictionary:
    """A dictionary by its name.

    Raises:
        Refused: none has this name.
        IntegrityError: its card cannot be read.
    """
    if name not in SHIPPED:
        raise Refused(f"No dictionary {name[:60]!r}.", wanted=", ".join(SHIPPED) + ".", remedy="name one of them.")
    if name == PLANTED:
        return ShippedDictionary(name, SHIPPED[name], "", write_planted().sha256, None)
    folder = DATA / "features" / name
    card = read_object(folder / CARD)
    return ShippedDictionary(name, SHIPPED[name], str(card.get("model")), str(card.get("sha256")), folder)


def find_of_model(model: str) -> ShippedDictionary | None:
    """The dictionary of a model by the model's name."""
    return next((one for one in map(find_dictionary, SHIPPED) if one.model == model), None)


def open_dictionary(subject: Subject, name: str) -> tuple[ShippedDictionary, Dictionary]:
    """A dictionary of the shelf, for the model that it was trained on.

    Raises:
        Refused: none has this name.
        ModelRefused: it is of another model: its directions mean nothing there.
    """
    entry = find_dictionary(name)
    identity = subject.identity
    is_its_own = (
        identity.weights_sha256 == entry.weights_sha256
        if entry.weights_sha256
        else identity.model.startswith(entry.model)
    )
    if not is_its_own:
        raise ModelRefused(
            f"The dictionary {entry.name} is not of {identity.model[:60]}.",
            wanted=f"the model {entry.model}, with the weights that its card names.",
            remedy=f"choose the model {entry.model}, or another dictionary ({PLANTED} is of planted-strict).",
        )
    return entry, entry.load()


def attach_dictionary(subject: Subject, name: str) -> Subject:
    """The model with the features of a dictionary of the shelf as components.

    Raises:
        Refused, ModelRefused: as `open_dictionary`; or it gives no activations.
    """
    entry, dictionary = open_dictionary(subject, name)
    if not isinstance(subject, Features):
        raise ModelRefused(
            f"Features of {subject.identity.model[:60]}.", wanted="a decoder with all of its weights in memory.",
            remedy="open it without `--streamed`.",
        )  # fmt: skip
    return subject.with_dictionary(dictionary, entry.name)


@cache
def _load(folder: Path) -> tuple[Dictionary, dict[str, Any]]:
    return load_dictionary(folder)
