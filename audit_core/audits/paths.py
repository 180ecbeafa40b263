"""Through which connections components act on one another and on the answer: path patching, one connection at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component, Kind
from audit_core.connection import Connection, list_connections
from audit_core.effect import NOISE_FACTOR, Controls, Metric, check_gap, get_metric, plan_controls, run_controls
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
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratios
from audit_core.stats.estimates import Estimate
from audit_core.subject import Logits, Means, Progress, Subject, no_partial

MAX_RUNS = 2_000_000
"""Connections × prompts at most: two float32 logits and a float64 metric of each take 32 MB."""
MAX_CONNECTIONS = 100_000
"""Two estimates each, kept in the log: about 50 MB."""
_SERIES = 256
"""Connections whose bootstrap draws are alive together: 10,000 draws of each in float64 are 20 MB, and sorted copies."""
REPLACEMENTS = (Replacement.RESAMPLE, Replacement.MEAN, Replacement.MEAN_TEMPLATE, Replacement.ZERO)


@dataclass(frozen=True)
class PathsRequest:
    """Among which components connections are measured, and on which prompts."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    components: tuple[Component, ...]
    """Whole heads and MLPs, two at least; the time goes with the square of how many."""
    split: bool = False
    """A head's query, key and value input apart, in place of all three together."""
    replacement: Replacement = Replacement.RESAMPLE
    metric: str = "logit_difference"
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return (self.replacement,)

    @property
    def kinds(self) -> frozenset[Kind]:
        # What the input writes is the residual stream entering the first block.
        return frozenset((Kind.HEAD, Kind.MLP, Kind.RESID))

    def describe(self) -> dict[str, Any]:
        return {
            "components": [str(c) for c in self.components],
            "split": self.split,
            "replacement": self.replacement.value,
            "metric": self.metric,
        }


@dataclass(frozen=True)
class ConnectionEffect:
    """What goes through one connection directly."""

    connection: str
    """As `parse_connection` reads it."""
    sender: str
    """A component, or "input"."""
    receiver: str
    """A component, or "output"."""
    through: str
    """"whole", or the receiver's "query", "key" or "value" input."""
    estimate: Causal[Estimate]
    """m(clean) − m(clean with the sender's contribution to this input exchanged), in the metric's unit: support for the
    answer; negative pushes against it."""
    fraction: Causal[Estimate | None]
    """The same as a fraction of the clean – corrupted gap; None where there is no such gap."""


@dataclass(frozen=True)
class PathsResult:
    """Every connection among the components, from the input, and to the output, each exchanged alone."""

    conditions: tuple[tuple[str, str], ...]
    metric: str
    unit: str
    n: int
    n_templates: int
    clean: Observational[Estimate]
    corrupted: Observational[Estimate]
    components: tuple[str, ...]
    """In the order of the model; with "input" and "output" the nodes of a graph whose edges are `connections`."""
    connections: tuple[ConnectionEffect, ...]
    """The largest in size first."""
    no_fraction: str
    """Why there is no fraction of the gap; empty where there is."""
    controls: Controls


@dataclass(frozen=True)
class PathsAudit:
    name: str = "paths"
    question: str = "Through which connections do these components act on one another and on the answer?"
    result: type = PathsResult
    version: int = 8
    counts_as: tuple[str, ...] = ("causal_results",)
    shows_results: bool = True

    def count_work(self, subject: Subject, request: PathsRequest) -> int:
        bundles = [(connection,) for connection in list_asked(subject, request)]
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
        metric, connections = _get_metric(request), list_asked(subject, request)
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
            raise NotMeasured("control_failed", "the model produced a value that is not a number under a replacement.")
        return _read(request, metric, connections, values, replace(controls, edits=logits.edits_applied))


def list_asked(subject: Subject, request: PathsRequest) -> tuple[Connection, ...]:
    """The connections of a request.

    Raises:
        ComponentRefused: fewer than two components, others than whole heads and MLPs, or more than memory holds.
        Refused: this subject's paths cannot be patched, or its components cannot be replaced in this way.
    """
    if request.replacement not in REPLACEMENTS:
        raise Refused(
            f"Connections replaced by {request.replacement}.",
            wanted=", ".join(REPLACEMENTS) + ".",
            remedy="choose resample.",
        )
    known = {*subject.components(Kind.HEAD), *subject.components(Kind.MLP)}
    strangers = sorted(map(str, set(request.components) - known))
    if strangers or len(set(request.components)) < 2:
        raise ComponentRefused(
            f"Connections among {', '.join(strangers[:5]) or 'fewer than two components'}.",
            wanted="two or more whole heads or MLPs of this model.",
            remedy="name heads or MLPs, without positions.",
        )
    found = list_connections(request.components, split=request.split, is_parallel=find_shape(subject))
    if len(found) > MAX_CONNECTIONS or len(found) * len(request.prompts) > MAX_RUNS:
        raise ComponentRefused(
            f"{len(found)} connections on {len(request.prompts)} prompts.",
            wanted=f"at most {MAX_CONNECTIONS} connections, and {MAX_RUNS} of them times prompts.",
            remedy="take the first components of an order that `discover` gives, or fewer prompts.",
        )
    return found


def _get_metric(request: PathsRequest) -> Metric:
    metric = get_metric(request.metric)
    if metric.needs_vocabulary:
        raise Refused(
            f"Connections in {metric.name}, which reads the whole vocabulary of each.",
            wanted="a metric of the answer's and the foil's logit.",
            remedy="choose logit_difference.",
        )
    return metric


def _run_controls(subject: Subject, request: PathsRequest, connections: Sequence[Connection]) -> Controls:
    """On the first prompt, as other audits have them: what must change nothing, and what must change something.

    Receivers must react to noise in each input, and their outputs must reach the logits. All senders' own contributions
    put back into each input must leave the logits as they are. All contributions of the model, exchanged at once, must
    give the corrupted run: one that were missing or wrong would be seen there.

    Raises:
        ControlFailed: one of these is not so.
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
        raise ControlFailed(
            f"Putting senders' own contributions back into their receivers moved a logit by {identity:.3g}."
        )
    noisy = run_connections(subject, first, bundles, replacement=Replacement.NOISE, seed=request.seed)
    if not _measure_change(noisy) > NOISE_FACTOR * subject.tolerance:
        raise ControlFailed("Large noise on every connection moved no logit.")
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
        _describe_conditions(request),
        metric.name,
        metric.unit,
        len(request.prompts),
        len(set(clusters)),
        bootstrap_mean(clean, clusters, unit=metric.unit, seed=seed),
        bootstrap_mean(corrupted, clusters, unit=metric.unit, seed=seed),
        tuple(map(str, sorted(set(request.components)))),
        tuple(_describe(connections[i], estimates[i], fractions[i]) for i in order),
        no_fraction,
        controls,
    )


def _bootstrap(
    support: NDArray[np.float64], scale: NDArray[np.float64], request: PathsRequest, unit: str
) -> tuple[Estimate, ...]:
    """Over the same draws, some connections at a time; shapes (connection, prompt) and (prompt,)."""
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
    """The six choices of `describe_tuple`, of connections."""
    kinds = sorted({component.kind.value for component in request.components})
    inputs = "query, key and value inputs apart" if request.split else "whole inputs"
    return (
        ("granularity", "edges"),
        ("component type", f"{' and '.join(kinds)}, {inputs}"),
        ("ablation", request.replacement.value),
        ("positions", "all"),
        ("direction", "noising"),
        ("set", "one connection exchanged at a time"),
    )


PLUGIN = PathsAudit()
