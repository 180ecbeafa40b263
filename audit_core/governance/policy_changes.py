"""What differs between two policies, and whether each difference asks for more or for less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audit_core.governance.policy import Policy


class Direction(StrEnum):
    """What a change does to what evidence must reach."""

    STRICTER = "stricter"
    LAXER = "laxer"
    NEITHER = "neither"
    """Not comparable: another metric, another scope, a name or a reason."""


@dataclass(frozen=True)
class PolicyChange:
    """One value that differs, in the resolved form, where what a file leaves out has its default."""

    place: str
    """Keys joined by dots, such as `criteria.necessity.threshold`."""
    before: str
    """Empty where the earlier policy has no such value."""
    after: str
    direction: Direction


_MORE_IS_STRICTER = {"min_n", "min_templates", "min_gap_logit", "ci_level", "preparer_ne_reviewer", "reviewer_ne_approver"}  # fmt: skip
_LESS_IS_STRICTER = {"alpha", "max_waivers", "waiver_max_days", "max_age_days", "days"}


def compare_policies(before: Policy, after: Policy) -> tuple[PolicyChange, ...]:
    """Every difference but the file's layout, in the order of the earlier policy, then what is new."""
    old, new = (dict(_flatten(policy.resolved())) for policy in (before, after))
    places = list(dict.fromkeys((*old, *new)))
    return tuple(
        PolicyChange(
            ".".join(place), _show(old.get(place)), _show(new.get(place)), _judge(place, old, new)
        )
        for place in places
        if old.get(place) != new.get(place)
    )  # fmt: skip


Place = tuple[str, ...]


def _flatten(table: Mapping[str, Any], above: Place = ()) -> Iterator[tuple[Place, Any]]:
    for key, value in table.items():
        place = (*above, key)
        if isinstance(value, Mapping):
            yield from _flatten(value, place)
        elif place == ("findings", "severities"):
            yield from (((*place, one["name"], "days"), one["days"]) for one in value)
        elif place[0] == "gate" and key in ("required", "optional"):
            # Each criterion by itself: a list of twelve names would hide which one is gone.
            yield from (((*place, name), True) for name in value)
        else:
            yield place, value


def _judge(place: Place, old: Mapping[Place, Any], new: Mapping[Place, Any]) -> Direction:
    before, after, key = old.get(place), new.get(place), place[-1]
    if place[:2] == ("gate", "required"):
        return Direction.STRICTER if after else Direction.LAXER
    if place[0] in ("criteria", "answers") and _is_other_question(place[:2], old, new):
        return Direction.NEITHER
    if key == "threshold":
        is_least = new.get((*place[:2], "op")) == ">="
        return _order(after, before) if is_least else _order(before, after)
    if key == "bound":
        return Direction.LAXER if after == "estimate" else Direction.STRICTER
    if key == "method":
        return Direction.LAXER if after == "none" else Direction.STRICTER
    if key == "over_ablations":
        return _order_sets(before, after)
    if key in _MORE_IS_STRICTER:
        return _order(after or 0, before or 0)
    if key in _LESS_IS_STRICTER and before is not None and after is not None:
        return _order(before, after)
    return Direction.NEITHER


def _is_other_question(criterion: Place, old: Mapping[Place, Any], new: Mapping[Place, Any]) -> bool:
    """Whether the criterion is new, gone, or reads another number: its values are then not compared one by one."""
    names = ("metric", "audit", "number", "op")
    return any(old.get((*criterion, name)) != new.get((*criterion, name)) for name in names)


def _order(more: Any, less: Any) -> Direction:
    return Direction.STRICTER if more > less else Direction.LAXER


def _order_sets(before: Any, after: Any) -> Direction:
    if before is None or after is None:
        return Direction.NEITHER
    earlier, later = set(before), set(after)
    return Direction.STRICTER if earlier < later else Direction.LAXER if later < earlier else Direction.NEITHER


def _show(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
