"""The region rule, its reasons, and sentences that claim no more than was measured."""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import audit_core
from audit_core.claim import Claim, Role
from audit_core.component import head
from audit_core.intervention import Replacement
from audit_core.judging.verdict import REASONS, RESERVED_REASONS, State, Verdict, classify, judge, refuse_verdict
from audit_core.stats.estimates import Estimate

SOURCE = Path(audit_core.__file__).parent
FAMILIES = (Replacement.RESAMPLE, Replacement.MEAN, Replacement.ZERO)
NEVER = re.compile(r"compliant|certified|\bsafe\b|proves|explains|tamper-proof|guarantee", re.I)
CAUSAL_WORDS = re.compile(r"relies on|\buses\b|because", re.I)


def interval(low: float, high: float, n: int = 60, templates: int = 12, level: float = 0.95) -> Estimate:
    return Estimate((low + high) / 2, low, high, n, "fraction of the clean–empty gap", level, templates)


def verdict(*intervals: tuple[float, float], role: Role = Role.NECESSARY, n: int = 60, templates: int = 12) -> Verdict:
    claim = Claim("x", (head(1, 2),), role=role, delta=0.8 if role is Role.SUFFICIENT else 0.1)
    given = dict(zip(FAMILIES, [interval(low, high, n, templates) for low, high in (intervals * 3)[:3]]))
    return decide(claim, given)


def decide(
    claim: Claim,
    families: dict[Replacement, Estimate],
    *,
    narrow: dict[Replacement, Estimate] | None = None,
    p_null: float | None = 0.005,
    n_sets: int = 199,
    templates: tuple[Estimate, ...] = (),
) -> Verdict:
    """The verdict on given intervals, beside random sets of which none does as much."""
    inner = narrow or families
    states = {family: classify(wide, claim.delta, narrow=inner[family]) for family, wide in families.items()}
    own = inner[claim.ablation]
    return judge(
        claim, families, states, narrow=own, p_null=p_null, alpha=claim.alpha, n_sets=n_sets, templates=templates
    )


@pytest.mark.parametrize(
    "low, high, state, reason",
    [
        (0.11, 0.90, State.SUPPORTED, None),
        (0.10, 0.90, State.INCONCLUSIVE, "straddles_delta"),
        (-0.09, 0.09, State.NEGLIGIBLE, None),
        (-0.10, 0.05, State.INCONCLUSIVE, "straddles_delta"),
        (-0.90, -0.11, State.REVERSED, None),
        (-0.90, 0.90, State.INCONCLUSIVE, "straddles_delta"),
        (1.10, 1.50, State.SUPPORTED, None),
    ],
)
def test_the_interval_is_compared_with_delta(low: float, high: float, state: State, reason: str | None) -> None:
    found = verdict((low, high))
    assert (found.state, found.reason) == (state, reason)


@pytest.mark.parametrize("n, templates", [(19, 12), (60, 4), (1, 1)])
def test_too_few_prompts_or_templates_cannot_carry_a_verdict(n: int, templates: int) -> None:
    assert verdict((0.5, 0.6), n=n, templates=templates).reason == "low_power"
    assert verdict((0.5, 0.6), n=20, templates=5).state is State.SUPPORTED


def test_families_that_contradict_each_other_are_a_finding_and_not_an_average() -> None:
    found = verdict((0.5, 0.6), (0.5, 0.6), (-0.01, 0.01))
    assert (found.state, found.reason) == (State.INCONCLUSIVE, "ablations_disagree")
    assert "zero: negligible, 0.00" in found.sentence
    assert verdict((0.5, 0.6), (0.0, 0.6), (0.5, 0.6)).state is State.SUPPORTED


@pytest.mark.parametrize(
    "families, state",
    [
        # Measured on a planted head that acts only where its replacement creates an unusual input.
        (((2.14, 2.34), (0.70, 0.78), (0.03, 0.16)), State.INCONCLUSIVE),
        (((0.19, 0.24), (0.06, 0.11), (0.06, 0.11)), State.INCONCLUSIVE),
        (((0.50, 0.60), (0.08, 0.46), (0.50, 0.60)), State.INCONCLUSIVE),
        (((0.50, 0.60), (0.08, 0.48), (0.50, 0.60)), State.SUPPORTED),
        (((2.14, 2.34), (0.70, 0.78), (0.21, 0.31)), State.SUPPORTED),
        (((-0.60, -0.50), (-0.20, -0.05), (-0.60, -0.50)), State.INCONCLUSIVE),
        (((-0.60, -0.50), (-0.70, -0.05), (-0.60, -0.50)), State.REVERSED),
        (((-0.02, 0.02), (-0.02, 0.24), (-0.02, 0.02)), State.INCONCLUSIVE),
    ],
)
def test_families_agree_in_size(families: tuple[tuple[float, float], ...], state: State) -> None:
    """Decided alike, or at least half the primary estimate with an interval that reaches δ."""
    found = verdict(*families)
    assert (found.state, found.reason) == (state, "ablations_disagree" if state is State.INCONCLUSIVE else None)


