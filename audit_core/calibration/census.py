"""Census: verdicts on every head of the default model, for heads named by a shipped circuit and for all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.capability import MEANS
from audit_core.claim import Claim
from audit_core.component import Component, Kind
from audit_core.effect import get_metric, measure_effect
from audit_core.intervention import intervene
from audit_core.judging.faithfulness import CircuitEffect, list_universe
from audit_core.judging.null import draw_sets
from audit_core.judging.trial import FAMILIES, Trial, judge_trial
from audit_core.judging.verdict import State
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import take_split
from audit_core.run import open_subject
from audit_core.shipped import list_circuits, load_prompt_set
from audit_core.subject import Progress

TASK = "indirect_object"
N_PROMPTS = 36
"""Maximum confirmatory prompts: three sweeps of all heads take minutes."""


@dataclass(frozen=True)
class HeadCensus:
    """Counts of heads called supported, each tested as its own claim."""

    task: str
    n_prompts: int
    named: int
    """Heads named by a shipped circuit of the task: selected on the exploratory split by effect or by attention."""
    named_supported: int
    others: int
    others_supported: int


def count_supported(*, on_progress: Progress, name: str = "default", seed: int = 0) -> HeadCensus:
    """Judge every head; the other heads are its random baseline."""
    subject = open_subject(name)
    split = tokenise(take_split(load_prompt_set(TASK), exploratory=False), subject.tokenizer)
    prompts = split.take(split.spread(N_PROMPTS))
    heads = subject.components(Kind.HEAD)
    universe = list_universe(subject, Claim("random", (heads[0],)).universe)
    runs = [intervene([head], family) for family in FAMILIES for head in heads]
    runs += [intervene(universe, family) for family in FAMILIES]
    effect = measure_effect(
        subject,
        prompts,
        runs,
        get_metric(Claim("random", (heads[0],)).metric),
        means=MEANS.of(subject).capture_means(prompts),
        seed=seed,
        on_progress=on_progress,
    )
    single = effect.patched[: -len(FAMILIES)].reshape(len(FAMILIES), len(heads), -1)
    empty = dict(zip(FAMILIES, effect.patched[-len(FAMILIES) :], strict=True))
    unmeasured = np.full_like(effect.clean, np.nan)
    named = {
        part
        for circuit in list_circuits()
        if circuit.task == TASK and not circuit.source
        for part in circuit.components
    }
    supported = set()
    for at, head in enumerate(heads):
        families = {
            family: CircuitEffect(
                effect.clean, single[f, at], unmeasured, empty[family], prompts.templates, effect.min_gap
            )
            for f, family in enumerate(FAMILIES)
        }
        null = _take_null(head, heads, single[0], seed)
        trial = Trial(
            Claim("random", (head,)),
            effect.corrupted,
            families,
            unmeasured,
            {},
            null,
            "other heads",
            len(null),
            prompts.templates,
            effect.unit,
        )
        if judge_trial(trial, seed=seed).verdict.state is State.SUPPORTED:
            supported.add(head)
    return HeadCensus(
        TASK, len(prompts), len(named), len(supported & named), len(set(heads) - named), len(supported - named)
    )


def _take_null(head: Component, heads: tuple[Component, ...], measured: np.ndarray, seed: int) -> np.ndarray:
    """Draws for the trial of this head, from measurements of the other heads; shape (draw, prompt)."""
    sets, _ = draw_sets([head], heads, seed=seed)
    place = {part: at for at, part in enumerate(heads)}
    return measured[[place[part] for (part,) in sets]]
