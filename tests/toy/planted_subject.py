"""A family of subjects, as an installation may add it: one file that names a model, builds it, and opens it its own way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from audit_core.capability import HEADS, MEANS, Capability
from audit_core.references import Setting
from audit_core.subject import Subject
from audit_core.subjects.planted import PlantedFamily, PlantedModel
from audit_core.subjects.planted.induction import STRICT
from audit_core.subjects.transformer import load_transformer

_MARK = "of_an_installation"


def build(folder: Path, seed: int) -> None:
    STRICT.build(folder, seed)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {_MARK: True}))


MODEL = replace(STRICT, name="planted-elsewhere", title="Of an installation", build=build, claims=STRICT.claims[:1])


class Narrow:
    """Gives logits under interventions and means; what else the model inside could give, it does not."""

    def __init__(self, inner: Any) -> None:
        for name in (
            "identity", "geometry", "tokenizer", "tolerance", "fallback", "components", "count_work", "run",
            "capture_means", "activation_change_rms",
        ):  # fmt: skip
            setattr(self, name, getattr(inner, name))


@dataclass(frozen=True)
class ElsewhereFamily(PlantedFamily):
    name: str = "elsewhere"
    question: str = "What do audits find in a model that an installation adds?"
    planted: tuple[PlantedModel, ...] = (MODEL,)
    offers: Mapping[Setting, frozenset[Capability[Any]]] = field(
        default_factory=lambda: MappingProxyType({Setting.DENSE: frozenset({HEADS, MEANS})})
    )

    def opens(self, config: Mapping[str, Any]) -> bool:
        return config.get(_MARK) is True

    def load(self, folder: Path) -> Subject:
        narrow: Any = Narrow(load_transformer(folder))
        return narrow


PLUGIN = ElsewhereFamily()
