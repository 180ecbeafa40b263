"""Other models that a claim is tested on: found by name, identified by digests, and compared with the claim's own model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from audit_core.component import Component, Kind
from audit_core.errors import ComponentRefused, Refused
from audit_core.models import LINK, digest_folder
from audit_core.models.cache import hash_file
from audit_core.models.edited import find_edited
from audit_core.models.folder import CONFIG_BYTES, read_json
from audit_core.models.identity import stamp_files
from audit_core.subject import Subject
from audit_core.subject_family import find_folder

MOST = 4
"""Models that one question can name."""
SEPARATOR = ","
_WANTED = "a model of the same shape with other weights, such as a later version or an edited sibling."
_REMEDY = "search for the counterpart in that model, and freeze a claim about it."


@dataclass(frozen=True)
class OtherModel:
    """A model on this machine."""

    name: str
    """As it was named."""
    folder: Path
    """Not part of its identity."""
    weights_sha256: str
    config_sha256: str

    @property
    def short_name(self) -> str:
        """As it was named; of a folder its last part, because packs must not have a machine's paths."""
        return self.folder.name if os.sep in self.name else self.name

    @property
    def title(self) -> str:
        """Display name."""
        edited = find_edited(self.name)
        return self.short_name if edited is None else edited.title

    def to_json(self) -> list[str]:
        """What identifies it in the description of a request."""
        return [self.short_name, self.weights_sha256, self.config_sha256]


def find_others(names: str) -> tuple[OtherModel, ...]:
    """The models of a list of names and folders, apart by commas; none for an empty text. Fetches nothing from the hub.

    Raises:
        Refused: too many, one of them twice, or one that is not on this machine and must not be fetched.
    """
    listed = [name.strip() for name in names.split(SEPARATOR) if name.strip()]
    if len(listed) > MOST or len(set(listed)) < len(listed):
        raise Refused(
            f"{len(listed)} other models, {len(set(listed))} of them different.",
            wanted=f"at most {MOST} different ones.",
            remedy="shorten the list.",
        )
    found = []
    for name in listed:
        folder = find_folder(name, access=LINK)
        weights, config = _digest(folder, tuple(sorted(stamp_files(folder).items())))
        found.append(OtherModel(name, folder, weights, config))
    return tuple(found)


@lru_cache(maxsize=16)
def _digest(folder: Path, stamps: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[str, str]:
    """Digests of weights and configuration; read again only where a stamp has changed."""
    return digest_folder(folder).weights_sha256, hash_file(folder / "config.json")


def check_comparable(subject: Subject, other: Subject, components: Sequence[Component]) -> None:
    """Check that an address names the same place in both models.

    An address is a name within one model. In a model of another shape it names something else, so that a verdict there
    would say nothing about the claim.

    Raises:
        ComponentRefused: a component does not exist there, the shapes differ, or it is the same model.
    """
    # By layer and index alone: a component of a claim may have a position.
    there = {
        (one.kind, one.layer, one.index) for kind in {c.kind for c in components} for one in other.components(kind)
    }
    if missing := [str(part) for part in components if (part.kind, part.layer, part.index) not in there]:
        raise ComponentRefused(
            f"It has no {', '.join(missing[:5])}: {_describe(other)}.", wanted=_WANTED, remedy=_REMEDY
        )
    if _describe(subject) != _describe(other):
        raise ComponentRefused(
            f"It is of another shape, so that {components[0]} names another component there: {_describe(other)}, and "
            f"{_describe(subject)} in the claim's model.",
            wanted=_WANTED,
            remedy=_REMEDY,
        )
    own = subject.identity
    if (own.weights_sha256, own.config_sha256) == (other.identity.weights_sha256, other.identity.config_sha256):
        raise ComponentRefused(
            "It is the claim's own model, with the same weights.", wanted=_WANTED, remedy="name another."
        )


def _describe(subject: Subject) -> str:
    """Architecture, width, layers, heads and MLPs, in words."""
    heads, mlps = subject.components(Kind.HEAD), subject.components(Kind.MLP)
    layers = {one.layer for one in (*heads, *mlps)}
    counted = f"{len(layers)} layers, {len(heads)} heads, {len(mlps)} MLPs"
    path = Path(subject.identity.folder) / "config.json"
    if not subject.identity.folder or not path.is_file():
        return counted
    config = read_json(path, limit=CONFIG_BYTES)
    width = config.get("hidden_size", config.get("n_embd", config.get("d_model")))
    return f"{config.get('model_type')!s:.40} of width {width!s:.12}, {counted}"
