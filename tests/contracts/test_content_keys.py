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
from toy.audit_requests import make_decision_task, make_table_task
from toy.steering import read_votes

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
from audit_core.audits.explanations import ExplanationsRequest
from audit_core.audits.paths import PathsRequest
from audit_core.audits.positions import PositionsRequest
from audit_core.audits.rationale import RationaleRequest
from audit_core.audits.recomposition import RecompositionRequest
from audit_core.audits.rival import RivalRequest
from audit_core.audits.robustness import RobustnessRequest
from audit_core.audits.source_tokens import SourceTokensRequest
from audit_core.audits.specificity import SpecificityRequest
from audit_core.audits.stability import StabilityRequest
from audit_core.audits.sweep import SweepRequest
from audit_core.audits.token_gradients import TokenGradientsRequest
from audit_core.audits.transfer import TransferRequest
from audit_core.benchmarks import BenchmarkRequest
from audit_core.circuits import OtherTask
from audit_core.claim import Claim
from audit_core.closed import ClosedDocumentsRequest, ClosedToolsRequest
from audit_core.component import head
from audit_core.decisions import DecisionsRequest
from audit_core.documents import DocumentSource, DocumentsRequest
from audit_core.features import EvaluationRequest, FeaturesRequest, VersionsRequest
from audit_core.intervention import Replacement
from audit_core.lenses import LensesRequest
from audit_core.probes import ProbesRequest
from audit_core.prompts.prompt_set import TokenisedPrompts, is_exploratory
from audit_core.registry import get_plugin, list_plugins
from audit_core.run import Auditor
from audit_core.steering import SteeringRequest
from audit_core.store import RunLog, RunRecord, RunStart
from audit_core.tabular import TabularRequest
from audit_core.tools import ToolsRequest
from audit_core.vision import Region, VisionRequest

WORTH = {head(0, 0): 3.0, head(1, 2): -1.0}
CIRCUIT = (head(0, 0), head(1, 2))
LIBRARIES = {"torch": "1", "transformer_lens": "1", "transformers": "1", "numpy": "1", "scipy": "1"}

