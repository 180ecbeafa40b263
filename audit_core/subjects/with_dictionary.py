"""Models that are opened with a sparse dictionary that ships: its features are components, for claims and circuits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from audit_core.capability import FEATURES, Capability, components_of
from audit_core.component import Kind
from audit_core.dictionary import SHIPPED, split_name
from audit_core.models import ModelAccess, find_known
from audit_core.models import Progress as FetchProgress
from audit_core.references.model_class import Setting
from audit_core.subject_family import ListedModel, SubjectFamily, find_folder, find_here

_OFFERS: Mapping[Setting, frozenset[Capability[Any]]] = MappingProxyType(
    {Setting.DENSE: frozenset((FEATURES, components_of(Kind.FEATURE)))}
)


@dataclass(frozen=True)
class DictionaryFamily(SubjectFamily):
    """Names of models with a dictionary; the folder is the model's own, and `open_subject` adds the dictionary."""

    name: str = "with_dictionary"
    question: str = "What are the effects of the features of a sparse dictionary?"
    offers: Mapping[Setting, frozenset[Capability[Any]]] = field(default_factory=lambda: _OFFERS)

    def list_models(self) -> tuple[ListedModel, ...]:
        known = {model: find_known(model) for model in SHIPPED.values()}
        return tuple(
            ListedModel(
                f"{model}+{dictionary}",
                f"{model if (found := known[model]) is None else found.title} with features of {dictionary}",
                is_built=known[model] is None,
            )
            for dictionary, model in SHIPPED.items()
        )

    def find_folder(self, name: str, *, on_progress: FetchProgress | None, access: ModelAccess) -> Path | None:
        model, dictionary = split_name(name)
        return find_folder(model, on_progress=on_progress, access=access) if dictionary else None

    def find_here(self, name: str) -> Path | None:
        model, dictionary = split_name(name)
        return find_here(model) if dictionary else None


PLUGIN = DictionaryFamily()
