"""Find numbers of an audit's result by the path that a policy gives, such as `labels[label=grounded].share`."""

from __future__ import annotations

import re
from typing import Any

_STEP = re.compile(r"(?P<name>[\w-]+)(\[(?P<pick>[^\[\]]+)\])?")
_PARTS = {"value", "low", "high", "n", "unit", "level"}
_MOST_ITEMS = 1_000


def find_answer_numbers(result: Any, path: str) -> list[dict[str, Any]]:
    """Return rows as `metrics.json` has them: a number with its interval, or the reason why there is none; at least one.

    Args:
        result: the parsed result of an audit.
        path: names joined by dots. After the name of a list, `[KEY=VALUE]` picks the one item whose field has that text or
            number, and `[*]` takes every item.
    """
    found = [result]
    for step in path.split("."):
        found = [inner for one in found for inner in _follow_step(one, step)]
    if not 0 < len(found) <= _MOST_ITEMS:
        return [{"estimate": None, "reason": f"the result has {len(found) or 'no'} numbers at {path}"}]
    return [_read_number(one, path) for one in found]


def list_answer_fields(path: str) -> tuple[str, ...]:
    """Return the names of the fields on a path, without the choice of items."""
    return tuple(step.partition("[")[0] for step in path.split("."))


def _follow_step(found: Any, step: str) -> list[Any]:
    parts = _STEP.fullmatch(step)
    if parts is None or not isinstance(found, dict) or parts["name"] not in found:
        return []
    inner = found[parts["name"]]
    if parts["pick"] is None:
        return [inner]
    items = [item for item in inner if isinstance(item, dict)] if isinstance(inner, list) else []
    if parts["pick"] == "*":
        return items
    key, _, wanted = parts["pick"].partition("=")
    matching = [item for item in items if key in item and str(item[key]) == wanted]
    # Two items with the name that a policy gives are not the one that it means.
    return matching if len(matching) == 1 else []


def _read_number(found: Any, path: str) -> dict[str, Any]:
    if not isinstance(found, dict) or not found.keys() >= _PARTS:
        return {"estimate": None, "reason": f"not measured: the result has no estimate at {path}"}
    templates = found.get("templates")
    return {
        "estimate": found["value"],
        "ci_low": found["low"],
        "ci_high": found["high"],
        "ci_level": found["level"],
        "n": found["n"],
        # Without clusters, n counts independent units.
        "n_templates": found["n"] if templates is None else templates,
        "unit": found["unit"],
        "reason": None,
    }
