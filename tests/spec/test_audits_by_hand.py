"""What each audit says of heads whose weights are set by hand: numbers, sentences, tokens, lines."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.planted import N_TOKENS, make_induction

from audit_core.attention.plausibility import Source
from audit_core.audits.ablation import AblationRequest, AblationResult, describe_ablation
from audit_core.audits.attention import AttentionRequest, AttentionResult, find_attention_line
from audit_core.audits.edges import EdgesRequest, EdgesResult
from audit_core.audits.sweep import SweepRequest, SweepResult, find_effect_line
from audit_core.component import Kind, edge, head, mlp, resid
from audit_core.errors import PromptRefused, Refused
from audit_core.intervention import Direction, Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.subject import Subject, no_progress
from audit_core.subjects.transformer import TransformerSubject

NEVER = re.compile(r"proves|explains|because|relies|\buses\b|compliant|certified|\bsafe\b|tamper-proof", re.I)


@pytest.fixture(scope="module")
def prompts(planted: TransformerSubject) -> TokenisedPrompts:
    return tokenise(make_induction(10, change="context", n_templates=5), planted.tokenizer)


@pytest.fixture(scope="module")
def one(prompts: TokenisedPrompts) -> TokenisedPrompts:
    return replace(prompts, pairs=prompts.pairs[:1])


def run(subject: Subject, audit: str, request: Any) -> Any:
    means = subject.capture_means(request.reference)
    return get_plugin("audits", audit).run(subject, request, means=means, on_progress=no_progress)


def test_a_map_of_heads_has_each_planted_effect_in_its_cell(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    """Resample, gap 14: previous token 14, primary 20, negative −6; everything else 0."""
    found: SweepResult = run(planted, "sweep", SweepRequest(prompts, prompts))
    expected = {"L0.H0": 14, "L1.H0": 20, "L1.H3": -6}
    for cell in found.cells:
        assert cell.estimate.value == pytest.approx(expected.get(cell.component, 0), abs=5e-3), cell.component
        assert cell.fraction is not None
        assert cell.fraction.value == pytest.approx(expected.get(cell.component, 0) / 14, abs=5e-4)
        assert (cell.estimate.unit, cell.fraction.unit) == ("logits", "fraction of the clean–corrupted gap")
    assert len(found.cells) == len(found.per_prompt) == 12
    assert (found.n, found.n_templates, found.accuracy, found.no_fraction) == (10, 5, 1.0, "")
    assert find_effect_line(found, 0.1) == pytest.approx(1.4, abs=1e-3)


def test_denoising_asks_what_one_head_restores_by_itself(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    """Into the corrupted run, −7: the previous-token head's clean word restores 14. The primary head's clean output
    puts 10 on the answer while the negative head still writes −3 to the foil: 13, so 20. The negative head's puts −3
    on the answer where 10 stands on the foil: −13, so −6."""
    found: SweepResult = run(planted, "sweep", SweepRequest(prompts, prompts, direction=Direction.DENOISING))
    values = {cell.component: cell.estimate.value for cell in found.cells}
    assert [values[name] for name in ("L0.H0", "L1.H0", "L1.H3")] == pytest.approx([14, 20, -6], abs=5e-3)


def test_a_task_the_model_fails_has_effects_and_no_fractions() -> None:
    subject = AdditiveSubject({head(0, 0): -3.0})
    prompts = pair_up(subject)
    found: SweepResult = run(subject, "sweep", SweepRequest(prompts, prompts))
    assert found.cells[0].estimate.value == pytest.approx(-6)
    assert all(cell.fraction is None for cell in found.cells)
    assert "prefers the answer on 0%" in found.no_fraction
    assert find_effect_line(found, 0.1) is None


def test_a_gap_that_changes_its_sign_between_templates_gives_effects_and_no_fractions() -> None:
    """Gaps 6 and −4 by turns over five templates: accurate on every prompt, mean gap 2, and no fraction of it."""
    levels = {"good": 1.0, "bad": -1.0, "worse": 7 / 3}
    subject = AdditiveSubject({head(0, 0): 3.0}, level=lambda text: levels[text.split()[0]])
    texts = [(f"good {n} x", f"{'worse' if n % 5 in (1, 3) else 'bad'} {n} x") for n in range(20)]
    prompts = pair_up(subject, texts=texts)
    found: SweepResult = run(subject, "sweep", SweepRequest(prompts, prompts))
    assert found.accuracy == 1
    assert all(cell.fraction is None for cell in found.cells)
    assert "sign of the gap" in found.no_fraction
    whole: AblationResult = run(subject, "ablation", AblationRequest(prompts, prompts, (head(0, 0),), Replacement.ZERO))
    assert whole.fraction is None
    assert whole.support.value == pytest.approx(3)


def test_residual_positions_of_unequal_prompts_are_refused(planted: TransformerSubject) -> None:
    rows = make_induction(2, change="context").prompts
    longer = replace(rows[1], clean=f"w20 {rows[1].clean}", corrupted=f"w20 {rows[1].corrupted}")
    prompts = tokenise(replace(make_induction(2, change="context"), prompts=(rows[0], longer)), planted.tokenizer)
    with pytest.raises(PromptRefused, match="12 to 13 tokens.*keep the prompts of one length"):
        run(planted, "sweep", SweepRequest(prompts, prompts, Kind.RESID))


def test_edges_say_which_token_a_head_took_its_answer_from(planted: TransformerSubject, one: TokenisedPrompts) -> None:
    """Without its edge to the answer the primary head writes nothing, the flag stays down, and the backup's 8 comes in:
    7 − (8 − 3) = 2. The negative head's edge holds −3. No other edge holds anything."""
    source = one.pairs[0].clean_ids.index(one.pairs[0].answer_id)
    for index, expected in ((0, 2), (3, -3), (1, 0), (2, 0)):
        found: EdgesResult = run(planted, "edges", EdgesRequest(one, 1, index))
        assert found.tokens == one.pairs[0].pieces
        wanted = [expected if at == source else 0 for at in range(len(found.tokens))]
        assert list(found.support) == pytest.approx(wanted, abs=2e-3)