def test_the_smallest_family_is_quoted_beside_support() -> None:
    sentence = verdict((0.5, 0.6), (0.3, 0.5), (0.7, 0.8)).sentence
    assert "smallest ablation family is mean, at 0.40 [0.30, 0.50]" in sentence


@pytest.mark.parametrize(
    ("n_sets", "text"), [(0, "no other set"), (15, "only 15 other sets"), (18, "only 18 other sets")]
)
def test_a_missing_baseline_is_named_and_is_no_failure_against_it(n_sets: int, text: str) -> None:
    """With 19 sets p can reach 1/20 = α; with fewer no rank among them can."""
    given = dict.fromkeys(FAMILIES, interval(0.5, 0.6))
    found = decide(Claim("x", (head(1, 2),)), given, p_null=1 / (n_sets + 1), n_sets=n_sets)
    assert (found.state, found.reason) == (State.INCONCLUSIVE, "no_null")
    assert text in found.sentence
    assert f"1/{n_sets + 1}" in found.sentence
    assert decide(Claim("x", (head(1, 2),)), given, p_null=1 / 20, n_sets=19).state is State.SUPPORTED


def test_a_small_average_is_not_negligible_where_one_template_is_not_small() -> None:
    claim, given = Claim("x", (head(1, 2),)), dict.fromkeys(FAMILIES, interval(-0.05, 0.05))
    small, large, unsure = interval(-0.05, 0.05, 6), interval(0.2, 0.4, 6), interval(0.05, 0.4, 6)
    found = decide(claim, given, templates=(small, large, small))
    assert (found.state, found.reason) == (State.INCONCLUSIVE, "templates_differ")
    assert "in 1 of 3 templates" in found.sentence
    assert decide(claim, given, templates=(small, interval(-0.4, -0.2, 6))).reason == "templates_differ"
    found = decide(claim, given, templates=(small, unsure))
    assert found.state is State.NEGLIGIBLE
    assert "absent from 28% of samples" in found.sentence, "0.9 to the power of 12 templates"


def test_a_circuit_that_restores_more_than_the_model_is_flagged() -> None:
    assert "above 1.2" in verdict((1.3, 1.5), role=Role.SUFFICIENT).sentence
    assert "above 1.2" not in verdict((0.9, 1.0), role=Role.SUFFICIENT).sentence


def test_sentences_never_claim_more_than_was_measured() -> None:
    pairs = [(0.5, 0.6), (-0.05, 0.05), (-0.6, -0.5), (-0.5, 0.5), (0.9, 0.95), (1.3, 1.5)]
    for pair, role, n in itertools.product(pairs, Role, (60, 3)):
        found = verdict(pair, role=role, n=n)
        assert not NEVER.search(found.sentence), found.sentence
        assert "n = " in found.sentence
        may = found.state is State.SUPPORTED and role is Role.NECESSARY
        assert bool(CAUSAL_WORDS.search(found.sentence)) is may, found.sentence


def test_one_sided_tests_may_say_negligible_where_the_two_sided_interval_does_not() -> None:
    claim = Claim("x", (head(1, 2),), delta=0.1)
    wide = dict.fromkeys(FAMILIES, interval(-0.02, 0.11))
    narrow = dict.fromkeys(FAMILIES, interval(-0.01, 0.09, level=0.9))
    assert decide(claim, wide).reason == "straddles_delta"
    found = decide(claim, wide, narrow=narrow)
    assert found.state is State.NEGLIGIBLE
    assert "[-0.01, 0.09]" in found.sentence, "the interval that decided is the one that is quoted"
    assert "90 %" in found.sentence


def test_the_primary_ablation_decides_and_is_the_one_that_is_quoted() -> None:
    intervals = dict(zip(FAMILIES, (interval(0.3, 0.4), interval(0.05, 0.7), interval(0.6, 0.8))))
    for family, state in zip(FAMILIES, (State.SUPPORTED, State.INCONCLUSIVE, State.SUPPORTED)):
        found = decide(Claim("x", (head(1, 2),), ablation=family), intervals)
        assert found.state is state
        assert f"{intervals[family].value:.2f} [" in found.sentence


def test_one_way_of_taking_away_is_not_enough() -> None:
    """Decision 4 of the methods: at least two families; a third that could not be measured contradicts nothing."""
    claim, one = Claim("x", (head(1, 2),)), {Replacement.RESAMPLE: interval(0.2, 0.3)}
    for low, high in ((0.2, 0.3), (-0.01, 0.01), (-0.3, -0.2)):
        found = decide(claim, {Replacement.RESAMPLE: interval(low, high)})
        assert (found.state, found.reason) == (State.INCONCLUSIVE, "one_family")
    assert decide(claim, one | {Replacement.MEAN: interval(0.2, 0.4)}).state is State.SUPPORTED


