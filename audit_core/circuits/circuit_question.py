"""Common request and shared runs of all circuit audits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.claim import Universe
from audit_core.component import Component, Kind
from audit_core.controls import Controls, join_controls
from audit_core.effect import check_task, measure_effect
from audit_core.errors import ClaimRefused
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.judging.faithfulness import UNIT, check_empty_gap, list_kinds, list_universe
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.request import Ablation, Components, Everything, MetricName, Request
from audit_core.stats.bootstrap import bootstrap_ratio
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.subject import Means, Progress, Subject

Parts = frozenset[Component]


@dataclass(frozen=True)
class CircuitQuestion(Request):
    """Request of a circuit audit: circuit, prompts and replacement."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    components: Components
    universe: Everything = Universe.HEADS
    replacement: Ablation = Replacement.RESAMPLE
    metric: MetricName = "logit_difference"
    seed: int = 0

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(list_kinds(self.universe))

    def state_conditions(self, out: str) -> Conditions:
        """The six-part conditions of one number.

        Args:
            out: the ablated components, in words.
        """
        kinds = " and ".join(sorted({part.kind.value for part in self.components}))
        return Conditions("nodes", kinds, self.replacement.value, "all", "noising", out)

    @property
    def necessity_conditions(self) -> Conditions:
        """Conditions of necessity."""
        return self.state_conditions("circuit ablated")

    @property
    def sufficiency_conditions(self) -> Conditions:
        """Conditions of sufficiency."""
        return self.state_conditions(f"all other {self.universe} ablated")


def count_run_work(subject: Subject, question: CircuitQuestion, runs: int) -> int:
    """Units of work of this many runs, each counted as one that ablates nearly everything."""
    whole = intervene(list_universe(subject, question.universe), question.replacement)
    return subject.count_work(question.prompts, (whole,)) * runs


class CircuitRunner:
    """Measures the model with sets of components ablated, each set once.

    Args:
        runs: maximum number of sets, for the progress.

    Raises:
        ClaimRefused: the circuit is empty or not of this model.
        NotMeasured: the model does not do the task, or ablating the universe leaves no gap.
    """

    def __init__(
        self, subject: Subject, question: CircuitQuestion, *, runs: int, means: Means | None, on_progress: Progress
    ) -> None:
        self.question, self.universe = question, list_universe(subject, question.universe)
        check_circuit(question.components, self.universe, question.universe)
        self._subject, self._means, self._on_progress = subject, means, on_progress
        self._runs, self._work, self._done = runs, count_run_work(subject, question, runs), 0
        self._metric = get_plugin("metrics", question.metric)
        self._controls: list[Controls] = []
        self.clean = measure_effect(subject, question.prompts, (), self._metric, seed=question.seed).clean
        self._known: dict[Parts, NDArray[np.float64]] = {frozenset(): self.clean}
        self.run([self.everything])
        check_empty_gap(self.scale, self._metric.min_gap)

    @property
    def circuit(self) -> Parts:
        return frozenset(self.question.components)

    @property
    def everything(self) -> Parts:
        return frozenset(self.universe)

    @property
    def min_gap(self) -> float:
        """See `Metric.min_gap`."""
        return float(self._metric.min_gap)

    @property
    def clusters(self) -> tuple[str, ...]:
        return self.question.prompts.templates

    @property
    def controls(self) -> Controls:
        return join_controls(self._controls)

    def run(self, sets: Iterable[Parts]) -> None:
        """Measure the model with each of these sets ablated, unless already measured."""
        new = [out for out in dict.fromkeys(sets) if out not in self._known]
        if not new:
            return
        if any(out - self.everything for out in new):
            raise AssertionError("the set contains components outside the universe")
        question = self.question

        def report(step: int, total: int) -> None:
            # A search may end before its maximum of runs.
            share = (self._done * total + len(new) * step) / (self._runs * total)
            self._on_progress(min(self._work - 1, int(self._work * share)), self._work)

        effect = measure_effect(
            self._subject,
            question.prompts,
            [self._ablate(out) for out in new],
            self._metric,
            means=self._means,
            seed=question.seed,
            on_progress=report,
        )
        check_task(effect)
        self._done += len(new)
        self._controls.append(effect.controls)
        self._known |= dict(zip(new, effect.patched, strict=True))

    def finish(self) -> None:
        """Report completion, also if fewer runs were needed."""
        self._on_progress(self._work, self._work)

    def without(self, out: Parts) -> NDArray[np.float64]:
        """Metric with these components ablated; measured before; shape (prompt,)."""
        return self._known[out]

    def alone(self, kept: Parts) -> NDArray[np.float64]:
        """Metric of these components alone, all others of the universe ablated; measured before; shape (prompt,)."""
        return self._known[self.all_but(kept)]

    def all_but(self, kept: Parts) -> Parts:
        """All components of the universe except these."""
        return self.everything - kept

    @property
    def scale(self) -> NDArray[np.float64]:
        """m(M) − m(∅), shape (prompt,)."""
        return self.clean - self.without(self.everything)

    def lost(self, out: Parts) -> NDArray[np.float64]:
        """m(M) − m(M∖C), shape (prompt,): the numerator of necessity."""
        return self.clean - self.without(out)

    def kept(self, kept: Parts) -> NDArray[np.float64]:
        """m(C) − m(∅), shape (prompt,): the numerator of sufficiency."""
        return self.alone(kept) - self.without(self.everything)

    def estimate(self, numerator: NDArray[np.float64], conditions: Conditions) -> Measurement:
        """A fraction of the clean – empty gap, with interval."""
        found = bootstrap_ratio(numerator, self.scale, self.clusters, unit=UNIT, seed=self.question.seed)
        return Measurement(found, conditions)

    def _ablate(self, out: Parts) -> Intervention:
        # In the order of the universe, so that equal sets give equal interventions.
        return intervene([part for part in self.universe if part in out], self.question.replacement)


def refuse_features(universe: Universe) -> None:
    """Refuse a circuit of features: what else a circuit would consist of, a dictionary of one layer does not say."""
    if Kind.FEATURE in universe.kinds:
        raise ClaimRefused(
            "A circuit of features.", wanted="a circuit of heads, MLPs or experts.",
            remedy="test a claim on the features: its verdict names the members that carry a set.",
        )  # fmt: skip


def check_circuit(components: Sequence[Component], universe: Sequence[Component], kind: Universe) -> None:
    """Refuse an empty circuit, components outside the universe, and features."""
    refuse_features(kind)
    outside = sorted(map(str, set(components) - set(universe)))
    if outside or not components:
        raise ClaimRefused(
            f"A circuit of {', '.join(outside[:5]) or 'nothing'}.",
            wanted=f"whole {kind} of this model.",
            remedy="name heads or MLPs without positions.",
        )
