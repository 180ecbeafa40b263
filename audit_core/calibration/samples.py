"""Calibration samples: planted claims with known truth, judged on many samples of prompts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit_core.capability import MEANS
from audit_core.claim import DEFAULT_DELTA, Claim, Universe, fit_universe
from audit_core.component import Kind
from audit_core.effect import get_metric, measure_effect
from audit_core.errors import NotMeasured
from audit_core.intervention import Replacement
from audit_core.judging.faithfulness import estimate_faithfulness, list_kinds
from audit_core.judging.loads import find_loads
from audit_core.judging.trial import FAMILIES, Trial, TrialPlan, judge_trial, measure_null_draws, plan_trial, read_trial
from audit_core.judging.verdict import State
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.estimates import Estimate
from audit_core.subject import Means, Subject
from audit_core.subject_family import list_planted, load_folder
from audit_core.subjects.planted import PlantedModel, build_planted
from audit_core.subjects.planted.key import PlantedClaim

POPULATION = 8
"""Prompts per template in the population that samples are drawn from."""
TEMPLATES, PROMPTS = 10, 6
"""Templates per sample, drawn with replacement, and prompts of each."""
COMBINED = "combined"
SAME = 1e-6
"""Fraction of the gap: effects that vary less between prompts have an interval of zero width."""
ModelProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Sample:
    """One claim on one sample of prompts of one build of a model."""

    model: str
    components: str
    task: str
    role: str
    planted: str
    expected: str
    is_in_contrast: bool
    """Whether the components' outputs differ between the two texts of a pair, by the wiring."""
    seed: int
    found: Mapping[str, str]
    """State under each rule: the combined one, and each ablation family alone."""
    reason: str | None
    covered: bool | None
    """Whether the primary interval contains the population value; None without an interval of positive width."""

    @property
    def is_right(self) -> bool:
        return self.found[COMBINED] == self.expected


def calibrate(
    *,
    seeds: Sequence[int],
    samples: int,
    models: Sequence[PlantedModel] | None = None,
    on_model: ModelProgress = lambda *_: None,
) -> tuple[Sample, ...]:
    """Judge all planted claims on many samples of prompts, for several builds of each model.

    Args:
        seeds: one per build; background weights, prompts and samples differ.
        models: by default those of all families whose claims are about attention heads.
        samples: samples per claim and build.
    """
    found: list[Sample] = []
    models = list_planted(about=Kind.HEAD) if models is None else models
    for step, (model, seed) in enumerate((model, seed) for model in models for seed in seeds):
        on_model(f"{model.name}, build {seed}", step, len(models) * len(seeds))
        subject = load_folder(build_planted(model, seed))
        for claim in model.claims:
            found.extend(judge_samples(subject, model, claim, seed=seed, samples=samples))
    return tuple(found)


def judge_samples(
    subject: Subject, model: PlantedModel, planted: PlantedClaim, *, seed: int, samples: int
) -> Iterator[Sample]:
    """Measure a claim once on a population of prompts, and judge it on samples of them."""
    prompts = tokenise(model.find_task(planted.task).make(POPULATION, seed), subject.tokenizer)
    claim = make_claim(planted)
    rng = np.random.default_rng([seed, *map(ord, model.name + planted.task + str(planted.components))])
    rows = [draw_rows(prompts.templates, rng) for _ in range(samples)]
    try:
        trial = measure_population(subject, claim, prompts, rows, seed=seed)
    except NotMeasured as error:
        # The audit gives the same reason in place of a verdict.
        yield from [_leave_open(model, planted, claim, seed, error.reason)] * samples
        return
    truth = estimate_faithfulness(trial.families[claim.ablation], claim.role, seed=seed, level=0.95).value
    for number, chosen in enumerate(rows):
        judged = judge_trial(take_sample(trial, chosen), seed=number)
        primary = judged.families.get(claim.ablation)
        states = {COMBINED: judged.verdict.state.value} | {f.value: state.value for f, state in judged.states.items()}
        covered = None if primary is None else is_covered(primary, truth)
        yield _make_sample(model, planted, claim, seed, states, judged.verdict.reason, covered)


