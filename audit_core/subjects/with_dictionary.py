"""Models that are opened with a sparse dictionary that ships: its features are components, for claims and circuits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.dictionaries.dictionary import SHIPPED, split_name
from audit_core.models import ModelAccess, find_known
from audit_core.models import Progress as FetchProgress
from audit_core.subject_family import ListedModel, SubjectFamily, find_folder, find_here


@dataclass(frozen=True)
class DictionaryFamily(SubjectFamily):
    """Names of models with a dictionary; the folder is the model's own, and `open_subject` adds the dictionary."""

    name: str = "with_dictionary"
    question: str = "What are the effects of the features of a sparse dictionary?"

    def list_models(self) -> tuple[ListedModel, ...]:
        # Without the model's own title, a part of which finds the model alone.
        return tuple(
            ListedModel(f"{model}+{name}", f"{model} with features of {name}", is_built=find_known(model) is None)
            for name, model in SHIPPED.items()
        )

    def find_folder(self, name: str, *, on_progress: FetchProgress | None, access: ModelAccess) -> Path | None:
        model, dictionary = split_name(name)
        return find_folder(model, on_progress=on_progress, access=access) if dictionary else None

    def find_here(self, name: str) -> Path | None:
        model, dictionary = split_name(name)
        return find_here(model) if dictionary else None


PLUGIN = DictionaryFamily()
