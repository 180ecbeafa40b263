"""The instrument checks itself: what must change nothing changes nothing, and a dead hook yields no number anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy.additive import NOISE, AdditiveSubject, pair_up
from toy.models import FAMILIES
from toy.prompts import tokenise_letters

from audit_core.audits.ablation import AblationRequest
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.edges import EdgesRequest
from audit_core.audits.sweep import SweepRequest
from audit_core.claim import Claim
from audit_core.component import Component, Kind, head, mlp, resid
from audit_core.controls import plan_controls, run_controls
from audit_core.effect import measure_effect
from audit_core.engine.sites import HOOKS
from audit_core.errors import AuditError, ControlFailed, NotMeasured
from audit_core.intervention import CLEAN_RUN, Direction, Edit, Intervention, PromptSide, Replacement, intervene
from audit_core.metrics.logit_difference import PLUGIN as LOGIT_DIFFERENCE
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.run import Actor, Auditor
from audit_core.store import RunLog
from audit_core.subject import Logits
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
ACTOR = Actor("me", "session")


@pytest.mark.parametrize("family", FAMILIES)
def test_putting_activations_back_where_they_came_from_changes_exactly_nothing(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 9, 9))
    parts = [part for kind in (Kind.HEAD, Kind.MLP, Kind.RESID) for part in subject.components(kind)]
    parts += [Component(layer, Kind.EDGE, 2) for layer in range(subject.geometry.n_layers)]
    for side in PromptSide:
        run = Intervention((), side)
        before = subject.run(prompts, [run], vocabulary=True).vocabulary
        for edited in (parts, parts[:1], parts[-1:]):
            back = Intervention(tuple(Edit(part, Replacement.IDENTITY) for part in edited), side)
            logits = subject.run(prompts, [back], vocabulary=True)
            assert np.abs(logits.vocabulary - before).max() == 0.0
            assert logits.edits_applied == len(edited) * len(prompts)


@pytest.mark.parametrize("family", FAMILIES)
def test_controls_of_a_live_model_say_by_how_much_they_passed(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 9))
    asked = [intervene([part], Replacement.ZERO) for part in (head(0, 1), mlp(1), resid(2), Component(1, Kind.EDGE, 0))]
    found = measure_effect(subject, prompts, asked, LOGIT_DIFFERENCE, seed=0).controls
    assert found.identity_max < 1e-5
    assert found.noise_min > 0.05 > 100 * found.tolerance
    assert found.edits == 4 * 2


def skipped(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda hook, **options: None


def raising(original: Callable[..., Any]) -> Callable[..., Any]:
    def add(hook: Callable[..., Any], **options: Any) -> Any:
        def fail(value: Any, hook: Any) -> Any:
            raise RuntimeError("the hook broke")

        return original(fail, **options)

    return add


def ignored(original: Callable[..., Any]) -> Callable[..., Any]:
    """The hook is called and what it returns is thrown away: the silent no-op."""

    def add(hook: Callable[..., Any], **options: Any) -> Any:
        def drop(value: Any, hook: Any, wrapped: Callable[..., Any] = hook) -> None:
            wrapped(value, hook=hook)

        return original(drop, **options)

    return add


def requests(prompts: TokenisedPrompts) -> dict[str, Any]:
    one = TokenisedPrompts(prompts.name, prompts.pairs[:1], prompts.sha256)
    return {
        "ablation": AblationRequest(prompts, prompts, (head(1, 2),), Replacement.ZERO),
        "sweep": SweepRequest(prompts, prompts, Kind.HEAD, Replacement.RESAMPLE, Direction.DENOISING),
        "claim_test": ClaimTestRequest(prompts, Claim("a claim", (head(1, 2),))),
        "edges": EdgesRequest(one, 1, 2),
    }


@pytest.mark.parametrize("fault", [skipped, raising, ignored])
@pytest.mark.parametrize("audit", ["ablation", "sweep", "claim_test", "edges"])
def test_a_hook_that_fails_yields_no_number_and_a_row_that_says_so(
    audit: str, fault: Callable[..., Any], load_family: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, [7] * 4)
    auditor, asked = Auditor(subject, RunLog(tmp_path)), requests(prompts)[audit]
    point = subject.runner.model.points[Kind.EDGE if audit == "edges" else Kind.HEAD, 1]
    with monkeypatch.context() as patch:
        patch.setattr(point, "add_hook", fault(point.add_hook))
        with pytest.raises(RuntimeError if fault is raising else ControlFailed):
            auditor.run(audit, asked, actor=ACTOR)
    assert auditor.find_earlier(audit, asked) is None
    (row,) = RunLog(tmp_path).export()
    assert row["result"] is None
    assert row["outcome"] == ("failed" if fault is raising else "not_measured")
    assert row["reason"] == ("RuntimeError" if fault is raising else "control_failed")
    assert row["detail"]
    assert '"value"' not in json.dumps(row)
    # The same request, once the hook lives: the refusal was the hook's, not the request's.
    assert auditor.run(audit, asked, actor=ACTOR).run_id
    assert '"result": null' not in json.dumps(list(RunLog(tmp_path).export())[1])


def test_a_pattern_under_an_edit_that_never_arrived_is_not_drawn(
    load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No control runs beside a drawing: that the edit was counted is all that stands between it and the clean pattern."""
    subject = load_family("llama")
    pair = tokenise_letters(subject.tokenizer, (6,)).pairs[0]
    point = subject.runner.model.points[Kind.HEAD, 1]
    monkeypatch.setattr(point, "add_hook", skipped(point.add_hook))
    with pytest.raises(ControlFailed, match="1 of 1 edits at layer 1 were not applied"):
        subject.patterns(pair, intervene([head(1, 2)], Replacement.ZERO))
    assert subject.patterns(pair, intervene([head(0, 2)], Replacement.ZERO)).size


