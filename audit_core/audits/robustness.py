"""Robustness: one claim under perturbations of its prompts and of decoding, each with the product's verdict rule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from audit_core.audit import Audit, Example, Finding, Side
from audit_core.capability import HEADS, MEANS, Capability
from audit_core.claim import Claim, Role, Universe
from audit_core.component import Kind, format_components
from audit_core.controls import Controls, join_controls
from audit_core.effect import Effect, get_metric
from audit_core.errors import NotMeasured, PromptRefused
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.intervention import Replacement
from audit_core.judging.difference import estimate_difference
from audit_core.judging.slots import find_slots
from audit_core.judging.trial import FAMILIES, Judgement, Trial, TrialPlan, plan_trial, run_trial
from audit_core.judging.verdict import State
from audit_core.perturbation import Group, Perturbation
from audit_core.prompts.alignment import align_rows
from audit_core.prompts.measurable import keep_measurable
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts
from audit_core.registry import list_plugins
from audit_core.request import Ablation, Ask, Components, Everything, MetricName, Request
from audit_core.stats.estimates import Estimate
from audit_core.subject import Means, Progress, Subject, no_partial

PROMPTS = 48
"""Largest number of prompts that each perturbation is measured on, spread over the templates."""
WRITTEN = "as_written"
SAME, OTHER, UNRESOLVED, NOT_MEASURED = "same verdict", "another verdict", "unresolved", "not measured"


@dataclass(frozen=True)
class RobustnessRequest(Request):
    """Request: a claim about components; `explored` are the prompts of the other split."""

    prompts: TokenisedPrompts
    explored: TokenisedPrompts
    components: Components
    role: Annotated[Role, Ask("Role", "What the claim says of the components.")] = Role.NECESSARY
    delta: Annotated[float, Ask("Smallest effect", "Fraction of the gap that matters.")] = 0.1
    ablation: Ablation = Replacement.RESAMPLE
    universe: Everything = Universe.HEADS
    metric: MetricName = "logit_difference"
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return FAMILIES

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(self.universe.kinds)

    @property
    def claim(self) -> Claim:
        """The claim as the verdict rule reads it."""
        return Claim(
            format_components(self.components), self.components, self.universe, self.role, self.metric, self.ablation,
            self.delta,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RobustnessRow:
    """The claim under one perturbation, or as written."""

    name: str
    """Name of the perturbation on its shelf, or `as_written`."""
    label: str
    group: str
    """What is varied; empty as written."""
    change: str
    example: str
    """The first prompt as measured; empty if nothing was."""
    n: int
    n_templates: int
    accuracy: Observational[float | None]
    """Share of prompts with the answer before the foil."""
    effect: Causal[Estimate | None]
    """Effect under the claim's own ablation, as a fraction of the gap."""
    smallest: Causal[Estimate | None]
    """The smallest of the ablations' effects."""
    difference: Causal[Estimate | None]
    """Effect here minus effect as written, on the same prompts; None where the prompts are others."""
    state: str
    reason: str | None
    sentence: str
    reading: str
    """same verdict | another verdict | unresolved | not measured; empty as written."""
    not_measured: str
    """Why nothing was measured; empty otherwise."""


@dataclass(frozen=True, kw_only=True)
class RobustnessResult:
    """One claim under every perturbation; the first row is as written."""

    judged: tuple[str, ...]
    """The components of the claim."""
    role: str
    delta: NotEvidence[float]
    finding: str
    rows: tuple[RobustnessRow, ...]
    controls: Controls


_EXAMPLES = (
    Example(
        {"components": "L1.H0"},
        "The head carries the answer whichever of the two texts is measured: the verdict stays supported.",
        lambda found: _find_readings(found)["roles_exchanged"] == SAME,
    ),
    Example(
        {"components": "L1.H1"},
        "No change of the prompts makes the decoy matter.",
        lambda found: OTHER not in _find_readings(found).values(),
    ),
)


