"""Lays out any result by its type: rows of estimates, tables, and facts, each with its kind of evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from audit_core.controls import Controls
from audit_core.evidence.kind import EACH, Evidence, Node, read_evidence
from audit_core.stats.estimates import Estimate
from audit_core.stats.groups import GroupEstimates
from audit_core.stats.measurement import Conditions, Measurement

_LISTED = 24
"""Longest list of texts that is a fact and not a table."""
_OUTSIDE = "conditions"
ESTIMATES = "every estimate"
ESTIMATE_COLUMNS = ("what", "value", "low", "high", "n", "unit", "evidence", "conditions")


@dataclass(frozen=True)
class Fact:
    """A text or a plain number."""

    name: str
    text: str
    kinds: tuple[Evidence, ...]

    @property
    def is_sentence(self) -> bool:
        """Whether it reads by itself."""
        return " " in self.text and self.text.endswith(".")


@dataclass(frozen=True)
class EstimateRow:
    """One estimate."""

    name: str
    estimate: Estimate
    conditions: str
    """What it depends on, in words; empty where the result has it elsewhere."""
    kinds: tuple[Evidence, ...]


@dataclass(frozen=True)
class Sheet:
    """Values of a list, one row each."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    kinds: tuple[Evidence, ...]


@dataclass(frozen=True)
class ResultLayout:
    """A result, laid out."""

    facts: tuple[Fact, ...]
    estimates: tuple[EstimateRow, ...]
    sheets: tuple[Sheet, ...]
    controls: tuple[Controls, ...]

    @property
    def unit(self) -> str:
        """Unit that the result gives for its plain numbers; empty without one."""
        return next((fact.text for fact in self.facts if fact.name == "unit"), "")

    @property
    def groups(self) -> tuple[tuple[EstimateRow, ...], ...]:
        """Estimates of one unit and one kind of evidence each, in order of appearance."""
        found: dict[tuple[str, tuple[Evidence, ...]], list[EstimateRow]] = {}
        for row in self.estimates:
            found.setdefault((row.estimate.unit, row.kinds), []).append(row)
        return tuple(map(tuple, found.values()))


def list_kinds_of_evidence(result: type) -> tuple[Evidence, ...]:
    """Kinds of evidence that a result contains."""
    return _flatten(read_evidence(result))


def lay_out(result: Any) -> ResultLayout:
    """Lay out a result.

    Raises:
        TypeError: it has numbers without a declared kind of evidence.
    """
    parts = list(_visit(result, (), read_evidence(type(result))))
    return ResultLayout(
        tuple(part for part in parts if isinstance(part, Fact)),
        tuple(part for part in parts if isinstance(part, EstimateRow)),
        tuple(part for part in parts if isinstance(part, Sheet)),
        tuple(part for part in parts if isinstance(part, Controls)),
    )


def list_sheets(layout: ResultLayout) -> tuple[Sheet, ...]:
    """All numbers of a layout: a table of its estimates, if it has any, and its lists."""
    rows = tuple(
        (
            row.name, row.estimate.value, row.estimate.low, row.estimate.high, row.estimate.n, row.estimate.unit,
            ", ".join(row.kinds), row.conditions,
        )
        for row in layout.estimates
    )  # fmt: skip
    kinds = tuple(dict.fromkeys(kind for row in layout.estimates for kind in row.kinds))
    estimates = (Sheet(ESTIMATES, ESTIMATE_COLUMNS, rows, kinds),) if rows else ()
    return (*estimates, *layout.sheets)


def _visit(value: Any, keys: tuple[str, ...], node: Node) -> Iterator[Fact | EstimateRow | Sheet | Controls]:
    name, kinds = ", ".join(key.replace("_", " ") for key in keys), _flatten(node)
    if value is None or value == "" or value == ():
        return
    if isinstance(value, Controls):
        yield value
    elif isinstance(value, Estimate):
        yield EstimateRow(name, value, "", kinds)
    elif isinstance(value, Measurement):
        yield EstimateRow(name, value.estimate, f"{value.conditions.ablation}, {value.conditions.set}", kinds)
    elif isinstance(value, Conditions):
        yield Fact(name, _join_pairs(value.as_pairs()), ())
    elif isinstance(value, GroupEstimates):
        for group, estimate in zip(value.names, value.estimates, strict=True):
            yield EstimateRow(f"{name}, {group}", estimate, "", kinds)
        if value.untested:
            yield Fact(f"{name}, untested", ", ".join(value.untested), ())
    elif is_dataclass(value):
        for field in fields(value):
            yield from _visit(getattr(value, field.name), (*keys, field.name), _step(node, field.name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _visit(inner, (*keys, str(key)), _step(node, str(key)))
    elif isinstance(value, tuple):
        yield _list(name, value, kinds)
    else:
        yield Fact(name, f"{value:.3g}" if isinstance(value, float) else str(value), kinds)


def _list(name: str, values: tuple[Any, ...], kinds: tuple[Evidence, ...]) -> Fact | Sheet:
    if all(isinstance(value, str) for value in values) and len(values) <= _LISTED:
        return Fact(name, ", ".join(values), kinds)
    if all(isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) for value in values):
        return Fact(name, _join_pairs(values), kinds)
    cells = [_tabulate(value, "") for value in values]
    if not is_dataclass(values[0]) or isinstance(values[0], Estimate):
        cells = [{"number": at, **row} for at, row in enumerate(cells)]
    columns = tuple(dict.fromkeys(column for row in cells for column in row))
    return Sheet(name, columns, tuple(tuple(row.get(column) for column in columns) for row in cells), kinds)


def _tabulate(value: Any, name: str) -> dict[str, Any]:
    """Cells of one value in a row, by column."""
    if isinstance(value, Measurement):
        value = value.estimate
    if isinstance(value, Estimate):
        parts = {"": value.value, "low": value.low, "high": value.high, "n": value.n, "unit": value.unit}
        return {f"{name} {part}".strip() or "value": cell for part, cell in parts.items()}
    if is_dataclass(value):
        found: dict[str, Any] = {}
        for field in fields(value):
            if field.name != _OUTSIDE:
                found |= _tabulate(getattr(value, field.name), f"{name} {field.name.replace('_', ' ')}".strip())
        return found
    if isinstance(value, tuple) and not name:
        return {str(at): inner for at, inner in enumerate(value)}
    if isinstance(value, tuple):
        return {name: ", ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in value)}
    return {name or "value": value}


def _join_pairs(pairs: Sequence[Any]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in pairs)


def _step(node: Node, key: str) -> Node:
    return node.get(key, node.get(EACH)) if isinstance(node, Mapping) else node


def _flatten(node: Node) -> tuple[Evidence, ...]:
    if isinstance(node, Mapping):
        return tuple(dict.fromkeys(kind for inner in node.values() for kind in _flatten(inner)))
    return () if node is None else (node,)