def test_a_family_too_wide_to_decide_is_compared_by_its_estimate() -> None:
    """0.50 against −0.40 [−0.9, 0.1] is no support, and −0.50 against 0.40 no reversal."""
    assert verdict((0.4, 0.6), (-0.9, 0.1), (0.4, 0.6)).reason == "ablations_disagree"
    assert verdict((-0.6, -0.4), (-0.1, 0.9), (-0.6, -0.4)).reason == "ablations_disagree"
    assert verdict((0.4, 0.6), (-0.1, 0.9), (0.4, 0.6)).state is State.SUPPORTED
    assert verdict((-0.05, 0.05), (-0.2, 0.2), (-0.05, 0.05)).state is State.NEGLIGIBLE


def test_a_number_without_an_interval_is_compared_with_nothing() -> None:
    bare = dict.fromkeys(FAMILIES, Estimate(0.5, None, None, 60, "fraction of the clean–empty gap", None, 12))
    found = decide(Claim("x", (head(1, 2),)), bare)
    assert found.state is State.INCONCLUSIVE


def test_a_question_that_could_not_be_put_is_not_tested() -> None:
    found = refuse_verdict(Claim("x", (head(1, 2),)), "model_fails_task", "the model prefers the answer on 50 %.")
    assert (found.state, found.reason) == (State.INCONCLUSIVE, "model_fails_task")
    assert found.sentence == "Not tested: the model prefers the answer on 50 %."


@pytest.mark.parametrize("n", [1, 4, 5])
def test_few_components_are_named_and_many_are_counted(n: int) -> None:
    claim = Claim("x", tuple(head(0, index) for index in range(n)))
    given = dict.fromkeys(FAMILIES, interval(0.5, 0.6))
    sentence = decide(claim, given).sentence
    assert ("this set of 5 components" in sentence) is (n == 5)
    assert ("L0.H0" in sentence) is (n < 5)


def test_every_reason_has_words() -> None:
    assert {"one_family", "report_too_long", "off_distribution"} <= set(REASONS)
    assert {"low_power", "straddles_delta", "ablations_disagree", "model_fails_task", "control_failed"} <= set(REASONS)


def _list_given(tree: ast.AST) -> Iterator[str]:
    """Texts of a module that are neither compared with, nor keys of a table, nor members of a set."""
    skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Compare) for part in ast.walk(node)}
    skipped |= {id(key) for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
    skipped |= {id(member) for node in ast.walk(tree) if isinstance(node, ast.Set) for member in node.elts}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


def test_every_reason_is_given_somewhere_or_reserved_and_never_both() -> None:
    # Verdicts on tools and grades of explanations have words of their own, one of which is also a reason.
    paths = [path for path in SOURCE.rglob("*.py") if not {"tools", "explanations"} & set(path.parts)]
    given = {text for path in paths for text in _list_given(ast.parse(path.read_text()))} & set(REASONS)
    assert set(REASONS) - given == {"unstable"}
    assert {"unstable"} == RESERVED_REASONS


def test_no_result_is_missing_for_a_reason_without_words() -> None:
    trees = [ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    missing = [call.args[0] for call in calls if getattr(call.func, "id", "") == "NotMeasured"]
    assert len(missing) > 15
    assert {reason.value for reason in missing if isinstance(reason, ast.Constant)} <= set(REASONS)


@pytest.mark.parametrize("p, state", [(0.05, State.SUPPORTED), (0.051, State.INCONCLUSIVE), (None, State.INCONCLUSIVE)])
def test_support_needs_more_than_random_sets_do(p: float | None, state: State) -> None:
    """Ten draws cannot go below p = 1/11 = 0.09, and a model too small for any draw has no p at all (T11)."""
    given = dict.fromkeys(FAMILIES, interval(0.5, 0.6))
    found = decide(Claim("x", (head(1, 2),)), given, p_null=p)
    assert found.state is state
    assert found.reason == (None if state is State.SUPPORTED else "null_not_beaten")
    small = dict.fromkeys(FAMILIES, interval(-0.01, 0.01))
    assert decide(Claim("x", (head(1, 2),)), small, p_null=p).state is State.NEGLIGIBLE, (
        "the null takes away, never gives"
    )


def test_a_loss_below_zero_is_reported_as_a_rise_with_its_interval_turned_round() -> None:
    """The metric falls by −0.17, that is it rises by 0.17; [−0.25, −0.09] has −δ inside and not δ."""
    sentence = verdict((-0.25, -0.09)).sentence
    assert "the metric rose by 0.17 [0.09, 0.25]" in sentence
    assert "the interval includes -0.1," in sentence
    assert "the metric fell by 0.17 [0.09, 0.25]" in verdict((0.09, 0.25)).sentence
    assert "the interval includes 0.1," in verdict((0.09, 0.25)).sentence
