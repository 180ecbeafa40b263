"""The induction models give the numbers of methods 3.2 and 2.21, which another implementation measured."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toy.models import load

from audit_core.attention.plausibility import Source, weigh_source
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.claim import Claim, Universe
from audit_core.component import Component, Kind, head, parse_components
from audit_core.effect import measure_effect
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.judging.faithfulness import plan_circuit
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.subject import no_progress
from audit_core.subjects.planted import INDUCTION, LEAK, STRICT
from audit_core.subjects.planted.key import PlantedModel
from audit_core.subjects.transformer import TransformerSubject

HEADS = [head(0, 0), head(1, 0), head(1, 1), head(1, 2), head(1, 3), head(2, 0)]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> TransformerSubject:
    return build(INDUCTION, tmp_path_factory)


def build(model: PlantedModel, tmp_path_factory: pytest.TempPathFactory) -> TransformerSubject:
    folder = tmp_path_factory.mktemp(model.name)
    model.build(folder, 0)
    return load(folder)


@pytest.fixture(scope="module")
def prompts(subject: TransformerSubject) -> TokenisedPrompts:
    return tokenise(INDUCTION.find_task("query").make(8, 0), subject.tokenizer)


def measure(
    subject: TransformerSubject, prompts: TokenisedPrompts, asked: list[Intervention], means: Any = None
) -> Any:
    return measure_effect(subject, prompts, asked, get_plugin("metrics", "logit_difference"), means=means, seed=0)


def lost(subject: TransformerSubject, prompts: TokenisedPrompts, family: Replacement) -> list[float]:
    asked = [intervene([part], family) for part in HEADS]
    means = subject.capture_means(prompts) if family is Replacement.MEAN else None
    return list(measure(subject, prompts, asked, means).support.mean(1))


def test_zero_gives_the_table_of_methods(subject: TransformerSubject, prompts: TokenisedPrompts) -> None:
    assert lost(subject, prompts, Replacement.ZERO) == pytest.approx([7, 2, 0, 0, -3, 0], abs=0.05)


def test_mean_gives_the_table_of_methods(subject: TransformerSubject, prompts: TokenisedPrompts) -> None:
    expected = [7, 9.892, 0, 0, -2.968, 0]
    assert lost(subject, prompts, Replacement.MEAN) == pytest.approx(expected, abs=0.4)


def test_another_prompts_activation_gives_the_table_of_methods(
    subject: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    """There, resample took the activation of another prompt of the set; here it is that of the pair's other run, so
    the other prompt is put in the corrupted one's place."""
    rows = INDUCTION.find_task("query").make(8, 0).prompts
    moved = [replace(row, corrupted=rows[(at + 9) % len(rows)].clean) for at, row in enumerate(rows)]
    shuffled = tokenise(PromptSet("shuffled", tuple(moved)), subject.tokenizer)
    expected = [6.781, 10.312, 0, 0, -3.094, 0]
    assert lost(subject, shuffled, Replacement.RESAMPLE) == pytest.approx(expected, abs=0.4)


