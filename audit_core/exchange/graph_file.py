"""Attribution graphs in Neuronpedia's schema, which circuit-tracer writes: read with limits, and written without loss."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.errors import Refused
from audit_core.verifier.strict_json import NotStrictJson, load_strict

MAX_GRAPH_BYTES = 32 << 20
MAX_NODES, MAX_LINKS, MAX_TOKENS = 20_000, 150_000, 10_000
_MAX_TEXT, _MAX_PROMPT = 2_000, 100_000
_MAX_LAYER, _MAX_NUMBER = 9_999, 2**63
_NAME = re.compile(r"[\w.:>@+-]{1,120}", re.ASCII)
"""Slugs and ids of nodes: other tools make file names and addresses of them."""
_NODE = ("node_id", "feature", "layer", "ctx_idx", "feature_type", "jsNodeId", "clerp")
_LINK = ("source", "target", "weight")
_METADATA = ("slug", "scan", "prompt_tokens", "prompt")
_WANTED = "a graph of Neuronpedia's schema, as circuit-tracer or `exchange graph` writes it"


@dataclass(frozen=True)
class GraphNode:
    """A node as its author wrote it."""

    node_id: str
    feature: int | None
    layer: str | int
    ctx_idx: int
    """Index of its token in the prompt."""
    feature_type: str
    js_node_id: str
    clerp: str
    """Label."""
    rest: str = "{}"
    """Every other field, as a JSON object."""

    @property
    def layer_number(self) -> int | None:
        """The layer, if it is one: an embedding has the layer E."""
        text = str(self.layer)
        return int(text) if text.isascii() and text.isdigit() else None


@dataclass(frozen=True)
class GraphLink:
    """An edge with the weight that its author estimated; the schema gives no unit."""

    source: str
    target: str
    weight: float
    rest: str = "{}"
    """Every other field, as a JSON object."""


@dataclass(frozen=True)
class GraphFile:
    """A whole file. `write_graph` of it is the same JSON document as what was read."""

    slug: str
    scan: str
    """What the author calls the model."""
    prompt: str
    prompt_tokens: tuple[str, ...]
    nodes: tuple[GraphNode, ...]
    links: tuple[GraphLink, ...]
    view: str = "{}"
    """`qParams`: what a viewer shows, as a JSON object."""
    rest_metadata: str = "{}"
    rest: str = "{}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """`generation_settings` of the metadata; empty without any."""
        return _take_object(json.loads(self.rest_metadata), "generation_settings")

    @property
    def source_set(self) -> str:
        """Name of the dictionary that the author states; empty without one."""
        named = _take_object(json.loads(self.rest_metadata), "feature_details").get("neuronpedia_source_set")
        return named[:200] if isinstance(named, str) else ""


def looks_like_graph(raw: bytes) -> bool:
    """Whether JSON bytes are meant as a graph: they name nodes and links."""
    return b'"nodes"' in raw and b'"links"' in raw


def read_graph(raw: bytes, *, name: str) -> GraphFile:
    """Read a graph.

    Args:
        name: the file's name in messages.

    Raises:
        Refused: not strict JSON (NaN, a name twice, too deep, too large), not of the schema, a node or link that is
            malformed, given twice or without its nodes; the message names the row.
    """
    if len(raw) > MAX_GRAPH_BYTES:
        raise _refuse(
            name, f"has {len(raw):,} bytes", f"at most {MAX_GRAPH_BYTES:,}", "prune it with a higher threshold"
        )
    try:
        found = load_strict(raw)
    except NotStrictJson as error:
        raise _refuse(name, f"cannot be read: {error}", _WANTED, "write it again, or prune it") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(key), dict) for key in ("metadata", "qParams")):
        raise _refuse(name, "has no objects metadata and qParams", _WANTED, "export it again")
    metadata, tokens = found["metadata"], found["metadata"].get("prompt_tokens")
    for key in ("slug", "scan", "prompt"):
        _check_text(metadata.get(key), f"{name}, metadata.{key}", _MAX_PROMPT if key == "prompt" else _MAX_TEXT)
    if not _NAME.fullmatch(metadata["slug"]) or ".." in metadata["slug"]:
        raise _refuse(
            name,
            f"has the slug {metadata['slug'][:60]!a}",
            "letters, digits, dots and hyphens: it names files",
            "rename it",
        )
    if not isinstance(tokens, list) or not 0 < len(tokens) <= MAX_TOKENS:
        raise _refuse(name, "has no list metadata.prompt_tokens", f"1 to {MAX_TOKENS:,} texts", "export it again")
    for at, token in enumerate(tokens):
        _check_text(token, f"{name}, metadata.prompt_tokens[{at}]")
    nodes = tuple(
        _read_node(row, f"{name}, nodes[{at}]", len(tokens))
        for at, row in enumerate(_list(found, name, "nodes", MAX_NODES))
    )
    _check_unique([node.node_id for node in nodes], name, "nodes")
    known = {node.node_id for node in nodes}
    links = tuple(
        _read_link(row, f"{name}, links[{at}]", known) for at, row in enumerate(_list(found, name, "links", MAX_LINKS))
    )
    _check_unique([(link.source, link.target, link.rest) for link in links], name, "links")
    return GraphFile(
        metadata["slug"], metadata["scan"], metadata["prompt"], tuple(tokens), nodes, links, json.dumps(found["qParams"]),
        _dump_rest(metadata, _METADATA), _dump_rest(found, ("metadata", "qParams", "nodes", "links")),
    )  # fmt: skip


def write_graph(graph: GraphFile) -> bytes:
    """The file as UTF-8 JSON; equal graphs have equal bytes."""
    document = {
        "metadata": {
            "slug": graph.slug, "scan": graph.scan, "prompt_tokens": list(graph.prompt_tokens), "prompt": graph.prompt,
            **json.loads(graph.rest_metadata),
        },
        "qParams": json.loads(graph.view),
        "nodes": [
            {
                "node_id": node.node_id, "feature": node.feature, "layer": node.layer, "ctx_idx": node.ctx_idx,
                "feature_type": node.feature_type, "jsNodeId": node.js_node_id, "clerp": node.clerp, **json.loads(node.rest),
            }
            for node in graph.nodes
        ],
        "links": [
            {"source": link.source, "target": link.target, "weight": link.weight, **json.loads(link.rest)} for link in graph.links
        ],
        **json.loads(graph.rest),
    }  # fmt: skip
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _read_node(row: Any, place: str, n_tokens: int) -> GraphNode:
    _check_fields(row, place, _NODE)
    for key in ("node_id", "jsNodeId", "feature_type", "clerp"):
        _check_text(row[key], f"{place}.{key}")
    if not _NAME.fullmatch(row["node_id"]):
        raise _refuse(
            place,
            f"has the id {row['node_id'][:60]!a}",
            "1 to 120 letters, digits or any of . : > @ + - _",
            "rename it",
        )
    layer, feature, at = row["layer"], row["feature"], row["ctx_idx"]
    if not ((isinstance(layer, str) and len(layer) <= 20) or _is_whole(layer, 0, _MAX_LAYER)):
        raise _refuse(place, f"has the layer {str(layer)[:40]!a}", "a layer's number, or E", "correct it")
    if not (feature is None or _is_whole(feature, -1, _MAX_NUMBER)):
        raise _refuse(place, f"has the feature {str(feature)[:40]!a}", "a whole number, or null", "correct it")
    if not _is_whole(at, 0, n_tokens - 1):
        raise _refuse(place, f"has the token {str(at)[:40]!a}", f"ctx_idx from 0 to {n_tokens - 1}", "correct it")
    return GraphNode(
        row["node_id"], feature, layer, at, row["feature_type"], row["jsNodeId"], row["clerp"], _dump_rest(row, _NODE)
    )


def _read_link(row: Any, place: str, known: set[str]) -> GraphLink:
    _check_fields(row, place, _LINK)
    for key in ("source", "target"):
        if not isinstance(row[key], str) or row[key] not in known:
            raise _refuse(
                place,
                f"has the {key} {str(row[key])[:60]!a}",
                "the id of a node of this file",
                "add the node or remove the link",
            )
    if row["source"] == row["target"]:
        raise _refuse(place, f"leads from {row['source'][:60]!a} to itself", "two nodes", "remove it")
    weight = row["weight"]
    if isinstance(weight, bool) or not isinstance(weight, int | float) or abs(weight) > 1e300:
        raise _refuse(place, f"has the weight {str(weight)[:40]!a}", "a number", "correct it")
    return GraphLink(row["source"], row["target"], weight, _dump_rest(row, _LINK))


def _list(found: Mapping[str, Any], name: str, key: str, most: int) -> list[Any]:
    rows = found.get(key)
    if not isinstance(rows, list) or len(rows) > most:
        size = f"has {len(rows):,} {key}" if isinstance(rows, list) else f"has no list {key}"
        raise _refuse(name, size, f"a list of at most {most:,}", "prune it with a higher threshold")
    return rows


def _check_fields(row: Any, place: str, keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if not isinstance(row, dict) or key not in row]
    if missing:
        found = f"has no {missing[0]}" if isinstance(row, dict) else "is no object"
        raise _refuse(place, found, f"an object with {', '.join(keys)}", "export the graph again, or add it")


def _check_text(value: Any, place: str, most: int = _MAX_TEXT) -> None:
    if not isinstance(value, str) or len(value) > most:
        size = f"has {len(value):,} characters" if isinstance(value, str) else f"is {str(value)[:40]!a}"
        raise _refuse(place, size, f"a text of at most {most:,} characters", "correct it")


def _check_unique(keys: list[Any], name: str, what: str) -> None:
    first: dict[Any, int] = {}
    for at, key in enumerate(keys):
        if first.setdefault(key, at) != at:
            raise _refuse(
                f"{name}, {what}[{at}]", f"repeats {what}[{first[key]}]", "each once", "remove one of the two"
            )


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _dump_rest(row: Mapping[str, Any], known: tuple[str, ...]) -> str:
    return json.dumps({key: value for key, value in row.items() if key not in known})


def _take_object(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = found.get(key)
    return inner if isinstance(inner, dict) else {}


def _refuse(place: str, found: str, wanted: str, remedy: str) -> Refused:
    return Refused(f"{place} {found}.", wanted=f"{wanted}.", remedy=f"{remedy}.")
