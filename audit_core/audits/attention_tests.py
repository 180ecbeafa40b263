"""Attention tests: pattern ablations, agreement of views with causal effects, and weight randomisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from audit_core.attention.agreement import Agreement, compare_heads, compare_tokens
from audit_core.attention.pattern_test import DELTA, PatternFinding, PatternTest, judge_patterns
from audit_core.attention.randomisation import Randomisation, randomise_views
from audit_core.attention.token_map import count_token_work, measure_tokens
from audit_core.attention.view_table import ViewTable, read_views
from audit_core.audit import Audit, Example, Verdicts, know_verdict
from audit_core.capability import HEADS, MEANS, PATTERNS, RANDOMISABLE, Capability
from audit_core.component import Component, Kind
from audit_core.controls import Controls, join_controls
from audit_core.effect import Effect, check_gap, get_metric, measure_effect
from audit_core.errors import ComponentRefused, InterventionRefused
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts, require_distinguished
from audit_core.request import Ask, Request
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate
from audit_core.subject import Means, Progress, Subject, no_partial

MAX_PROMPTS = 24
"""Maximum prompts, drawn evenly over templates; each takes seconds per head and ablation on the default model."""
SHUFFLES = 3
MAX_SHUFFLES = 20
METRIC = "logit_difference"
"""The metric of all gradients."""
VIEW_PASSES = 6
"""Cost of gradients and views of one prompt, in forward passes (measured on the default model)."""
FLOW_CUBE = 500
"""The time of maximum flows grows with the cube of prompt length: 12 ms at 16 tokens, 2.4 s at 128 (measured, 30 layers)."""
LOAD_TOKENS = 6_000
"""Cost of loading a model once more, in tokens through all layers (measured on the default model)."""


@dataclass(frozen=True)
class AttentionTestsRequest(Request):
    """Request: heads whose patterns are tested, and prompts."""

    settings: ClassVar[Mapping[str, Any]] = {"most_prompts": MAX_PROMPTS}

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    """Reference prompts of token means."""
    heads: Annotated[tuple[Component, ...], Ask("Heads", "Addresses, such as L0.H1; empty for every head.")] = ()
    """Whole heads; empty for every head of the model."""
    shuffles: Annotated[int, Ask("Shuffles", "Random orders of each pattern.")] = SHUFFLES
    shuffled_from: tuple[int, ...] = ()
    """First shuffled layers, one model each; empty for the middle and the last layer."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.shuffles <= MAX_SHUFFLES:
            raise InterventionRefused(
                f"{self.shuffles} shuffles.", wanted=f"1 to {MAX_SHUFFLES}.", remedy=f"the usual number is {SHUFFLES}."
            )

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return (
            Replacement.UNIFORM,
            Replacement.PERMUTED,
            Replacement.RESAMPLE,
            Replacement.ZERO,
            Replacement.MEAN,
        )

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((Kind.PATTERN, Kind.HEAD, Kind.RESID))

    @property
    def measured(self) -> TokenisedPrompts:
        """The measured prompts: all, or `MAX_PROMPTS` of them."""
        return self.prompts.take(self.prompts.spread(MAX_PROMPTS))


@dataclass(frozen=True, kw_only=True)
class AttentionTestsResult:
    """Results of the three attention tests; none is a verdict on a head."""

    prompts: str
    n: int
    """Number of measured prompts."""
    n_templates: int
    shuffles: int
    delta: NotEvidence[float]
    """Smallest effect of interest, fraction of the clean – corrupted gap."""
    unit: str
    clean: Observational[Estimate]
    corrupted: Observational[Estimate]
    patterns: Causal[tuple[PatternTest, ...]]
    """Per head, in order."""
    comparisons: tuple[Agreement, ...]
    """Agreement of each plausibility view with measured effects of the same heads or tokens."""
    randomisations: tuple[Randomisation, ...]
    not_tested: tuple[str, ...]
    """What could not be tested on this model or these prompts, and why."""
    controls: Controls


