"""Robustness: one claim under perturbations of prompts and decoding and on other models, each with the product's verdict rule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

from audit_core.audit import Audit, Example, Finding, Side, Verdicts
from audit_core.capability import HEADS, MEANS, Capability
from audit_core.claim import Claim, Role, Universe
from audit_core.component import Kind, format_components
from audit_core.controls import Controls, join_controls
from audit_core.effect import Effect, get_metric
from audit_core.errors import ControlFailed, NotMeasured, Refused
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.intervention import Replacement
from audit_core.judging.difference import estimate_difference
from audit_core.judging.loads import find_loads
from audit_core.judging.trial import FAMILIES, Judgement, Trial, judge_trial, plan_trial, run_trial
from audit_core.judging.usual_range import keep_in_range, plan_in_range
from audit_core.judging.verdict import State
from audit_core.other_models import OtherModel, check_comparable, find_others
from audit_core.perturbation import Group, Perturbation, perturb
from audit_core.prompts.alignment import align_again
from audit_core.prompts.measurable import keep_measurable
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts
from audit_core.registry import list_plugins
from audit_core.request import Ablation, Ask, Components, Everything, MetricName, Request
from audit_core.stats.estimates import Estimate
from audit_core.subject import Means, Progress, Subject, no_partial
from audit_core.subject_family import load_folder

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
    other_models: Annotated[
        str, Ask("Other models", "Names or folders of models of the same shape, apart by commas.")
    ] = ""
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        """As every request, with what identifies the other models; without any, none is mentioned."""
        own = {name: value for name, value in super().describe().items() if name != "other_models"}
        named = [other.to_json() for other in find_others(self.other_models)]
        return own | ({"other_models": named} if named else {})

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
    """The claim under one perturbation or on another model, or as written.

    Fields with a default are missing in results that were stored by version 1, which pages still show.
    """

    name: str
    """Name of the perturbation on its shelf, or of the other model; `as_written` for the claim itself."""
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
    in_range: Causal[Estimate | None] = None
    """Effect under the claim's own ablation with later neurons kept in range; None if not measured."""
    no_range: str = ""
    """Why it was not; empty if it was."""
    weights_sha256: str = ""
    """Of the other model; empty where the claim's own was measured."""


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


_READ, _ABSTAINS = (SAME, OTHER, UNRESOLVED), frozenset({UNRESOLVED, NOT_MEASURED})
_EXAMPLES = (
    Example(
        {"components": "L1.H0"},
        "The head carries the answer whichever of the two texts is measured: the verdict stays supported.",
        lambda found: _find_readings(found)["roles_exchanged"] == SAME,
        verdicts=Verdicts(lambda found: [_find_readings(found)["roles_exchanged"]], SAME, _ABSTAINS),
    ),
    Example(
        {"components": "L1.H1"},
        "No change of the prompts makes the decoy matter.",
        lambda found: OTHER not in _find_readings(found).values(),
        verdicts=Verdicts(
            lambda found: [one for one in _find_readings(found).values() if one in _READ], SAME, _ABSTAINS
        ),
    ),
)