@dataclass(frozen=True)
class RobustnessAudit(Audit):
    name: str = "robustness"
    question: str = "Does the verdict stay when prompts or decoding change?"
    request: type[Request] = RobustnessRequest
    result: type = RobustnessResult
    version: int = 1
    summary: str = (
        "The claim is judged as written and again under each perturbation: paraphrases, misleading text, exchanged pairs, "
        "other templates and other ways of decoding. Each has its interval, random sets and verdict."
    )
    counts_as: tuple[str, ...] = ("causal_results", "stability_transfer")
    examples: tuple[Example, ...] = _EXAMPLES
    demands: tuple[Capability[Any], ...] = (HEADS, MEANS)
    pace: float = 0.4

    def count_work(self, subject: Subject, request: RobustnessRequest) -> int:
        return _count_work(subject, request)

    def run(
        self,
        subject: Subject,
        request: RobustnessRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> RobustnessResult:
        measurement = _Measurement(subject, request, on_progress)
        measurement.measure_all()
        return measurement.finish()

    def list_findings(self, result: RobustnessResult, components: Collection[str]) -> tuple[Finding, ...]:
        return (Finding(Side.UNRESOLVED, result.finding),)


def list_perturbations() -> tuple[Perturbation, ...]:
    """Every perturbation of the shelf, in the order of their groups."""
    order = list(Group)
    return tuple(sorted(list_plugins("perturbations").values(), key=lambda one: (order.index(one.group), one.name)))


def _count_work(subject: Subject, request: RobustnessRequest) -> int:
    """Work as written, once for every perturbation and once without one; edited texts are a little longer."""
    plan = plan_trial(subject, request.claim, lambda: [1.0] * len(request.components), seed=request.seed)
    few = request.prompts.take(request.prompts.spread(PROMPTS))
    return subject.count_work(few, [*plan.list_runs(), *plan.draws]) * (1 + len(list_perturbations()))


def perturb(prompts: TokenisedPrompts, perturbation: Perturbation, subject: Subject) -> TokenisedPrompts:
    """The prompts that the perturbation changes, with the templates of the unchanged ones.

    Raises:
        NotMeasured: it changes none of them, or no changed pair fits the tokenizer.
    """
    changed = {pair.prompt.id: perturbation.apply(pair.prompt) for pair in prompts.pairs}
    texts = tuple(text for text in changed.values() if text is not None)
    if not texts:
        raise NotMeasured("control_failed", "it changes none of these prompts.")
    aligned = align_rows(PromptSet(f"{prompts.name}, {perturbation.name}", texts), subject.tokenizer)
    if aligned.kept is None:
        raise NotMeasured("control_failed", f"no changed prompt fits the tokenizer: {aligned.faults[0]}")
    clusters = dict(zip((pair.prompt.id for pair in prompts.pairs), prompts.templates, strict=True))
    pairs = tuple(replace(pair, cluster=clusters[pair.prompt.id]) for pair in aligned.kept.pairs)
    return replace(aligned.kept, pairs=pairs)


@dataclass(frozen=True, eq=False)
class _Measured:
    """One judged trial."""

    prompts: TokenisedPrompts
    effect: Effect
    trial: Trial
    judged: Judgement

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(pair.prompt.id for pair in self.prompts.pairs)


class _Measurement:
    """One run of the audit."""

    def __init__(self, subject: Subject, request: RobustnessRequest, on_progress: Progress) -> None:
        self.subject, self.request, self.on_progress = subject, request, on_progress
        self.few = request.prompts.take(request.prompts.spread(PROMPTS))
        self.perturbations = list_perturbations()
        self.written: _Measured | None = None
        self.rows: list[RobustnessRow] = []
        self.controls: list[Controls] = []
        self.work, self.step = _count_work(subject, request), 0

    def measure_all(self) -> None:
        self.written = self.judge(self.few, self.request.metric)
        self.rows.append(self.read(None, self.written))
        for perturbation in self.perturbations:
            self.step += 1
            try:
                metric = perturbation.metric or self.request.metric
                found = self.judge(self.choose_prompts(perturbation), metric)
                self.rows.append(self.read(perturbation, found))
            except (NotMeasured, PromptRefused) as error:
                self.rows.append(_explain(perturbation, getattr(error, "detail", "") or str(error)))

    def choose_prompts(self, perturbation: Perturbation) -> TokenisedPrompts:
        if perturbation.uses_other_prompts:
            others = self.request.explored
            if {pair.prompt.id for pair in others.pairs} & {pair.prompt.id for pair in self.request.prompts.pairs}:
                raise NotMeasured("control_failed", "the measured prompts are not of one split, so there is no other.")
            return others.take(others.spread(PROMPTS))
        return perturb(self.few, perturbation, self.subject) if perturbation.edits_texts else self.few

    def judge(self, prompts: TokenisedPrompts, metric: str) -> _Measured:
        """Judge the claim on these prompts; means are taken over themselves."""
        request, subject = self.request, self.subject
        kept = keep_measurable(prompts, prompts, FAMILIES)
        means = MEANS.of(subject).capture_means(kept, kinds=request.kinds)
        claim = replace(request.claim, metric=metric)
        plan = self.plan(claim, kept, means)
        trial, judged, effect = run_trial(
            subject, claim, kept, plan, get_metric(metric), means=means, seed=request.seed, on_progress=self.report
        )
        self.controls.append(effect.controls)
        return _Measured(kept, effect, trial, judged)

    def plan(self, claim: Claim, prompts: TokenisedPrompts, means: Means) -> TrialPlan:
        def measure_sizes() -> Sequence[float]:
            change = MEANS.of(self.subject).activation_change_rms
            sizes: Sequence[float] = change(prompts, claim.components, claim.ablation, means=means).tolist()
            return sizes

        slots = find_slots(self.subject, prompts, claim.components)
        return plan_trial(self.subject, claim, measure_sizes, seed=self.request.seed, slots=slots)

    def report(self, done: int, total: int) -> None:
        share = self.work // (1 + len(self.perturbations))
        self.on_progress(self.step * share + share * done // max(1, total), self.work)

    def read(self, perturbation: Perturbation | None, found: _Measured) -> RobustnessRow:
        verdict, families = found.judged.verdict, found.judged.families
        written = self.written
        assert written is not None
        can_compare = perturbation is not None and not perturbation.uses_other_prompts and bool(families)
        can_compare = can_compare and bool(written.judged.families)
        seed = self.request.seed
        return RobustnessRow(
            name=WRITTEN if perturbation is None else perturbation.name,
            label="as written" if perturbation is None else perturbation.label,
            group="" if perturbation is None else perturbation.group.value,
            change="Nothing is changed." if perturbation is None else perturbation.change,
            example=found.prompts.pairs[0].prompt.clean,
            n=len(found.prompts),
            n_templates=len(set(found.prompts.templates)),
            accuracy=found.effect.accuracy,
            effect=families.get(self.request.ablation),
            smallest=min(families.values(), key=lambda one: one.value, default=None),
            difference=estimate_difference(found.trial, written.trial, found.ids, written.ids, seed=seed)
            if can_compare
            else None,
            state=verdict.state.value,
            reason=verdict.reason,
            sentence=verdict.sentence,
            reading="" if perturbation is None else _compare(State(written.judged.verdict.state), verdict.state),
            not_measured="",
        )

    def finish(self) -> RobustnessResult:
        self.on_progress(self.work, self.work)
        return RobustnessResult(
            judged=tuple(map(str, self.request.claim.components)),
            role=self.request.role.value,
            delta=self.request.delta,
            finding=_describe(self.request, self.rows),
            rows=tuple(self.rows),
            controls=join_controls(self.controls),
        )


def _explain(perturbation: Perturbation, why: str) -> RobustnessRow:
    return RobustnessRow(
        name=perturbation.name, label=perturbation.label, group=perturbation.group.value,
        change=perturbation.change, example="", n=0, n_templates=0, accuracy=None, effect=None, smallest=None,
        difference=None, state="", reason=None, sentence="", reading=NOT_MEASURED, not_measured=why,
    )  # fmt: skip


def _compare(written: State, here: State) -> str:
    if State.INCONCLUSIVE in (written, here):
        return UNRESOLVED
    return SAME if written is here else OTHER


def _describe(request: RobustnessRequest, rows: Sequence[RobustnessRow]) -> str:
    written, changed = rows[0], rows[1:]
    count = {
        reading: sum(row.reading == reading for row in changed) for reading in (SAME, OTHER, UNRESOLVED, NOT_MEASURED)
    }
    named = format_components(request.components)
    verdict = "inconclusive" if written.state == State.INCONCLUSIVE else written.state
    return (
        f"{named}, {request.role.value}: {verdict} as written. Of {len(changed)} perturbations, {count[SAME]} give the same "
        f"verdict, {count[OTHER]} another one; {count[UNRESOLVED]} unresolved, {count[NOT_MEASURED]} not measured."
    )


def _find_readings(found: RobustnessResult) -> dict[str, str]:
    return {row.name: row.reading for row in found.rows}


PLUGIN = RobustnessAudit()
