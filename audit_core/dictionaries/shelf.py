"""The dictionaries by name: those that ship, the one that is written for a planted model, and those of the data directory."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from audit_core.data_folder import DATA, locate_home
from audit_core.dictionaries.dictionary import SHIPPED, Dictionary, Features
from audit_core.dictionaries.planted import write_planted
from audit_core.dictionaries.store import CARD, load_dictionary, read_object, write_dictionary
from audit_core.errors import AuditError, ModelRefused, Refused
from audit_core.subject import Subject

DEFAULT, PLANTED = "default-layer-12", "planted-strict"
OWN_FOLDER, MAX_OWN = "dictionaries", 64
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)


class Origin(StrEnum):
    """How a dictionary was made."""

    TRAINED = "trained"
    WRITTEN = "written by hand"
    IMPORTED = "imported from SAELens"
    RANDOM = "random directions"
    PRINCIPAL = "principal components"
    DIMENSIONS = "dimensions of the stream"


BASELINES = (Origin.RANDOM, Origin.PRINCIPAL, Origin.DIMENSIONS)
"""Directions that no training made: what a trained dictionary is compared with."""


@dataclass(frozen=True, eq=False)
class DictionaryEntry:
    """A dictionary of the shelf."""

    name: str
    model: str
    """Name of the model that it is of."""
    weights_sha256: str
    """Of that model; empty for a planted model, which is known by its name."""
    sha256: str
    layer: int
    folder: Path | None
    """None for one that is written in code."""
    origin: Origin = Origin.TRAINED

    @property
    def is_shipped(self) -> bool:
        return self.name in SHIPPED

    @property
    def title(self) -> str:
        """Name, layer and origin, for display."""
        return f"{self.name}: layer {self.layer}, {self.origin.value}"

    def load(self) -> Dictionary:
        """The weights, once they are those that the card names.

        Raises:
            IntegrityError: they are not.
        """
        return write_planted() if self.folder is None else _load(self.folder, self.sha256)[0]

    def read_card(self) -> dict[str, Any]:
        """The card; empty for a dictionary that is written in code."""
        return {} if self.folder is None else _load(self.folder, self.sha256)[1]


def find_dictionary(name: str) -> DictionaryEntry:
    """A dictionary by its name.

    Raises:
        Refused: none has this name.
        IntegrityError: the card of one that ships cannot be read.
    """
    if name in SHIPPED:
        return _find_shipped(name)
    if not _is_own(name):
        known = ", ".join(one.name for one in list_dictionaries())
        raise Refused(f"No dictionary {name[:60]!r}.", wanted=f"{known}.", remedy="name one of them.")
    return _read_entry(name, find_own_folder(name))


def list_dictionaries() -> tuple[DictionaryEntry, ...]:
    """Every dictionary: those that ship, then those of the data directory whose card can be read."""
    found = [_find_shipped(name) for name in SHIPPED]
    folder = locate_home() / OWN_FOLDER
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _is_own(path.name):
            try:
                found.append(_read_entry(path.name, path))
            except AuditError:
                # Named, it is refused with the reason; a list of the others is not.
                continue
    return tuple(found)


def list_of_model(model: str) -> tuple[DictionaryEntry, ...]:
    """The dictionaries of a model by the model's name, trained ones first."""
    found = [one for one in list_dictionaries() if one.model == model]
    return tuple(sorted(found, key=lambda one: one.origin in BASELINES))


def find_of_model(model: str) -> DictionaryEntry | None:
    """The first dictionary of a model by the model's name."""
    return next(iter(list_of_model(model)), None)


def find_own_folder(name: str) -> Path:
    """Where a dictionary of the data directory is."""
    return locate_home() / OWN_FOLDER / name


def check_new_name(name: str) -> None:
    """Check that a dictionary may get a name, before it is made.

    Raises:
        Refused: the name is taken or cannot be one, or there are too many.
    """
    if not _NAME.fullmatch(name) or name in SHIPPED or find_own_folder(name).exists():
        raise Refused(
            f"The name {name[:60]!r}.", wanted="a new one: lower-case letters, digits and hyphens, at most 40.",
            remedy="choose another name.",
        )  # fmt: skip
    n = len(list_dictionaries()) - len(SHIPPED)
    if n >= MAX_OWN:
        raise Refused(f"{n} dictionaries.", wanted=f"fewer than {MAX_OWN}.", remedy="remove a folder of one.")


