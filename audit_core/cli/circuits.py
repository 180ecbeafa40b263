"""Commands about circuits: `discover` and `circuit`."""

from __future__ import annotations

import argparse

from audit_core.audits.circuit import CircuitRequest, CircuitResult
from audit_core.audits.discover import DiscoverRequest, DiscoverResult
from audit_core.claim import Universe
from audit_core.cli.output import show_progress, tell, tell_json
from audit_core.cli.session import asker, open_audit
from audit_core.component import parse_components
from audit_core.intervention import Replacement
from audit_core.run import dump_result, identify_run
from audit_core.statistics import format_estimate

_SHOWN = 20
_GAPS_SHOWN = 8


def discover_circuit(options: argparse.Namespace) -> int:
    """An order of components: a hypothesis, to be judged by `test` on the other half."""
    subject, prompts, auditor = open_audit(options, "discover")
    request = DiscoverRequest(
        prompts,
        prompts,
        options.method,
        Universe(options.universe),
        Replacement(options.ablation),
        options.metric,
        options.seed,
    )
    result: DiscoverResult = auditor.run("discover", request, asker=asker(), on_progress=show_progress).result
    if options.json:
        return tell_json(dump_result(result) | {"identity": identify_run(subject.identity, request)})
    kind = "measured" if result.is_measured else "not measured"
    tell(f"Proposed by {result.method} on {result.n} exploratory prompts; scores in {result.unit}, {kind}.")
    tell(f"It misses: {result.misses}")
    for component, score in list(zip(result.components, result.scores, strict=True))[:_SHOWN]:
        tell(f"  {component:<12} {score:+.3f}")
    if len(result.components) > _SHOWN:
        tell(f"  and {len(result.components) - _SHOWN} after them; --json lists all.")
    return 0


def break_circuit(options: argparse.Namespace) -> int:
    """Completeness, minimality and the worst template of a circuit somebody named."""
    subject, prompts, auditor = open_audit(options, "circuit")
    request = CircuitRequest(
        prompts,
        prompts,
        parse_components(" ".join(options.components)),
        Universe(options.universe),
        Replacement(options.ablation),
        options.metric,
        options.seed,
    )
    result: CircuitResult = auditor.run("circuit", request, asker=asker(), on_progress=show_progress).result
    if options.json:
        return tell_json(
            dump_result(result) | {"identity": identify_run(subject.identity, request), "half": options.half}
        )
    tell("; ".join(f"{name}: {value}" for name, value in result.conditions))
    tell(f"kept alone   {format_estimate(result.sufficiency)}")
    tell(f"lost without {format_estimate(result.necessity)}")
    tell(
        f"worst template {result.worst_template}: alone it kept {result.worst_sufficiency:.2f} (n = {result.worst_n}, no interval)"
    )
    tell(result.completeness)
    for gap in result.gaps[:_GAPS_SHOWN]:
        tell(f"  without {', '.join(gap.subset):<30} {format_estimate(gap.estimate)} ({gap.how})")
    if len(result.gaps) > _GAPS_SHOWN:
        tell(f"  and {len(result.gaps) - _GAPS_SHOWN} narrower; --json lists all.")
    tell("Worth to the circuit, each at its best beside the subsets tried:")
    for worth in result.worths:
        beside = f", without {', '.join(worth.beside)}" if worth.beside else ""
        tell(f"  {worth.component:<12} {format_estimate(worth.estimate)}{beside}")
    if result.idle:
        tell(f"Idle in it: {', '.join(result.idle)}")
    return 0
