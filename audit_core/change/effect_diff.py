"""The effects of two models' components side by side: the same prompts, the same way of replacing, the difference with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from audit_core.audits.sweep import SweepRequest, SweepResult
from audit_core.component import Kind
from audit_core.errors import NotMeasured, PromptRefused
from audit_core.intervention import Direction, Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.measurable import set_aside
from audit_core.prompts.prompt_set import PromptSet
from audit_core.run import Actor, Auditor
from audit_core.stats.bootstrap import bootstrap_ratios
from audit_core.stats.estimates import Estimate
from audit_core.stats.multiplicity import adjust_for_any
from audit_core.subject import Progress, no_progress

ALPHA = 0.05
"""Of the marks: the chance that any component is marked though its effect did not change."""
EVIDENCE = "causal"
"""Both effects are measured by intervening; where heads look is no part of this."""


@dataclass(frozen=True)
class EffectChange:
    """One component in both models."""

    component: str
    before: Estimate
    after: Estimate
    difference: Estimate
    """After minus before on each prompt, the interval over templates."""
    adjusted_p: float | None
    """Holm over all components; None where too few templates were measured to say."""
    is_changed: bool | None
    """Whether the adjusted p lies below 0.05; None where nothing was marked. "Not marked" is not "the same"."""


@dataclass(frozen=True)
class EffectDiff:
    """Every component that both models have, each edited alone in each."""

    evidence: str
    """Always "causal"."""
    kind: str
    replacement: str
    direction: str
    metric: str
    unit: str
    """Of effects and differences. Two models may put the same preference into logits of another size."""
    n: int
    n_templates: int
    clean_before: Estimate
    clean_after: Estimate
    corrupted_before: Estimate
    corrupted_after: Estimate
    accuracy_before: float
    accuracy_after: float
    rows: tuple[EffectChange, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    no_marks: str
    """Why nothing is marked; empty where it could be."""

    def to_json(self) -> dict[str, Any]:
        """Every field, ready for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True)
class EffectQuestion:
    """What both models are asked."""

    prompts: PromptSet
    kind: Kind = Kind.HEAD
    replacement: Replacement = Replacement.RESAMPLE
    direction: Direction = Direction.NOISING
    metric: str = "logit_difference"
    seed: int = 0

    def ask(self, auditor: Auditor) -> SweepRequest:
        """Under one model's own tokenizer."""
        prompts = tokenise(self.prompts, auditor.subject.tokenizer)
        return SweepRequest(
            prompts, prompts, self.kind, self.replacement, self.direction, metric=self.metric, seed=self.seed
        )


def measure_effect_diff(
    before: Auditor, after: Auditor, question: EffectQuestion, *, actor: Actor, on_progress: Progress = no_progress
) -> EffectDiff:
    """Sweep both models, each run in the log, and hold them beside each other prompt by prompt.

    Raises:
        AuditError: whatever a sweep raised; prompts that one tokenizer cannot align.
    """
    requests = _keep_common([question.ask(auditor) for auditor in (before, after)])
    sweeps = []
    for number, (auditor, request) in enumerate(zip((before, after), requests, strict=True)):

        def report(done: int, total: int, number: int = number) -> None:
            on_progress(number * total + done, 2 * total)

        sweeps.append(auditor.run("sweep", request, actor=actor, on_progress=report).result)
    return compare_effects(sweeps[0], sweeps[1], requests[0].prompts.templates, seed=question.seed)


def _keep_common(requests: Sequence[SweepRequest]) -> list[SweepRequest]:
    """Both requests on the prompts that both models can be measured on: under two tokenizers others are set aside.

    Raises:
        PromptRefused: no prompt is left.
    """
    asked = [set_aside(request) for request in requests]
    names = [[pair.prompt.id for pair in request.prompts.pairs] for request in asked]
    common = set(names[0]) & set(names[1])
    if not common:
        raise PromptRefused(
            "No prompt can be measured on both models.",
            wanted="prompts whose tokens have the same lengths under both tokenizers.",
            remedy="choose another replacement, or more prompts.",
        )
    if len(common) == len(names[0]) == len(names[1]):
        return asked
    kept = [
        request.prompts.take([at for at, name in enumerate(ids) if name in common])
        for request, ids in zip(asked, names, strict=True)
    ]
    # Fewer prompts may leave another without a mean.
    return _keep_common([replace(one, prompts=few, reference=few) for one, few in zip(asked, kept, strict=True)])


def compare_effects(before: SweepResult, after: SweepResult, clusters: Sequence[str], *, seed: int) -> EffectDiff:
    """Pair two sweeps of the same prompts in the same order.

    Args:
        clusters: template of each prompt, shape (prompt,).
        seed: of the bootstrap.
    """
    old, new = ({cell.component: at for at, cell in enumerate(sweep.cells)} for sweep in (before, after))
    shared = [name for name in old if name in new]
    rows: tuple[EffectChange, ...] = ()
    no_marks = "" if shared else "the two models have no such component in common"
    if shared:
        values = [
            np.array([sweep.per_prompt[where[name]] for name in shared], float)
            for sweep, where in ((before, old), (after, new))
        ]
        gaps = values[1] - values[0]
        differences = bootstrap_ratios(gaps, np.ones(gaps.shape[1]), clusters, unit=before.unit, seed=seed)
        # What is below both models' own rounding is no difference, however steady it is.
        noise = before.controls.tolerance + after.controls.tolerance
        marks: list[float | None] = [None] * len(shared)
        try:
            marks = list(adjust_for_any(np.where(np.abs(gaps) > noise, gaps, 0.0), clusters).tolist())
        except NotMeasured as error:
            no_marks = error.detail
        rows = tuple(
            EffectChange(
                name, before.cells[old[name]].estimate, after.cells[new[name]].estimate, difference, p,
                None if p is None else p < ALPHA,
            )
            for name, difference, p in zip(shared, differences, marks, strict=True)
        )  # fmt: skip
    return EffectDiff(
        EVIDENCE,
        before.kind,
        before.replacement,
        before.direction,
        before.metric,
        before.unit,
        before.n,
        before.n_templates,
        before.clean,
        after.clean,
        before.corrupted,
        after.corrupted,
        before.accuracy,
        after.accuracy,
        rows,
        tuple(name for name in old if name not in new),
        tuple(name for name in new if name not in old),
        no_marks,
    )
