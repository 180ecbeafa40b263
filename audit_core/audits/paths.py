"""Path patching: the effect of each connection among components, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from audit_core.audit import Example
from audit_core.capability import HEADS, PATHS, Capability
from audit_core.circuits.circuit_check import AssessedCircuit, CircuitCheck
from audit_core.component import Kind
from audit_core.connection import Connection, list_connections
from audit_core.controls import NOISE_FACTOR, Controls, plan_controls, run_controls
from audit_core.effect import Metric, check_gap, get_metric
from audit_core.engine.paths import (
    check_contributions,
    check_reactions,
    count_connection_work,
    find_shape,
    run_connections,
)
from audit_core.errors import ComponentRefused, ControlFailed, NotMeasured, Refused
from audit_core.evidence.kind import Causal, Observational
from audit_core.intervention import Replacement, intervene
from audit_core.judging.faithfulness import PAIR_UNIT
from audit_core.prompts.prompt_set import TokenisedPrompts, require_distinguished
from audit_core.request import Ask, Components, MetricName, Request
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratios
from audit_core.stats.estimates import Estimate
from audit_core.subject import Logits, Means, Progress, Subject, no_partial

MAX_RUNS = 2_000_000
"""Maximum connections × prompts: two float32 logits and a float64 metric of each take 32 MB."""
MAX_CONNECTIONS = 100_000
"""Maximum connections: two estimates each in the log take about 50 MB."""
_SERIES = 256
"""Connections per bootstrap block: 10,000 float64 draws of each take 20 MB, and the interval needs six such arrays."""
REPLACEMENTS = (Replacement.RESAMPLE, Replacement.MEAN, Replacement.MEAN_TEMPLATE, Replacement.ZERO)


@dataclass(frozen=True)
class PathsRequest(Request):
    """Request: components whose connections are measured, and prompts."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    components: Components
    """Whole heads and MLPs, at least two; time grows with the square of their number."""
    split: Annotated[bool, Ask("Separate query, key and value inputs")] = False
    """Whether query, key and value input of a head are separate connections."""
    replacement: Annotated[Replacement, Ask("Ablation", "What replaces a contribution.", REPLACEMENTS)] = (
        Replacement.RESAMPLE
    )
    metric: MetricName = "logit_difference"
    seed: int = 0

    @property
    def kinds(self) -> frozenset[Kind]:
        # The output of "input" is the residual stream entering the first block.
        return frozenset((Kind.HEAD, Kind.MLP, Kind.RESID))


@dataclass(frozen=True)
class ConnectionEffect:
    """Direct effect of one connection."""

    connection: str
    """Address, see `parse_connection`."""
    sender: str
    """A component, or "input"."""
    receiver: str
    """A component, or "output"."""
    through: str
    """"whole", or the receiver's "query", "key" or "value" input."""
    estimate: Causal[Estimate]
    """m(clean) − m(clean with the sender's contribution to this input replaced), in the metric's unit: support for the
    answer; negative acts against it."""
    fraction: Causal[Estimate | None]
    """The same as a fraction of the clean – corrupted gap; None without a gap."""


@dataclass(frozen=True, kw_only=True)
class PathsResult:
    """All connections among the components, from the input and to the output, each replaced alone."""

    conditions: tuple[tuple[str, str], ...]
    metric: str
    unit: str
    n: int
    n_templates: int
    clean: Observational[Estimate]
    corrupted: Observational[Estimate]
    components: tuple[str, ...]
    """Components in model order; nodes, with "input" and "output", of the graph whose edges are `connections`."""
    connections: tuple[ConnectionEffect, ...]
    """By descending magnitude."""
    no_fraction: str
    """Why there is no fraction of the gap; empty if there is."""
    controls: Controls


_EXAMPLES = (
    Example(
        {"components": "L0.H0 L1.H0"},
        "L0.H0 acts through L1.H0 alone, which writes to the output.",
        lambda found: (
            {row.connection for row in found.connections if row.estimate.value > 10}
            == {"input>L0.H0", "L0.H0>L1.H0", "L1.H0>output"}
        ),
        task="context",
    ),
)


