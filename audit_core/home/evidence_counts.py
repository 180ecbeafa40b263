"""Count of each crosswalk evidence item in a data directory, and the page or command that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from audit_core.references.crosswalk import Crosswalk, EvidenceItem
from audit_core.references.crosswalk_file import load_crosswalk
from audit_core.registry import list_plugins
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events


@dataclass(frozen=True)
class EvidenceCount:
    """One evidence item with its count in one data directory."""

    item: EvidenceItem
    place: str
    """Page or command; empty where Assay has no such evidence."""
    count: int | None
    """Number in the data directory; None where it is not stored there."""
    what: str
    """The counted kind, or why there is no count."""


@dataclass(frozen=True)
class _Place:
    place: str
    what: str
    count: Callable[[Mapping[str, int], Mapping[str, int]], int] | None = None
    """Count from events by action and finished runs by kind."""


def _count_events(*actions: Action) -> Callable[[Mapping[str, int], Mapping[str, int]], int]:
    return lambda events, runs: sum(events[action] for action in actions)


def _count_results(item: str) -> Callable[[Mapping[str, int], Mapping[str, int]], int]:
    """Count runs of the audits that declare this evidence item."""
    return lambda events, runs: sum(
        runs[key] for key, audit in list_plugins("audits").items() if item in audit.counts_as
    )


_PLACES = {
    "claims_register": _Place("Claims", "claims registered", _count_events(Action.CLAIM_REGISTERED)),
    "preregistration": _Place("Claims", "plans frozen", _count_events(Action.PREREG_FROZEN)),
    "deviation_log": _Place(
        "Claims", "changes to frozen plans", _count_events(Action.PREREG_AMENDED, Action.PREREG_DEVIATED)
    ),
    "run_manifest": _Place("Audit log, evidence pack", "runs that ended", _count_events(Action.RUN_ENDED)),
    "causal_results": _Place("Live audit, Sweep, Circuit, Claims", "runs with a result", _count_results("causal_results")),
    "test_of_the_test": _Place("Circuit, Claims", "runs with a result", _count_results("test_of_the_test")),
    "stability_transfer": _Place("Circuit, Claims", "runs with a result", _count_results("stability_transfer")),
    "calibration": _Place("Calibration", "ships with the product, not stored per installation"),
    "policy_gate": _Place("command gate", "decisions of a gate", _count_events(Action.GATE_DECIDED)),
    "evidence_pack": _Place("Claims, command pack", "packs exported", _count_events(Action.PACK_EXPORTED)),
    "offline_check": _Place("command verify, verify_pack.py", "made by external verifiers, not recorded here"),
    "four_eyes": _Place("Review desk, command approve", "decisions at the desk", _count_events(Action.DECISION_MADE)),
    "audit_log": _Place("Audit log", "events", lambda events, runs: sum(events.values())),
    "change_triggers": _Place("Model cards, Claims", "statuses and expiry dates are computed on request, not stored"),
    "key_figures": _Place("Model cards", "computed on request, not stored"),
    "bill_of_materials": _Place("Model cards, evidence pack", "packs exported, each with its own", _count_events(Action.PACK_EXPORTED)),
    "tool_security": _Place("tests of the source", "not in a data directory"),
}  # fmt: skip
_NOTHING = _Place("", "Assay has no evidence for these clauses")


def list_evidence_counts(home: Path, crosswalk: Crosswalk | None = None) -> tuple[EvidenceCount, ...]:
    """Count each evidence item, in the crosswalk's order.

    Raises:
        IntegrityError: an event of the log cannot be read.
    """
    with open_database(home) as connection:
        events = list_events(connection)
    kinds = {event.object_id: str(event.payload.get("kind")) for event in events if event.action == Action.RUN_STARTED}
    by_action = Counter(event.action for event in events)
    by_kind = Counter(
        kinds.get(event.object_id, "")
        for event in events
        if event.action == Action.RUN_ENDED and event.payload.get("outcome") == "done"
    )
    crosswalk = crosswalk or load_crosswalk()
    found = ((item, _PLACES.get(item.id, _NOTHING)) for item in crosswalk.evidence)
    return tuple(
        EvidenceCount(item, place.place, None if place.count is None else place.count(by_action, by_kind), place.what)
        for item, place in found
    )
