"""Models that are opened with a sparse dictionary: its features are components, for claims and circuits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.dictionaries.shelf import list_dictionaries, split_name
from audit_core.errors import ModelRefused
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
            ListedModel(
                f"{one.model}+{one.name}",
                f"{one.model} with features of {one.name}",
                is_built=find_known(one.model) is None,
            )
            for one in list_dictionaries()
        )

    def find_folder(self, name: str, *, on_progress: FetchProgress | None, access: ModelAccess) -> Path | None:
        model, dictionary = split_name(name)
        if dictionary:
            return find_folder(model, on_progress=on_progress, access=access)
        own, plus, missing = name.rpartition("+")
        if plus and any(own == one.model for one in list_dictionaries()):
            known = [one.name for one in list_dictionaries() if one.model == own]
            raise ModelRefused(
                f"No dictionary {missing[:60]!r} of the model {own[:60]}.", wanted=f"{', '.join(known)}.",
                remedy="name one of them after the plus sign, or none.",
            )  # fmt: skip
        return None

    def find_here(self, name: str) -> Path | None:
        model, dictionary = split_name(name)
        return find_here(model) if dictionary else None


PLUGIN = DictionaryFamily()
