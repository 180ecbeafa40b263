"""Compare component effects of two models on the same prompts under the same ablation, with intervals."""

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
"""Family-wise error rate: probability that any component is marked although its effect did not change."""
EVIDENCE = "causal"
"""Both effects come from interventions, not from attention patterns."""


@dataclass(frozen=True)
class EffectChange:
    """Effects of one component in both models."""

    component: str
    before: Estimate
    after: Estimate
    difference: Estimate
    """Mean over prompts of after − before, with an interval over templates."""
    adjusted_p: float | None
    """Holm-adjusted over all components; None with too few templates."""
    is_changed: bool | None
    """Whether the adjusted p is below 0.05; None where no test was made. False does not show that effects are equal."""


@dataclass(frozen=True)
class EffectDiff:
    """Effect changes of every component that both models have, each ablated alone."""

    evidence: str
    """Always "causal"."""
    kind: str
    replacement: str
    direction: str
    metric: str
    unit: str
    """Unit of effects and differences. The logit scale of two models may differ."""
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
    """Why no component could be tested; empty otherwise."""

    def to_json(self) -> dict[str, Any]:
        """Every field, ready for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True)
class EffectQuestion:
    """One sweep, requested of both models."""

    prompts: PromptSet
    kind: Kind = Kind.HEAD
    replacement: Replacement = Replacement.RESAMPLE
    direction: Direction = Direction.NOISING
    metric: str = "logit_difference"
    seed: int = 0

    def ask(self, auditor: Auditor) -> SweepRequest:
        """Build the sweep request with one model's tokenizer."""
        prompts = tokenise(self.prompts, auditor.subject.tokenizer)
        return SweepRequest(
            prompts, prompts, self.kind, self.replacement, self.direction, metric=self.metric, seed=self.seed
        )


def measure_effect_diff(
    before: Auditor, after: Auditor, question: EffectQuestion, *, actor: Actor, on_progress: Progress = no_progress
) -> EffectDiff:
    """Sweep both models, log each run, and compare them prompt by prompt.

    Raises:
        AuditError: any error of a sweep; prompts that one tokenizer cannot align.
    """
    requests = _keep_common([question.ask(auditor) for auditor in (before, after)])
    sweeps = []
    for number, (auditor, request) in enumerate(zip((before, after), requests, strict=True)):

        def report(done: int, total: int, number: int = number) -> None:
            on_progress(number * total + done, 2 * total)

        sweeps.append(auditor.run("sweep", request, actor=actor, on_progress=report).result)
    return compare_effects(sweeps[0], sweeps[1], requests[0].prompts.templates, seed=question.seed)


def _keep_common(requests: Sequence[SweepRequest]) -> list[SweepRequest]:
    """Restrict both requests to the prompts that can be measured under both tokenizers.

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
    # Removing prompts can leave another prompt without a mean.
    return _keep_common([replace(one, prompts=few, reference=few) for one, few in zip(asked, kept, strict=True)])


def compare_effects(before: SweepResult, after: SweepResult, clusters: Sequence[str], *, seed: int) -> EffectDiff:
    """Compare two sweeps of the same prompts in the same order.

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
        # A difference below both models' rounding error counts as zero, even if it is consistent.
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
