"""Planted models: weights are set by hand, so that the ground truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.engine.threads import MODEL_LOCK, import_libraries
from audit_core.models import ModelAccess, Progress, model_cache
from audit_core.subject_family import ListedModel, SubjectFamily, find_planted
from audit_core.subjects.planted.conditional import DOSE, GATE, MODES, SUPPRESSED
from audit_core.subjects.planted.encoder_decoder import ENCODER_DECODER
from audit_core.subjects.planted.induction import INDUCTION, LEAK, STRICT
from audit_core.subjects.planted.key import PlantedModel
from audit_core.subjects.planted.llama import LLAMA
from audit_core.subjects.planted.mixture import MIXTURES
from audit_core.subjects.planted.pairs import AND, CANCELLING, OR
from audit_core.subjects.planted.shared_path import SHARED_PATHS
from audit_core.subjects.planted.traps import TRAPS

ATTENTION_MODELS: tuple[PlantedModel, ...] = (
    INDUCTION,
    STRICT,
    LEAK,
    AND,
    OR,
    CANCELLING,
    MODES,
    GATE,
    DOSE,
    SUPPRESSED,
    LLAMA,
    *TRAPS,
)
"""Models whose claims are about attention heads."""
__all__ = ["ATTENTION_MODELS", "PLANTED_MODELS", "PlantedFamily", "PlantedModel", "build_planted", "find_planted"]

PLANTED_MODELS = (*ATTENTION_MODELS, *MIXTURES, *SHARED_PATHS, ENCODER_DECODER)
WEIGHTS_VERSION = 2
"""Part of each cache folder's name; increase it when a build writes different bytes."""


def build_planted(model: PlantedModel, seed: int = 0) -> Path:
    """Folder of a planted model, built if missing."""
    folder = _name_folder(model, seed)
    if not (folder / "config.json").exists():
        import_libraries()
        folder.mkdir(parents=True, exist_ok=True)
        with MODEL_LOCK:
            model.build(folder, seed)
    return folder


def _name_folder(model: PlantedModel, seed: int) -> Path:
    return model_cache() / f"{model.name}-seed{seed}-v{WEIGHTS_VERSION}"


@dataclass(frozen=True)
class PlantedFamily(SubjectFamily):
    """Models that are built here; another file in `subjects/` may declare one with models of its own."""

    name: str = "planted"
    question: str = "What do audits find if the ground truth is known?"
    planted: tuple[PlantedModel, ...] = PLANTED_MODELS

    def list_models(self) -> tuple[ListedModel, ...]:
        return tuple(ListedModel(model.name, model.title, is_built=True) for model in self.planted)

    def find_folder(self, name: str, *, on_progress: Progress | None, access: ModelAccess) -> Path | None:
        return next((build_planted(model) for model in self.planted if model.name == name), None)

    def find_here(self, name: str) -> Path | None:
        folders = [_name_folder(model, 0) for model in self.planted if model.name == name]
        return next((folder for folder in folders if (folder / "config.json").is_file()), None)


PLUGIN = PlantedFamily()
