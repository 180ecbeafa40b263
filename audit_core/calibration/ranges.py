"""Error rates of the check of ranges: planted heads that act only on inputs that no text makes, beside heads that carry the answer.

Models are those whose MLPs act on the answer: in others no neuron can respond to anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit_core.calibration.samples import POPULATION as PROMPTS_PER_TEMPLATE
from audit_core.calibration.samples import (
    ModelProgress,
    draw_rows,
    make_claim,
    measure_population,
    plan_population,
    take_sample,
)
from audit_core.calibration.tallies import describe_share
from audit_core.claim import Role
from audit_core.component import Kind
from audit_core.effect import get_metric
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.judging.trial import judge_trial
from audit_core.judging.usual_range import measure_in_range
from audit_core.judging.verdict import RANGE_VERSION, State
from audit_core.prompts.alignment import tokenise
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import wilson
from audit_core.subject import Subject
from audit_core.subject_family import list_planted, load_folder
from audit_core.subjects.planted import PlantedModel, build_planted
from audit_core.subjects.planted.key import WIRED, PlantedClaim, PlantedRole

_DECIDED = (State.SUPPORTED, State.REVERSED)
"""Verdicts that the check can withhold."""


@dataclass(frozen=True)
class RangeSample:
    """One claim on one sample of prompts, judged without and with the check."""

    model: str
    components: str
    task: str
    planted: str
    seed: int
    before: str
    after: str


@dataclass(frozen=True)
class RangeCalibration:
    """What the check of ranges withholds. Shares count claims per build, because samples of a claim share its prompts."""

    range_version: int
    models: tuple[str, ...]
    builds: int
    samples_each: int
    n_claims: int
    artefacts_before: Estimate
    """Heads that act only on inputs that no text makes: share decided on any sample without the check."""
    artefacts_after: Estimate
    """The same with the check."""
    causes_before: Estimate
    """Heads that the wiring makes causes or opponents of the answer: share with the right verdict on all samples without it."""
    causes_after: Estimate
    """The same with the check."""


def calibrate_ranges(
    *,
    seeds: Sequence[int],
    samples: int,
    models: Sequence[PlantedModel] | None = None,
    on_model: ModelProgress = lambda *_: None,
) -> RangeCalibration:
    """Judge planted necessity claims without and with the check of ranges.

    Raises:
        NotMeasured: no claim of one of the two kinds could be measured.
    """
    found: list[RangeSample] = []
    models = list_planted(about=Kind.HEAD) if models is None else models
    for step, (model, seed) in enumerate((model, seed) for model in models for seed in seeds):
        on_model(f"{model.name}, build {seed}", step, len(models) * len(seeds))
        subject = load_folder(build_planted(model, seed))
        for claim in model.claims:
            is_decided = claim.planted is PlantedRole.ARTEFACT or WIRED.get(claim.planted) in _DECIDED
            if is_decided and claim.role is Role.NECESSARY:
                found.extend(judge_range_samples(subject, model, claim, seed=seed, samples=samples))
    return summarise_ranges(found)


def judge_range_samples(
    subject: Subject, model: PlantedModel, planted: PlantedClaim, *, seed: int, samples: int
) -> Iterator[RangeSample]:
    """Measure a claim once on a population of prompts, and judge samples of them twice; nothing if no neuron acts."""
    prompts = tokenise(model.find_task(planted.task).make(PROMPTS_PER_TEMPLATE, seed), subject.tokenizer)
    claim = make_claim(planted)
    rng = np.random.default_rng([seed, *map(ord, model.name + planted.task + str(planted.components))])
    rows = [draw_rows(prompts.templates, rng) for _ in range(samples)]
    means, plan = plan_population(subject, claim, prompts, seed=seed)
    try:
        in_range = measure_in_range(subject, claim, prompts, plan, get_metric(claim.metric), means=means, seed=seed)
    except ControlFailed:
        raise
    except NotMeasured:
        return
    trial = measure_population(subject, claim, prompts, rows, seed=seed)
    for number, chosen in enumerate(rows):
        before, after = (
            judge_trial(take_sample(one, chosen), seed=number).verdict.state.value
            for one in (trial, replace(trial, in_range=in_range))
        )
        parts = " ".join(map(str, claim.components))
        yield RangeSample(model.name, parts, planted.task, planted.planted.value, seed, before, after)


def summarise_ranges(samples: Sequence[RangeSample]) -> RangeCalibration:
    """Compute the shares; see `RangeCalibration`.

    Raises:
        NotMeasured: no artefact or no cause among the samples.
    """
    groups: dict[tuple[str, str, str, int], list[RangeSample]] = {}
    for s in samples:
        groups.setdefault((s.model, s.components, s.task, s.seed), []).append(s)
    artefacts = [g for g in groups.values() if g[0].planted == PlantedRole.ARTEFACT]
    causes = [g for g in groups.values() if WIRED.get(PlantedRole(g[0].planted)) in _DECIDED]

    def decided(read: Callable[[RangeSample], str]) -> Estimate:
        return wilson(sum(any(read(s) in _DECIDED for s in claim) for claim in artefacts), len(artefacts))

    def right(read: Callable[[RangeSample], str]) -> Estimate:
        count = sum(all(read(s) == WIRED[PlantedRole(s.planted)] for s in claim) for claim in causes)
        return wilson(count, len(causes))

    return RangeCalibration(
        RANGE_VERSION,
        tuple(sorted({s.model for s in samples})),
        len({s.seed for s in samples}),
        max(map(len, groups.values()), default=0),
        len(groups),
        decided(lambda s: s.before),
        decided(lambda s: s.after),
        right(lambda s: s.before),
        right(lambda s: s.after),
    )


def list_range_shares(found: RangeCalibration) -> tuple[tuple[str, Estimate], ...]:
    """The shares with their names, for page and documentation."""
    return (
        ("artefacts wrongly called supported or reversed, without the check", found.artefacts_before),
        ("artefacts wrongly called supported or reversed, with the check", found.artefacts_after),
        ("heads for and against the answer judged right, without the check", found.causes_before),
        ("heads for and against the answer judged right, with the check", found.causes_after),
    )


def describe_range_origin(found: RangeCalibration) -> str:
    """Size of this calibration, in a sentence."""
    return (
        f"Check version {found.range_version}; {found.builds} builds of each of {len(found.models)} models whose MLPs act on the "
        f"answer ({', '.join(found.models)}), {found.samples_each} samples of prompts for each claim: {found.n_claims:,} claims."
    )


def list_range_lines(found: RangeCalibration) -> list[str]:
    """Section of the documentation page."""
    rows = [f"| {name} | {describe_share(share)} |" for name, share in list_range_shares(found)]
    return [
        "## Check of ranges",
        "",
        "Each ablation is repeated with the neurons of later MLPs kept within the values that they have on unedited prompts. The",
        "other tables on this page are of the rule without this check. An artefact of attention is not found by it.",
        "",
        describe_range_origin(found),
        "",
        "| question | share |",
        "|---|---|",
        *rows,
    ]
