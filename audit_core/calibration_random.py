"""How often heads of the default model, taken at random, are called supported: each is a real cause or a false alarm."""

from __future__ import annotations

import numpy as np

from audit_core.calibration import wilson
from audit_core.claim import Claim
from audit_core.component import Component, Kind
from audit_core.effect import measure_effect
from audit_core.faithfulness import CircuitEffect, list_universe
from audit_core.intervention import intervene
from audit_core.null import draw_sets
from audit_core.prompts import split_half, tokenise
from audit_core.run import get_metric, open_subject
from audit_core.shipped import list_circuits, load_prompt_set
from audit_core.statistics import Estimate
from audit_core.subject import Progress, Subject
from audit_core.trial import FAMILIES, Trial, judge_trial
from audit_core.verdict import State

TASK = "indirect_object"
N_PROMPTS = 36
"""Of the confirmatory half: three sweeps of all heads take minutes."""


def count_supported(*, on_progress: Progress, name: str = "default", seed: int = 0) -> Estimate:
    """Share of heads called supported that no shipped circuit names; every head is a claim, and the others its null."""
    from audit_core.repair import spread

    subject = open_subject(name)
    half = split_half(load_prompt_set(TASK), exploratory=False)
    prompts = spread(tokenise(half, subject.tokenizer), N_PROMPTS)
    heads = subject.components(Kind.HEAD)
    claims = [Claim("random", (head,)) for head in heads]
    universe = list_universe(subject, claims[0].universe)
    runs = [intervene([head], family) for family in FAMILIES for head in heads]
    runs += [intervene(universe, family) for family in FAMILIES]
    effect = measure_effect(
        subject,
        prompts,
        runs,
        get_metric(claims[0].metric),
        means=subject.capture_means(prompts),
        seed=seed,
        on_progress=on_progress,
    )
    single = effect.patched[: -len(FAMILIES)].reshape(len(FAMILIES), len(heads), -1)
    empty = dict(zip(FAMILIES, effect.patched[-len(FAMILIES) :], strict=True))
    named = {part for circuit in list_circuits() if circuit.task == TASK for part in circuit.components}
    states = []
    for at, claim in enumerate(claims):
        if claim.components[0] in named:
            continue
        families = {
            family: CircuitEffect(effect.clean, single[f, at], empty[family], empty[family], prompts.templates)
            for f, family in enumerate(FAMILIES)
        }
        null = _take_null(subject, claim.components[0], heads, single[0], seed)
        trial = Trial(
            claim, effect.corrupted, families, effect.clean, {}, null, "other heads", prompts.templates, effect.unit
        )
        states.append(judge_trial(trial, seed=seed).verdict.state)
    return wilson(sum(state is State.SUPPORTED for state in states), len(states))


def _take_null(
    subject: Subject, head: Component, heads: tuple[Component, ...], measured: np.ndarray, seed: int
) -> np.ndarray:
    """The draws that a trial of this head would make, out of what was measured anyway; shape (draw, prompt)."""
    sets, _ = draw_sets([head], heads, seed=seed)
    place = {part: at for at, part in enumerate(heads)}
    return measured[[place[part] for (part,) in sets]]