PINNED = {
    "ablation": "6c324fc529d159d41562e604430944c0263b7e2fe4d2b2b1c0527ec389f4c155",
    "attention": "75b8ff95052677ef9b14fcb79b2e9d691a3d38f2e84d6d5dc6cd059d6ad91a1b",
    "attention_tests": "a306f6c2590cd39acf91d3ca1a1b88f51f7106bfd0cc92e9ad416591515dc0b8",
    "benchmark": "7a284d3e47f29aed0c66e6902723d65204da687406f74fba3ce4e47403fcc362",
    "both_sides": "b19f8fbe9b8b4b156b3930c722018f60946002525bfc735e79305fede3d50048",
    "circuit": "4822d10e6ed31ad60aef7dc04752407a8cd59156494d62693d09b62be69afdbf",
    "claim_test": "c813a60cc4b0b71520dbd043d649725ecdacf41c77cef9a67b92a889b7e486cd",
    "closed_documents": "94c5eb4a0b9ffb4514f6beedb37432ad41a0181ae8d6a82be4ac94de2973c41b",
    "closed_tools": "fbde14129c8b67f4086ca1b591d24e7ca6544e76bce9f371c5823cfc5d69181b",
    "confirmation": "f2ad286c781a1cbdf5e933ed70ed617e53f357af41054907be84b838156702e2",
    "curve": "aed718cbe5c4fc996e5b0366b541d8e3cdb480b429c2b8a0e3569b743798f941",
    "decisions": "23534b156ce95cbcf1e50fe8206d345b0d5e98d383cd72ce245f713398870bba",
    "discover": "d3ad690acd7a065430b37c83d8599d8b4c306f85bef1fc57c0db83ef2555f067",
    "documents": "312aa024d8b8a60ea716b5bf4308ec3ffd1340486b52d828cb930ea465095902",
    "edges": "86ac5204cc2de946f9c7ec2d18f7395342c2be58a174fb8f3ada98ce80478bee",
    "experts": "51d46e79dfa62fdd5aff5121f8cbf8b1560f77edf1d684406754fe8e20795d83",
    "explanations": "26f67e599ae549e3a5c9a63377586c166bec4d6e14cf757dbe8ff5bb5673674f",
    "feature_evaluation": "185a9932d33289adc22ad06df3f50e0e47d61c64588cf86cadbee7cf86f58cf7",
    "feature_versions": "eba34a24c061c11835a7301b26bbec76408b41a97b4e893cffba4736cd074ac6",
    "features": "95a7c4e827750d260e75454f7797fdb3b58f8eb83ff1a907231ad37f4f49e064",
    "lenses": "89375206dc538056c76d0a036f1e23f11de537bf9747ee4dd83c2b94c86f7f0c",
    "paths": "26c6c5fa6c07adee354264fac00dd5c8a1039a36f2591106930b55a493d112ec",
    "positions": "40e5041154063527dad669f95e202d5742eda73044ddf090403a92c011848f31",
    "probes": "bca5336cfafbd7f43076c403a3b410fbbefa5ca93008e10c162ef7cac08364f3",
    "rationale": "a26129b99aea6e8f3c4d30d194181df62d5b9f2f8ca37623f55964ebd269fe79",
    "recomposition": "d626472acffdbed682941227ec55339732c696637b2f7b6d8c8bb7aa7cabfa48",
    "rival": "14c4f5f7b2bff04a69d7f5e5595362c1f16843a369a399c971a35a320e27e09c",
    "robustness": "814b8fa6d54b2ae9606ab9c0b11d313ccbc0fed5aabb52d0efbc8f413d5737aa",
    "source_tokens": "6f90c718a851ab5e1e816cfcf5550c531a5775e11e37f7f60fc03d760dee8b79",
    "specificity": "a8e3eaca6c2508d5ca83ec1340a3981215313bc481e7970c5889ed15d4a01e5e",
    "stability": "2108e6b8ba151704443f6a2efbbe6650145f2451e9c4f75f3d520ee569e1fcb0",
    "steering": "b1024a31ae6bc470ea63cc1d2adf6cb2003826103e13bd6028600f38c7d9c24f",
    "sweep": "266ecf26257ef8056352328cbd7d1affcc4dfda93125ae343caa38ad8dd66579",
    "tabular": "c3e311bf8b70008e000e8a3231cd8a8d263862f2bdc031116e165d1dca19a3c2",
    "token_gradients": "2be91d156c926aa8e7526a75ce3b726f276b6bbb419f2708a5c6ec93524baf85",
    "tools": "e0a1fde0480b5c8f92c6ec79c5cdf881eb1f824ee70e74456198ed84bd6c4430",
    "transfer": "25da29cff2ff83e445a65d30e2ed899ef35e57b186bdbf1df4a91b56cca5ce00",
    "vision": "f384de52d8685049a1bd2d9de96e8d2b41055472557a3d4fe6542abbf7b94554",
}
"""Audit → content key of the request below, under the third verdict rule.

A key that changes here throws away the stored answers of that audit in every installation: change one only with its
audit's `version`, or where the description of its request changed; all of them, only with the verdict rule."""

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
        "robustness": RobustnessRequest(prompts, prompts, CIRCUIT),
        "circuit": CircuitRequest(prompts, prompts, CIRCUIT),
        "claim_test": ClaimTestRequest(prompts, Claim("needed", CIRCUIT)),
        "closed_documents": ClosedDocumentsRequest(prompts, DocumentSource("own.csv", "0" * 64, 2)),
        "closed_tools": ClosedToolsRequest(prompts, DocumentSource("own.csv", "0" * 64, 2)),
        "confirmation": ConfirmationRequest(judged, Claim("needed", CIRCUIT), explored, ("circuit", "stability")),
        "curve": CurveRequest(judged, judged, CIRCUIT, explored=explored),
        "decisions": DecisionsRequest(prompts, make_decision_task()),
        "discover": DiscoverRequest(explored, explored, "exact", replacement=mean),
        "documents": DocumentsRequest(prompts),
        "edges": EdgesRequest(one, 1, 0),
        "experts": ExpertsRequest(prompts, prompts),
        "explanations": ExplanationsRequest(prompts, prompts),
        "feature_evaluation": EvaluationRequest(prompts, DocumentSource("own.csv", "0" * 64, 2)),
        "feature_versions": VersionsRequest(prompts, "planted-and"),
        "features": FeaturesRequest(prompts),
        "lenses": LensesRequest(prompts, prompts),
        "paths": PathsRequest(prompts, prompts, CIRCUIT),
        "positions": PositionsRequest(one, prompts, CIRCUIT),
        "probes": ProbesRequest(prompts),
        "rationale": RationaleRequest(prompts),
        "recomposition": RecompositionRequest(prompts, prompts, CIRCUIT),
        "rival": RivalRequest(judged, judged, CIRCUIT, explored=explored),
        "source_tokens": SourceTokensRequest(prompts, prompts),
        "specificity": SpecificityRequest(prompts, prompts, CIRCUIT, others=(OtherTask(judged, CIRCUIT[:1]),)),
        "stability": StabilityRequest(explored, explored, "exact", size=2),
        "steering": SteeringRequest(prompts, read_votes(), layer=1),
        "sweep": SweepRequest(prompts, prompts, seed=3),
        "tabular": TabularRequest(prompts, make_table_task()),
        "token_gradients": TokenGradientsRequest(one, prompts),
        "tools": ToolsRequest(prompts),
        "transfer": TransferRequest(judged, judged, CIRCUIT, explored=explored),
        "vision": VisionRequest(prompts, Region(0, 0, 2, 2)),
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


def test_stored_answers_are_found(auditor: Auditor) -> None:
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
