"""Stored answers are found by their content key: the keys of every audit are pinned, so that an addition loses no answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from toy.additive import AdditiveSubject, pair_up

from audit_core import audits
from audit_core.attention.plausibility import Source
from audit_core.audits.ablation import AblationRequest
from audit_core.audits.attention import AttentionRequest
from audit_core.audits.attention_tests import AttentionTestsRequest
from audit_core.audits.both_sides import BothSidesRequest
from audit_core.audits.circuit import CircuitRequest
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.confirmation import ConfirmationRequest
from audit_core.audits.curve import CurveRequest
from audit_core.audits.discover import DiscoverRequest
from audit_core.audits.edges import EdgesRequest
from audit_core.audits.experts import ExpertsRequest
from audit_core.audits.paths import PathsRequest
from audit_core.audits.positions import PositionsRequest
from audit_core.audits.recomposition import RecompositionRequest
from audit_core.audits.rival import RivalRequest
from audit_core.audits.source_tokens import SourceTokensRequest
from audit_core.audits.specificity import SpecificityRequest
from audit_core.audits.stability import StabilityRequest
from audit_core.audits.sweep import SweepRequest
from audit_core.audits.token_gradients import TokenGradientsRequest
from audit_core.audits.transfer import TransferRequest
from audit_core.benchmarks import BenchmarkRequest
from audit_core.circuits import OtherTask
from audit_core.claim import Claim
from audit_core.component import head
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts, is_exploratory
from audit_core.registry import get_plugin, list_plugins
from audit_core.run import Auditor
from audit_core.store import RunLog, RunRecord, RunStart

WORTH = {head(0, 0): 3.0, head(1, 2): -1.0}
CIRCUIT = (head(0, 0), head(1, 2))
LIBRARIES = {"torch": "1", "transformer_lens": "1", "transformers": "1", "numpy": "1", "scipy": "1"}

PINNED = {
    "ablation": "b223e442908992f80aae0fbc4cd804a80ca439e0c8f4ad88264b1ebcb8eb6348",
    "attention": "e22f558892de7a7977a2ee2af09c10b38e5731f8f700a983370e000ba5d751ca",
    "attention_tests": "81be12e3e537e00c0b99580809afe821b557ef0a3e90317c9ba4113facdbb798",
    "benchmark": "3b42eeb6620eb3a3a69f4e599f17950af6f3575824b27e70b165695413bc2848",
    "both_sides": "6504ba9d51e54b3c9b131165301efc1a919004cff7773366cb48f38f82181336",
    "circuit": "038c2286206d6daf8eaab4b6ba6913e129c65fc06422310a5aee2d07a0175a33",
    "claim_test": "8396e880172b4439cdab1129bbc28e5b9a82cf4fca9ac13660f249fb64d501a9",
    "confirmation": "28884ef101b4717b83f1e7ef40515462ed813e4232938f7b4c8e07ec80553b54",
    "curve": "3904e4146b174cdc6ac92c9ceb7c8bb161a015808971a5e9189334175009b31f",
    "discover": "af3b0c47672966ddd5f1c534b50237915452133bfc31be3f2a3b58f8193d0a1e",
    "edges": "806c9d00014745eb4741651ae267cb9284c5ea5a1a926e7f924a22fffad38e3e",
    "experts": "6a9c91c093459bfe6afb2ae8eceb58e6f3febb4b3d0bd8ae0492b69268dd6e2a",
    "paths": "076f4208b601943e912aeb1d7b589d32808d8ae127f29c26ee445047e732b5e0",
    "positions": "4f031603bbb5605c76acd3c2c46f768ef3fdb6197f3f44d37d7d5ee2347c2f52",
    "recomposition": "6324042d3a09b5702eee1c762e12ea91233a5e452da0d981ff8a90454a379cc5",
    "rival": "210e69e7d4f5dd265e0b97c0a0ade03d05ea59fb6bc385939307cd2586dda7bc",
    "source_tokens": "0999f6c5626227e11b516cc3b4e2e1c2aaecfe2a103360f3223dfa508aa2d2f9",
    "specificity": "716722b7fef520cf6368ea8156bf670ca2de5b75b380b80693d36594d3142e74",
    "stability": "3a8a8ee4c15a4bf7b632434f64bbed8f00a90aa938c092f5642e55ac43e58d7f",
    "sweep": "8940e32b3cf8f8635412f7264856d2f1f58aff54d8443fa14bb0eb6a4e30eab9",
    "token_gradients": "37a949f70e492e88d5c6f36de2742a98f24911aa4e5273673571500597e788be",
    "transfer": "af7c1e61739e87c34ed7f956ce4a3dc55be52d465830e64b79515653dfc09ef5",
}
"""Audit → content key of the request below, as computed by the version before audits had versions of their own.

A key that changes here throws away the stored answers of that audit in every installation: change one only with its
audit's `version`, or where the description of its request changed."""

STORED = (
    '{"method":"exact","misses":"effects of components together","is_measured":true,"unit":"logits","n":2,'
    '"components":["L0.H0","L1.H2"],"scores":[3.0,1.0],'
    '"controls":{"identity_max":0.0,"noise_min":0.5,"edits":8,"tolerance":1e-06}}'
)
ADDED = """
from dataclasses import dataclass

@dataclass(frozen=True)
class AddedAudit:
    name: str = "added"
    question: str = "Is one more question asked?"
    result: type = int
    version: int = 1

PLUGIN = AddedAudit()
"""
"""The least that the folder of audits takes."""