def test_attention_shows_the_decoys_like_the_cause_and_the_previous_token_head_not_at_all(
    subject: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    mass = weigh_source(subject.attention_to_last(prompts), prompts, Source.ANSWER).mass
    found = [float(mass[part.layer, part.index].mean()) for part in HEADS]
    assert found == pytest.approx([0, 1, 1, 1, 1, 0], abs=1e-3)


def test_the_vote_is_decided_by_the_head_that_looks_at_nothing(subject: TransformerSubject) -> None:
    """Nine letters, the first token and "=" have 1/11 of its attention each; a majority of m costs 33 · m/11."""
    rows = [row for row in INDUCTION.find_task("vote").make(12, 0).prompts if row.template.startswith("9 ")]
    prompts = tokenise(PromptSet("nine", tuple(rows)), subject.tokenizer)
    asked = [intervene([head(0, index)], Replacement.ZERO) for index in (1, 2)]
    found = measure(subject, prompts, asked).support
    margins = [3.0 * int(row.template[-1]) for row in rows]
    np.testing.assert_allclose(found[0], margins, atol=0.01)
    np.testing.assert_allclose(found[1], 0, atol=0.01)
    even = subject.attention_to_last(prompts)[0][0, 1]
    np.testing.assert_allclose(even, 1 / 11, atol=1e-4)


@pytest.mark.parametrize(
    "kept, logits",
    [
        ("L0.H0 L1.H0 L1.H3", 7),
        ("L0.H0 L1.H0", 10),
        ("L0.H0 L1.H1", 0),
        ("L0.H0 L1.H1 L1.H2", 0),
        ("L0.H0 L2.H0", 8),
        ("L0.H0 L1.H3", -3),
        ("L0.H0 L1.H3 L2.H0", 5),
    ],
)
def test_a_circuit_alone_says_what_its_gains_add_up_to(
    subject: TransformerSubject, prompts: TokenisedPrompts, kept: str, logits: float
) -> None:
    """Methods 3.2, times the clean 6.963: 1.005, 1.436, 0, 0, 1.149; and its rows on completeness, −3.00 and 5.00."""
    alone = plan_circuit(subject, parse_components(kept), Universe.HEADS, Replacement.ZERO).alone
    found = measure(subject, prompts, [alone]).patched.mean()
    assert found == pytest.approx(logits, abs=0.05)


@pytest.mark.parametrize("replacement, gap", [(Replacement.ZERO, 8), (Replacement.MEAN, 0), (Replacement.RESAMPLE, 0)])
def test_the_missing_backup_shows_only_where_zero_wakes_it(
    subject: TransformerSubject, prompts: TokenisedPrompts, replacement: Replacement, gap: float
) -> None:
    """T7: with its primary head taken out of both, the circuit without the backup is 8 logits from the model under zero,
    5 − (−3), and nothing under the families that leave the backup asleep."""
    whole = parse_components("L0.H0 L1.H0 L1.H3")
    rest = [part for part in whole if part != head(1, 0)]
    alone = plan_circuit(subject, rest, Universe.HEADS, replacement).alone
    asked = [alone, intervene([head(1, 0)], replacement)]
    means = subject.capture_means(prompts)
    within, model = measure_effect(
        subject, prompts, asked, get_plugin("metrics", "logit_difference"), means=means, seed=0
    ).patched
    assert abs(within - model).mean() == pytest.approx(gap, abs=0.5)


def test_the_backup_hides_four_fifths_of_the_primary_head(
    subject: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    """Methods 2.21: total effect 2, direct effect 10, repair 0.80; taken away together, the backup is worth 8 more."""
    primary, backup = head(1, 0), head(2, 0)
    sets: list[list[Component]] = [[primary], [backup], [primary, backup]]
    one, other, both = measure(subject, prompts, [intervene(s, Replacement.ZERO) for s in sets]).support.mean(1)
    assert 1 - one / both == pytest.approx(0.8, abs=0.01)
    assert both - one - other == pytest.approx(8, abs=0.01)


def test_no_background_head_moves_the_answer_by_much(subject: TransformerSubject, prompts: TokenisedPrompts) -> None:
    """Methods 3.2: by 0.40 at most on one prompt."""
    parts = [c.components for c in INDUCTION.claims if c.planted == "bystander"]
    found = measure(subject, prompts, [intervene(p, Replacement.ZERO) for p in parts]).support
    assert len(parts) == 10
    assert np.abs(found).max() < 0.6
    assert np.abs(found).max(1).min() > 0.01, "each of them does something"


def test_without_a_third_layer_the_primary_head_costs_all_it_wrote(tmp_path_factory: pytest.TempPathFactory) -> None:
    strict = build(STRICT, tmp_path_factory)
    prompts = tokenise(STRICT.find_task("query").make(2, 0), strict.tokenizer)
    found = measure(strict, prompts, [intervene([head(1, 0)], Replacement.ZERO)]).support
    np.testing.assert_allclose(found, 10, atol=0.01)
    assert len(strict.components(Kind.HEAD)) == 12


def shrink(*written: float) -> float:
    """What a norm with a ballast of 64 does to what is written: √(2 · 64² / (2 · 64² + Σ written²))."""
    return 1 / math.sqrt(1 + sum(value**2 for value in written) / (2 * 64**2))


def test_a_weak_ballast_lets_a_decoy_leak_through_the_norm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Layer 0 leaves 1 in TOKEN, POSITION and PREVIOUS, 15 in JUNK and −18 in DUMP: layer 1 reads, and so writes, 0.968
    of it. Before the last norm stand OUT 7, FLAG 1, another JUNK of 15 and DUMP −11 − 15 + 3 of layer 1, all times
    0.968: 6.04 logits. Without the decoy's JUNK and DUMP, 6.42. Methods 3.2: 0.37 of 6.00."""
    leak = build(LEAK, tmp_path_factory)
    prompts = tokenise(LEAK.find_task("query").make(8, 0), leak.tokenizer)
    found = measure(leak, prompts, [intervene([head(1, 2)], Replacement.ZERO)])
    names = (1, 1, 1, 15)
    first = shrink(*names, -18)
    whole = shrink(*names, 7 * first, first, 15 * first, -18 + (-11 - 15 + 3) * first) * 7 * first
    without = shrink(*names, 7 * first, first, -18 + (-11 + 3) * first) * 7 * first
    assert (whole, without) == pytest.approx((6.04, 6.42), abs=0.01)
    assert found.clean.mean() == pytest.approx(whole, abs=0.1)
    assert found.support.mean() == pytest.approx(whole - without, abs=0.02)
    assert whole - without == pytest.approx(-0.37, abs=0.01)


@pytest.mark.parametrize("delta, state", [(0.10, "negligible"), (0.05, "inconclusive")])
def test_whether_the_leak_counts_depends_on_the_smallest_effect_of_interest(
    delta: float, state: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """6 % of the gap by zero, nothing by resample: beyond 5 % the families disagree."""
    leak = build(LEAK, tmp_path_factory)
    prompts = tokenise(LEAK.find_task("query").make(8, 0), leak.tokenizer)
    request = ClaimTestRequest(prompts, Claim("the leak", (head(1, 2),), delta=delta))
    means = leak.capture_means(prompts)
    found = get_plugin("audits", "claim_test").run(leak, request, means=means, on_progress=no_progress)
    assert found.state == state