def test_edges_of_several_prompts_are_refused(planted: TransformerSubject, prompts: TokenisedPrompts) -> None:
    with pytest.raises(Refused, match="10 prompts.*one prompt"):
        run(planted, "edges", EdgesRequest(prompts, 1, 0))


def test_next_tokens_before_and_after_are_probabilities_over_the_whole_vocabulary(
    planted: TransformerSubject, one: TokenisedPrompts
) -> None:
    """24 tokens, all 0 but the answer: 7 before and 10 without the negative head, so e⁷/(e⁷ + 23) and e¹⁰/(e¹⁰ + 23)."""
    found: AblationResult = run(planted, "ablation", AblationRequest(one, one, (head(1, 3),), Replacement.ZERO))
    answer, *rest = found.next_tokens
    assert answer.token == one.pairs[0].prompt.answer.strip()
    expected = [math.exp(x) / (math.exp(x) + N_TOKENS - 1) for x in (7, 10)]
    assert [answer.before, answer.after] == pytest.approx(expected, abs=1e-4)
    assert one.pairs[0].prompt.foil.strip() in [row.token for row in rest]
    assert all(row.before == pytest.approx((1 - expected[0]) / (N_TOKENS - 1), rel=1e-2) for row in rest)


def test_denoising_shows_tokens_from_the_corrupted_run(planted: TransformerSubject, one: TokenisedPrompts) -> None:
    request = AblationRequest(one, one, (resid(0),), Replacement.RESAMPLE, Direction.DENOISING)
    found: AblationResult = run(planted, "ablation", request)
    rows = {row.token: row for row in found.next_tokens}
    pair = one.pairs[0].prompt
    assert rows[pair.foil.strip()].before == pytest.approx(rows[pair.answer.strip()].after, abs=1e-4)
    assert rows[pair.foil.strip()].before > 0.9
    assert found.fraction is not None
    assert found.fraction.value == pytest.approx(1, abs=1e-5)


def test_many_prompts_have_no_next_tokens_and_one_has_no_interval(
    planted: TransformerSubject, prompts: TokenisedPrompts, one: TokenisedPrompts
) -> None:
    many, single = (
        run(planted, "ablation", AblationRequest(these, prompts, (head(1, 3),))) for these in (prompts, one)
    )
    assert many.next_tokens == ()
    assert many.support.low is not None
    assert single.support.low is None
    assert single.finding.endswith("One prompt: no interval and no verdict.")
    assert "n = 10 prompts" in many.finding


