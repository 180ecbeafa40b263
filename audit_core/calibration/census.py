"""What the rule says of every head of the default model: those that a shipped circuit names, and all the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
"""Of the confirmatory half: three sweeps of all heads take minutes."""


@dataclass(frozen=True)
class HeadCensus:
    """Heads called supported, each the subject of a claim of its own: a count of all, no sample."""

    task: str
    n_prompts: int
    named: int
    """Heads that a shipped circuit of the task names: found with an effect, or looking most, on the other half."""
    named_supported: int
    others: int
    others_supported: int


def count_supported(*, on_progress: Progress, name: str = "default", seed: int = 0) -> HeadCensus:
    """Judge every head; the others are its null."""
    subject = open_subject(name)
    half = tokenise(take_split(load_prompt_set(TASK), exploratory=False), subject.tokenizer)
    prompts = half.take(half.spread(N_PROMPTS))
    heads = subject.components(Kind.HEAD)
    universe = list_universe(subject, Claim("random", (heads[0],)).universe)
    runs = [intervene([head], family) for family in FAMILIES for head in heads]
    runs += [intervene(universe, family) for family in FAMILIES]
    effect = measure_effect(
        subject,
        prompts,
        runs,
        get_metric(Claim("random", (heads[0],)).metric),
        means=subject.capture_means(prompts),
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
        trial = Trial(
            Claim("random", (head,)),
            effect.corrupted,
            families,
            unmeasured,
            {},
            _take_null(head, heads, single[0], seed),
            "other heads",
            prompts.templates,
            effect.unit,
        )
        if judge_trial(trial, seed=seed).verdict.state is State.SUPPORTED:
            supported.add(head)
    return HeadCensus(
        TASK, len(prompts), len(named), len(supported & named), len(set(heads) - named), len(supported - named)
    )


def _take_null(head: Component, heads: tuple[Component, ...], measured: np.ndarray, seed: int) -> np.ndarray:
    """The draws that a trial of this head would make, out of what was measured anyway; shape (draw, prompt)."""
    sets, _ = draw_sets([head], heads, seed=seed)
    place = {part: at for at, part in enumerate(heads)}
    return measured[[place[part] for (part,) in sets]]
