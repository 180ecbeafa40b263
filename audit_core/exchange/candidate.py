"""A graph from elsewhere as a candidate circuit: the components and connections of a model that it names, and what it names beside them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit_core.claim import Universe
from audit_core.component import Component, Kind, mlp, parse_component
from audit_core.connection import Connection, Endpoint, Terminal, parse_connection
from audit_core.dictionaries.dictionary import Features
from audit_core.errors import ComponentRefused
from audit_core.evidence.kind import Estimated
from audit_core.exchange.graph_file import GraphFile, GraphLink, GraphNode
from audit_core.subject import Subject

HEAD, MLP, FEATURE = "attention head", "mlp", "residual stream feature"
"""Types of nodes as this product writes them."""
_TYPES = {
    HEAD: Kind.HEAD, "head": Kind.HEAD, MLP: Kind.MLP, FEATURE: Kind.FEATURE, "sae feature": Kind.FEATURE,
    "sparse autoencoder": Kind.FEATURE,
}  # fmt: skip
_TRANSCODERS = ("cross layer transcoder", "transcoder", "per layer transcoder")
ENDS = {"embedding": Terminal.INPUT, "logit": Terminal.OUTPUT}
_NOT_COMPONENTS = {
    "mlp reconstruction error": "what a transcoder leaves out of an MLP: it is no component",
    "lorsa": "a feature of an attention dictionary, which this product does not open",
}
_ID = re.compile(r"(\d{1,4})_(\d{1,6})_\d{1,6}", re.ASCII)
"""Ids of circuit-tracer: layer, feature, token. Its field `feature` may be another number."""


class Reason(str):
    """Why a node or link names nothing that this product can edit."""


@dataclass(frozen=True)
class MappedNode:
    """A node that names a component of the model, or an end of all paths."""

    node_id: str
    end: Endpoint


@dataclass(frozen=True)
class NotMapped:
    """A node or link that names nothing that this product can edit."""

    what: str
    """Id of the node, or both ids of the link."""
    reason: str


@dataclass(frozen=True)
class ImportedEdge:
    """A link between components."""

    source: str
    target: str
    connection: Connection
    weight: Estimated[float]
    """Another author's estimate, in a unit that the file does not give; never a measured effect."""


