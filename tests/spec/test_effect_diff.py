"""Effects of two planted models side by side: the head that differs is marked, by how much the wiring says, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from toy.models import load
from toy.versions import copy_model, silence_head

from audit_core.audits.sweep import SweepRequest
from audit_core.change.effect_diff import EffectQuestion, compare_effects, measure_effect_diff
from audit_core.errors import NotMeasured
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet
from audit_core.run import Actor, Auditor
from audit_core.stats.multiplicity import adjust_for_any, adjust_p_values
from audit_core.store import RunLog
from audit_core.subjects.planted import find_planted

ME = Actor("anna", "test")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """planted-cancelling, and the same without L1.H1, which adds 5 logits there."""
    folder, model = tmp_path_factory.mktemp("versions"), find_planted("planted-cancelling")
    assert model is not None
    (folder / "v1").mkdir()
    model.build(folder / "v1", 0)
    copy_model(folder / "v1", folder / "v2", silence_head(1, 1))
    return load(folder / "v1"), load(folder / "v2")


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    model = find_planted("planted-cancelling")
    assert model is not None
    return model.find_task("query").make(3, 0)


def test_the_head_that_differs_is_marked_with_what_it_lost_and_no_other_is(
    versions: tuple[Any, Any], prompts: PromptSet, tmp_path: Path
) -> None:
    """Resampled, L1.H1 moves its 5 logits from answer to foil: 10 in the first model, nothing in the second."""
    auditors = [Auditor(subject, RunLog(tmp_path)) for subject in versions]
    seen: list[float] = []
    found = measure_effect_diff(
        auditors[0], auditors[1], EffectQuestion(prompts), actor=ME,
        on_progress=lambda done, total: seen.append(done / total),
    )  # fmt: skip
    rows = {row.component: row for row in found.rows}
    one = rows["L1.H1"]
    assert [one.before.value, one.after.value, one.difference.value] == pytest.approx([10, 0, -10], abs=0.05)
    assert one.difference.low is not None
    assert one.difference.low < -9.9
    assert [name for name, row in rows.items() if row.is_changed] == ["L1.H1"]
    assert (found.evidence, found.unit, found.n, found.n_templates) == ("causal", "logits", 24, 8)
    assert found.clean_before.value - found.clean_after.value == pytest.approx(5, abs=0.05)
    assert len(list(RunLog(tmp_path).export())) == 2, "both sweeps are in the log"
    assert seen == sorted(seen)
    assert max(seen) == 1


def sweep(subject: Any, prompts: PromptSet, tmp_path: Path) -> tuple[Any, tuple[str, ...]]:
    asked = tokenise(prompts, subject.tokenizer)
    return Auditor(subject, RunLog(tmp_path)).run("sweep", SweepRequest(asked, asked), actor=ME).result, asked.templates


def test_a_model_beside_itself_has_no_difference(versions: tuple[Any, Any], prompts: PromptSet, tmp_path: Path) -> None:
    result, clusters = sweep(versions[0], prompts, tmp_path)
    found = compare_effects(result, result, clusters, seed=0)
    assert {row.difference.value for row in found.rows} == {0.0}
    assert {row.is_changed for row in found.rows} == {False}


def test_with_few_templates_nothing_is_marked_and_it_says_so(
    versions: tuple[Any, Any], prompts: PromptSet, tmp_path: Path
) -> None:
    few = PromptSet("few", tuple(p for p in prompts.prompts if p.template in ("match at word 2", "match at word 3")))
    result, clusters = sweep(versions[0], few, tmp_path)
    found = compare_effects(result, result, clusters, seed=0)
    assert {row.is_changed for row in found.rows} == {None}
    assert "2 templates" in found.no_marks


def test_holm_multiplies_the_smallest_by_all_and_never_turns_around() -> None:
    """Three components over six templates of one prompt; each p times how many are left, and at least the one before."""
    values = np.random.default_rng(3).normal(size=(3, 6)) + np.array([[3.0], [0.6], [0.5]])
    clusters = [str(at) for at in range(6)]
    p = [float(ttest_1samp(row, 0).pvalue) for row in values]
    order = sorted(range(3), key=p.__getitem__)
    wanted, floor = [0.0] * 3, 0.0
    for left, at in zip((3, 2, 1), order):
        floor = max(floor, min(1.0, p[at] * left))
        wanted[at] = floor
    assert adjust_for_any(values, clusters).tolist() == pytest.approx(wanted)
    assert (adjust_for_any(values, clusters) >= adjust_p_values(values, clusters) - 1e-12).all()


def test_holm_needs_templates_too() -> None:
    with pytest.raises(NotMeasured, match="3 templates"):
        adjust_for_any(np.ones((2, 3)), ["a", "b", "c"])
