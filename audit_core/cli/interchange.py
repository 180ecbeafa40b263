"""The actions `exchange graph|read-graph|effects|read-effects`: attribution graphs and effects as files of other tools."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audit_core.audits.paths import PathsResult
from audit_core.cli.files import read_file, write_file
from audit_core.cli.output import print_json, print_result, show_fetch
from audit_core.cli.session import open_subject
from audit_core.component import Kind, format_components, parse_components
from audit_core.dictionaries.dictionary import Features
from audit_core.errors import Refused
from audit_core.exchange.candidate import CandidateCircuit, NotMapped, count_reasons, map_graph
from audit_core.exchange.effect_files import MAX_EFFECT_BYTES, name_beside, read_effects, write_effects
from audit_core.exchange.effect_table import EffectTable, tabulate_run
from audit_core.exchange.graph_export import GraphOrigin, export_components, export_paths
from audit_core.exchange.graph_file import MAX_GRAPH_BYTES, GraphFile, read_graph, write_graph
from audit_core.exchange.logged_result import read_result
from audit_core.store import RunLog, audit_home
from audit_core.store.log.run_log import RunRecord

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
_SHOWN = 12


def add_interchange_commands(add: Add) -> None:
    """Add the four actions to `exchange`."""
    graph = add(
        "graph",
        export_graph,
        "write measured connections, or a circuit, as an attribution graph (Neuronpedia's schema)",
    )
    graph.add_argument("run", nargs="?", help="id of a run of `paths`; the newest one unless given")
    graph.add_argument(
        "--components", nargs="+", metavar="ADDRESS", help="instead: a circuit of --model, without connections"
    )
    graph.add_argument("--model", default="default", help="of --components")
    graph.add_argument("--out", type=Path, required=True, help="such as graph.json")
    read = add(
        "read-graph", import_graph, "read an attribution graph as a candidate circuit, for circuit audits to test"
    )
    read.add_argument("graph", type=Path)
    read.add_argument(
        "--model", default="default", help="whose components it names; default+default-layer-12 opens a dictionary too"
    )
    read.add_argument(
        "--features-as-mlps", action="store_true", help="take the MLP of a layer for each transcoder feature of it"
    )
    read.add_argument(
        "--same-dictionary",
        action="store_true",
        help="its features are those of the dictionary that the model is opened with",
    )
    read.add_argument("--out", type=Path, help="write the components as JSON, for the page Circuit")
    effects = add(
        "effects", export_effects, "write the estimates of a run as Parquet or CSV, with units, intervals, n and badge"
    )
    effects.add_argument("run", nargs="?", help="id of a run; the newest one with a result unless given")
    effects.add_argument(
        "--out", type=Path, required=True, help="such as sweep.parquet; sweep.csv gets sweep.csv-metadata.json"
    )
    check = add("read-effects", import_effects, "check such a file row by row, and write it in the other form")
    check.add_argument("effects", type=Path)
    check.add_argument("--out", type=Path, help="such as sweep.csv")


def export_graph(options: argparse.Namespace) -> int:
    """Write one graph."""
    if options.components:
        graph = _export_named(options)
    else:
        record = _find_run(options.run, "paths")
        identity = json.loads(record.identity)
        origin = GraphOrigin(
            identity["model"],
            identity["weights_sha256"],
            identity["prompts"],
            record.prompts_sha256,
            identity["n_prompts"],
            record.run_id,
        )
        result: PathsResult = read_result(record)
        graph = export_paths(result, origin)
    write_file(options.out, write_graph(graph))
    if options.json:
        return print_json({"out": str(options.out), "nodes": len(graph.nodes), "links": len(graph.links)})
    print_result(f"{options.out}: {len(graph.nodes)} nodes, {len(graph.links)} links")
    return 0


def _export_named(options: argparse.Namespace) -> GraphFile:
    subject = open_subject(options.model, on_progress=show_fetch)
    parts = parse_components(" ".join(options.components))
    known = {part for kind in (Kind.HEAD, Kind.MLP, Kind.FEATURE) for part in subject.components(kind)}
    if unknown := [part for part in parts if part not in known]:
        raise Refused(
            f"{format_components(unknown[:5])} in a graph of {options.model}.", wanted="whole components of this model.",
            remedy="correct the address, or choose the model with --model.",
        )  # fmt: skip
    dictionary = subject.dictionary if isinstance(subject, Features) else None
    digest = dictionary.sha256 if dictionary is not None and any(part.kind is Kind.FEATURE for part in parts) else ""
    identity = subject.identity
    return export_components(
        parts, GraphOrigin(identity.model, identity.weights_sha256, "circuit", dictionary_sha256=digest)
    )


def import_graph(options: argparse.Namespace) -> int:
    """Read one graph; exit code 1 if it names no component of the model."""
    graph = read_graph(read_file(options.graph, MAX_GRAPH_BYTES), name=options.graph.name)
    subject = open_subject(options.model, on_progress=show_fetch)
    found = map_graph(graph, subject, takes_mlps=options.features_as_mlps, is_same_dictionary=options.same_dictionary)
    if options.out is not None and found.components:
        document = {
            "components": [str(part) for part in found.components], "universe": found.universe, "name": found.name,
            "origin": f"attribution graph {options.graph.name}",
        }  # fmt: skip
        write_file(options.out, json.dumps(document, indent=1).encode() + b"\n")
    if options.json:
        print_json(_describe(found))
    else:
        _print(found, options)
    return 0 if found.components else 1


def _describe(found: CandidateCircuit) -> dict[str, Any]:
    return {
        "name": found.name, "model": found.model, "components": [str(part) for part in found.components], "universe": found.universe,
        "weights": "estimated by the graph's author; no measured effect",
        "edges": [
            {"source": e.source, "target": e.target, "connection": str(e.connection), "weight": e.weight, "badge": "estimated"} for e in found.edges
        ],
        "nodes_not_mapped": [{"node": one.what, "reason": one.reason} for one in found.nodes_left_out],
        "links_not_mapped": [{"link": one.what, "reason": one.reason} for one in found.links_left_out],
        "notices": list(found.notices),
    }  # fmt: skip


def _print(found: CandidateCircuit, options: argparse.Namespace) -> None:
    print_result(
        f"{options.graph}: candidate circuit of {len(found.components)} components, {len(found.connections)} connections"
    )
    print_result(f"  {format_components(found.components) or 'no component'}")
    for notice in found.notices:
        print_result(f"  {notice}")
    for edge in sorted(found.edges, key=lambda edge: -abs(edge.weight))[:_SHOWN]:
        print_result(
            f"  {edge.connection.draw():<22} {edge.weight:+.4g}  estimated by the graph's author, unit not stated"
        )
    if len(found.edges) > _SHOWN:
        print_result(f"  and {len(found.edges) - _SHOWN} links with smaller weights; --json lists all.")
    _print_left_out(found.nodes_left_out, "nodes")
    _print_left_out(found.links_left_out, "links")
    if not found.components:
        print_result("  next: --features-as-mlps, or a model opened with the graph's dictionary")
    elif found.universe is None:
        print_result("  next: test features and heads apart; no audit takes both")
    elif Kind.FEATURE in found.kinds:
        print_result("  next: `audit features --features ADDRESS`, or a claim in the universe features")
    else:
        print_result(
            f"  next: circuit {' '.join(map(str, found.components[:4]))}{' …' if len(found.components) > 4 else ''} --universe {found.universe} --prompts FILE"
        )


def _print_left_out(left_out: tuple[NotMapped, ...], what: str) -> None:
    for reason, count in count_reasons(left_out):
        print_result(f"  not mapped: {count} {what}: {reason}")


def export_effects(options: argparse.Namespace) -> int:
    """Write the effects of one run."""
    table = tabulate_run(_find_run(options.run, ""))
    return _write_effects(table, options)


def import_effects(options: argparse.Namespace) -> int:
    """Check one file of effects."""
    beside = name_beside(options.effects)
    sidecar = read_file(beside, MAX_EFFECT_BYTES) if beside.is_file() else b""
    table = read_effects(read_file(options.effects, MAX_EFFECT_BYTES), sidecar, name=options.effects.name)
    if options.out is not None:
        return _write_effects(table, options)
    about = json.loads(table.about)
    if options.json:
        return print_json({"rows": len(table.rows), "about": about})
    print_result(
        f"{options.effects}: {len(table.rows)} estimates of {str(about.get('audit'))[:60]!a}, as its writer states them"
    )
    return 0


def _write_effects(table: EffectTable, options: argparse.Namespace) -> int:
    files = write_effects(table, options.out.name)
    for name, data in files.items():
        write_file(options.out.with_name(name), data)
    if options.json:
        return print_json({"out": [str(options.out.with_name(name)) for name in files], "rows": len(table.rows)})
    print_result(f"{', '.join(str(options.out.with_name(name)) for name in files)}: {len(table.rows)} estimates")
    return 0


def _find_run(run_id: str | None, kind: str) -> RunRecord:
    """A run of the log by its id, or the newest one with a result; of one audit if `kind` is given.

    Raises:
        Refused: there is none.
    """
    log = RunLog(audit_home())
    found = log.read_runs([run_id]) if run_id is not None else log.list_runs()
    fitting = [record for record in found if record.result is not None and kind in ("", record.kind)]
    if not fitting:
        named = "No run" if run_id is None else f"No run {run_id[:40]!r}"
        raise Refused(
            f"{named}{f' of {kind}' if kind else ''} with a result.", wanted="a run of this data directory that ended with one.",
            remedy=f"run `{kind or 'sweep'}` first; `log export` lists runs with their ids.",
        )  # fmt: skip
    return fitting[0]
