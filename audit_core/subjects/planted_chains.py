"""Planted chain models, whose way from a text with steps to the answer is known; see `planted.chains`."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.subjects.planted import PlantedFamily
from audit_core.subjects.planted.chains import CHAINS
from audit_core.subjects.planted.key import PlantedModel


@dataclass(frozen=True)
class ChainFamily(PlantedFamily):
    name: str = "planted_chains"
    question: str = "What does an audit of steps find if the way to the answer is known?"
    planted: tuple[PlantedModel, ...] = CHAINS


PLUGIN = ChainFamily()
