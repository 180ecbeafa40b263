"""The default model's circuits: one head is never called sufficient, and the shipped records say what they found, good or bad."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit_core import load_prompt_set, tokenise
from audit_core.circuits.circuit import Circuit
from audit_core.claim import Universe
from audit_core.component import head
from audit_core.data_folder import DATA
from audit_core.effect import Effect, measure_effect
from audit_core.intervention import Replacement, intervene
from audit_core.judging.faithfulness import list_universe
from audit_core.judging.trial import FAMILIES, Trial, judge_trial
from audit_core.judging.verdict import State
from audit_core.prompts import TokenisedPrompts, take_split
from audit_core.registry import get_plugin
from audit_core.shipped import list_circuits
from audit_core.subject import Subject

pytestmark = pytest.mark.slow
FOUND = [circuit for circuit in list_circuits() if circuit.id.endswith("-found")]


@pytest.fixture(scope="module")
def subject(default_subject: Subject) -> Subject:
    return default_subject


@pytest.mark.parametrize("universe", [Universe.HEADS, Universe.HEADS_MLPS])
def test_the_head_that_acts_is_never_called_sufficient(universe: Universe, sufficiency: Mapping[str, Trial]) -> None:
    """Under any way of replacing as the one that decides, and even if every random set did worse (p at its smallest).
    Elsewhere L23.H3 of this model was reported as sufficient at 1.0 by a clipped sum of attributions."""
    trial = sufficiency[universe.value]
    assert trial.claim.components == (head(23, 3),)
    # A null that the circuit beats whatever it does: nothing at all kept by any of 199 sets.
    beaten = np.repeat(trial.families[trial.claim.ablation].empty[None], 199, axis=0)
    for family in FAMILIES:
        asked = replace(trial, claim=replace(trial.claim, ablation=family), null=beaten)
        found = judge_trial(asked, seed=0)
        assert found.verdict.state is not State.SUPPORTED, f"{family}, {universe}: {found.verdict.sentence}"
        assert found.verdict.reason not in ("low_power", "model_fails_task", "null_not_beaten")
        low = found.families[family].low
        assert low is not None
        assert low < trial.claim.delta


def test_three_tasks_have_a_circuit_with_its_full_record() -> None:
    assert len({circuit.task for circuit in FOUND}) >= 3


@pytest.mark.parametrize("circuit", FOUND, ids=lambda circuit: circuit.id)
def test_a_record_says_what_speaks_against_the_circuit_as_well(circuit: Circuit) -> None:
    record = json.loads((Path(DATA) / f"circuits/{circuit.id}.json").read_text())
    confirmatory = record["confirmatory"]
    assert confirmatory["speaks_against"] or confirmatory["unresolved"], (
        "a circuit without weaknesses was not looked at"
    )
    assert set(confirmatory["verdicts"]) == {"necessary", "sufficient"}
    assert record["exploratory"]["prompts_sha256"] != confirmatory["prompts_sha256"]


def measure_record(subject: Subject, circuit: Circuit, half: TokenisedPrompts, *, alone: bool) -> Effect:
    """Runs without every head, without the circuit's, and without all others; then, if asked, without each of its heads alone."""
    everything = list_universe(subject, Universe.HEADS)
    rest = [part for part in everything if part not in circuit.components]
    sets = (everything, circuit.components, rest, *([part] for part in circuit.components if alone))
    asked = [intervene(out, Replacement.RESAMPLE) for out in sets]
    return measure_effect(subject, half, asked, get_plugin("metrics", "logit_difference"), seed=0)


def take_half(circuit: Circuit, subject: Subject) -> TokenisedPrompts:
    return tokenise(take_split(load_prompt_set(circuit.task), exploratory=False), subject.tokenizer)


@pytest.mark.parametrize("circuit", FOUND, ids=lambda circuit: circuit.id)
def test_what_a_record_says_is_kept_can_be_measured_again(circuit: Circuit, subject: Subject) -> None:
    """In the first and the last template: each has its number in the record."""
    record = json.loads((Path(DATA) / f"circuits/{circuit.id}.json").read_text())
    recorded = record["confirmatory"]["questions"]["circuit"]["by_template"]
    half = take_half(circuit, subject)
    for name, estimate in [*zip(recorded["names"], recorded["estimates"], strict=True)][:: len(recorded["names"]) - 1]:
        of_template = half.take([at for at, template in enumerate(half.templates) if template == name])
        assert len(of_template) == estimate["n"]
        effect = measure_record(subject, circuit, of_template, alone=False)
        empty, _, kept = effect.patched
        fraction = (kept - empty).mean() / (effect.clean - empty).mean()
        assert fraction == pytest.approx(estimate["value"], abs=2e-3), name


def test_what_a_record_says_is_lost_together_can_be_measured_again(subject: Subject) -> None:
    """The three numbers of a recomposition, in one measurement and without putting parts back one by one; of the smallest circuit."""
    circuit = min(FOUND, key=lambda circuit: len(circuit.components))
    record = json.loads((Path(DATA) / f"circuits/{circuit.id}.json").read_text())
    effect = measure_record(subject, circuit, take_half(circuit, subject), alone=True)
    empty, without, kept, *singles = effect.patched
    lost = effect.clean - without
    found = {
        "kept": kept - empty,
        "lost_together": lost,
        "interaction": lost - sum(effect.clean - one for one in singles),
    }
    recorded = record["confirmatory"]["questions"]["recomposition"]
    for name, values in found.items():
        fraction = values.mean() / (effect.clean - empty).mean()
        assert fraction == pytest.approx(recorded[name]["estimate"]["value"], abs=2e-3), name
