"""Own circuits and measured connections as graphs in Neuronpedia's schema, with intervals, n and badge beside each weight."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from audit_core.audits.paths import PathsResult
from audit_core.component import Component, Kind, parse_component
from audit_core.connection import parse_connection
from audit_core.errors import Refused
from audit_core.exchange.candidate import FEATURE, HEAD, MLP
from audit_core.exchange.graph_file import GraphFile, GraphLink, GraphNode
from audit_core.version import VERSION

_TYPES = {Kind.HEAD: HEAD, Kind.MLP: MLP, Kind.FEATURE: FEATURE}
_INPUT, _OUTPUT = "input", "output"
_MEASURED = (
    "Each weight is the direct effect of one connection, measured by path patching (causal), with interval and n beside it. It is no "
    "attribution score: do not add weights along a path."
)
_UNMEASURED = "Components of a candidate circuit, without measured connections."


@dataclass(frozen=True)
class GraphOrigin:
    """What a graph says about where it is from; without the text of a prompt."""

    model: str
    weights_sha256: str
    prompts: str
    """Name of the prompt set."""
    prompts_sha256: str = ""
    n: int = 0
    run_id: str = ""
    dictionary_sha256: str = ""
    """Of the dictionary whose features it names; empty without features."""


def export_paths(result: PathsResult, origin: GraphOrigin) -> GraphFile:
    """The measured connections among components as a graph."""
    ends = {end for found in result.connections for end in (found.sender, found.receiver)}
    n_layers = 1 + max(parse_component(name).layer for name in result.components)
    nodes = [_make_node(parse_component(name)) for name in result.components]
    if _INPUT in ends:
        nodes.insert(0, GraphNode(_INPUT, None, "E", 0, "embedding", _INPUT, "Input: the embedding"))
    if _OUTPUT in ends:
        nodes.append(
            GraphNode(_OUTPUT, None, str(n_layers), 0, "logit", _OUTPUT, f"Output: {result.metric.replace('_', ' ')}")
        )
    links = []
    for found in result.connections:
        measured = asdict(found.estimate)
        del measured["value"]
        fraction = None if found.fraction is None else asdict(found.fraction)
        rest = {
            "connection": str(parse_connection(found.connection)),
            "badge": "causal",
            **measured,
            "fraction": fraction,
        }
        links.append(GraphLink(found.sender, found.receiver, found.estimate.value, json.dumps(rest)))
    settings = {
        "metric": result.metric,
        "unit": result.unit,
        "conditions": dict(result.conditions),
        "n_templates": result.n_templates,
    }
    return _make_graph(nodes, links, origin, _MEASURED, settings)


def export_components(components: Sequence[Component], origin: GraphOrigin) -> GraphFile:
    """A circuit whose connections were not measured as a graph of nodes alone.

    Raises:
        Refused: no component, or one that is no whole head, MLP or feature.
    """
    unknown = [str(part) for part in components if part.kind not in _TYPES or part.position is not None]
    if unknown or not components:
        raise Refused(
            f"A graph of {', '.join(unknown[:5]) or 'no component'}.", wanted="whole heads, MLPs or features.",
            remedy="name components without positions.",
        )  # fmt: skip
    return _make_graph([_make_node(part) for part in sorted(set(components))], [], origin, _UNMEASURED, {})


def _make_node(part: Component) -> GraphNode:
    index = part.index if part.kind in (Kind.HEAD, Kind.FEATURE) else None
    stated = json.dumps({"component": str(part)})
    return GraphNode(
        str(part), index, str(part.layer), 0, _TYPES[part.kind], str(part), f"{part}, at all tokens", stated
    )


def _make_graph(
    nodes: Sequence[GraphNode], links: Sequence[GraphLink], origin: GraphOrigin, words: str, settings: dict[str, object]
) -> GraphFile:
    metadata = {
        "info": {"description": words, "generator": {"name": "Assay", "version": VERSION}},
        "generation_settings": {
            key: value for key, value in (asdict(origin) | settings).items() if value not in ("", 0)
        },
    }
    size = f", mean over {origin.n} prompts" if origin.n else ""
    text = f"{origin.prompts}{size}; texts of prompts are not in this file"
    slug = re.sub(r"[^a-z0-9]+", "-", f"assay {origin.prompts} {origin.run_id[:12]}".casefold()).strip("-")[:100]
    view = json.dumps({"pinnedIds": [], "supernodes": [], "linkType": "both", "clickedId": "", "sg_pos": ""})
    scan = origin.model[:200]
    return GraphFile(slug, scan, text, ("all tokens",), tuple(nodes), tuple(links), view, json.dumps(metadata))
