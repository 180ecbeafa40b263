"""Governance map: what attention can show per architecture, which evidence to demand, and which audits provide it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from audit_core.data_folder import DATA
from audit_core.errors import Refused
from audit_core.references.model_class import Setting
from audit_core.registry import list_plugins
from audit_core.verifier.schema import find_violation
from audit_core.verifier.schema_words import DATE, ID, TEXT, WORDS, Schema, list_of, one_of, record
from audit_core.verifier.strict_json import NotStrictJson, load_strict

SHIPPED_MAP = DATA / "governance/map.json"


class Coverage(StrEnum):
    """How much of a demanded kind of evidence the audits here provide."""

    WHOLE = "whole"
    PART = "part"
    NONE = "none"


COVERAGE_WORDS = {Coverage.WHOLE: "covered", Coverage.PART: "covered in part", Coverage.NONE: "not available here"}


@dataclass(frozen=True)
class Source:
    """A cited source."""

    id: str
    title: str
    by: str
    note: str


@dataclass(frozen=True)
class Demand:
    """One kind of evidence to demand."""

    id: str
    text: str
    coverage: Coverage
    audits: tuple[str, ...]
    """Keys of audits; empty if the coverage is none."""
    note: str


@dataclass(frozen=True)
class Architecture:
    """One row of the map: an architecture or a system property."""

    id: Setting
    title: str
    kind: str
    """`model`: read from the configuration; `system`: declared by a person."""
    source: str
    reveals: str
    misses: str
    reality: str
    attention_can: str
    demands: tuple[Demand, ...]


@dataclass(frozen=True)
class AttentionUse:
    """A use of attention, and where it occurs."""

    id: str
    text: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class GovernanceMap:
    """The content of a governance map file."""

    as_of: str
    sources: tuple[Source, ...]
    rule: str
    architectures: tuple[Architecture, ...]
    acceptable: tuple[AttentionUse, ...]
    unsafe: tuple[AttentionUse, ...]

    def find(self, setting: Setting) -> Architecture:
        return next(row for row in self.architectures if row.id is setting)


@dataclass(frozen=True)
class AuditFit:
    """Whether an audit runs on a model of these classes."""

    audit: str
    question: str
    demands: tuple[str, ...]
    """What the audit demands of a model."""
    missing: tuple[str, ...]
    """Of these, what no model of these classes gives; all of them if no class can be opened."""
    applies: bool


@dataclass(frozen=True)
class CapabilityMatrix:
    """Applicable audits and evidence to demand for a model in its system."""

    audits: tuple[AuditFit, ...]
    demands: tuple[tuple[Setting, Demand], ...]


_DEMAND = record(
    {"id": ID, "text": WORDS, "coverage": one_of(*Coverage), "audits": list_of(ID, most=100), "note": TEXT}
)
_USES = list_of(record({"id": ID, "text": WORDS, "settings": list_of(one_of(*Setting), least=1)}), least=1)
_TEXTS = ("title", "source", "reveals", "misses", "reality", "attention_can")
_MAP: Schema = record(
    {
        "schema": {"const": "assay/governance/1"},
        "as_of": DATE,
        "sources": list_of(record({"id": ID, "title": WORDS, "by": WORDS, "note": TEXT}), least=1),
        "rule": WORDS,
        "architectures": list_of(
            record(
                {"id": one_of(*Setting), "kind": one_of("model", "system"), **dict.fromkeys(_TEXTS, WORDS)}
                | {"demands": list_of(_DEMAND, least=1)},
                # Of former maps; the audits themselves now declare what they demand of a model.
                {"audits": list_of(ID, most=100)},
            ),
            least=1,
        ),
        "uses": record({"acceptable": _USES, "unsafe": _USES}),
    }
)


def load_governance_map(path: Path | None = None) -> GovernanceMap:
    """Read a map; by default the shipped one.

    Raises:
        Refused: not strict JSON, not the format of docs/reference/governance.md, or naming audits that do not exist.
    """
    return _load_shipped() if path is None else parse_governance_map(path.read_bytes(), path.name)


def parse_governance_map(data: bytes, name: str = "map.json") -> GovernanceMap:
    """Read a map from bytes; see `load_governance_map`."""
    try:
        document = load_strict(data)
    except NotStrictJson as error:
        raise _refuse(name, str(error)) from error
    if found := find_violation(document, _MAP):
        raise _refuse(name, found)
    made = GovernanceMap(
        document["as_of"],
        tuple(Source(**row) for row in document["sources"]),
        document["rule"],
        tuple(_read_architecture(row) for row in document["architectures"]),
        *(tuple(_read_use(row) for row in document["uses"][name]) for name in ("acceptable", "unsafe")),
    )
    if wrong := _find_contradiction(made):
        raise _refuse(name, wrong)
    return made


def list_capabilities(settings: Sequence[Setting], chart: GovernanceMap | None = None) -> CapabilityMatrix:
    """Return applicable audits and evidence to demand, for a model of these classes in a system with these properties.

    An audit applies if models of every class give what it demands: an encoder–decoder with experts has the audits common
    to both. Families in `subjects/` declare what models of a class give.
    """
    chart = chart or load_governance_map()
    rows = [chart.find(setting) for setting in settings]
    given = [_list_given(row.id) for row in rows if row.kind == "model"]
    can_open = bool(given) and all(one is not None for one in given)
    offered = frozenset.intersection(*(one or frozenset() for one in given)) if given else frozenset()
    return CapabilityMatrix(
        tuple(_fit(name, plugin, offered, can_open) for name, plugin in list_plugins("audits").items()),
        tuple((row.id, demand) for row in rows for demand in row.demands),
    )


def _list_given(setting: Setting) -> frozenset[str] | None:
    """Names of what models of a class give; None if no family opens such a model."""
    families = [family for family in list_plugins("subjects").values() if setting in family.offers]
    return frozenset(one.name for family in families for one in family.offers[setting]) if families else None


def _fit(name: str, plugin: Any, offered: frozenset[str], can_open: bool) -> AuditFit:
    demands = tuple(demand.name for demand in plugin.demands)
    missing = tuple(demand for demand in demands if demand not in offered)
    return AuditFit(name, plugin.question, demands, missing, can_open and not missing)


@cache
def _load_shipped() -> GovernanceMap:
    return load_governance_map(SHIPPED_MAP)


def _read_architecture(row: dict[str, Any]) -> Architecture:
    demands = tuple(
        Demand(**demand | {"coverage": Coverage(demand["coverage"]), "audits": tuple(demand["audits"])})
        for demand in row["demands"]
    )
    texts = {name: text for name, text in row.items() if name != "audits"}
    return Architecture(**texts | {"id": Setting(row["id"]), "demands": demands})


def _read_use(row: dict[str, Any]) -> AttentionUse:
    return AttentionUse(row["id"], row["text"], tuple(Setting(one) for one in row["settings"]))


def _find_contradiction(made: GovernanceMap) -> str:
    """Check rules that a schema cannot express; returns the first violation, or an empty text."""
    known, sources = set(list_plugins("audits")), {source.id for source in made.sources}
    if [row.id for row in made.architectures] != list(Setting):
        return f"its architectures are not {', '.join(Setting)}, each once and in this order"
    for row in made.architectures:
        if row.source not in sources:
            return f"{row.id} names the source {row.source}, which is not listed"
        for demand in row.demands:
            if (demand.coverage is Coverage.NONE) != (not demand.audits):
                return f"{row.id}, {demand.id}: coverage {demand.coverage} with {len(demand.audits)} audits"
        named = {audit for demand in row.demands for audit in demand.audits}
        if unknown := sorted(named - known):
            return f"{row.id} names the audit {unknown[0]}, which does not exist"
    return ""


def _refuse(name: str, found: str) -> Refused:
    return Refused(
        f"{name}: {found}.",
        wanted="a governance map in the format of docs/reference/governance.md.",
        remedy="fix the file; a demand without audits has coverage none.",
    )
