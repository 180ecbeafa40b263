"""What each audit declares of itself, held to the values of the tables that named audits before."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.audit_requests import list_requests

from audit_core.audit import Audit
from audit_core.audits.confirmation import ConfirmationResult
from audit_core.capability import HEADS, PATHS, components_of
from audit_core.circuits import (
    Search,
    list_checks,
    list_circuit_questions,
    list_claim_questions,
    list_quick_questions,
)
from audit_core.component import Component, Kind, head
from audit_core.errors import CapabilityRefused
from audit_core.models import ModelIdentity
from audit_core.registry import list_plugins
from audit_core.run import Actor, Auditor
from audit_core.store import RunLog
from audit_core.subject import Subject

ROOT = Path(__file__).resolve().parents[2]
AUDITS: dict[str, Audit] = dict(list_plugins("audits"))


@pytest.mark.parametrize("audit", AUDITS)
def test_every_plugin_is_a_declaration_with_a_question_and_two_types(audit: str) -> None:
    plugin = AUDITS[audit]
    assert isinstance(plugin, Audit)
    assert plugin.question.endswith("?")
    assert {"prompts", "seed"} <= {field.name for field in fields(plugin.request)}  # type: ignore[arg-type]


def test_the_questions_about_a_circuit_have_the_order_of_before() -> None:
    assert list_circuit_questions() == (
        "recomposition",
        "circuit",
        "curve",
        "transfer",
        "rival",
        "stability",
        "specificity",
    )


def test_the_quick_questions_are_those_of_before_and_the_search_runs_before_what_shares_it() -> None:
    """In the table of before the rival came before the curve: both share one search, so either may be first."""
    quick = list_quick_questions()
    assert quick[:4] == ("paths", "recomposition", "circuit", "stability")
    assert set(quick[4:]) == {"rival", "curve"}


def test_the_checks_that_search_are_those_of_before() -> None:
    searching = {check.name: check.search for check in list_checks() if check.search is not Search.NONE}
    assert searching == {name: Search.FIRST for name in ("curve", "transfer", "rival")} | {"stability": Search.ALONE}


def test_the_checks_of_a_claim_are_those_of_before() -> None:
    """Their order is in every preregistered plan, and so in its digest."""
    assert list_claim_questions(usual=True) == ("circuit", "stability", "transfer")
    assert list_claim_questions() == ("recomposition", "circuit", "curve", "transfer", "rival", "stability")


def test_a_confirmation_has_a_field_for_every_check_that_can_join_a_claim() -> None:
    assert set(list_claim_questions()) <= {field.name for field in fields(ConfirmationResult)}


def test_the_judging_audits_are_those_of_before() -> None:
    assert {name for name, audit in AUDITS.items() if audit.judges} == {"claim_test", "confirmation"}


def test_only_these_audits_have_a_pace_of_their_own() -> None:
    assert {name: audit.pace for name, audit in AUDITS.items() if audit.pace != 1} == {
        "circuit": 0.2, "claim_test": 0.4, "curve": 0.17, "edges": 4.0, "paths": 0.6, "recomposition": 0.2, "rival": 0.36,
        "robustness": 0.4, "specificity": 0.2, "stability": 0.5, "steering": 1.5, "transfer": 0.3,
    }  # fmt: skip


class Bare:
    """A subject with heads and no capability."""

    fallback = ""
    identity = ModelIdentity("bare", "", *("0" * 64,) * 3, "float64", "none", "none", "not stated")

    def components(self, kind: Kind) -> tuple[Component, ...]:
        return (head(0, 0),) if kind is Kind.HEAD else ()

    def run(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("work before the refusal")

    count_work = run


class Whole(Bare):
    """A subject with heads alone and what can be read of them, which runs only as a whole."""

    def capture_means(self, *_: Any, **__: Any) -> Any: ...
    def activation_change_rms(self, *_: Any, **__: Any) -> Any: ...
    def attention_to_last(self, *_: Any, **__: Any) -> Any: ...
    def patterns(self, *_: Any, **__: Any) -> Any: ...
    def pattern_of(self, *_: Any, **__: Any) -> Any: ...
    def randomised(self, *_: Any, **__: Any) -> Any: ...
    def explain_no_paths(self) -> str:
        return "It supports only whole forward passes."


def list_refusals(subject: Any) -> dict[str, str]:
    return {name: text for name, audit in AUDITS.items() if (text := audit.explain_missing(subject))}


def test_what_a_subject_lacks_is_said_by_the_audits_that_demand_it_alone() -> None:
    said = list_refusals(Whole())
    assert set(said) == {
        "both_sides",
        "closed_documents",
        "closed_tools",
        "documents",
        "experts",
        "feature_evaluation",
        "feature_versions",
        "features",
        "lenses",
        "paths",
        "probes",
        "rationale",
        "source_tokens",
        "steering",
        "tabular",
        "tools",
        "vision",
    }
    assert "only whole forward passes" in said["paths"]
    headless = replace(AUDITS["attention"], demands=(components_of(Kind.EXPERT),))
    assert headless.explain_missing(Whole()) == "This model has no accessible expert."  # type: ignore[arg-type]


def test_a_subject_without_a_capability_is_refused_by_the_audits_that_demand_it() -> None:
    demanding = {name for name, audit in AUDITS.items() if set(audit.demands) - {HEADS}}
    assert set(list_refusals(Bare())) == demanding
    assert demanding == {
        "attention", "attention_tests", "both_sides", "claim_test", "closed_documents", "closed_tools", "confirmation", "documents", "experts", "feature_evaluation", "feature_versions", "features", "lenses", "paths",
        "probes", "rationale", "robustness",
        "source_tokens", "steering", "tabular", "token_gradients", "tools", "vision",
    }  # fmt: skip


@pytest.mark.parametrize("audit", ["claim_test", "paths"])
def test_the_refusal_names_all_that_is_missing_and_what_to_do_before_any_work(audit: str, tmp_path: Path) -> None:
    """A subject that would fail at its first run is refused before it, and the refusal is in the log."""
    log = RunLog(tmp_path)
    auditor = Auditor(Bare(), log)  # type: ignore[arg-type]
    request = list_requests(pair_up(AdditiveSubject({}), 4))[audit][0]
    with pytest.raises(CapabilityRefused) as refused:
        auditor.run(audit, request, actor=Actor("me", "s"))
    wanted = {demand.name for demand in AUDITS[audit].demands} - {HEADS.name}
    assert refused.value.found.startswith(f"{audit} on bare: This kind of model")
    assert all(name in refused.value.wanted for name in wanted)
    assert all(demand.remedy in refused.value.remedy for demand in AUDITS[audit].demands if demand is not HEADS)
    assert [(run.outcome, run.reason) for run in log.list_runs()] == [("refused", "CapabilityRefused")]


def test_a_capability_gives_the_subject_or_refuses_it() -> None:
    whole: Any = Whole()
    assert HEADS.of(whole) is whole
    with pytest.raises(CapabilityRefused, match="whole forward passes"):
        PATHS.of(whole)


@dataclass(frozen=True)
class Number:
    number: float


def test_a_result_whose_numbers_declare_no_kind_of_evidence_is_refused_when_it_is_declared() -> None:
    @dataclass(frozen=True)
    class Undeclared(Audit):
        name: str = "undeclared"
        question: str = "How much?"
        request: type = object
        result: type = Number
        version: int = 1

        def count_work(self, subject: Subject, request: Any) -> int:
            return 1

        def run(self, subject: Subject, request: Any, **more: Any) -> Any:
            return Number(1.0)

    with pytest.raises(TypeError, match="without a declared kind of evidence"):
        Undeclared()


def list_strings(node: ast.AST) -> list[str]:
    """The strings that a list, a tuple, a set or the keys of a dictionary name."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        parts: list[Any] = list(node.elts)
    elif isinstance(node, ast.Dict):
        parts = list(node.keys)
    else:
        return []
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


