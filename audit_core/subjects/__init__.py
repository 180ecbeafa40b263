"""Plug-ins: families of subjects, one per file."""

from audit_core.subject_family import find_planted, list_planted
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask

__all__ = [
    "PlantedClaim",
    "PlantedModel",
    "PlantedRole",
    "PlantedTask",
    "find_planted",
    "list_planted",
]
