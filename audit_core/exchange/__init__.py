"""Exchange with other people's tools: plans (PRML), model signatures (OpenSSF), statements (in-toto), attribution graphs, effects."""

from audit_core.exchange.candidate import CandidateCircuit, NotMapped, count_reasons, map_graph
from audit_core.exchange.effect_files import ENDINGS, write_effects
from audit_core.exchange.effect_table import describe_asked, tabulate_result
from audit_core.exchange.graph_export import GraphOrigin, export_components, export_paths
from audit_core.exchange.graph_file import GraphFile, looks_like_graph, read_graph, write_graph

__all__ = [
    "ENDINGS",
    "CandidateCircuit",
    "GraphFile",
    "GraphOrigin",
    "NotMapped",
    "count_reasons",
    "describe_asked",
    "export_components",
    "export_paths",
    "looks_like_graph",
    "map_graph",
    "read_graph",
    "tabulate_result",
    "write_effects",
    "write_graph",
]