ALLOWED = {
    "audit_core/verifier/policy_table.py": "words of a policy: kinds of claim",
    "audit_core/evidence/report/validation.py": "criteria of a policy: those on robustness",
    "ui/claims/new_claim.py": "words of a claim: what counts as everything",
    "tools/record_circuits.py": "a plan: which circuit is recorded with which audits",
}
"""Where a list may name audits, and why."""
COMMON = {"positions", "edges", "attention", "ablation"}
"""Audits whose names are also names of fields, columns and kinds."""


def find_tables(names: set[str], read: Callable[[Path], str] = lambda path: path.read_text()) -> dict[str, list[str]]:
    """File → strings of each list in it that names two or more audits."""
    files = [p for folder in ("audit_core", "ui", "pages", "tools", "bench") for p in (ROOT / folder).rglob("*.py")]
    quoted = re.compile(f"""["']({"|".join(map(re.escape, names))})["']""")
    found: dict[str, list[str]] = {}
    for path in files:
        place, text = path.relative_to(ROOT).as_posix(), read(path)
        # What names fewer than two has no list of them, and need not be parsed.
        if place.startswith("audit_core/audits/") or len(quoted.findall(text)) < 2:
            continue
        for node in ast.walk(ast.parse(text)):
            named = [name for name in list_strings(node) if name in names]
            if len(named) > 1:
                found.setdefault(place, []).append(" ".join(named))
    return found


def test_no_list_outside_the_audits_names_audits() -> None:
    """A list that classifies audits must be changed for every new one: what it says belongs in the audit's declaration."""
    found = find_tables(set(AUDITS) - COMMON)
    assert {place: rows for place, rows in found.items() if place not in ALLOWED} == {}
    assert set(found) == set(ALLOWED), "an exception that nothing needs"


def test_the_search_for_lists_sees_one() -> None:
    planted = 'JUDGING = ("claim_test", "confirmation")'
    found = find_tables({"claim_test", "confirmation"}, lambda path: planted if path.name == "cost.py" else "")
    assert set(found) == {"audit_core/home/cost.py", "ui/overview/cost.py"}