@dataclass(frozen=True)
class CandidateCircuit:
    """Components that a graph proposes: a hypothesis, which circuit audits test."""

    name: str
    model: str
    """What its author calls the model."""
    components: tuple[Component, ...]
    """Sorted, each once, at all positions."""
    nodes: tuple[MappedNode, ...]
    edges: tuple[ImportedEdge, ...]
    nodes_left_out: tuple[NotMapped, ...]
    links_left_out: tuple[NotMapped, ...]
    notices: tuple[str, ...]

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(component.kind for component in self.components)

    @property
    def universe(self) -> Universe | None:
        """The smallest universe around it; None for features beside heads or MLPs, which no audit takes together."""
        for universe in (Universe.HEADS, Universe.HEADS_MLPS, Universe.FEATURES):
            if self.kinds <= set(universe.kinds):
                return universe
        return None

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Each once, in the order of the file."""
        return tuple(dict.fromkeys(edge.connection for edge in self.edges))


def count_reasons(left_out: Sequence[NotMapped]) -> tuple[tuple[str, int], ...]:
    """Reasons with how many nodes or links have them, most first."""
    return tuple(Counter(one.reason for one in left_out).most_common())


def map_graph(
    graph: GraphFile, subject: Subject, *, takes_mlps: bool = False, is_same_dictionary: bool = False
) -> CandidateCircuit:
    """Map what a graph names to the components of a model.

    Args:
        takes_mlps: take the MLP of a layer for each transcoder feature of it: a coarser hypothesis.
        is_same_dictionary: the user states that features of a residual stream are those of the dictionary that the
            model was opened with, which the file itself does not.
    """
    names = _Names(graph, subject, takes_mlps, is_same_dictionary)
    found = [(node, names.find(node)) for node in graph.nodes]
    ends = {node.node_id: end for node, end in found if not isinstance(end, Reason)}
    left_out = tuple(NotMapped(node.node_id, end) for node, end in found if isinstance(end, Reason))
    edges: list[ImportedEdge] = []
    links_left_out: list[NotMapped] = []
    for link in graph.links:
        connection = _find_connection(link, ends)
        if isinstance(connection, Reason):
            links_left_out.append(NotMapped(f"{link.source} → {link.target}", connection))
        else:
            edges.append(ImportedEdge(link.source, link.target, connection, float(link.weight)))
    components = tuple(sorted({end for end in ends.values() if isinstance(end, Component)}))
    mapped = tuple(MappedNode(name, end) for name, end in ends.items())
    notices = _list_notices(graph, subject, mapped)
    return CandidateCircuit(
        graph.slug, graph.scan, components, mapped, tuple(edges), left_out, tuple(links_left_out), notices
    )


class _Names:
    """Which component of one model a node of one graph names."""

    def __init__(self, graph: GraphFile, subject: Subject, takes_mlps: bool, is_same_dictionary: bool) -> None:
        self._known = {kind: set(subject.components(kind)) for kind in (Kind.HEAD, Kind.MLP)}
        self._n_layers = subject.geometry.n_layers
        dictionary = subject.dictionary if isinstance(subject, Features) else None
        stated = graph.settings.get("dictionary_sha256")
        self._dictionary = dictionary
        self._is_same = dictionary is not None and (is_same_dictionary or stated == dictionary.sha256)
        self._set, self._takes_mlps = graph.source_set, takes_mlps

    def find(self, node: GraphNode) -> Endpoint | Reason:
        """The component or end; or the reason why there is none."""
        kind = " ".join(node.feature_type.casefold().replace("_", " ").split())
        if kind in ENDS:
            return ENDS[kind]
        if kind in _NOT_COMPONENTS:
            return Reason(_NOT_COMPONENTS[kind])
        layer = node.layer_number
        if kind not in _TYPES and kind not in _TRANSCODERS:
            return Reason(f"type {node.feature_type[:40]!a}, which names no component here")
        if layer is None or layer >= self._n_layers:
            return Reason(f"layer {str(node.layer)[:20]!a}, where the model has 0 to {self._n_layers - 1}")
        if kind in _TRANSCODERS:
            return self._find_mlp(layer)
        return self._find(node, _TYPES[kind], layer)

    def _find_mlp(self, layer: int) -> Endpoint | Reason:
        if not self._takes_mlps:
            return Reason(
                "a feature of a transcoder, which is not opened here; it can be taken as the MLP of its layer"
            )
        known = mlp(layer) in self._known[Kind.MLP]
        return mlp(layer) if known else Reason(f"no MLP in layer {layer} that can be edited")

    def _find(self, node: GraphNode, kind: Kind, layer: int) -> Endpoint | Reason:
        index = _find_index(node, layer, is_feature=kind is Kind.FEATURE)
        part = mlp(layer) if kind is Kind.MLP else Component(layer, kind, -1 if index is None else index)
        stated = json.loads(node.rest).get("component")
        if stated is not None and not _is_address(stated, part):
            return Reason(f"component {str(stated)[:40]!a}, which is not what its type, layer and feature say")
        if kind is Kind.FEATURE:
            return self._find_feature(part)
        known = part in self._known[kind]
        return part if known else Reason(f"{kind} {part.index} of layer {layer}, which the model lacks")

    def _find_feature(self, part: Component) -> Endpoint | Reason:
        if self._dictionary is None:
            return Reason("a feature of a dictionary, and the model was opened without one")
        if not self._is_same:
            named = f" ({self._set[:60]!a})" if self._set else ""
            return Reason(f"a feature of a dictionary{named} that the file does not show to be the opened one")
        if part.layer != self._dictionary.layer or not 0 <= part.index < len(self._dictionary):
            return Reason(f"feature {part.index} of layer {part.layer}, which the opened dictionary lacks")
        return part


def _find_index(node: GraphNode, layer: int, *, is_feature: bool) -> int | None:
    match = _ID.fullmatch(node.node_id) if is_feature else None
    return int(match[2]) if match is not None and int(match[1]) == layer else node.feature


def _is_address(stated: object, part: Component) -> bool:
    try:
        return isinstance(stated, str) and parse_component(stated) == part
    except ComponentRefused:
        return False


def _find_connection(link: GraphLink, ends: Mapping[str, Endpoint]) -> Connection | Reason:
    """The connection of a link between mapped nodes; or the reason why it is none."""
    if link.source not in ends or link.target not in ends:
        return Reason("a node at one end is not mapped")
    sender, receiver = ends[link.source], ends[link.target]
    if sender == receiver:
        return Reason("both nodes are the same component")
    try:
        connection = Connection(sender, receiver)
        stated = json.loads(link.rest).get("connection")
        named = parse_connection(stated) if isinstance(stated, str) else connection
    except ComponentRefused as error:
        return Reason(error.found.removesuffix("."))
    same = (named.sender, named.receiver) == (sender, receiver)
    return named if same else Reason(f"connection {str(connection)!a} that is stated otherwise")


def _list_notices(graph: GraphFile, subject: Subject, mapped: Sequence[MappedNode]) -> tuple[str, ...]:
    notices = []
    stated, own = graph.settings.get("weights_sha256"), subject.identity.weights_sha256
    if stated != own:
        known = "states other weights" if isinstance(stated, str) else "states no digest of weights"
        notices.append(
            f"The graph is of {graph.scan[:60]!a} and {known}. If that is not {subject.identity.model[:60]}, its components mean nothing here."
        )
    # Nodes that state a component's address, as this product writes it, are of all tokens.
    at_tokens = {node.node_id for node in graph.nodes if "component" not in json.loads(node.rest)}
    if any(one.node_id in at_tokens and isinstance(one.end, Component) for one in mapped):
        notices.append(
            "Nodes are at single tokens. Components are taken at all of them: a circuit has whole components."
        )
    return tuple(notices)