@pytest.mark.parametrize("family", ["gpt2", "mixtral"])
@pytest.mark.parametrize("kind", HOOKS)
def test_a_dead_hook_of_any_kind_is_found(
    kind: Kind, family: str, load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T9: an edit that changes nothing is no finding, whatever it edits."""
    subject = load_family(family)
    parts = [part for part in subject.components(kind) if part.layer == 1]
    if not parts:
        pytest.skip(f"{family} has no {kind} that can be reached")
    prompts = tokenise_letters(subject.tokenizer, [6] * 2)
    asked = [intervene(parts[:1], Replacement.ZERO)]
    assert measure_effect(subject, prompts, asked, LOGIT_DIFFERENCE, seed=0).controls.noise_min > 0
    point = subject.runner.model.points[kind, 1]
    monkeypatch.setattr(point, "add_hook", ignored(point.add_hook))
    with pytest.raises(ControlFailed, match=f"{kind} of layer 1 changed no logit: this hook does not work"):
        measure_effect(subject, prompts, asked, LOGIT_DIFFERENCE, seed=0)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_one_dead_layer_among_live_ones_is_found(
    layer: int, load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, (6,))
    asked = [intervene([part], Replacement.ZERO) for part in subject.components(Kind.MLP)]
    point = subject.runner.model.points[Kind.MLP, layer]
    monkeypatch.setattr(point, "add_hook", ignored(point.add_hook))
    with pytest.raises(ControlFailed, match=f"mlp of layer {layer} changed no logit: this hook does not work"):
        measure_effect(subject, prompts, asked, LOGIT_DIFFERENCE, seed=0)
    others = [i for i in asked if i.components[0].layer != layer]
    assert measure_effect(subject, prompts, others, LOGIT_DIFFERENCE, seed=0).controls.noise_min > 0


def test_a_subject_that_counts_edits_and_makes_none_is_found_out() -> None:
    dead = AdditiveSubject({head(0, 0): 3.0}, live=False)
    prompts = pair_up(dead)
    with pytest.raises(ControlFailed, match="does not work"):
        measure_effect(dead, prompts, [intervene([head(0, 0)], Replacement.ZERO)], LOGIT_DIFFERENCE, seed=0)


class Wrong(AdditiveSubject):
    """Gives logits that somebody has tampered with."""

    def __init__(self, change: Callable[[Logits, list[Intervention]], Logits]) -> None:
        super().__init__({head(0, 0): 3.0})
        self.change = change

    def run(self, prompts: Any, interventions: Any, **options: Any) -> Logits:
        return self.change(super().run(prompts, interventions, **options), list(interventions))


def lose_an_edit(logits: Logits, asked: list[Intervention]) -> Logits:
    return Logits(logits.answer, logits.foil, logits.vocabulary, logits.edits_applied - 1)


def shift_identity(logits: Logits, asked: list[Intervention]) -> Logits:
    moved = np.array([any(e.replacement is Replacement.IDENTITY for e in i.edits) for i in asked], np.float32)
    words = None if logits.vocabulary is None else logits.vocabulary + moved[:, None, None]
    return Logits(logits.answer, logits.foil, words, logits.edits_applied)


def lose_a_number(logits: Logits, asked: list[Intervention]) -> Logits:
    answer = logits.answer.copy()
    answer[-1, -1] = np.nan
    return Logits(answer, logits.foil, logits.vocabulary, logits.edits_applied)


@pytest.mark.parametrize(
    "change, says",
    [
        (lose_an_edit, "1 of 20 edits were not applied"),
        (shift_identity, "Replacing activations by themselves changed a logit by 1"),
        (lose_a_number, "NaN"),
    ],
)
def test_a_run_that_is_not_what_was_asked_for_gives_no_effect(change: Any, says: str) -> None:
    subject = Wrong(change)
    with pytest.raises(NotMeasured, match=says) as caught:
        measure_effect(subject, pair_up(subject), [intervene([head(0, 0)], Replacement.ZERO)], LOGIT_DIFFERENCE, seed=0)
    assert caught.value.reason == "control_failed"


def test_a_head_without_output_weights_is_a_fact_about_the_model_and_not_a_dead_hook(
    planted: TransformerSubject,
) -> None:
    from toy.planted import make_induction

    from audit_core.prompts.alignment import tokenise

    prompts = tokenise(make_induction(3, change="query"), planted.tokenizer)
    found = measure_effect(planted, prompts, [intervene([head(1, 1)], Replacement.ZERO)], LOGIT_DIFFERENCE, seed=0)
    assert np.abs(found.support).max() == 0
    assert found.controls.noise_min > 1


def test_controls_cover_every_layer_and_kind_that_is_edited_and_no_other() -> None:
    """Identity at all of them together, noise at each alone: a hook that distorts must not hide behind a sound one."""
    subject = AdditiveSubject({head(0, 0): 3.0})
    asked = [intervene([head(0, 1)], Replacement.ZERO), intervene([mlp(1)], Replacement.ZERO)]
    heads = [head(0, index) for index in range(3)]
    same, *noises = plan_controls(subject, asked).runs
    assert {(edit.component, edit.replacement) for edit in same.edits} == {
        (part, Replacement.IDENTITY) for part in (*heads, mlp(1))
    }
    assert [noise.replacements for noise in noises] == [{Replacement.NOISE}] * 2
    assert {noise.components for noise in noises} == {tuple(head(0, n, -1) for n in range(3)), (mlp(1, -1),)}


@pytest.mark.parametrize("tolerances, is_alive", [(101, True), (99, False)])
def test_noise_must_move_a_logit_by_a_hundred_tolerances(tolerances: float, is_alive: bool) -> None:
    """What moves hardly more than rounding does is dead."""
    subject = AdditiveSubject({mlp(0): 3.0})
    prompts, asked = pair_up(subject), [intervene([mlp(0)], Replacement.ZERO)]
    subject.tolerance = NOISE / tolerances
    with nullcontext() if is_alive else pytest.raises(ControlFailed, match="mlp of layer 0 changed no logit"):
        assert measure_effect(subject, prompts, asked, LOGIT_DIFFERENCE, seed=0).controls.noise_min == NOISE


def test_a_run_without_edits_needs_no_control() -> None:
    subject = AdditiveSubject({head(0, 0): 3.0})
    controls = plan_controls(subject, [CLEAN_RUN])
    assert controls.runs == ()
    found = run_controls(subject, pair_up(subject), controls, 0, seed=0)
    assert (found.identity_max, found.edits) == (0, 0)


def test_a_control_that_failed_is_an_audit_error_with_the_reason_that_verdicts_use() -> None:
    error = ControlFailed("the hook is dead")
    assert isinstance(error, AuditError)
    assert (error.reason, error.exit_code) == ("control_failed", 3)
