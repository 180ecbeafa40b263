"""Planted models: weights are set by hand, so that the ground truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.engine.threads import MODEL_LOCK
from audit_core.models import model_cache
from audit_core.subjects.planted.conditional import DOSE, GATE, MODES, SUPPRESSED
from audit_core.subjects.planted.encoder_decoder import ENCODER_DECODER
from audit_core.subjects.planted.induction import INDUCTION, LEAK, STRICT
from audit_core.subjects.planted.key import PlantedModel
from audit_core.subjects.planted.llama import LLAMA
from audit_core.subjects.planted.mixture import MIXTURES
from audit_core.subjects.planted.pairs import AND, CANCELLING, OR
from audit_core.subjects.transformer import TransformerSubject, load_transformer

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
)
"""Models whose claims are about attention heads."""
PLANTED_MODELS = (*ATTENTION_MODELS, *MIXTURES, ENCODER_DECODER)
WEIGHTS_VERSION = 1
"""Part of each cache folder's name; increase it when a build writes different bytes."""


def find_planted(name: str) -> PlantedModel | None:
    """The planted model of this name, or None."""
    return next((model for model in PLANTED_MODELS if model.name == name), None)


def build_planted(model: PlantedModel, seed: int = 0) -> Path:
    """Folder of a planted model, built if missing."""
    folder = model_cache() / f"{model.name}-seed{seed}-v{WEIGHTS_VERSION}"
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with MODEL_LOCK:
            model.build(folder, seed)
    return folder


@dataclass(frozen=True)
class PlantedFamily:
    name: str = "planted"
    question: str = "What do audits find if the ground truth is known?"

    def load(self, folder: Path) -> TransformerSubject:
        return load_transformer(folder)


PLUGIN = PlantedFamily()