def _leave_open(model: PlantedModel, planted: PlantedClaim, claim: Claim, seed: int, reason: str) -> Sample:
    states = dict.fromkeys((COMBINED, *(family.value for family in FAMILIES)), State.INCONCLUSIVE.value)
    return _make_sample(model, planted, claim, seed, states, reason, None)


def _make_sample(
    model: PlantedModel,
    planted: PlantedClaim,
    claim: Claim,
    seed: int,
    found: Mapping[str, str],
    reason: str | None,
    covered: bool | None,
) -> Sample:
    return Sample(
        model.name,
        " ".join(map(str, claim.components)),
        planted.task,
        claim.role.value,
        planted.planted.value,
        planted.expected.value,
        abs(planted.support.get(claim.ablation, math.inf)) > 0,
        seed,
        found,
        reason,
        covered,
    )


def make_claim(planted: PlantedClaim) -> Claim:
    return Claim(
        "planted",
        planted.components,
        planted.universe or fit_universe(planted.components, Universe.HEADS),
        role=planted.role,
        delta=DEFAULT_DELTA[planted.role.value],
        ablation=Replacement.RESAMPLE,
    )


def measure_population(
    subject: Subject, claim: Claim, prompts: TokenisedPrompts, samples: Sequence[Sequence[int]], *, seed: int
) -> Trial:
    """A trial on all prompts, with draws if they can change the verdict on any sample, as in the audit.

    Raises:
        NotMeasured: the claim is about experts that no token is sent to.
    """
    metric = get_metric(claim.metric)
    means, plan = plan_population(subject, claim, prompts, seed=seed)
    trial = read_trial(claim, plan, measure_effect(subject, prompts, plan.list_runs(), metric, means=means, seed=seed))
    if not plan.draws or not any(judge_trial(take_sample(trial, rows), seed=0).needs_null_draws for rows in samples):
        return trial
    return measure_null_draws(subject, prompts, trial, plan, metric, means=means, seed=seed, most=len(prompts))


def plan_population(subject: Subject, claim: Claim, prompts: TokenisedPrompts, *, seed: int) -> tuple[Means, TrialPlan]:
    """Mean activations of the population, and the runs of a claim.

    Raises:
        NotMeasured: the claim is about experts that no token is sent to.
    """
    loads = find_loads(subject, prompts, claim.components)
    means = MEANS.of(subject).capture_means(prompts, kinds=list_kinds(claim.universe))
    plan = plan_trial(
        subject,
        claim,
        lambda: (
            MEANS.of(subject).activation_change_rms(prompts, claim.components, claim.ablation, means=means).tolist()
        ),
        seed=seed,
        loads=loads,
    )
    return means, plan


def draw_rows(templates: Sequence[str], rng: np.random.Generator) -> tuple[int, ...]:
    """Templates drawn with replacement, and some prompts of each: `TEMPLATES` times `PROMPTS` rows."""
    names = np.array(templates)
    picked = rng.choice(np.unique(names), TEMPLATES)
    return tuple(int(i) for name in picked for i in rng.choice(np.flatnonzero(names == name), PROMPTS))


def take_sample(trial: Trial, rows: Sequence[int]) -> Trial:
    """The trial on drawn rows; each drawn template is its own cluster."""
    sample = trial.take(rows)
    clusters = tuple(f"{at}" for at in range(TEMPLATES) for _ in range(PROMPTS))
    families = {family: replace(circuit, clusters=clusters) for family, circuit in sample.families.items()}
    return replace(sample, clusters=clusters, families=families)


def is_covered(estimate: Estimate, truth: float) -> bool | None:
    if estimate.low is None or estimate.high is None or estimate.high - estimate.low < SAME:
        return None
    return estimate.low <= truth <= estimate.high


def count_states(samples: Sequence[Sample], rule: str = COMBINED) -> dict[str, Counter[str]]:
    """Planted role → count of each state."""
    table: dict[str, Counter[str]] = {}
    for sample in samples:
        table.setdefault(sample.planted, Counter())[sample.found[rule]] += 1
    return table