@pytest.mark.parametrize(
    "parts, replacement, direction, factor, is_kept",
    [
        ((head(1, 0),), Replacement.ZERO, Direction.NOISING, 1, True),
        ((head(1, 0), mlp(0)), Replacement.MEAN, Direction.NOISING, 1, True),
        ((head(1, 0),), Replacement.MEAN_TEMPLATE, Direction.NOISING, 1, True),
        ((head(1, 0),), Replacement.SCALE, Direction.NOISING, 2, False),
        ((head(1, 0),), Replacement.RESAMPLE, Direction.DENOISING, 1, False),
        ((head(1, 0, -1),), Replacement.ZERO, Direction.NOISING, 1, False),
        ((resid(1),), Replacement.RESAMPLE, Direction.NOISING, 1, False),
        ((edge(1, 0, -1, 2), edge(1, 0, -1, 3)), Replacement.ZERO, Direction.NOISING, 1, False),
        (
            tuple(head(layer, index) for layer in (0, 1) for index in range(4)),
            Replacement.ZERO,
            Direction.NOISING,
            1,
            True,
        ),
    ],
    ids=str,
)
def test_what_is_kept_alone_is_measured_only_where_everything_else_has_a_meaning(
    planted: TransformerSubject,
    prompts: TokenisedPrompts,
    parts: tuple,
    replacement: Replacement,
    direction: Direction,
    factor: float,
    is_kept: bool,
) -> None:
    request = AblationRequest(prompts, prompts, parts, replacement, direction, factor)
    found: AblationResult = run(planted, "ablation", request)
    assert (found.alone is not None) is is_kept
    assert (found.kept is not None) is is_kept
    for sentence in (found.sentence, found.finding, describe_ablation(request)):
        assert not NEVER.search(sentence)
    assert ("and 2 more" in found.sentence) is (len(parts) == 8)
    side = "clean" if direction is Direction.NOISING else "corrupted"
    assert found.sentence.startswith(f"On the {side} prompt {parts[0]}")
    assert dict(found.conditions)["direction"] == direction.value


def test_a_finding_says_which_way_the_metric_went(planted: TransformerSubject, prompts: TokenisedPrompts) -> None:
    for part, says in (
        (head(1, 0), "fell from +7.00 to +5.00"),
        (head(1, 3), "rose from +7.00 to +10.00"),
        (head(1, 1), "stayed at +7.00"),
    ):
        found: AblationResult = run(planted, "ablation", AblationRequest(prompts, prompts, (part,), Replacement.ZERO))
        assert says in found.finding


def test_nothing_chosen_is_refused(planted: TransformerSubject, prompts: TokenisedPrompts) -> None:
    with pytest.raises(Refused, match="No component selected"):
        run(planted, "ablation", AblationRequest(prompts, prompts, ()))


def test_attention_of_every_head_is_weighed_on_the_source(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    """The four heads of layer 1 look at the answer and nowhere else; the even head gives each of 12 tokens 1/12; the
    backup rests on the first token. The line above which a head counts as looking is the 95th percentile of twelve:
    0.95 · 11 = 10.45 of the way, between two heads of mass 1."""
    found: AttentionResult = run(planted, "attention", AttentionRequest(prompts, Source.ANSWER))
    mass = {(at // 4, at % 4): estimate.value for at, estimate in enumerate(found.mass)}
    for index in range(4):
        assert mass[1, index] == pytest.approx(1, abs=1e-3)
    assert mass[0, 1] == pytest.approx(1 / 12, abs=1e-4)
    assert mass[2, 0] == pytest.approx(0, abs=1e-3)
    assert find_attention_line(found) == pytest.approx(1, abs=1e-3)
    assert found.entropy[1] == pytest.approx(1, abs=1e-4), "even attention is spread as far as it can be"
    assert found.entropy[4] == pytest.approx(0, abs=1e-3), "all on one token is not spread at all"
    assert len(found.per_prompt) == 12
    assert len(found.per_prompt[0]) == 10


def test_a_place_where_both_runs_are_one_is_refused_and_not_reported_as_without_effect() -> None:
    """The prompts differ from their second token on: before it, the other run's activation is the same."""
    subject = AdditiveSubject({head(1, 1): 2.0})
    prompts = pair_up(subject)
    first = min(pair.first_changed for pair in prompts.pairs)
    early = AblationRequest(prompts, prompts, (head(1, 1, first - 1),))
    with pytest.raises(Refused, match="so are their activations"):
        get_plugin("audits", "ablation").run(subject, early, means=None, on_progress=no_progress)
    for later in (
        AblationRequest(prompts, prompts, (head(1, 1, first),)),
        AblationRequest(prompts, prompts, (head(1, 1),)),
    ):
        assert get_plugin("audits", "ablation").run(subject, later, means=None, on_progress=no_progress).n == len(
            prompts
        )


@pytest.mark.parametrize(
    "at, replacement",
    [
        ((0, 1), Replacement.RESAMPLE),
        ((2,), Replacement.RESAMPLE),
        ((-3,), Replacement.RESAMPLE),
        ((0,), Replacement.ZERO),
    ],
    ids=["one place of two", "one pair of two", "counted from the end", "not by the other run"],
)
def test_a_place_where_anything_can_change_is_measured(at: tuple[int, ...], replacement: Replacement) -> None:
    """Of four tokens the first pair differs at 1, the second at 3."""
    subject = AdditiveSubject({head(1, 1): 2.0})
    prompts = pair_up(subject, texts=[("good 1 x", "bad 1 x"), ("good 1 x", "good 1 y")])
    assert [pair.first_changed for pair in prompts.pairs] == [1, 3]
    request = AblationRequest(prompts, prompts, tuple(head(1, 1, where) for where in at), replacement)
    assert run(subject, "ablation", request).n == 2
