"""What every audit on the shelf owes: numbers with unit and n, conditions, controls, and a result the log gives back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toy.audit_requests import (
    list_requests,
    list_requests_to_a_chain,
    list_requests_to_a_chooser,
    list_requests_to_a_closed_agent,
    list_requests_to_a_closed_model,
    list_requests_to_a_mixture,
    list_requests_to_a_reader,
    list_requests_to_a_tabular_model,
    list_requests_to_a_voter,
    list_requests_to_an_encoder_decoder,
    list_requests_to_an_image_classifier,
)
from toy.closed_models import Agent, Follower, make_subject
from toy.planted import make_induction

from audit_core import open_subject
from audit_core.circuits import list_circuit_questions
from audit_core.component import Kind
from audit_core.controls import Controls, join_controls
from audit_core.evidence.kind import Evidence, read_evidence
from audit_core.evidence.report.blocks import Figure, Paragraph
from audit_core.evidence.report.export import UNKNOWN, build_export
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin, list_plugins
from audit_core.run import Actor, Auditor, dump_result
from audit_core.stats.estimates import Estimate
from audit_core.stats.groups import GroupEstimates
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.store import RunLog
from audit_core.subjects.transformer import TransformerSubject

pytestmark = pytest.mark.usefixtures("short_draws")

AUDITS = tuple(list_plugins("audits"))
_READ, _DONE = (Evidence.OBSERVATIONAL,), (Evidence.CAUSAL,)
_RUNS: dict[str, tuple[Evidence, ...]] = {"clean": _READ, "corrupted": _READ}
BADGES: dict[str, dict[str, tuple[Evidence, ...]]] = {
    "ablation": _RUNS | dict.fromkeys(("after", "support", "fraction", "alone", "kept"), _DONE),
    "attention": {"mass": _READ},
    "attention_tests": _RUNS
    | {"patterns": _DONE, "comparisons": _READ, "randomisations": (Evidence.OBSERVATIONAL, Evidence.CAUSAL)},
    "benchmark": {"accuracy": _READ, "margin": _READ, "categories": (*_READ, *_DONE)}
    | dict.fromkeys(("effect", "excess", "fraction", "stays right"), _DONE),
    "circuit": dict.fromkeys(("necessity", "sufficiency", "gaps", "worths", "by template"), _DONE),
    "claim_test": _RUNS
    | dict.fromkeys(("families", "these templates", "by template", "members", "repair", "mediation", "drift"), _DONE)
    | {"looks": _READ},
    "closed_documents": {"accuracy": _READ}
    | dict.fromkeys(("replaced", "deleted", "followed", "labels"), _DONE)
    | dict.fromkeys(("families", "questions", "documents"), (*_READ, *_DONE)),
    "closed_tools": dict.fromkeys(("answered", "edits"), _DONE),
    "confirmation": {
        "verdict": (Evidence.OBSERVATIONAL, Evidence.CAUSAL),
        **dict.fromkeys(("recomposition", "circuit", "curve", "transfer", "rival", "specificity"), _DONE),
    },
    "both_sides": _RUNS | {"heads": (*_READ, *_DONE), "agreement": _READ} | dict.fromkeys(("families", "null"), _DONE),
    "source_tokens": _RUNS
    | {"consulted": _READ, "tokens": (*_READ, *_DONE), "agreement": _READ}
    | dict.fromkeys(("relied", "hidden", "null"), _DONE),
    "robustness": {"rows": _DONE},
    "curve": dict.fromkeys(("points", "named"), _DONE),
    "decisions": {
        "said yes": _READ,
        "by slot": (*_DONE, Evidence.ESTIMATED),
        "curves": _DONE,
        "through": (*_DONE, *_READ),
        "groups": _READ,
        "applicants": (*_DONE, *_READ),
        "surrogates": (Evidence.ESTIMATED,),
        "aggregates": (Evidence.ESTIMATED,),
        "concepts": (*_DONE, *_READ, Evidence.ESTIMATED),
    },
    "discover": {},
    "documents": {"accuracy": _READ, "agreement": _READ, "labels": _DONE}
    | dict.fromkeys(("families", "documents"), (*_READ, *_DONE))
    | {"questions": (*_READ, *_DONE, Evidence.ESTIMATED)},
    "edges": {},
    "experts": _RUNS
    | {"experts": (*_READ, *_DONE), "layers": _READ, "load agreement": _READ, "screens": _READ}
    | dict.fromkeys(("pairs", "whole layers", "shared", "forced", "weighed"), _DONE),
    "explanations": {"clean": _READ, "methods": (*_DONE, Evidence.ESTIMATED), "agreements": (Evidence.ESTIMATED,)}
    | dict.fromkeys(("replaced", "curves", "classes"), _DONE)
    | {"class scores": (Evidence.ESTIMATED,)},
    "feature_evaluation": {"loss clean": _READ, "families": (*_READ, *_DONE)},
    "feature_versions": {"rows": _READ},
    "features": {"lead": _READ, "control": _DONE, "rows": (*_READ, *_DONE)},
    "lenses": dict.fromkeys(("layers", "parts"), (*_READ, *_DONE))
    | dict.fromkeys(("lead", "gap", "rest", "heads agree", "parts agree", "lens agrees", "jacobian agrees"), _READ),
    "paths": _RUNS | {"connections": _DONE},
    "positions": dict.fromkeys(("places", "main"), _DONE),
    "probes": {"lead": _READ, "sites": (*_READ, *_DONE)},
    "rationale": dict.fromkeys(("accuracy", "accuracy without", "lost without"), _READ)
    | dict.fromkeys(("hint direct", "hint through", "hint both", "hint floor", "shares", "edits", "metrics"), _DONE)
    | {"templates": (*_READ, *_DONE)},
    "recomposition": dict.fromkeys(
        ("parts", "lost together", "lost added up", "interaction", "kept", "left over"), _DONE
    ),
    "rival": dict.fromkeys(("circuit", "rivals"), _DONE),
    "specificity": dict.fromkeys(("own", "tasks", "divergence"), _DONE),
    "stability": {},
    "steering": dict.fromkeys(("rows", "differences", "doses"), _DONE),
    "sweep": _RUNS | {"cells": _DONE, "layers": _DONE, "screened": (Evidence.ESTIMATED,)},
    "tabular": dict.fromkeys(("said yes", "auc"), _READ)
    | {
        "by feature": (*_DONE, Evidence.ESTIMATED),
        "curves": _DONE,
        "cases": (*_DONE, *_READ),
        "surrogates": (Evidence.ESTIMATED,),
        "through": (*_DONE, *_READ),
        "groups": _READ,
        "retrained": _READ,
    },
    "token_gradients": {},
    "tools": {"accuracy": _READ, "answered": _READ}
    | dict.fromkeys(("alone", "lost alone", "cued", "emptied", "cells", "edits"), _DONE),
    "transfer": dict.fromkeys(("sufficiency", "necessity", "found elsewhere", "named"), _DONE),
    "vision": {"accuracy": _READ, "clean": _READ, "arms": _DONE, "maps": (Evidence.ESTIMATED,)},
}
"""Written by hand: the badge of every figure of an exported result."""
OF_SOME_PROMPTS = {
    "benchmark", "circuit", "claim_test", "closed_documents", "closed_tools", "confirmation", "decisions", "documents", "explanations", "feature_evaluation", "feature_versions", "features", "probes", "rationale", "robustness",
    "source_tokens", "specificity", "steering", "tabular", "tools", "transfer", "vision",
}  # fmt: skip


@pytest.fixture(scope="module")
def prompts(planted: TransformerSubject) -> TokenisedPrompts:
    return tokenise(make_induction(20, change="context", n_templates=5), planted.tokenizer)


@pytest.fixture(scope="module")
def progress() -> dict[str, list[list[tuple[int, int]]]]:
    """What each of the `results` reported while it ran: done and total, in turn."""
    return {}


@pytest.fixture(scope="module")
def results(
    planted: TransformerSubject,
    prompts: TokenisedPrompts,
    progress: dict[str, list[list[tuple[int, int]]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[tuple[Auditor, Any, Any]]]:
    """Each request run once, through the log."""
    log = RunLog(tmp_path_factory.mktemp("log"))
    auditor = Auditor(planted, log)

    def run(auditor: Auditor, audit: str, request: Any) -> Any:
        seen: list[tuple[int, int]] = []
        progress.setdefault(audit, []).append(seen)
        return auditor.run(
            audit, request, actor=Actor("me", "s"), on_progress=lambda done, total: seen.append((done, total))
        ).result

    mixture = Auditor(open_subject("planted-mixture"), log)
    asked = {(audit, auditor): found for audit, found in list_requests(prompts).items()}
    asked |= {(audit, mixture): found for audit, found in list_requests_to_a_mixture(mixture.subject).items()}
    sides = Auditor(open_subject("planted-encoder-decoder"), log)
    asked |= {(audit, sides): found for audit, found in list_requests_to_an_encoder_decoder(sides.subject).items()}
    reader = Auditor(open_subject("planted-reader-grounded"), log)
    asked |= {(audit, reader): found for audit, found in list_requests_to_a_reader(reader.subject).items()}
    chain = Auditor(open_subject("planted-chain-last"), log)
    asked |= {(audit, chain): found for audit, found in list_requests_to_a_chain(chain.subject).items()}
    voter = Auditor(open_subject("planted-strict"), log)
    asked |= {(audit, voter): found for audit, found in list_requests_to_a_voter(voter.subject).items()}
    chooser = Auditor(open_subject("planted-tools-follower"), log)
    asked |= {(audit, chooser): found for audit, found in list_requests_to_a_chooser(chooser.subject).items()}
    closed, agent = Auditor(make_subject(Follower()), log), Auditor(make_subject(Agent(follows=True)), log)
    images = Auditor(open_subject("digits-marked"), log)
    asked |= {(audit, images): found for audit, found in list_requests_to_an_image_classifier(images.subject).items()}
    table = Auditor(open_subject("breast-cancer"), log)
    asked |= {(audit, table): found for audit, found in list_requests_to_a_tabular_model().items()}
    asked |= {(audit, closed): found for audit, found in list_requests_to_a_closed_model(closed.subject).items()}
    asked |= {(audit, agent): found for audit, found in list_requests_to_a_closed_agent(agent.subject).items()}
    return {
        audit: [(runner, request, run(runner, audit, request)) for request in found]
        for (audit, runner), found in asked.items()
    }


def walk(value: Any, kind: type) -> Iterator[Any]:
    """Everything of one type inside a result, however deep."""
    if isinstance(value, kind):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from walk(getattr(value, field.name), kind)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from walk(inner, kind)
    elif isinstance(value, tuple):
        for inner in value:
            yield from walk(inner, kind)


def test_every_audit_on_the_shelf_is_tried_here(prompts: TokenisedPrompts) -> None:
    assert {
        *list_requests(prompts),
        "experts",
        "source_tokens",
        "both_sides",
        "closed_documents",
        "closed_tools",
        "documents",
        "feature_evaluation",
        "feature_versions",
        "features",
        "probes",
        "rationale",
        "steering",
        "tabular",
        "tools",
        "vision",
    } == set(AUDITS)


@pytest.mark.parametrize("audit", AUDITS)
def test_every_number_has_a_unit_and_its_n_and_lies_in_its_interval(
    audit: str, results: dict[str, list[tuple[Auditor, Any, Any]]]
) -> None:
    for _, request, result in results[audit]:
        estimates = list(walk(result, Estimate))
        assert estimates or result.unit
        for found in estimates:
            assert found.unit
            # A template's own number, or another task's, counts its own prompts.
            assert found.n == len(request.prompts) or (audit in OF_SOME_PROMPTS and found.n > 0)
            if found.n == 1:
                assert (found.low, found.high, found.level) == (None, None, None)
            else:
                assert found.low is not None
                assert found.high is not None
                # Backups are many, so each is held to a higher level.
                assert found.level >= 0.95
                # A sum over prompts and a mean over draws round differently in the last place.
                assert found.low - 1e-9 <= found.value <= found.high + 1e-9


@pytest.mark.parametrize("audit", AUDITS)
def test_every_result_comes_back_from_the_log_as_it_was(
    audit: str, results: dict[str, list[tuple[Auditor, Any, Any]]]
) -> None:
    for auditor, request, result in results[audit]:
        earlier = auditor.find_earlier(audit, request)
        assert earlier is not None
        assert earlier.result == result
        assert type(earlier.result) is list_plugins("audits")[audit].result
        json.dumps(dump_result(result), allow_nan=False)


ONCE: dict[str, set[int]] = {
    "attention_tests": {0}, "claim_test": {2, 3}, "curve": {0}, "explanations": {1}, "probes": {1}, "robustness": {1}, "steering": {0},
    "tools": {0}, "vision": {0},
}  # fmt: skip
"""Costly requests, by their place, whose draws another request of the audit makes too, on fewer prompts or of fewer parts."""


@pytest.mark.parametrize("audit", AUDITS)
def test_an_equal_run_gives_equal_numbers(
    audit: str, results: dict[str, list[tuple[Auditor, Any, Any]]], tmp_path: Path
) -> None:
    again_asked = [row for at, row in enumerate(results[audit]) if at not in ONCE.get(audit, ())]
    assert again_asked
    for auditor, request, result in again_asked:
        again = Auditor(auditor.subject, RunLog(tmp_path)).run(audit, request, actor=Actor("another", "t"))
        assert again.result == result
        assert not again.is_reused


@pytest.mark.parametrize("audit", sorted(set(AUDITS) - {"attention", "feature_versions"}))
def test_whatever_intervenes_shows_that_its_hooks_were_alive(
    audit: str, results: dict[str, list[tuple[Auditor, Any, Any]]]
) -> None:
    """Attention and firing are read and nothing is changed, so they alone have no controls."""
    for _, _, result in results[audit]:
        # The toy decides about no applicant; tests of the audit of decisions hold its controls on a model that does.
        # A probe of a label that is decodable nowhere, or of texts without an answer, is followed by no edit.
        nothing = {
            "discover": lambda one: not one.is_measured, "decisions": lambda one: not one.does_task, "probes": lambda one: one.no_use,
        }  # fmt: skip
        if audit in nothing and nothing[audit](result):
            assert not list(walk(result, Controls))
            continue
        found = list(walk(result, Controls))
        # A confirmation holds the answers of other audits, each with its own.
        assert len(found) == 1 or (audit == "confirmation" and found)
        controls = join_controls(found)
        assert controls.identity_max <= controls.tolerance
        assert controls.noise_min > 100 * controls.tolerance
        assert controls.edits > 0
    assert not [
        c
        for audit in ("attention", "feature_versions")
        for _, _, result in results[audit]
        for c in walk(result, Controls)
    ]


@pytest.mark.parametrize("audit", ["ablation", "claim_test", "paths"])
def test_a_fraction_is_beside_the_six_conditions(
    audit: str, results: dict[str, list[tuple[Auditor, Any, Any]]]
) -> None:
    for _, _, result in results[audit]:
        names = [name for name, _ in result.conditions]
        assert names == ["granularity", "component type", "ablation", "positions", "direction", "set"]
        assert all(value for _, value in result.conditions)


@pytest.mark.parametrize("audit", list_circuit_questions())
def test_no_number_about_a_circuit_is_without_its_six_conditions(
    audit: str, results: dict[str, list[tuple[Auditor, Any, Any]]]
) -> None:
    """Estimates of a circuit sit inside measurements; only those of a group stand outside, beside the group's conditions."""
    for _, _, result in results[audit]:
        inside = {id(m.estimate) for m in walk(result, Measurement)}
        grouped = {id(e) for g in walk(result, GroupEstimates) for e in g.estimates}
        assert list(walk(result, Conditions))
        assert all(id(estimate) in inside | grouped for estimate in walk(result, Estimate))