def add_dictionary(
    dictionary: Dictionary, *, name: str, model: str, weights_sha256: str, origin: Origin, card: Mapping[str, Any]
) -> DictionaryEntry:
    """Keep a dictionary in the data directory under a new name.

    Args:
        model: name that its model is opened by.
        weights_sha256: of that model.
        card: how it was made.

    Raises:
        Refused: see `check_new_name`.
    """
    check_new_name(name)
    folder = find_own_folder(name)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    said = {**card, "model": weights_sha256, "model_name": model, "origin": origin.value, "made_at": now}
    # Renamed when it is whole: a process that dies leaves no part of a dictionary under its name.
    made = folder.with_name(f".{uuid.uuid4().hex}")
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made.mkdir(mode=0o700)
    try:
        write_dictionary(dictionary, said, made)
        made.rename(folder)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return _read_entry(name, folder)


def split_name(name: str) -> tuple[str, str]:
    """Names of a model and of the dictionary that it is opened with; the second is empty for any other name.

    Example:
        >>> split_name("default+default-layer-12"), split_name("default")
        (('default', 'default-layer-12'), ('default', ''))
    """
    model, _, dictionary = name.rpartition("+")
    # Whether one of the data directory is of this model is known once its weights are.
    return (model, dictionary) if model and (SHIPPED.get(dictionary) == model or _is_own(dictionary)) else (name, "")


def open_dictionary(subject: Subject, name: str) -> tuple[DictionaryEntry, Dictionary]:
    """A dictionary of the shelf, for the model that it was trained on.

    Raises:
        Refused: none has this name.
        ModelRefused: it is of another model: its directions mean nothing there.
    """
    entry = find_dictionary(name)
    if not _is_of(entry, subject):
        raise ModelRefused(
            f"The dictionary {entry.name} is not of {subject.identity.model[:60]}.",
            wanted=f"the model {entry.model}, with the weights that its card names.",
            remedy=f"choose the model {entry.model}, or another dictionary ({PLANTED} is of planted-strict).",
        )
    return entry, entry.load()


def describe_choices(subject: Subject, layer: int) -> str:
    """The dictionaries of a model that have features of a layer, each with the digest that a claim is frozen with."""
    found = [one for one in list_dictionaries() if _is_of(one, subject) and one.layer == layer]
    return ", ".join(
        f"--model {one.model}+{one.name} (SHA-256 {one.sha256[:12]}…, {one.origin.value})" for one in found
    )


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


def _is_of(entry: DictionaryEntry, subject: Subject) -> bool:
    identity = subject.identity
    if entry.weights_sha256:
        return identity.weights_sha256 == entry.weights_sha256
    return identity.model.startswith(entry.model)


def _is_own(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name not in SHIPPED and (find_own_folder(name) / CARD).is_file()


@cache
def _find_shipped(name: str) -> DictionaryEntry:
    if name == PLANTED:
        made = write_planted()
        return DictionaryEntry(name, SHIPPED[name], "", made.sha256, made.layer, None, Origin.WRITTEN)
    folder = DATA / "features" / name
    card = read_object(folder / CARD)
    return DictionaryEntry(
        name, SHIPPED[name], str(card.get("model")), str(card.get("sha256")), int(card.get("layer", -1)), folder
    )


def _read_entry(name: str, folder: Path) -> DictionaryEntry:
    """A dictionary of the data directory, by its card.

    Raises:
        Refused: the card is malformed.
    """
    card = read_object(folder / CARD)
    words = [card.get(key) for key in ("model_name", "model", "sha256", "origin")]
    layer = card.get("layer")
    if not all(isinstance(one, str) and one for one in words) or words[3] not in set(Origin) or type(layer) is not int:
        raise Refused(
            f"The card of {name} is malformed.",
            wanted="one that this version wrote.",
            remedy="make the dictionary again.",
        )
    model, weights, digest, origin = map(str, words)
    return DictionaryEntry(name, model, weights, digest, layer, folder, Origin(origin))


@cache
def _load(folder: Path, sha256: str) -> tuple[Dictionary, dict[str, Any]]:
    """Kept by digest, as another dictionary may take the name."""
    return load_dictionary(folder)
