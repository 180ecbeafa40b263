"""Any result is laid out by its type: nothing in it is lost, and each number keeps its kind of evidence."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from audit_core.controls import Controls
from audit_core.evidence.kind import Causal, Estimated, Evidence, NotEvidence, Observational
from audit_core.result_layout import lay_out, list_kinds_of_evidence
from audit_core.stats.estimates import Estimate
from audit_core.stats.groups import GroupEstimates
from audit_core.stats.measurement import Conditions, Measurement

CLEAN = Estimate(2.0, 1.5, 2.5, 20, "logits", 0.95)
EFFECT = Estimate(0.5, 0.4, 0.6, 20, "fraction of the gap", 0.95)
CONDITIONS = Conditions("nodes", "head", "zero", "all", "noising", "circuit ablated")
CONTROLS = Controls(0.0, 200.0, 40, 1e-4)


@dataclass(frozen=True)
class Part:
    name: str
    effect: Causal[Estimate | None]
    circuit: tuple[str, ...]


@dataclass(frozen=True)
class Everything:
    sentence: str
    no_answer: str
    n: int
    clean: Observational[Estimate]
    corrupted: Observational[Estimate | None]
    kept: Causal[Measurement]
    by_template: Causal[GroupEstimates]
    families: Causal[dict[str, Estimate | None]]
    parts: tuple[Part, ...]
    scores: Estimated[tuple[float, ...]]
    per_prompt: Causal[tuple[tuple[float, ...], ...]]
    delta: NotEvidence[float]
    tokens: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...]
    controls: Controls | None


RESULT = Everything(
    sentence="It was measured.", no_answer="", n=20, clean=CLEAN, corrupted=None, kept=Measurement(EFFECT, CONDITIONS),
    by_template=GroupEstimates(("t0", "t1"), (EFFECT, EFFECT), ("t2",)), families={"zero": EFFECT, "mean": None},
    parts=(Part("a", EFFECT, ("L0.H0", "L1.H0")), Part("b", None, ())), scores=(0.25, 0.5), per_prompt=((1.0, 2.0), (3.0, 4.0)),
    delta=0.1, tokens=("x", "y"), conditions=CONDITIONS.as_pairs(), controls=CONTROLS,
)  # fmt: skip


def test_every_estimate_outside_a_list_is_a_row_with_its_kind_of_evidence() -> None:
    causal, observed = (Evidence.CAUSAL,), (Evidence.OBSERVATIONAL,)
    assert [(row.name, row.estimate, row.kinds) for row in lay_out(RESULT).estimates] == [
        ("clean", CLEAN, observed),
        ("kept", EFFECT, causal),
        ("by template, t0", EFFECT, causal),
        ("by template, t1", EFFECT, causal),
        ("families, zero", EFFECT, causal),
    ]
    assert lay_out(RESULT).estimates[1].conditions == "zero, circuit ablated"


def test_what_shares_a_figure_has_one_unit_and_one_kind_of_evidence() -> None:
    @dataclass(frozen=True)
    class Both:
        looked: Observational[Estimate]
        caused: Causal[Estimate]
        again: Observational[Estimate]

    groups = lay_out(Both(CLEAN, CLEAN, CLEAN)).groups
    assert [[row.name for row in rows] for rows in groups] == [["looked", "again"], ["caused"]]


def test_lists_are_tables_with_a_row_each_and_a_gap_where_nothing_was_measured() -> None:
    parts, scores, per_prompt = lay_out(RESULT).sheets
    assert parts.columns == ("name", "effect", "effect low", "effect high", "effect n", "effect unit", "circuit")
    assert parts.rows[0] == ("a", 0.5, 0.4, 0.6, 20, "fraction of the gap", "L0.H0, L1.H0")
    assert parts.rows[1] == ("b", None, None, None, None, None, "")
    assert (scores.columns, scores.rows) == (("number", "value"), ((0, 0.25), (1, 0.5)))
    assert (per_prompt.columns, per_prompt.rows) == (("number", "0", "1"), ((0, 1.0, 2.0), (1, 3.0, 4.0)))
    assert [sheet.kinds for sheet in (parts, scores, per_prompt)] == [
        (Evidence.CAUSAL,), (Evidence.ESTIMATED,), (Evidence.CAUSAL,)
    ]  # fmt: skip


def test_texts_and_settings_are_facts_and_controls_are_apart() -> None:
    found = lay_out(RESULT)
    facts = {fact.name: fact.text for fact in found.facts}
    assert facts["sentence"] == "It was measured."
    assert (facts["n"], facts["delta"], facts["tokens"]) == ("20", "0.1", "x, y")
    assert facts["by template, untested"] == "t2"
    assert "set: circuit ablated" in facts["conditions"]
    assert [fact.name for fact in found.facts if fact.is_sentence] == ["sentence"]
    assert found.controls == (CONTROLS,)
    assert set(list_kinds_of_evidence(Everything)) == set(Evidence)


def test_a_result_with_an_undeclared_number_is_not_laid_out() -> None:
    @dataclass(frozen=True)
    class Bare:
        value: float

    with pytest.raises(TypeError, match="without a declared kind of evidence"):
        lay_out(Bare(1.0))