@pytest.mark.parametrize("audit", AUDITS)
def test_work_is_counted_before_it_is_done_and_progress_reaches_it(
    audit: str,
    results: dict[str, list[tuple[Auditor, Any, Any]]],
    progress: dict[str, list[list[tuple[int, int]]]],
) -> None:
    """What was counted does not hold the two unedited runs, which cost nothing; attention counts prompts instead."""
    plugin = list_plugins("audits")[audit]
    for (auditor, request, _), seen in zip(results[audit], progress[audit], strict=True):
        assert plugin.count_work(auditor.subject, request) > 0
        assert seen
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize("audit", AUDITS)
def test_requests_are_described_by_plain_values(audit: str, results: dict[str, list[tuple[Auditor, Any, Any]]]) -> None:
    for _, request, _ in results[audit]:
        text = json.dumps(request.describe())
        assert not any(pair.prompt.clean in text for pair in request.prompts.pairs)


@pytest.mark.parametrize("audit", AUDITS)
def test_every_result_is_exported_with_the_evidence_that_its_type_declares(
    audit: str, results: dict[str, list[tuple[Auditor, Any, Any]]]
) -> None:
    declared = read_evidence(list_plugins("audits")[audit].result)
    for _, _, result in results[audit]:
        report = build_export(dump_result(result), evidence=declared)
        blocks = [block for section in report.sections for block in section.blocks]
        said = [span.text for block in blocks if isinstance(block, Paragraph) for span in block.line]
        assert not [text for text in said if UNKNOWN in text]
        badges = {("".join(s.text for s in b.title), b.badge) for b in blocks if isinstance(b, Figure)}
        assert badges <= {(title, kind) for title, kinds in BADGES[audit].items() for kind in kinds}
        # Numbers without an interval, and lists too long to draw, have no figure.
        assert badges or not list(walk(result, Estimate)) or "too many to draw" in "".join(said)


def test_a_map_of_the_residual_stream_has_a_cell_per_layer_and_position(
    results: dict[str, list[tuple[Auditor, Any, Any]]], prompts: TokenisedPrompts
) -> None:
    _, request, result = results["sweep"][3]
    assert request.kind is Kind.RESID
    first = min(pair.first_changed for pair in prompts.pairs)
    assert len(result.cells) == 3 * (len(prompts.pairs[0].clean_ids) - first)
    restored = {cell.component: cell.fraction.value for cell in result.cells}
    assert restored["L2.RESID@11"] == pytest.approx(1, abs=1e-4), "what enters the last layer at the end says it all"
    assert restored["L1.RESID@11"] == pytest.approx(0, abs=1e-4), "before layer 1 the end knows nothing of the context"


def test_results_are_made_by_the_names_of_their_fields_alone() -> None:
    """Ten numbers of one type in a row are easily swapped by place."""
    for audit in AUDITS:
        fields = dataclasses.fields(get_plugin("audits", audit).result)
        assert all(field.kw_only for field in fields), audit
