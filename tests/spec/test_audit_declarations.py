"""What an audit says of itself is what the register and the counts of evidence go by, and no list that names audits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from toy.register import PINS

from audit_core.evidence.kind import Causal, Evidence, Observational, read_evidence
from audit_core.home import evidence_counts
from audit_core.home.evidence_counts import list_evidence_counts
from audit_core.preregistration import PriorAccess
from audit_core.references.crosswalk_file import load_crosswalk
from audit_core.registry import list_plugins
from audit_core.store.claims import earlier_runs
from audit_core.store.claims.earlier_runs import Sought, read_sightings
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event
from audit_core.store.log.run_log import RunLog, RunRecord

AUDITS = list_plugins("audits")


@dataclass(frozen=True)
class ViewResult:
    mass: Observational[float]


@dataclass(frozen=True)
class PatchResult:
    effect: Causal[float]


@dataclass(frozen=True)
class Declared:
    """What is declared, and nothing that could be run."""

    name: str
    result: type
    counts_as: tuple[str, ...]
    shows_results: bool


VIEW = Declared("view", ViewResult, (), False)
PATCH = Declared("patch", PatchResult, ("causal_results",), True)


@pytest.fixture
def with_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two audits that no module names."""
    planted: Callable[[str], Any] = lambda shelf: dict(AUDITS) | {"view": VIEW, "patch": PATCH}  # noqa: E731
    monkeypatch.setattr(earlier_runs, "list_plugins", planted)
    monkeypatch.setattr(evidence_counts, "list_plugins", planted)


def has_kind(result: type, kind: Evidence) -> bool:
    return kind.value in str(read_evidence(result))


@pytest.mark.parametrize("audit", AUDITS)
def test_every_causal_audit_counts_as_an_item_of_evidence_of_the_crosswalk(audit: str) -> None:
    declared = AUDITS[audit]
    assert set(declared.counts_as) <= {item.id for item in load_crosswalk().evidence}
    assert bool(declared.counts_as) == has_kind(declared.result, Evidence.CAUSAL) or audit == "stability"


@pytest.mark.parametrize("audit", AUDITS)
def test_every_audit_that_measures_or_estimates_effects_shows_results(audit: str) -> None:
    declared = AUDITS[audit]
    assert declared.shows_results or not any(
        has_kind(declared.result, kind) for kind in (Evidence.CAUSAL, Evidence.ESTIMATED)
    )


def end_run(home: Path, kind: str) -> None:
    with open_database(home) as connection:
        run = f"run of {kind}"
        append_event(
            connection, actor="a", action=Action.RUN_STARTED, object_id=run, payload={"kind": kind, "claim_id": None}
        )
        done = {"outcome": "done", "reason": ""}
        append_event(connection, actor="a", action=Action.RUN_ENDED, object_id=run, payload=done)


@pytest.mark.parametrize("kind", ["token_gradients", "edges", "ablation", "patch"])
def test_a_run_of_any_causal_audit_is_counted_as_a_causal_result(kind: str, own_home: Path, with_planted: None) -> None:
    own_home.mkdir()
    end_run(own_home, kind)
    end_run(own_home, "view")
    counted = {one.item.id: one.count for one in list_evidence_counts(own_home)}
    assert (counted["causal_results"], counted["test_of_the_test"]) == (1, 0)


RUN = RunRecord(
    "", "2026-01-01T00:00:00.000+00:00", "ada", "s1", "", "done", "", "", "", PINS.model_digest, PINS.prompts_sha256,
    '{"n_prompts": 40}', "{}", "{}", 1.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "access"),
    [
        ("attention", PriorAccess.NO_RESULTS_SEEN),
        ("view", PriorAccess.NO_RESULTS_SEEN),
        ("patch", PriorAccess.RESULTS_SEEN),
        ("sweep", PriorAccess.RESULTS_SEEN),
        ("an audit of another version", PriorAccess.RESULTS_SEEN),
    ],
)
def test_a_plan_stays_confirmatory_after_a_run_that_shows_no_results_by_its_own_declaration(
    kind: str, access: PriorAccess, own_home: Path, with_planted: None
) -> None:
    own_home.mkdir()
    RunLog(own_home).append(replace(RUN, run_id=f"r-{kind}", kind=kind, content_key=kind))
    with open_database(own_home) as connection:
        assert read_sightings(connection, PINS.model_digest, Sought([PINS.prompts_sha256], ["a", "b"])).access is access