@dataclass(frozen=True)
class RobustnessAudit(Audit):
    name: str = "robustness"
    question: str = "Does the verdict stay when prompts, decoding or the model change?"
    request: type[Request] = RobustnessRequest
    result: type = RobustnessResult
    version: int = 2
    shown_versions: tuple[int, ...] = (1,)
    summary: str = (
        "The claim is judged as written and again under each perturbation: paraphrases, misleading text, exchanged pairs, "
        "other templates, other ways of decoding and other models. Each has its interval, random sets and verdict."
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
    """Work as written, times the judged trials: as written, under each perturbation and on each other model."""
    plan = plan_trial(subject, request.claim, lambda: [1.0] * len(request.components), seed=request.seed)
    few = request.prompts.take(request.prompts.spread(PROMPTS))
    runs = [*plan.list_runs(), *plan.draws, *plan_in_range(subject, request.claim, plan)]
    return subject.count_work(few, runs) * (1 + len(list_perturbations()) + len(find_others(request.other_models)))


@dataclass(frozen=True)
class _What:
    """What a row varies."""

    name: str
    label: str
    group: str
    change: str
    is_of_the_same_prompts: bool
    weights_sha256: str = ""


_WRITTEN = _What(WRITTEN, "as written", "", "Nothing is changed.", False)


def _name(perturbation: Perturbation) -> _What:
    group = perturbation.group.value
    return _What(perturbation.name, perturbation.label, group, perturbation.change, not perturbation.uses_other_prompts)


def _name_model(other: OtherModel) -> _What:
    title = other.title
    return _What(
        other.short_name, f"on {title}", Group.MODEL.value,
        f"The same prompts on another model of the same shape: {title}, weights {other.weights_sha256[:12]}.",
        True, other.weights_sha256,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Measured:
    """One judged trial."""

    prompts: TokenisedPrompts
    effect: Effect
    trial: Trial
    judged: Judgement
    no_range: str

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(pair.prompt.id for pair in self.prompts.pairs)


class _Measurement:
    """One run of the audit."""

    def __init__(self, subject: Subject, request: RobustnessRequest, on_progress: Progress) -> None:
        self.subject, self.request, self.on_progress = subject, request, on_progress
        self.few = request.prompts.take(request.prompts.spread(PROMPTS))
        self.perturbations = list_perturbations()
        self.others = find_others(request.other_models)
        self.written: _Measured | None = None
        self.rows: list[RobustnessRow] = []
        self.controls: list[Controls] = []
        self.work, self.step = _count_work(subject, request), 0

    def measure_all(self) -> None:
        self.written = self.judge(self.subject, self.few, self.request.metric)
        self.rows.append(self.read(_WRITTEN, self.written))
        for perturbation in self.perturbations:
            self.step += 1
            self.rows.append(self.measure_one(_name(perturbation), partial(self.measure_changed, perturbation)))
        for other in self.others:
            self.step += 1
            self.rows.append(self.measure_one(_name_model(other), partial(self.measure_on, other)))

    def measure_one(self, what: _What, measure: Callable[[], _Measured]) -> RobustnessRow:
        """A row with numbers, or with the reason why there are none."""
        try:
            return self.read(what, measure())
        except (NotMeasured, Refused) as error:
            return _explain(what, getattr(error, "detail", "") or str(error))

    def measure_changed(self, perturbation: Perturbation) -> _Measured:
        metric = perturbation.metric or self.request.metric
        return self.judge(self.subject, self.choose_prompts(perturbation), metric)

    def measure_on(self, model: OtherModel) -> _Measured:
        """The claim as written on another model, which is loaded for this and then let go."""
        other = load_folder(model.folder, device=self.subject.identity.device)
        if missing := " ".join(filter(None, (demand.explain_missing(other) for demand in (HEADS, MEANS)))):
            raise NotMeasured("control_failed", missing)
        if other.identity.weights_sha256 != model.weights_sha256:
            raise ControlFailed("Its files changed while it was measured.")
        check_comparable(self.subject, other, self.request.components)
        texts = PromptSet(self.few.name, tuple(pair.prompt for pair in self.few.pairs))
        return self.judge(other, align_again(self.few, texts, other.tokenizer), self.request.metric)

    def choose_prompts(self, perturbation: Perturbation) -> TokenisedPrompts:
        if perturbation.uses_other_prompts:
            others = self.request.explored
            if {pair.prompt.id for pair in others.pairs} & {pair.prompt.id for pair in self.request.prompts.pairs}:
                raise NotMeasured("control_failed", "the measured prompts are not of one split, so there is no other.")
            return others.take(others.spread(PROMPTS))
        return perturb(self.few, perturbation, self.subject.tokenizer) if perturbation.edits_texts else self.few

    def judge(self, subject: Subject, prompts: TokenisedPrompts, metric: str) -> _Measured:
        """Judge the claim on these prompts; means are taken over themselves."""
        request, seed = self.request, self.request.seed
        kept = keep_measurable(prompts, prompts, FAMILIES)
        means = MEANS.of(subject).capture_means(kept, kinds=request.kinds)
        claim, reading = replace(request.claim, metric=metric), get_metric(metric)

        def measure_sizes() -> Sequence[float]:
            change = MEANS.of(subject).activation_change_rms
            return list(map(float, change(kept, claim.components, claim.ablation, means=means)))

        loads = find_loads(subject, kept, claim.components)
        plan = plan_trial(subject, claim, measure_sizes, seed=seed, loads=loads)
        trial, judged, effect = run_trial(
            subject, claim, kept, plan, reading, means=means, seed=seed, on_progress=self.report
        )
        no_range = "the claim could not be judged."
        if judged.families:
            trial, no_range = keep_in_range(subject, kept, trial, plan, reading, means=means, seed=seed)
            judged = judge_trial(trial, seed=seed)
        self.controls.append(effect.controls)
        return _Measured(kept, effect, trial, judged, no_range)

    def report(self, done: int, total: int) -> None:
        share = self.work // (1 + len(self.perturbations) + len(self.others))
        self.on_progress(self.step * share + share * done // max(1, total), self.work)

    def read(self, what: _What, found: _Measured) -> RobustnessRow:
        verdict, families = found.judged.verdict, found.judged.families
        written = self.written
        assert written is not None
        can_compare = what.is_of_the_same_prompts and bool(families) and bool(written.judged.families)
        own = self.request.ablation
        return RobustnessRow(
            name=what.name,
            label=what.label,
            group=what.group,
            change=what.change,
            example=found.prompts.pairs[0].prompt.clean,
            n=len(found.prompts),
            n_templates=len(set(found.prompts.templates)),
            accuracy=found.effect.accuracy,
            effect=families.get(own),
            smallest=min(families.values(), key=lambda one: one.value, default=None),
            difference=estimate_difference(found.trial, written.trial, found.ids, written.ids, seed=self.request.seed)
            if can_compare
            else None,
            state=verdict.state.value,
            reason=verdict.reason,
            sentence=verdict.sentence,
            reading="" if what is _WRITTEN else _compare(State(written.judged.verdict.state), verdict.state),
            not_measured="",
            in_range=found.judged.in_range.get(own),
            no_range=found.no_range,
            weights_sha256=what.weights_sha256,
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


def _explain(what: _What, why: str) -> RobustnessRow:
    return RobustnessRow(
        name=what.name, label=what.label, group=what.group, change=what.change, example="", n=0, n_templates=0,
        accuracy=None, effect=None, smallest=None, difference=None, state="", reason=None, sentence="",
        reading=NOT_MEASURED, not_measured=why, weights_sha256=what.weights_sha256,
    )  # fmt: skip


def _compare(written: State, here: State) -> str:
    if State.INCONCLUSIVE in (written, here):
        return UNRESOLVED
    return SAME if written is here else OTHER


def _describe(request: RobustnessRequest, rows: Sequence[RobustnessRow]) -> str:
    written, changed = rows[0], rows[1:]
    count = {one: sum(row.reading == one for row in changed) for one in (SAME, OTHER, UNRESOLVED, NOT_MEASURED)}
    named = format_components(request.components)
    verdict = "inconclusive" if written.state == State.INCONCLUSIVE else written.state
    return (
        f"{named}, {request.role.value}: {verdict} as written. Of {len(changed)} perturbations, {count[SAME]} give the same "
        f"verdict, {count[OTHER]} another one; {count[UNRESOLVED]} unresolved, {count[NOT_MEASURED]} not measured."
    )


def _find_readings(found: RobustnessResult) -> dict[str, str]:
    return {row.name: row.reading for row in found.rows}


PLUGIN = RobustnessAudit()
