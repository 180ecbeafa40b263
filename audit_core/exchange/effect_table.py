"""Estimates of a result as one flat table: each row with its unit, interval, n and kind of evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from audit_core.audits.sweep import SweepResult
from audit_core.errors import Refused
from audit_core.evidence.kind import EACH, Evidence, Node, read_evidence
from audit_core.exchange.logged_result import read_result
from audit_core.models import ModelIdentity
from audit_core.request import Request, describe_request
from audit_core.run import identify_run
from audit_core.stats.estimates import Estimate
from audit_core.stats.groups import GroupEstimates
from audit_core.stats.measurement import Measurement
from audit_core.store.log.run_log import RunRecord

FORMAT = "assay effects 1"
MAX_ROWS, MAX_TEXT = 200_000, 300
_MAX_N = 2**53
PRIVATE = ("folder", "environment", "pairs", "skeletons")
"""Parts of a run's identity that stay in the local log, as in packs."""
_SCREENED = "screened.support"
"""Estimates of a sweep, in the order of its components."""
_NAMES = ("component", "connection", "name")
"""Fields that say what a row of a result is about, first found."""
COLUMNS: Mapping[str, tuple[str, str]] = {
    "item": ("text", "Component, connection or group that the number is about; empty: the whole run."),
    "quantity": ("text", "Field of the result."),
    "value": ("number", "Point estimate, in the row's unit."),
    "low": ("number", "Lower end of the interval, in the row's unit; empty without an interval."),
    "high": ("number", "Upper end of the interval, in the row's unit; empty without an interval."),
    "level": ("number", "Confidence level of the interval, from 0 to 1; empty without an interval."),
    "n": ("whole number", "Prompts behind the number."),
    "templates": ("whole number", "Independent clusters behind the interval; empty where n counts independent units."),
    "unit": ("text", "Unit of value, low and high."),
    "badge": ("text", "observational (read without intervening), estimated (approximated) or causal (measured by intervening)."),
    "adjusted_p": ("number", "p-value of the item, Benjamini–Hochberg over all items of the run; no unit; empty where none was computed."),
}  # fmt: skip
"""Column → its type and meaning."""
_BADGES = tuple(kind.value for kind in Evidence)


@dataclass(frozen=True)
class EffectRow:
    """One estimate."""

    item: str
    quantity: str
    value: float
    low: float | None
    high: float | None
    level: float | None
    n: int
    templates: int | None
    unit: str
    badge: str
    adjusted_p: float | None = None

    def find_fault(self) -> str:
        """What no estimate can have; empty if nothing."""
        if None in (self.item, self.quantity, self.value, self.n, self.unit, self.badge):
            return "an empty cell"
        if max(map(len, (self.item, self.quantity, self.unit))) > MAX_TEXT:
            return f"a text of more than {MAX_TEXT} characters"
        numbers = [
            number for number in (self.value, self.low, self.high, self.level, self.adjusted_p) if number is not None
        ]
        if not all(abs(number) <= 1e300 for number in numbers):
            return "a number that is not finite"
        if (self.low is None) != (self.high is None) or (self.low is None) != (self.level is None):
            return "an interval without an end or a level"
        if self.low is not None and self.high is not None and self.low > self.high:
            return f"an interval from {self.low:g} to {self.high:g}"
        if self.badge not in _BADGES:
            return f"the badge {self.badge[:30]!a}; wanted {', '.join(_BADGES)}"
        if not 1 <= self.n <= _MAX_N or not self.unit:
            return f"no unit, or n = {self.n}"
        if self.templates is not None and not 1 <= self.templates <= self.n:
            return f"{self.templates} templates of {self.n} prompts"
        for name, number in (("level", self.level), ("adjusted_p", self.adjusted_p)):
            if number is not None and not 0 <= number <= 1:
                return f"{name} {number:g}"
        return ""


@dataclass(frozen=True)
class EffectTable:
    """Estimates of one run."""

    rows: tuple[EffectRow, ...]
    about: str
    """JSON object: format, audit, and what the run was of: model, prompts, request, versions."""


def tabulate_run(record: RunRecord) -> EffectTable:
    """Estimates of a run of the log.

    Raises:
        Refused: it has no result, or a result without estimates.
    """
    request = json.loads(record.request)
    about = {
        "audit": record.kind, "run_id": record.run_id, "started_at": record.started_at, "model": record.model_digest,
        "prompts_sha256": record.prompts_sha256, "request": request, "identity": _publish(json.loads(record.identity)),
    }  # fmt: skip
    return tabulate_result(read_result(record), about)


def tabulate_result(result: Any, about: Mapping[str, Any]) -> EffectTable:
    """Estimates of a result; values for single prompts are left out.

    Args:
        about: what the run was of, as plain values for JSON.

    Raises:
        Refused: it has no estimate.
    """
    rows = tuple(_visit(result, "", (), read_evidence(type(result)), None))
    if isinstance(result, SweepResult):
        names = {str(at): cell.component for at, cell in enumerate(result.cells)}
        rows = tuple(replace(row, item=names[row.item]) if row.quantity == _SCREENED else row for row in rows)
    if not rows:
        raise Refused(
            "A result without estimates.", wanted="a run of an audit that measures effects, such as sweep or ablation.",
            remedy="`log export` has the whole result as JSON.",
        )  # fmt: skip
    return EffectTable(rows, json.dumps({"format": FORMAT, **about}))


def describe_asked(audit: str, identity: ModelIdentity, request: Request) -> dict[str, Any]:
    """What a result on a page is of, as `tabulate_run` says it of a logged run."""
    return {
        "audit": audit, "model": identity.short, "prompts_sha256": request.prompts.sha256,
        "request": describe_request(request), "identity": _publish(identify_run(identity, request)),
    }  # fmt: skip


def _publish(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity without what names this machine or digests single texts."""
    return {key: value for key, value in identity.items() if key not in PRIVATE}


def _visit(value: Any, item: str, keys: tuple[str, ...], node: Node, adjusted: float | None) -> Iterator[EffectRow]:
    if isinstance(value, Measurement):
        value = value.estimate
    if isinstance(value, Estimate):
        yield _make_row(value, item, keys, node, adjusted)
    elif isinstance(value, GroupEstimates):
        for group, estimate in zip(value.names, value.estimates, strict=True):
            yield _make_row(estimate, group, keys, node, None)
    elif is_dataclass(value):
        own = next((str(getattr(value, name)) for name in _NAMES if isinstance(getattr(value, name, None), str)), item)
        p = getattr(value, "adjusted_p", None)
        for field in fields(value):
            yield from _visit(getattr(value, field.name), own, (*keys, field.name), _step(node, field.name), p)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _visit(inner, item, (*keys, str(key)), _step(node, str(key)), None)
    elif isinstance(value, tuple):
        for at, inner in enumerate(value):
            is_plain = isinstance(inner, Estimate | Measurement)
            yield from _visit(inner, f"{at}" if is_plain else item, keys, node, None)


def _make_row(found: Estimate, item: str, keys: tuple[str, ...], node: Node, adjusted: float | None) -> EffectRow:
    assert isinstance(node, Evidence), f"{keys} has no declared kind of evidence"
    return EffectRow(
        item, ".".join(keys), found.value, found.low, found.high, found.level, found.n, found.templates, found.unit,
        node.value, adjusted,
    )  # fmt: skip


def _step(node: Node, key: str) -> Node:
    return node.get(key, node.get(EACH)) if isinstance(node, Mapping) else node