def list_requests(prompts: TokenisedPrompts) -> dict[str, Any]:
    one = replace(prompts, pairs=prompts.pairs[:1])
    explored, judged = (
        replace(prompts, pairs=tuple(pair for pair in prompts.pairs if is_exploratory(pair.prompt) is wanted))
        for wanted in (True, False)
    )
    mean = Replacement.MEAN
    return {
        "ablation": AblationRequest(prompts, prompts, CIRCUIT, mean),
        "attention": AttentionRequest(prompts, Source.CHANGED),
        "attention_tests": AttentionTestsRequest(prompts, prompts, CIRCUIT),
        "benchmark": BenchmarkRequest(prompts, CIRCUIT),
        "both_sides": BothSidesRequest(prompts, prompts),
        "circuit": CircuitRequest(prompts, prompts, CIRCUIT),
        "claim_test": ClaimTestRequest(prompts, Claim("needed", CIRCUIT)),
        "confirmation": ConfirmationRequest(judged, Claim("needed", CIRCUIT), explored, ("circuit", "stability")),
        "curve": CurveRequest(judged, judged, CIRCUIT, explored=explored),
        "discover": DiscoverRequest(explored, explored, "exact", replacement=mean),
        "edges": EdgesRequest(one, 1, 0),
        "experts": ExpertsRequest(prompts, prompts),
        "paths": PathsRequest(prompts, prompts, CIRCUIT),
        "positions": PositionsRequest(one, prompts, CIRCUIT),
        "recomposition": RecompositionRequest(prompts, prompts, CIRCUIT),
        "rival": RivalRequest(judged, judged, CIRCUIT, explored=explored),
        "source_tokens": SourceTokensRequest(prompts, prompts),
        "specificity": SpecificityRequest(prompts, prompts, CIRCUIT, others=(OtherTask(judged, CIRCUIT[:1]),)),
        "stability": StabilityRequest(explored, explored, "exact", size=2),
        "sweep": SweepRequest(prompts, prompts, seed=3),
        "token_gradients": TokenGradientsRequest(one, prompts),
        "transfer": TransferRequest(judged, judged, CIRCUIT, explored=explored),
    }


@pytest.fixture
def auditor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Auditor:
    """Of a subject with a fixed identity, under fixed versions of the libraries and a later version of Assay."""
    monkeypatch.setattr("audit_core.run.list_versions", lambda: {"assay": "99.0.0", **LIBRARIES})
    return Auditor(AdditiveSubject(WORTH), RunLog(tmp_path))


def list_keys(auditor: Auditor) -> dict[str, str]:
    requests = list_requests(pair_up(auditor.subject))
    return {audit: auditor.content_key(audit, request) for audit, request in requests.items()}


@pytest.fixture
def planted_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An audit that an installation adds: one more file in the folder of audits."""
    folder = tmp_path / "more audits"
    folder.mkdir()
    (folder / "added.py").write_text(ADDED)
    monkeypatch.setattr(audits, "__path__", [*audits.__path__, str(folder)])
    list_plugins.cache_clear()
    yield "added"
    list_plugins.cache_clear()
    sys.modules.pop("audit_core.audits.added", None)


def test_every_audit_has_a_pinned_key() -> None:
    assert set(PINNED) == set(list_plugins("audits"))


def test_answers_stored_before_audits_had_versions_are_found(auditor: Auditor) -> None:
    assert list_keys(auditor) == PINNED


def test_an_answer_stored_by_the_version_before_is_reused(auditor: Auditor) -> None:
    """Under the key that it had then, in the text that it had then."""
    digests = {"model_digest": "", "prompts_sha256": "", "identity": "{}", "request": "{}"}
    start = RunStart("1", "2026-01-01T00:00:00.000+00:00", "me", "s", "discover", PINNED["discover"], **digests)
    auditor.log.start(start)
    auditor.log.append(RunRecord(**asdict(start), outcome="done", reason="", detail="", result=STORED, wall_s=1.0))
    found = auditor.find_earlier("discover", list_requests(pair_up(auditor.subject))["discover"])
    assert found is not None
    assert found.is_reused
    assert json.loads(TypeAdapter(type(found.result)).dump_json(found.result)) == json.loads(STORED)


def test_an_added_audit_leaves_all_other_keys_alone(auditor: Auditor, planted_audit: str) -> None:
    assert planted_audit in list_plugins("audits")
    assert list_keys(auditor) == PINNED
    request = list_requests(pair_up(auditor.subject))["ablation"]
    assert auditor.content_key(planted_audit, request) not in PINNED.values()


@pytest.mark.parametrize("raised", sorted(PINNED))
def test_a_raised_version_changes_the_keys_of_its_own_audit_alone(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch, raised: str
) -> None:
    def get_raised(shelf: str, key: str) -> Any:
        plugin = get_plugin(shelf, key)
        return replace(plugin, version=plugin.version + 1) if (shelf, key) == ("audits", raised) else plugin

    monkeypatch.setattr("audit_core.run.get_plugin", get_raised)
    changed = {audit for audit, key in list_keys(auditor).items() if key != PINNED[audit]}
    assert changed == {raised}


def test_another_version_of_a_library_that_computes_changes_every_key(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit_core.run.list_versions", lambda: {"assay": "0.1.0", **LIBRARIES, "torch": "2"})
    assert not set(list_keys(auditor).values()) & set(PINNED.values())
