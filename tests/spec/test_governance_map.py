"""The map by architecture: what a configuration says, what attention shows there, and what this shelf covers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audit_core.errors import ModelRefused, Refused
from audit_core.references.governance_map import (
    COVERAGE_WORDS,
    SHIPPED_MAP,
    Coverage,
    list_capabilities,
    load_governance_map,
    parse_governance_map,
)
from audit_core.references.model_class import Setting, find_architecture, read_architecture
from audit_core.registry import list_plugins

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_attention_heads": 9}


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (LLAMA, (Setting.DENSE,)),
        ({"architectures": ["GPT2LMHeadModel"], "n_head": 12}, (Setting.DENSE,)),
        (LLAMA | {"num_local_experts": 8}, (Setting.MIXTURE,)),
        (LLAMA | {"num_experts": 64}, (Setting.MIXTURE,)),
        (LLAMA | {"n_routed_experts": 256}, (Setting.MIXTURE,)),
        (LLAMA | {"ffn_config": {"moe_num_experts": 16}}, (Setting.MIXTURE,)),
        ({"architectures": ["X"], "text_config": {"num_local_experts": 16}}, (Setting.MIXTURE,)),
        (LLAMA | {"num_experts": 1}, (Setting.DENSE,)),
        (LLAMA | {"num_experts": True}, (Setting.DENSE,)),
        (LLAMA | {"num_experts": "8"}, (Setting.DENSE,)),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, (Setting.ENCODER_DECODER,)),
        ({"model_type": "encoder-decoder", "encoder": {}, "decoder": {}}, (Setting.ENCODER_DECODER,)),
        ({"is_encoder_decoder": True, "num_experts": 8}, (Setting.ENCODER_DECODER, Setting.MIXTURE)),
        (
            {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"num_attention_heads": 8}},
            (Setting.DENSE,),
        ),
        ({"architectures": ["T5ForConditionalGeneration"], "num_heads": 8}, ()),
        ({"architectures": ["BertForMaskedLM"], "num_attention_heads": 12}, ()),
        ({"architectures": ["MambaForCausalLM"], "state_size": 16}, ()),
        ({"architectures": ["RwkvForCausalLM"]}, ()),
        ({"architectures": "LlamaForCausalLM", "num_attention_heads": 9}, ()),
        ({"architectures": [{}], "text_config": 3, "num_experts": None}, ()),
        ({}, ()),
    ],
)
def test_a_configuration_says_what_a_model_is_or_that_it_is_unknown(
    config: dict[str, Any], settings: tuple[Setting, ...]
) -> None:
    found = find_architecture(config)
    assert found.settings == settings
    assert found.because


def test_retrieval_and_tools_are_never_read_off_a_model() -> None:
    reported = find_architecture(LLAMA | {"retrieval": True, "tools": ["search"], "n_docs": 5})
    assert reported.settings == (Setting.DENSE,)


def test_a_folder_is_read_by_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    assert read_architecture(tmp_path).settings == (Setting.DENSE,)
    (tmp_path / "config.json").write_text("[")
    with pytest.raises(ModelRefused):
        read_architecture(tmp_path)


def test_a_dense_model_has_the_shelf_and_part_of_what_is_asked_about_features_and_decoding() -> None:
    found = list_capabilities([Setting.DENSE])
    assert {fit.audit for fit in found.audits} == set(list_plugins("audits"))
    fits = {fit.audit: fit.applies for fit in found.audits}
    assert fits["claim_test"]
    assert fits["sweep"]
    covered = {demand.id: demand for _, demand in found.demands}
    assert {name for name, demand in covered.items() if demand.coverage is Coverage.NONE} == set()
    assert covered["features"].audits == ("probes", "lenses", "features", "steering")
    assert covered["features"].coverage is covered["decoding"].coverage is Coverage.PART


def test_what_is_asked_of_documents_tools_and_experts_is_covered_by_their_audits() -> None:
    demands = {(setting, demand.id): demand for setting, demand in list_capabilities(list(Setting)).demands}
    for place, audit in (
        ((Setting.RETRIEVAL, "leave_one_out"), "documents"), ((Setting.TOOL_USE, "selection"), "tools"),
    ):  # fmt: skip
        assert demands[place].coverage is Coverage.PART
        assert demands[place].audits == (audit,)
    assert demands[Setting.RETRIEVAL, "composition"].coverage is Coverage.NONE
    assert demands[Setting.RETRIEVAL, "composition"].audits == ()
    assert demands[Setting.ENCODER_DECODER, "cross_attention"].audits == ("source_tokens", "both_sides")
    retro = demands[Setting.ENCODER_DECODER, "retro"]
    assert COVERAGE_WORDS[retro.coverage] == "not available here"
    assert "no class for them" in retro.note
    for name in ("router", "experts", "routing_effect"):
        assert "experts" in demands[Setting.MIXTURE, name].audits
        assert demands[Setting.MIXTURE, name].coverage is not Coverage.NONE


def test_no_audit_runs_on_a_class_that_cannot_be_opened_and_a_system_alone_has_none() -> None:
    both = list_capabilities([Setting.MIXTURE, Setting.ENCODER_DECODER])
    assert not any(fit.applies for fit in both.audits)
    assert not any(fit.applies for fit in list_capabilities([Setting.RETRIEVAL]).audits)
    assert any(fit.applies for fit in list_capabilities([Setting.MIXTURE, Setting.RETRIEVAL]).audits)


def test_what_applies_follows_from_what_audits_demand_and_models_of_a_class_give() -> None:
    """The lists that the map had before audits declared it: all but experts on a dense model, all on a mixture."""
    fits = {setting: list_capabilities([setting]).audits for setting in (Setting.DENSE, Setting.MIXTURE)}
    of_sources = {"both_sides", "source_tokens"}
    assert {fit.audit for fit in fits[Setting.DENSE] if not fit.applies} == {
        "experts",
        "tabular",
        "vision",
        *of_sources,
    }
    assert {fit.audit for fit in fits[Setting.MIXTURE] if not fit.applies} == {"tabular", "vision", *of_sources}
    of_t5 = list_capabilities([Setting.ENCODER_DECODER]).audits
    assert {fit.audit for fit in of_t5 if fit.applies} >= of_sources
    assert not any(fit.applies for fit in of_t5 if fit.audit in ("attention", "claim_test", "sweep", "experts"))
    (experts,) = (fit for fit in fits[Setting.DENSE] if fit.audit == "experts")
    assert experts.missing == ("expert components", "routing")


def test_a_map_of_before_with_lists_of_audits_can_still_be_read() -> None:
    document = json.loads(SHIPPED_MAP.read_bytes())
    for row in document["architectures"]:
        row["audits"] = ["sweep"]
    chart = parse_governance_map(json.dumps(document).encode())
    fits = {fit.audit: fit.applies for fit in list_capabilities([Setting.DENSE], chart).audits}
    assert fits["ablation"], "the list of a map decides nothing"


def test_the_map_names_its_sources_and_both_kinds_of_use() -> None:
    chart = load_governance_map()
    assert [row.id for row in chart.architectures] == list(Setting)
    assert {chart.find(setting).kind for setting in (Setting.RETRIEVAL, Setting.TOOL_USE)} == {"system"}
    assert chart.sources[0].by == "AI Research Team"
    assert (len(chart.acceptable), len(chart.unsafe)) == (3, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["architectures"][0]["demands"][0]["audits"].append("telepathy"), "telepathy"),
        (lambda d: d["architectures"][0]["demands"][0].update(coverage="none"), "coverage none"),
        (lambda d: d["architectures"][0]["demands"][0].update(audits=[]), "with 0 audits"),
        (lambda d: d["architectures"][0]["demands"][0].update(coverage="full"), "coverage"),
        (lambda d: d["architectures"].pop(), "each once"),
        (lambda d: d["architectures"][0].update(source="hearsay"), "hearsay"),
        (lambda d: d.update(more=1), "more"),
    ],
)
def test_a_map_that_contradicts_the_shelf_or_itself_is_refused(change: Any, said: str) -> None:
    document = json.loads(SHIPPED_MAP.read_bytes())
    change(document)
    with pytest.raises(Refused, match=said):
        parse_governance_map(json.dumps(document).encode())
