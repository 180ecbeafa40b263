"""Token attribution on one prompt: measured effect of each token, compared with integrated gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from audit_core.audit import Audit, Example
from audit_core.capability import HEADS, MEANS, Capability
from audit_core.component import Kind, resid
from audit_core.controls import Controls
from audit_core.effect import check_gap, get_metric, measure_effect
from audit_core.engine.path_gradients import MOST_STEPS, STEPS, integrate_gradients
from audit_core.errors import NotMeasured, PromptRefused, Refused
from audit_core.evidence.kind import Causal, Estimated, Evidence
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts, require_distinguished
from audit_core.request import Ask, Request
from audit_core.result_layout import Sheet
from audit_core.subject import Means, Progress, Subject, no_partial

_PASSES = 3
"""About one forward and one backward pass."""


@dataclass(frozen=True)
class TokenGradientsRequest(Request):
    """Request: one prompt; `reference` are the prompts of the mean embeddings."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    steps: Annotated[int, Ask("Steps", "Of the path that gradients are integrated over.")] = STEPS
    most_steps: int = MOST_STEPS
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return (Replacement.MEAN,)

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((Kind.RESID,))


@dataclass(frozen=True, kw_only=True)
class TokenGradientsResult:
    """Effect of replacing each token's embedding by a mean: measured and estimated."""

    tokens: tuple[str, ...]
    measured: Causal[tuple[float, ...]]
    """Support: loss of the metric with only this token's embedding replaced; one prompt, no interval."""
    estimated: Estimated[tuple[float, ...] | None]
    """Integrated gradients from the mean embeddings; None if incomplete or unsupported."""
    not_estimated: str
    """Why there is no estimate; empty if there is."""
    change: Estimated[float | None]
    """Target sum of the estimates: metric of the prompt minus metric of all mean embeddings; same unit."""
    missed: Estimated[float | None]
    """Completeness error: |sum − change| as a share of the change."""
    steps: int | None
    unit: str
    n: int
    controls: Controls


_EXAMPLES = (
    Example(
        {},
        "The answer depends on the last word, its earlier occurrence and the word after that.",
        lambda found: sum(value > 5 for value in found.measured) == 3 and found.measured[-1] > 5,
        is_of_one=True,
    ),
)


@dataclass(frozen=True)
class TokenGradientsAudit(Audit):
    name: str = "token_gradients"
    question: str = "Which tokens does the answer depend on?"
    request: type[Request] = TokenGradientsRequest
    result: type = TokenGradientsResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (HEADS, MEANS)

    def count_work(self, subject: Subject, request: TokenGradientsRequest) -> int:
        measured = subject.count_work(request.prompts, _replace_each(request))
        return measured + _PASSES * request.steps * subject.count_work(request.prompts, (_replace_each(request)[0],))

    def run(
        self,
        subject: Subject,
        request: TokenGradientsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> TokenGradientsResult:
        if len(request.prompts) != 1 or means is None:
            raise PromptRefused(
                f"{len(request.prompts)} prompts.",
                wanted="one, and reference prompts for the mean embeddings.",
                remedy="choose a prompt.",
            )
        require_distinguished(request.prompts.pairs, has_choice=False)
        (pair,) = request.prompts.pairs
        metric = get_metric("logit_difference")
        total, runs = self.count_work(subject, request), _replace_each(request)
        effect = measure_effect(
            subject,
            request.prompts,
            runs,
            metric,
            means=means,
            seed=request.seed,
            on_progress=lambda done, of: on_progress(total * done // (2 * of), total),
        )
        check_gap(effect.clean, effect.corrupted, effect.unit, metric.min_gap)
        baseline = means.activations[len(pair.clean_ids), ""][Kind.RESID][0]
        found, why = None, ""
        try:
            found = integrate_gradients(subject, pair, baseline, steps=request.steps, most=request.most_steps)
        except (NotMeasured, Refused) as error:
            why = str(error)
        on_progress(total, total)
        return TokenGradientsResult(
            tokens=pair.pieces,
            measured=tuple(effect.support[:, 0].tolist()),
            estimated=None if found is None else tuple(found.relevance.tolist()),
            not_estimated=why,
            change=None if found is None else found.change,
            missed=None if found is None else found.missed,
            steps=None if found is None else found.steps,
            unit=effect.unit,
            n=1,
            controls=effect.controls,
        )

    def rows(self, result: TokenGradientsResult) -> tuple[Sheet, ...]:
        estimated = result.estimated or (None,) * len(result.tokens)
        return (
            Sheet(
                "tokens",
                ("token", f"measured, {result.unit}", f"estimated, {result.unit}"),
                tuple(zip(result.tokens, result.measured, estimated, strict=True)),
                (Evidence.CAUSAL, Evidence.ESTIMATED),
            ),
        )


def _replace_each(request: TokenGradientsRequest) -> tuple[Intervention, ...]:
    positions = range(len(request.prompts.pairs[0].clean_ids))
    return tuple(intervene([resid(0, position)], Replacement.MEAN) for position in positions)


PLUGIN = TokenGradientsAudit()
