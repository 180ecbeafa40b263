"""Attribution graphs in Neuronpedia's schema: read and written without loss, mapped to components, and refused by row where hostile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy.planted import PRIMARY, make_induction

from audit_core import cli
from audit_core.audits.paths import PathsAudit, PathsRequest, PathsResult
from audit_core.circuits import read_components
from audit_core.claim import Universe
from audit_core.component import Component, Kind, head, mlp, parse_components
from audit_core.dictionaries.planted import write_planted
from audit_core.errors import AuditError, Refused
from audit_core.exchange.candidate import CandidateCircuit, count_reasons, map_graph
from audit_core.exchange.graph_export import GraphOrigin, export_components, export_paths
from audit_core.exchange.graph_file import read_graph, write_graph
from audit_core.prompts.alignment import tokenise

WIRED = parse_components("L0.H0 L1.H0 L1.H1 L1.MLP")


def make_node(
    node_id: str, layer: str | int, kind: str, feature: int | None = 0, at: int = 0, **more: Any
) -> dict[str, Any]:
    return {
        "node_id": node_id, "feature": feature, "layer": layer, "ctx_idx": at, "feature_type": kind, "jsNodeId": f"{node_id}-0", "clerp": "", **more
    }  # fmt: skip


def make_document(*nodes: dict[str, Any], links: list[tuple[str, str, float]] | None = None) -> dict[str, Any]:
    """A graph as circuit-tracer writes one: features of transcoders with Cantor numbers, errors, embeddings and logits."""
    rows = nodes or (
        make_node("E_12_0", "E", "embedding"), make_node("0_7_1", "0", "cross layer transcoder", 35, 1, influence=0.4, activation=2.5),
        make_node("1_3_1", "1", "cross layer transcoder", 13, 1), make_node("1_-1_1", "1", "mlp reconstruction error", -1, 1),
        make_node("h", 1, "attention head", 0, 1), make_node("3_5_2", "3", "logit", 5, 2, token_prob=0.5),
    )  # fmt: skip
    named = (
        links
        if links is not None
        else [
            ("E_12_0", "0_7_1", 12.5),
            ("0_7_1", "1_3_1", -0.25),
            ("1_3_1", "3_5_2", 3),
            ("1_-1_1", "3_5_2", 1.5),
            ("h", "3_5_2", 0.5),
        ]
    )
    return {
        "metadata": {"slug": "a-graph", "scan": "some-model", "prompt_tokens": ["<s>", "a", " b"], "prompt": "a b", "node_threshold": 0.8},
        "qParams": {"pinnedIds": ["h"], "supernodes": [["two", "0_7_1", "1_3_1"]]},
        "nodes": list(rows), "links": [{"source": a, "target": b, "weight": w} for a, b, w in named], "qk_only_nodes": {},
    }  # fmt: skip


def read(document: Any) -> Any:
    return read_graph(json.dumps(document).encode(), name="g.json")


def measure(subject: Any, *, split: bool) -> PathsResult:
    prompts = tokenise(make_induction(6, change="context", n_templates=3), subject.tokenizer)
    request = PathsRequest(prompts, prompts, WIRED, split)
    return PathsAudit().run(subject, request, means=None, on_progress=lambda done, total: None)


def test_a_graph_from_elsewhere_is_written_again_as_the_same_document() -> None:
    document = make_document()
    graph = read(document)
    assert json.loads(write_graph(graph)) == document
    assert read_graph(write_graph(graph), name="again") == graph


@pytest.mark.parametrize("split", [False, True])
def test_measured_connections_come_back_with_every_number(planted: Any, split: bool) -> None:
    result, identity = measure(planted, split=split), planted.identity
    graph = export_paths(
        result, GraphOrigin(identity.model, identity.weights_sha256, "induction", n=result.n, run_id="ab12")
    )
    again = read_graph(write_graph(graph), name="ours")
    assert again == graph
    found = map_graph(again, planted)
    assert (found.components, found.universe) == (WIRED, Universe.HEADS_MLPS)
    assert {str(edge.connection): edge.weight for edge in found.edges} == {
        c.connection: c.estimate.value for c in result.connections
    }
    assert (found.nodes_left_out, found.links_left_out, found.notices) == ((), (), ()), "same weights, whole components"
    direct = next(link for link in again.links if json.loads(link.rest)["connection"] == "L1.H0>output")
    assert direct.weight == pytest.approx(2 * PRIMARY, abs=0.02)
    estimate = next(c.estimate for c in result.connections if c.connection == "L1.H0>output")
    rest = json.loads(direct.rest)
    assert (rest["low"], rest["high"], rest["n"], rest["unit"], rest["badge"]) == (
        estimate.low,
        estimate.high,
        6,
        "logits",
        "causal",
    )


def test_no_text_of_a_prompt_is_in_a_graph_of_ours(planted: Any) -> None:
    result = measure(planted, split=False)
    raw = write_graph(export_paths(result, GraphOrigin("m", "0" * 64, "induction", n=6)))
    prompts = make_induction(6, change="context", n_templates=3).prompts
    assert not any(prompt.clean.encode() in raw for prompt in prompts)


def test_what_no_component_is_named_by_is_listed_with_the_reason(planted: Any) -> None:
    found = map_graph(read(make_document()), planted)
    assert found.components == (head(1, 0),)
    reasons = dict(count_reasons(found.nodes_left_out))
    assert reasons["a feature of a transcoder, which is not opened here; it can be taken as the MLP of its layer"] == 2
    assert reasons["what a transcoder leaves out of an MLP: it is no component"] == 1
    assert [str(edge.connection) for edge in found.edges] == ["L1.H0>output"]
    assert dict(count_reasons(found.links_left_out)) == {"a node at one end is not mapped": 4}
    assert len(found.notices) == 2, "of another model, and at single tokens"


def test_transcoder_features_can_be_taken_as_their_mlps(planted: Any) -> None:
    found = map_graph(read(make_document()), planted, takes_mlps=True)
    assert found.components == (mlp(0), head(1, 0), mlp(1)) or set(found.components) == {head(1, 0), mlp(0), mlp(1)}
    assert found.universe is Universe.HEADS_MLPS
    assert [(str(e.connection), e.weight) for e in found.edges] == [
        ("input>L0.MLP", 12.5), ("L0.MLP>L1.MLP", -0.25), ("L1.MLP>output", 3.0), ("L1.H0>output", 0.5),
    ]  # fmt: skip


def test_a_weight_from_elsewhere_is_estimated_whatever_the_file_says(planted: Any) -> None:
    """The file calls its weight causal. What is read has no field for that, and its type says estimated."""
    document = make_document(make_node("h", 0, "attention head"), make_node("o", 3, "logit"), links=[])
    document["links"] = [{"source": "h", "target": "o", "weight": 9.0, "badge": "causal", "low": 8.0, "high": 10.0}]
    from audit_core.evidence.kind import read_evidence

    found = map_graph(read(document), planted)
    assert found.edges[0].weight == 9.0
    assert read_evidence(CandidateCircuit)["edges"]["weight"] == "estimated"  # type: ignore[index,call-overload]
    assert not hasattr(found.edges[0], "low")


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (make_node("x", 7, "attention head"), "layer '7'"),
        (make_node("x", 0, "attention head", 99), "head 99 of layer 0"),
        (make_node("x", 0, "attention head", None), "head -1 of layer 0"),
        (make_node("x", 0, "attention head", 1, component="L1.H0"), "component 'L1.H0', which is not what"),
        (make_node("x", 0, "attention head", 1, component={"a": 1}), "component"),
        (make_node("x", "E", "mlp"), "layer 'E'"),
        (make_node("x", 0, "sorcery"), "type 'sorcery'"),
        (make_node("x", 0, "residual stream feature"), "opened without one"),
    ],
)
def test_a_node_that_the_model_lacks_is_left_out(planted: Any, node: dict[str, Any], reason: str) -> None:
    found = map_graph(read(make_document(node, links=[])), planted)
    assert not found.components
    assert reason in found.nodes_left_out[0].reason


def test_links_that_are_no_connection_are_left_out(planted: Any) -> None:
    nodes = (
        make_node("a", 1, "mlp", None),
        make_node("b", 1, "attention head"),
        make_node("c", 1, "head", 0, 1),
        make_node("o", 3, "logit"),
    )
    found = map_graph(read(make_document(*nodes, links=[("a", "b", 1), ("b", "c", 1), ("o", "a", 1)])), planted)
    assert [one.reason for one in found.links_left_out] == [
        "L1.H0 does not read the output of L1.MLP", "both nodes are the same component", "output→L1.MLP runs backwards",
    ]  # fmt: skip
    stated = make_document(make_node("a", 0, "head"), make_node("b", 1, "head"), links=[])
    stated["links"] = [{"source": "a", "target": "b", "weight": 1, "connection": "L0.H1>L1.H0"}]
    assert "stated otherwise" in map_graph(read(stated), planted).links_left_out[0].reason


def test_features_are_mapped_once_the_file_or_the_user_says_whose_they_are(load_planted: Callable[[str], Any]) -> None:
    dictionary = write_planted()
    plain = load_planted("planted-strict")
    subject, part = plain.with_dictionary(dictionary, "planted-strict"), Component(dictionary.layer, Kind.FEATURE, 2)
    ours = export_components([part], GraphOrigin("m", "", "circuit", dictionary_sha256=dictionary.sha256))
    found = map_graph(read_graph(write_graph(ours), name="f"), subject)
    assert (found.components, found.universe) == ((part,), Universe.FEATURES)
    theirs = read(
        make_document(make_node(f"{dictionary.layer}_2_1", dictionary.layer, "sae feature", 9999, 1), links=[])
    )
    assert "does not show to be the opened one" in map_graph(theirs, subject).nodes_left_out[0].reason
    assert map_graph(theirs, subject, is_same_dictionary=True).components == (part,), "the index is that of the id"
    assert not map_graph(theirs, plain, is_same_dictionary=True).components
    mixed = read(
        make_document(
            make_node(f"{dictionary.layer}_2_1", dictionary.layer, "sae feature"), make_node("h", 0, "head"), links=[]
        )
    )
    assert map_graph(mixed, subject, is_same_dictionary=True).universe is None


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "an id twice": (lambda d: d["nodes"].append(dict(d["nodes"][1])), "nodes[6] repeats nodes[1]"),
    "a link twice": (lambda d: d["links"].append(dict(d["links"][2])), "links[5] repeats links[2]"),
    "a path as slug": (lambda d: d["metadata"].update(slug="../../etc/passwd"), "slug"),
    "dots as slug": (lambda d: d["metadata"].update(slug="a..b"), "slug"),
    "a path as id": (lambda d: d["nodes"][0].update(node_id="/etc/passwd"), "nodes[0] has the id"),
    "a link to nothing": (lambda d: d["links"][3].update(target="nowhere"), "links[3] has the target 'nowhere'"),
    "a loop": (lambda d: d["links"][0].update(target="E_12_0"), "links[0] leads from 'E_12_0' to itself"),
    "a text as weight": (lambda d: d["links"][1].update(weight="1"), "links[1] has the weight '1'"),
    "true as weight": (lambda d: d["links"][1].update(weight=True), "links[1] has the weight 'True'"),
    "a huge weight": (lambda d: d["links"][1].update(weight=10**301), "links[1] has the weight"),
    "a token that is not there": (lambda d: d["nodes"][4].update(ctx_idx=3), "nodes[4] has the token '3'"),
    "a layer below zero": (lambda d: d["nodes"][4].update(layer=-1), "nodes[4] has the layer"),
    "a list as feature": (lambda d: d["nodes"][4].update(feature=[1]), "nodes[4] has the feature"),
    "a missing field": (lambda d: d["nodes"][2].pop("clerp"), "nodes[2] has no clerp"),
    "a node that is none": (lambda d: d["nodes"].insert(0, "x"), "nodes[0] is no object"),
    "a long label": (lambda d: d["nodes"][2].update(clerp="x" * 3000), "nodes[2].clerp has 3,000 characters"),
    "no prompt": (lambda d: d["metadata"].pop("prompt"), "metadata.prompt is 'None'"),
    "no tokens": (lambda d: d["metadata"].update(prompt_tokens=[]), "prompt_tokens"),
    "no view": (lambda d: d.pop("qParams"), "metadata and qParams"),
    "nodes as an object": (lambda d: d.update(nodes={}), "no list nodes"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_malformed_graph_is_refused_with_row_and_remedy(case: str) -> None:
    change, text = HOSTILE[case]
    document = make_document()
    read(document)
    change(document)
    with pytest.raises(Refused) as caught:
        read(document)
    assert text in caught.value.found
    assert caught.value.remedy.strip(".")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (json.dumps(make_document()).replace("12.5", "NaN").encode(), "NaN"),
        (json.dumps(make_document()).replace("12.5", "1e999").encode(), "outside the range"),
        (json.dumps(make_document()).replace('"prompt": "a b"', '"prompt": ' + "[" * 5000 + "]" * 5000).encode(), "nested"),
        (json.dumps(make_document()).replace('"slug"', '"scan": "x", "slug"').encode(), "duplicate key"),
        (b"\xff\xfe", "not JSON"), (b"[]", "no objects"), (b"", "not JSON"), (b'{"nodes": [' + b"0," * 600_000 + b"0]}", "values"),
    ],
    ids=["nan", "overflow", "nesting", "name-twice", "bytes", "list", "empty", "many-values"],
)  # fmt: skip
def test_bytes_that_are_no_strict_json_are_refused(raw: bytes, text: str) -> None:
    with pytest.raises(AuditError, match=text):
        read_graph(raw, name="g.json")


def test_a_circuit_is_exported_and_read_by_commands(
    own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_home.mkdir(exist_ok=True)
    graph, circuit = str(tmp_path / "g.json"), tmp_path / "c.json"
    named = ["--model", "planted-induction"]
    assert cli.main(["exchange", "graph", "--components", "L0.H0", "L1.H0", *named, "--out", graph]) == 0
    capsys.readouterr()
    assert cli.main(["exchange", "read-graph", graph, *named, "--out", str(circuit), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["components"] == ["L0.H0", "L1.H0"]
    assert read_components(circuit.read_text()) == parse_components("L0.H0 L1.H0")
    assert cli.main(["exchange", "graph", "--components", "L9.H9", *named, "--out", graph]) == 2
    assert cli.main(["exchange", "graph", "--out", graph]) == 2, "no run of `paths` here"
    assert "run `paths` first" in capsys.readouterr().err
    foreign = tmp_path / "foreign.json"
    foreign.write_text(json.dumps(make_document(make_node("x", 0, "lorsa"), links=[])))
    assert cli.main(["exchange", "read-graph", str(foreign), *named]) == 1, "no component"
