"""Evidence is declared by the types of results: an effect of a pattern is causal, a rank correlation is not, and silence is an error."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from pydantic import TypeAdapter

from audit_core.evidence.kind import Causal, Evidence, NotEvidence, Observational, find_evidence, read_evidence
from audit_core.packs.answers import describe_evidence
from audit_core.registry import list_plugins
from audit_core.stats.estimates import Estimate

AUDITS = list_plugins("audits")


@pytest.mark.parametrize("audit", AUDITS)
def test_every_audit_declares_the_evidence_of_all_its_numbers(audit: str) -> None:
    declared = json.dumps(read_evidence(AUDITS[audit].result))
    assert any(kind in declared for kind in Evidence)


@dataclass(frozen=True)
class ComponentShare:
    value: Causal[float]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Mixed:
    n: int
    delta: NotEvidence[float]
    clean: Observational[Estimate]
    parts: tuple[ComponentShare, ...] | None
    families: dict[str, ComponentShare | None]


@dataclass(frozen=True)
class Silent:
    clean: Observational[Estimate]
    effects: tuple[Estimate, ...] | None


@dataclass(frozen=True)
class Inside:
    parts: dict[str, Silent]


@dataclass(frozen=True)
class Twice:
    value: Causal[Observational[float]]


@pytest.mark.parametrize(
    ("result", "place"), [(Silent, "Estimate.value"), (Inside, "Estimate.value"), (Twice, "Twice.value declares 2")]
)
def test_a_type_that_does_not_declare_the_evidence_of_a_number_is_an_error(result: type, place: str) -> None:
    with pytest.raises(TypeError, match=place):
        read_evidence(result)


def test_evidence_is_found_by_the_keys_of_the_json_form() -> None:
    declared = read_evidence(Mixed)
    assert find_evidence(declared, ("clean", "value")) is Evidence.OBSERVATIONAL
    assert find_evidence(declared, ("parts", "value")) is Evidence.CAUSAL
    assert find_evidence(declared, ("families", "zero", "value")) is Evidence.CAUSAL
    for keys in (("n",), ("delta",), ("parts", "names"), ("another",), ("clean_", "value"), ()):
        assert find_evidence(declared, keys) is None


def test_the_form_of_stored_results_has_no_trace_of_it() -> None:
    bare = TypeAdapter(float).json_schema()
    assert TypeAdapter(Causal[float]).json_schema() == TypeAdapter(NotEvidence[float]).json_schema() == bare


@pytest.mark.parametrize(
    ("audit", "keys", "kind"),
    [
        ("attention_tests", ("patterns", "uniform"), Evidence.CAUSAL),
        ("attention_tests", ("patterns", "permuted"), Evidence.CAUSAL),
        ("attention_tests", ("comparisons", "estimate"), Evidence.OBSERVATIONAL),
        ("attention_tests", ("randomisations", "views", "agreement", "estimate"), Evidence.OBSERVATIONAL),
        ("attention_tests", ("randomisations", "shuffled"), Evidence.CAUSAL),
        ("attention", ("mass",), Evidence.OBSERVATIONAL),
        ("sweep", ("screened", "support"), Evidence.ESTIMATED),
        ("sweep", ("cells", "estimate"), Evidence.CAUSAL),
        ("claim_test", ("looks", "mass"), Evidence.OBSERVATIONAL),
        ("claim_test", ("families", "zero"), Evidence.CAUSAL),
        ("confirmation", ("looks", "mass"), Evidence.OBSERVATIONAL),
        ("confirmation", ("families", "zero"), Evidence.CAUSAL),
        ("confirmation", ("questions", "rival", "rivals", "necessity", "estimate"), Evidence.CAUSAL),
        ("token_gradients", ("estimated",), Evidence.ESTIMATED),
        ("token_gradients", ("measured",), Evidence.CAUSAL),
        ("an audit of another version", ("cells", "estimate"), None),
    ],
)
def test_the_page_of_a_run_takes_the_evidence_from_its_audit(
    audit: str, keys: tuple[str, ...], kind: Evidence | None
) -> None:
    assert find_evidence(describe_evidence(audit), keys) is kind
