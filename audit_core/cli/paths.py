"""The command `paths`: direct effects of connections."""

from __future__ import annotations

import argparse

from audit_core.audits.discover import DiscoverRequest, DiscoverResult
from audit_core.audits.paths import PathsRequest, PathsResult, list_requested
from audit_core.claim import Universe
from audit_core.cli.output import print_json, print_result, print_status
from audit_core.cli.session import open_audit, run_audit
from audit_core.component import Component, parse_component, parse_components
from audit_core.connection import parse_connection
from audit_core.errors import ComponentRefused
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.run import Auditor, dump_result, identify_run
from audit_core.stats.estimates import format_estimate

FIRST = 12
_LONG = 5_000
"""Connections × prompts above which the predicted time is printed; about a minute on the default model."""
_SHOWN = 25


def patch_paths(options: argparse.Namespace) -> int:
    """Measure each connection among named components, or among the first of a discovered order."""
    subject, prompts, auditor = open_audit(options, "paths")
    parts = parse_components(" ".join(options.components)) or _take_first(options, auditor, prompts)
    request = PathsRequest(
        prompts,
        prompts,
        parts,
        options.split,
        Replacement(options.ablation),
        options.metric,
        options.seed,
    )
    n_runs = len(list_requested(subject, request)) * len(prompts)
    if n_runs > _LONG:
        auditor.calibrate()
        print_status(
            f"{n_runs // len(prompts)} connections on {len(prompts)} prompts: about {auditor.predict_s('paths', request):.0f} s."
        )
    found = run_audit(auditor, "paths", request)
    result: PathsResult = found.result
    if options.json:
        more = {"identity": identify_run(subject.identity, request), "half": options.half}
        return print_json(dump_result(result) | more | {"notices": list(found.notices)})
    _print_paths(result)
    return 0


def _take_first(options: argparse.Namespace, auditor: Auditor, prompts: TokenisedPrompts) -> tuple[Component, ...]:
    """The first components of an order of single effects; it misses those that act only through others."""
    if options.first < 2:
        raise ComponentRefused(
            f"The first {options.first} of an order.", wanted="two or more.", remedy="give --first 12, or components."
        )
    request = DiscoverRequest(
        prompts,
        prompts,
        options.method,
        Universe(options.universe),
        Replacement(options.ablation),
        options.metric,
        options.seed,
    )
    found: DiscoverResult = run_audit(auditor, "discover", request).result
    print_status(f"Components by {found.method}. It misses: {found.misses}")
    return tuple(parse_component(component) for component in found.components[: options.first])


def _print_paths(result: PathsResult) -> None:
    print_result("; ".join(f"{name}: {value}" for name, value in result.conditions))
    print_result(f"clean {format_estimate(result.clean)} · corrupted {format_estimate(result.corrupted)}")
    print_result(f"Direct effect of each connection, among {', '.join(result.components)}:")
    for found in result.connections[:_SHOWN]:
        share = "" if found.fraction is None else f"   {format_estimate(found.fraction)}"
        print_result(f"  {parse_connection(found.connection).draw():<22} {format_estimate(found.estimate)}{share}")
    if len(result.connections) > _SHOWN:
        print_result(f"  and {len(result.connections) - _SHOWN} smaller; --json lists all.")
    if result.no_fraction:
        print_result(f"No fraction of the gap: {result.no_fraction}")