def _know(finding: PatternFinding) -> Verdicts:
    return Verdicts(
        lambda found: [test.finding for test in found.patterns],
        finding.value,
        frozenset({PatternFinding.UNRESOLVED.value}),
    )


_EXAMPLES = (
    know_verdict(
        {"heads": "L1.H0", "shuffles": "1"}, "The pattern of L1.H0 carries the answer.", _know(PatternFinding.MATTERS)
    ),
)
_CONTRASTS = (
    know_verdict(
        {"heads": "L1.H1", "shuffles": "1"},
        "L1.H1 has the same pattern and writes nothing: its pattern does not matter.",
        _know(PatternFinding.IRRELEVANT),
    ),
)


@dataclass(frozen=True)
class AttentionTestsAudit(Audit):
    name: str = "attention_tests"
    question: str = "Do attention patterns matter, and do attention views agree with causal effects?"
    request: type[Request] = AttentionTestsRequest
    result: type = AttentionTestsResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    contrasts: tuple[Example, ...] = _CONTRASTS
    counts_as: tuple[str, ...] = ("test_of_the_test",)
    demands: tuple[Capability[Any], ...] = (HEADS, MEANS, PATTERNS, RANDOMISABLE)

    def count_work(self, subject: Subject, request: AttentionTestsRequest) -> int:
        return sum(_count_stages(subject, request))

    def run(
        self,
        subject: Subject,
        request: AttentionTestsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> AttentionTestsResult:
        require_distinguished(request.measured.pairs, has_choice=False)
        prompts, heads, seed = request.measured, list_heads(subject, request), request.seed
        clusters, stages = prompts.templates, _count_stages(subject, request)
        steps = iter(_Steps(stages, on_progress).list())
        uniform, *shuffled, resampled, zeroed = _measure_heads(subject, request, heads, steps)
        permuted = np.median([effect.support for effect in shuffled], axis=0)
        patterns = judge_patterns(heads, (uniform, resampled, zeroed), permuted, clusters, seed=seed)
        tokens, rows, controls = measure_tokens(
            subject, prompts, get_metric(METRIC), means, seed=seed, on_progress=next(steps)
        )
        table = read_views(subject, prompts, on_progress=next(steps))
        comparisons = _compare(request, table, heads, resampled.support, tokens, rows)
        layers = _list_layers(subject, request)
        randomisations, missing = randomise_views(
            subject, prompts, table, get_metric(METRIC), resampled.clean, layers, steps, seed=seed
        )
        on_progress(sum(stages), sum(stages))
        return AttentionTestsResult(
            prompts=prompts.name,
            n=len(prompts),
            n_templates=len(set(clusters)),
            shuffles=request.shuffles,
            delta=DELTA,
            unit=uniform.unit,
            clean=bootstrap_mean(uniform.clean, clusters, unit=uniform.unit, seed=seed),
            corrupted=bootstrap_mean(uniform.corrupted, clusters, unit=uniform.unit, seed=seed),
            patterns=patterns,
            comparisons=comparisons,
            randomisations=randomisations,
            not_tested=(*table.missing, *_list_excluded(prompts, rows), *missing),
            controls=join_controls(
                [*(effect.controls for effect in (uniform, *shuffled, resampled, zeroed)), *controls]
            ),
        )


def list_heads(subject: Subject, request: AttentionTestsRequest) -> tuple[Component, ...]:
    """The requested heads, or all.

    Raises:
        ComponentRefused: not whole heads of this model.
    """
    everything = subject.components(Kind.HEAD)
    if unknown := sorted(map(str, set(request.heads) - set(everything))):
        raise ComponentRefused(
            f"{', '.join(unknown[:5])}: not whole heads of this model.",
            wanted="heads without positions, such as L9.H6.",
            remedy="name heads, or leave empty for all.",
        )
    return tuple(sorted(set(request.heads))) or everything


def _list_excluded(prompts: TokenisedPrompts, rows: Sequence[int]) -> tuple[str, ...]:
    if len(rows) == len(prompts):
        return ()
    return (f"Tokens of {len(prompts) - len(rows)} prompts: fewer than two reference prompts of that length.",)


class _Steps:
    """Map progress of consecutive stages to progress of the whole."""

    def __init__(self, stages: Sequence[int], on_progress: Progress) -> None:
        self.stages, self.on_progress = stages, on_progress

    def list(self) -> tuple[Progress, ...]:
        return tuple(self._part(sum(self.stages[:at]), own) for at, own in enumerate(self.stages))

    def _part(self, before: int, own: int) -> Progress:
        def report(done: int, total: int) -> None:
            self.on_progress(before + own * done // max(1, total), sum(self.stages))

        return report


def _list_ways(request: AttentionTestsRequest) -> list[tuple[Kind, Replacement, int]]:
    """Ablations of every head, one after the other, with their seeds."""
    return [
        (Kind.PATTERN, Replacement.UNIFORM, request.seed),
        *((Kind.PATTERN, Replacement.PERMUTED, request.seed + at) for at in range(request.shuffles)),
        (Kind.HEAD, Replacement.RESAMPLE, request.seed),
        (Kind.HEAD, Replacement.ZERO, request.seed),
    ]


def _edit_each(heads: Sequence[Component], kind: Kind, replacement: Replacement) -> list[Intervention]:
    return [intervene([replace(head, kind=kind)], replacement) for head in heads]


def _count_stages(subject: Subject, request: AttentionTestsRequest) -> list[int]:
    """Work of each ablation, of the tokens, of the views, and of each shuffled model."""
    prompts, heads = request.measured, list_heads(subject, request)
    ways = [
        subject.count_work(prompts, _edit_each(heads, kind, replacement))
        for kind, replacement, _ in _list_ways(request)
    ]
    tokens = count_token_work(subject, prompts)
    lengths = [len(pair.clean_ids) for pair in prompts.pairs]
    views = subject.geometry.n_layers * sum(VIEW_PASSES * n + n**3 // FLOW_CUBE for n in lengths)
    shuffled = views + LOAD_TOKENS * subject.geometry.n_layers
    return [*ways, tokens, views, *(shuffled for _ in _list_layers(subject, request))]


def _list_layers(subject: Subject, request: AttentionTestsRequest) -> tuple[int, ...]:
    last = subject.geometry.n_layers - 1
    return request.shuffled_from or tuple(sorted({(last + 1) // 2, last}))


def _measure_heads(
    subject: Subject, request: AttentionTestsRequest, heads: Sequence[Component], steps: Iterator[Progress]
) -> list[Effect]:
    """Effects of every head under every ablation, each alone."""
    metric, found = get_metric(METRIC), []
    for (kind, replacement, seed), report in zip(_list_ways(request), steps):
        edits = _edit_each(heads, kind, replacement)
        found.append(measure_effect(subject, request.measured, edits, metric, seed=seed, on_progress=report))
        # Before the long part: without the task there is no gap to take a fraction of.
        check_gap(found[0].clean, found[0].corrupted, metric.unit, metric.min_gap)
    return found


def _compare(
    request: AttentionTestsRequest,
    table: ViewTable,
    heads: Sequence[Component],
    support: NDArray,
    tokens: Sequence[NDArray],
    rows: Sequence[int],
) -> tuple[Agreement, ...]:
    """Agreement of views with causal effects: of heads by resampling, of tokens by means."""
    prompts = request.measured
    name, clusters, seed = prompts.name, prompts.templates, request.seed
    at = [(head.layer, head.index) for head in heads]
    over_heads = [
        compare_heads(view, np.stack([values[place] for place in at]), support, name, clusters, seed=seed)
        for view, values in table.heads.items()
    ]
    kin = [clusters[row] for row in rows]
    over_tokens = [
        compare_tokens(view, [values[row] for row in rows], tokens, name, kin, seed=seed)
        for view, values in table.tokens.items()
        if rows
    ]
    return (*over_heads, *over_tokens)


PLUGIN = AttentionTestsAudit()
