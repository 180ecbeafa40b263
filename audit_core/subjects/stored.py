"""Models from files: fetched or shipped by name, in a folder, or on the hub."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from audit_core.models import (
    KNOWN_MODELS,
    SHIPPED_MODELS,
    ModelAccess,
    Progress,
    find_known,
    find_shipped,
    resolve_model,
)
from audit_core.models.edited import find_edited, find_edited_here
from audit_core.models.fetch import find_cached
from audit_core.subject_family import ListedModel, SubjectFamily


@dataclass(frozen=True)
class StoredFamily(SubjectFamily):
    name: str = "stored"
    question: str = "What do audits find in a model from files?"
    is_general: bool = True

    def list_models(self) -> tuple[ListedModel, ...]:
        fetched = tuple(ListedModel(model.name, model.title) for model in KNOWN_MODELS)
        return (*fetched, *(ListedModel(model.name, model.title) for model in SHIPPED_MODELS))

    def find_folder(self, name: str, *, on_progress: Progress | None, access: ModelAccess) -> Path:
        return resolve_model(name, on_progress, access)

    def find_here(self, name: str) -> Path | None:
        if (known := find_known(name)) is not None:
            return find_cached(known)
        if find_edited(name) is not None:
            return find_edited_here(name)
        if (shipped := find_shipped(name)) is not None:
            return shipped.folder
        folder = Path(os.path.expanduser(name))
        return folder if (folder / "config.json").is_file() else None


PLUGIN = StoredFamily()