@dataclass(frozen=True)
class PathsAudit(CircuitCheck):
    name: str = "paths"
    question: str = "Through which connections do these components affect each other and the answer?"
    request: type[Request] = PathsRequest
    result: type = PathsResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("causal_results",)
    pace: float = 0.6
    demands: tuple[Capability[Any], ...] = (HEADS, PATHS)
    place: int = 0
    is_weighed: bool = False
    has_quick_form: bool = True

    def count_work(self, subject: Subject, request: PathsRequest) -> int:
        bundles = [(connection,) for connection in list_requested(subject, request)]
        return count_connection_work(subject, request.prompts, bundles, request.replacement)

    def run(
        self,
        subject: Subject,
        request: PathsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> PathsResult:
        metric, connections = _get_metric(request), list_requested(subject, request)
        require_distinguished(request.prompts.pairs, has_choice=False)
        controls = _run_controls(subject, request, connections)
        logits = run_connections(
            subject,
            request.prompts,
            [(connection,) for connection in connections],
            replacement=request.replacement,
            means=means,
            seed=request.seed,
            on_progress=on_progress,
        )
        values = metric.read(logits, request.prompts.pairs)
        if not np.isfinite(values).all():
            raise NotMeasured("control_failed", "the model produced NaN under a replacement.")
        return _read(request, metric, connections, values, replace(controls, edits=logits.edits_applied))

    def ask(self, assessed: AssessedCircuit) -> Request:
        circuit = assessed.circuit
        return PathsRequest(circuit.prompts, circuit.reference, circuit.components, replacement=circuit.replacement)


def list_requested(subject: Subject, request: PathsRequest) -> tuple[Connection, ...]:
    """List the connections of a request.

    Raises:
        ComponentRefused: fewer than two components, components other than whole heads and MLPs, or too many for memory.
        Refused: path patching or the replacement is not supported on this subject.
    """
    if request.replacement not in REPLACEMENTS:
        raise Refused(
            f"Connections replaced by {request.replacement}.",
            wanted=", ".join(REPLACEMENTS) + ".",
            remedy="choose resample.",
        )
    known = {*subject.components(Kind.HEAD), *subject.components(Kind.MLP)}
    unknown = sorted(map(str, set(request.components) - known))
    if unknown or len(set(request.components)) < 2:
        raise ComponentRefused(
            f"Connections among {', '.join(unknown[:5]) or 'fewer than two components'}.",
            wanted="two or more whole heads or MLPs of this model.",
            remedy="name heads or MLPs without positions.",
        )
    found = list_connections(request.components, split=request.split, is_parallel=find_shape(subject))
    if len(found) > MAX_CONNECTIONS or len(found) * len(request.prompts) > MAX_RUNS:
        raise ComponentRefused(
            f"{len(found)} connections on {len(request.prompts)} prompts.",
            wanted=f"at most {MAX_CONNECTIONS} connections, and {MAX_RUNS} of them times prompts.",
            remedy="use the first components of an order from `discover`, or fewer prompts.",
        )
    return found


def _get_metric(request: PathsRequest) -> Metric:
    metric = get_metric(request.metric)
    if metric.needs_vocabulary:
        raise Refused(
            f"Connections measured in {metric.name}, which reads the whole vocabulary.",
            wanted="a metric of the logits of answer and foil.",
            remedy="choose logit_difference.",
        )
    return metric


def _run_controls(subject: Subject, request: PathsRequest, connections: Sequence[Connection]) -> Controls:
    """Identity, noise and completeness controls, on the first prompt.

    Receivers must react to noise in each input, and their outputs must reach the logits. Replacing all senders'
    contributions by themselves must not change the logits. Replacing all contributions of the model at once must give
    the corrupted run, which detects missing or wrong contributions.

        Raises:
            ControlFailed: one of these fails.
    """
    first = replace(request.prompts, pairs=request.prompts.pairs[:1])
    inputs: dict[str, list[Connection]] = {}
    for connection in connections:
        inputs.setdefault(connection.target, []).append(connection)
    bundles = [tuple(into) for into in inputs.values()]
    check_contributions(subject, first)
    check_reactions(subject, first, bundles, seed=request.seed)
    whole = [intervene([part], request.replacement) for part in sorted(set(request.components))]
    found = run_controls(subject, first, plan_controls(subject, whole), 0, seed=request.seed)
    same = run_connections(subject, first, bundles, replacement=Replacement.IDENTITY, seed=request.seed)
    identity = _measure_change(same)
    if not identity <= subject.tolerance:
        raise ControlFailed(f"Replacing senders' contributions by themselves changed a logit by {identity:.3g}.")
    noisy = run_connections(subject, first, bundles, replacement=Replacement.NOISE, seed=request.seed)
    if not _measure_change(noisy) > NOISE_FACTOR * subject.tolerance:
        raise ControlFailed("Large noise on every connection changed no logit.")
    return replace(found, identity_max=max(found.identity_max, identity))


def _measure_change(logits: Logits) -> float:
    """Largest change of a logit from the clean run in row 0."""
    return max(float(np.abs(read[2:] - read[0]).max()) for read in (logits.answer, logits.foil))


def _read(
    request: PathsRequest,
    metric: Metric,
    connections: Sequence[Connection],
    values: NDArray[np.float64],
    controls: Controls,
) -> PathsResult:
    """Estimates from the metric; shape (clean, corrupted and connections; prompt)."""
    clusters, seed = request.prompts.templates, request.seed
    clean, corrupted, support = values[0], values[1], values[0] - values[2:]
    estimates = _bootstrap(support, np.ones_like(clean), request, metric.unit)
    fractions: tuple[Estimate | None, ...] = (None,) * len(connections)
    no_fraction = ""
    try:
        check_gap(clean, corrupted, metric.unit, metric.min_gap)
        fractions = _bootstrap(support, clean - corrupted, request, PAIR_UNIT)
    except NotMeasured as error:
        no_fraction = error.detail
    order = np.argsort([-abs(estimate.value) for estimate in estimates], kind="stable")
    return PathsResult(
        conditions=_describe_conditions(request),
        metric=metric.name,
        unit=metric.unit,
        n=len(request.prompts),
        n_templates=len(set(clusters)),
        clean=bootstrap_mean(clean, clusters, unit=metric.unit, seed=seed),
        corrupted=bootstrap_mean(corrupted, clusters, unit=metric.unit, seed=seed),
        components=tuple(map(str, sorted(set(request.components)))),
        connections=tuple(_describe(connections[i], estimates[i], fractions[i]) for i in order),
        no_fraction=no_fraction,
        controls=controls,
    )


def _bootstrap(
    support: NDArray[np.float64], scale: NDArray[np.float64], request: PathsRequest, unit: str
) -> tuple[Estimate, ...]:
    """Bootstrap in blocks of connections over the same draws; shapes (connection, prompt) and (prompt,)."""
    found: list[Estimate] = []
    for at in range(0, len(support), _SERIES):
        part = support[at : at + _SERIES]
        found += bootstrap_ratios(part, scale, request.prompts.templates, unit=unit, seed=request.seed)
    return tuple(found)


def _describe(connection: Connection, estimate: Estimate, fraction: Estimate | None) -> ConnectionEffect:
    return ConnectionEffect(
        str(connection),
        str(connection.sender),
        str(connection.receiver),
        connection.through.value,
        estimate,
        fraction,
    )


def _describe_conditions(request: PathsRequest) -> tuple[tuple[str, str], ...]:
    """The six conditions of `describe_tuple`, for connections."""
    kinds = sorted({component.kind.value for component in request.components})
    inputs = "separate query, key and value inputs" if request.split else "whole inputs"
    return (
        ("granularity", "edges"),
        ("component type", f"{' and '.join(kinds)}, {inputs}"),
        ("ablation", request.replacement.value),
        ("positions", "all"),
        ("direction", "noising"),
        ("set", "one connection replaced at a time"),
    )


PLUGIN = PathsAudit()
