"""Plug-ins: families of subjects, one per file."""

from audit_core.subjects.planted import PLANTED_MODELS, find_planted
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask

__all__ = [
    "PLANTED_MODELS",
    "PlantedClaim",
    "PlantedModel",
    "PlantedRole",
    "PlantedTask",
    "find_planted",
]
