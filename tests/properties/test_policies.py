"""Policies, whatever the numbers: wider is never better, more demands are never easier, and no document breaks the rule."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from toy.policies import POLICY, make_claim, make_facts, make_number, read_toy

from audit_core.shipped import load_shipped_policy
from audit_core.verifier.criteria import (
    MEETS,
    NOT_EVALUATED,
    WORST_FIRST,
    DocumentsMalformed,
    evaluate_policy,
    find_worst,
    judge_interval,
)
from audit_core.verifier.policy_table import PolicyMalformed, resolve_policy

numbers = st.floats(-2, 2)
four = st.tuples(numbers, numbers, numbers, numbers).map(sorted)
ops = st.sampled_from((">=", "<="))
results = st.sampled_from(WORST_FIRST)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(WORST_FIRST),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
ROW_KEYS = ("metric", "claim_id", "ablation", "estimate", "n", "n_templates", "ci_low", "ci_high", "ci_level", "reason")


@given(four, ops, numbers)
def test_a_wider_interval_says_the_same_or_nothing(ends: list[float], op: str, threshold: float) -> None:
    low, inner_low, inner_high, high = ends
    middle = (inner_low + inner_high) / 2
    narrow = judge_interval(op, threshold, middle, inner_low, inner_high)[0]
    wide = judge_interval(op, threshold, middle, low, high)[0]
    assert wide in (narrow, "INCONCLUSIVE")


@given(four, ops, numbers, st.floats(0, 1))
def test_turning_the_axis_over_changes_nothing(ends: list[float], op: str, threshold: float, at: float) -> None:
    low, high = ends[0], ends[3]
    value, other = low + at * (high - low), "<=" if op == ">=" else ">="
    assert judge_interval(op, threshold, value, low, high) == judge_interval(other, -threshold, -value, -high, -low)


@given(four, numbers, st.booleans())
def test_a_wider_interval_never_turns_a_verdict_into_meets(
    ends: list[float], threshold: float, is_exploratory: bool
) -> None:
    policy = read_toy(("threshold = 0.80", f"threshold = {threshold!r}")).resolved()
    facts = make_facts(**({"prereg_frozen_before_run": None} if is_exploratory else {}))
    value = (ends[1] + ends[2]) / 2
    narrow, wide = (
        evaluate_policy(policy, [make_claim()], [make_number(*pair, estimate=value)], facts)["overall"]
        for pair in ((ends[1], ends[2]), (ends[0], ends[3]))
    )
    assert wide != MEETS or narrow == MEETS


@given(st.lists(results), results)
def test_one_more_result_never_improves_the_whole(found: list[str], another: str) -> None:
    """Later in `WORST_FIRST` is better; nothing at all is as good as NOT_EVALUATED, which one MEETS does improve."""
    if not found:
        assert find_worst([another]) == another
        assert find_worst([]) == NOT_EVALUATED
    else:
        assert WORST_FIRST.index(find_worst([*found, another])) <= WORST_FIRST.index(find_worst(found))


@given(four, four, numbers, st.sampled_from(("", "min_n = 300", "min_templates = 20")))
def test_one_more_required_criterion_never_improves_the_overall_result(
    first: list[float], second: list[float], threshold: float, demand: str
) -> None:
    added = f"""
[criteria.necessity]
metric = "necessity_drop"
op = ">="
threshold = {threshold!r}
bound = "lower"
source = "default"
why = "A toy."
{demand}
"""
    rows = [make_number(first[0], first[3]), make_number(second[0], second[3], metric="necessity_drop")]
    less, more = (
        evaluate_policy(policy.resolved(), [make_claim()], rows, make_facts())["overall"]
        for policy in (
            read_toy(),
            read_toy(('"faithfulness"]', '"faithfulness", "necessity"]'), text=POLICY + added),
        )
    )
    assert WORST_FIRST.index(more) <= WORST_FIRST.index(less)


@given(st.lists(st.tuples(numbers, numbers).map(sorted), min_size=1, max_size=5), st.permutations(range(5)))
def test_the_order_of_rows_and_one_more_of_them_never_help(ends: list[list[float]], order: list[int]) -> None:
    policy, rows = read_toy().resolved(), [make_number(*pair) for pair in ends]
    whole = evaluate_policy(policy, [make_claim()], rows, make_facts())
    shuffled = [rows[at] for at in order if at < len(rows)]
    assert evaluate_policy(policy, [make_claim()], shuffled, make_facts())["overall"] == whole["overall"]
    fewer = evaluate_policy(policy, [make_claim()], rows[:-1], make_facts())
    if rows[:-1]:
        assert WORST_FIRST.index(whole["overall"]) <= WORST_FIRST.index(fewer["overall"])


@given(st.lists(st.dictionaries(st.sampled_from(ROW_KEYS), json), max_size=3), json, json)
def test_no_document_breaks_the_rule(metrics: Any, facts: Any, claims: Any) -> None:
    policy = load_shipped_policy().resolved()
    for those in (claims, [make_claim()]):
        for known in (facts, {"C-0001": facts}, make_facts()):
            try:
                found = evaluate_policy(policy, those, metrics, known)
            except DocumentsMalformed:
                continue
            assert found["overall"] in WORST_FIRST
            assert found["overall"] != MEETS


@given(
    json,
    st.sampled_from(("gate", "criteria", "approval", "applies_to", "id", "schema")),
    st.sampled_from((None, "faithfulness")),
)
def test_no_policy_breaks_its_reader(junk: Any, at: str, inside: str | None) -> None:
    table = load_shipped_policy().resolved()
    if at == "criteria" and inside:
        table["criteria"][inside] = junk
    else:
        table[at] = junk
    with suppress(PolicyMalformed):
        resolved = resolve_policy(table)
        assert resolve_policy(resolved) == resolved
