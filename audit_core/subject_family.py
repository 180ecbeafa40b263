"""Families of subjects: which names and configurations each opens, and how; `subjects/` has one file each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from audit_core.capability import Capability
from audit_core.component import Kind
from audit_core.errors import ModelRefused
from audit_core.models import ANONYMOUS, ModelAccess
from audit_core.models import Progress as FetchProgress
from audit_core.models.devices import CPU
from audit_core.models.folder import CONFIG_BYTES, read_json
from audit_core.references.model_class import Setting
from audit_core.registry import list_plugins
from audit_core.subject import Subject

if TYPE_CHECKING:
    from audit_core.subjects.planted.key import PlantedModel


@dataclass(frozen=True)
class ListedModel:
    """A model that menus offer by name."""

    name: str
    title: str
    is_built: bool = False
    """Whether it is built here from a description, so that nothing is fetched."""


@dataclass(frozen=True)
class SubjectFamily:
    """Base of the plug-ins in `subjects/`: a family finds models by name, or opens model folders, or both."""

    name: str
    question: str
    is_general: bool = False
    """Whether it is asked last, about names and configurations that no other family takes."""
    offers: Mapping[Setting, frozenset[Capability[Any]]] = field(default_factory=lambda: MappingProxyType({}))
    """What its subjects can give, by class of architecture; a single model may lack some, which is found on loading."""
    planted: tuple[PlantedModel, ...] = ()
    """Its models with known ground truth: offered with their tasks, and calibrated."""

    def list_models(self) -> tuple[ListedModel, ...]:
        """Models that it offers by name."""
        return ()

    def find_folder(self, name: str, *, on_progress: FetchProgress | None, access: ModelAccess) -> Path | None:
        """Checked folder of a model of this name, fetched or built if needed; None if the name is not this family's.

        Raises:
            ModelRefused: it is this family's, and cannot or must not be opened.
        """

    def find_here(self, name: str) -> Path | None:
        """Folder of a model of this name if it is on this machine; sends no request and builds nothing."""

    def opens(self, config: Mapping[str, Any]) -> bool:
        """Whether it loads models of this `config.json`."""
        return False

    def load(self, folder: Path) -> Subject:
        """Load a model folder; by default with the family that opens it.

        Raises:
            ModelRefused: it cannot or must not be loaded.
        """
        return load_folder(folder)

    def load_on(self, folder: Path, device: str) -> Subject:
        """Load a model folder on a device other than the CPU.

        Raises:
            ModelRefused: this family's run on the CPU only, or the device is not here.
        """
        raise ModelRefused(
            f"Device {ascii(device)[:40]} for a model of the kind {self.name}, which runs on the CPU only.",
            wanted="a decoder-only transformer with all of its weights in memory.",
            remedy="open it on the CPU.",
        )

    def load_streamed(self, folder: Path) -> Subject:
        """Load a model folder whose layers stay in its files and are read one at a time.

        Raises:
            ModelRefused: this family's cannot be.
        """
        raise ModelRefused(
            f"Models of the kind {self.name} cannot be run layer by layer from their files.",
            wanted="a decoder-only transformer of a supported family.",
            remedy="open it without `--streamed` (`streamed=False`), which needs memory for all of its weights.",
        )


def list_families() -> tuple[SubjectFamily, ...]:
    """All families in the order in which they are asked."""
    return tuple(sorted(list_plugins("subjects").values(), key=lambda family: (family.is_general, family.name)))


def list_models() -> tuple[ListedModel, ...]:
    """Models that open by name, those that are built here last."""
    found = [model for family in reversed(list_families()) for model in family.list_models()]
    return tuple(sorted(found, key=lambda model: model.is_built))


def find_listed(name: str) -> ListedModel | None:
    """The model that menus offer under this name, or None."""
    return next((model for model in list_models() if model.name == name), None)


def list_planted(*, about: Kind | None = None) -> tuple[PlantedModel, ...]:
    """Models with known ground truth, of all families.

    Args:
        about: only those whose claims are all about components of this kind.
    """
    found = tuple(model for family in list_families() for model in family.planted)
    if about is None:
        return found
    kinds = {model.name: {part.kind for claim in model.claims for part in claim.components} for model in found}
    return tuple(model for model in found if kinds[model.name] == {about})


def find_planted(name: str) -> PlantedModel | None:
    """The model with known ground truth of this name, or None."""
    return next((model for model in list_planted() if model.name == name), None)


def find_folder(name: str, *, on_progress: FetchProgress | None = None, access: ModelAccess = ANONYMOUS) -> Path:
    """Checked folder of a model, without loading it; accepts names and raises errors as `open_subject`."""
    for family in list_families():
        folder = family.find_folder(name, on_progress=on_progress, access=access)
        if folder is not None:
            return folder
    raise ModelRefused(f"{ascii(name)[:80]}.", wanted="a name of a model.", remedy="choose one that a menu offers.")


def find_here(name: str) -> Path | None:
    """Folder of a model if it is on this machine, without fetching or building it; else None."""
    found = (family.find_here(name) for family in list_families())
    return next((folder for folder in found if folder is not None), None)


def load_folder(folder: Path, *, streamed: bool = False, device: str = CPU) -> Subject:
    """Load a checked model folder with the family that opens its configuration.

    Args:
        streamed: keep its layers in its files, and read one at a time.
        device: where it computes.

    Raises:
        ModelRefused: several families open it, or none; or it cannot be loaded so.
    """
    config = read_json(folder / "config.json", limit=CONFIG_BYTES)
    opening = [family for family in list_families() if family.opens(config)]
    special = [family for family in opening if not family.is_general]
    if len(special) > 1 or not opening:
        names = " and ".join(family.name for family in special)
        raise ModelRefused(
            f"{ascii(config.get('model_type'))[:60]} is opened by {names or 'no family of models'}.",
            wanted="a model that one family opens.",
            remedy="remove one of them." if names else "choose another model.",
        )
    if device == CPU:
        return opening[0].load_streamed(folder) if streamed else opening[0].load(folder)
    if streamed:
        raise ModelRefused(
            f"Device {ascii(device)[:40]} for a model whose layers are read from its files.",
            wanted="the CPU for a streamed model.",
            remedy="open it without one of the two.",
        )
    return opening[0].load_on(folder, device)
