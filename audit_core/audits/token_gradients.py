"""Which tokens of one prompt the answer depends on: measured one by one, beside what integrated gradients say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from audit_core.component import Kind, resid
from audit_core.effect import Controls, check_gap, get_metric, measure_effect
from audit_core.engine.path_gradients import MOST_STEPS, STEPS, integrate_gradients
from audit_core.errors import NotMeasured, PromptRefused, Refused
from audit_core.evidence.kind import Causal, Estimated
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Means, Progress, Subject, no_partial

_PASSES = 3
"""One forward and one backward, about."""


@dataclass(frozen=True)
class TokenGradientsRequest:
    """One prompt; `reference` says what the mean embedding is taken over."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    steps: int = STEPS
    most_steps: int = MOST_STEPS
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return (Replacement.MEAN,)

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((Kind.RESID,))

    def describe(self) -> dict[str, Any]:
        return {"steps": self.steps, "most_steps": self.most_steps}


@dataclass(frozen=True)
class TokenGradientsResult:
    """Each token's embedding replaced by its mean, and the estimate of the same."""

    tokens: tuple[str, ...]
    measured: Causal[tuple[float, ...]]
    """Support: what the metric loses with this token's embedding alone replaced; one prompt, no interval."""
    estimated: Estimated[tuple[float, ...] | None]
    """Integrated gradients from the mean embeddings; None where they do not add up or cannot be taken."""
    not_estimated: str
    """Why there is no estimate; empty where there is."""
    change: Estimated[float | None]
    """What the estimates add up to: the metric of the prompt minus that of all mean embeddings; in the same unit."""
    missed: Estimated[float | None]
    """Share of the change by which they miss it."""
    steps: int | None
    unit: str
    n: int
    controls: Controls


@dataclass(frozen=True)
class TokenGradientsAudit:
    name: str = "token_gradients"
    question: str = "Which tokens does the answer depend on?"
    result: type = TokenGradientsResult
    version: int = 8
    counts_as: tuple[str, ...] = ("causal_results",)
    shows_results: bool = True

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
                wanted="one, and reference prompts for its mean embeddings.",
                remedy="choose a prompt.",
            )
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
            pair.pieces,
            tuple(effect.support[:, 0].tolist()),
            None if found is None else tuple(found.relevance.tolist()),
            why,
            None if found is None else found.change,
            None if found is None else found.missed,
            None if found is None else found.steps,
            effect.unit,
            1,
            effect.controls,
        )


def _replace_each(request: TokenGradientsRequest) -> tuple[Intervention, ...]:
    positions = range(len(request.prompts.pairs[0].clean_ids))
    return tuple(intervene([resid(0, position)], Replacement.MEAN) for position in positions)


PLUGIN = TokenGradientsAudit()
