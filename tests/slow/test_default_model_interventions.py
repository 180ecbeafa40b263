"""The default model under intervention: controls, exact restoration, heads by their weights, and a claim that must fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from agreement.literal import LiteralRunner

from audit_core import AblationRequest, AttentionRequest, SweepRequest, load_prompt_set, parse_components, tokenise
from audit_core.attention import Source
from audit_core.component import Component, Kind, edge, head, mlp, resid
from audit_core.controls import plan_controls, run_controls
from audit_core.first_answer import load_first_answer
from audit_core.intervention import (
    CLEAN_RUN,
    CORRUPTED_RUN,
    Direction,
    Edit,
    Intervention,
    PromptSide,
    Replacement,
    intervene,
)
from audit_core.judging.trial import Trial, judge_trial
from audit_core.judging.verdict import State
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.subject import no_progress
from audit_core.subjects.transformer import TransformerSubject
from ui.flow.choice import pick_one, pick_reference

pytestmark = pytest.mark.slow

CLOSE = 2e-4
"""Of the largest logit: thirty layers in float32."""


@pytest.fixture(scope="module")
def subject(default_subject: TransformerSubject) -> TransformerSubject:
    return default_subject


@pytest.fixture(scope="module")
def few(indirect_objects: TokenisedPrompts) -> TokenisedPrompts:
    return replace(indirect_objects, pairs=indirect_objects.pairs[:2])


def all_logits(subject: TransformerSubject, prompts: TokenisedPrompts, *asked: Intervention) -> np.ndarray:
    found = subject.run(prompts, asked, vocabulary=True).vocabulary
    assert found is not None
    return found


def test_putting_activations_back_where_they_came_from_changes_exactly_nothing(
    subject: TransformerSubject, few: TokenisedPrompts
) -> None:
    parts = [part for kind in (Kind.HEAD, Kind.MLP, Kind.RESID) for part in subject.components(kind)]
    parts += [Component(layer, Kind.EDGE, index) for layer in range(30) for index in range(9)]
    for side in PromptSide:
        back = Intervention(tuple(Edit(part, Replacement.IDENTITY) for part in parts), side)
        found, before = (all_logits(subject, few, run) for run in (back, Intervention((), side)))
        assert np.abs(found - before).max() == 0.0


def test_every_hook_of_every_layer_is_alive(subject: TransformerSubject, few: TokenisedPrompts) -> None:
    kinds = (Kind.HEAD, Kind.MLP, Kind.RESID, Kind.QUERY, Kind.KEY, Kind.VALUE)
    parts = [part for kind in kinds for part in subject.components(kind)]
    parts += [Component(layer, Kind.EDGE, 0) for layer in range(30)] + [Component(n, Kind.NEURON, 7) for n in range(30)]
    controls = plan_controls(subject, [intervene(parts, Replacement.ZERO)])
    assert len(controls.places) == 8 * 30
    found = run_controls(subject, few, controls, 0, seed=0)
    assert found.identity_max < found.tolerance
    assert found.noise_min > 100 * found.tolerance


def test_putting_everything_back_restores_exactly_the_gap(subject: TransformerSubject, few: TokenisedPrompts) -> None:
    parts = [part for kind in (Kind.HEAD, Kind.MLP) for part in subject.components(kind)]
    clean, corrupted = (all_logits(subject, few, run)[0] for run in (CLEAN_RUN, CORRUPTED_RUN))
    for everything in ([resid(0)], [resid(0), *parts]):
        restored = intervene(everything, Replacement.RESAMPLE, direction=Direction.DENOISING)
        destroyed = intervene(everything, Replacement.RESAMPLE)
        found = all_logits(subject, few, restored, destroyed)
        np.testing.assert_allclose(found[0], clean, rtol=0, atol=1e-3)
        np.testing.assert_allclose(found[1], corrupted, rtol=0, atol=1e-3)
    at = np.arange(len(few))
    answers, foils = ([getattr(pair, role) for pair in few.pairs] for role in ("answer_id", "foil_id"))
    gap = (clean[at, answers] - clean[at, foils]) - (corrupted[at, answers] - corrupted[at, foils])
    gained = (found[0][at, answers] - found[0][at, foils]) - (corrupted[at, answers] - corrupted[at, foils])
    assert (gap > 1).all()
    np.testing.assert_allclose(gained / gap, 1, atol=1e-3)


@pytest.mark.parametrize("part", [head(0, 0), head(9, 6), head(23, 3), head(24, 4), head(29, 1)], ids=str)
def test_zeroing_a_head_takes_its_output_matrix_product_out_of_the_residual_stream(
    part: Component, subject: TransformerSubject, few: TokenisedPrompts
) -> None:
    import torch

    kept: list[torch.Tensor] = []

    def keep(value: torch.Tensor, hook: Any) -> None:
        kept.append(value.detach().clone())

    def subtract(value: torch.Tensor, hook: Any, *, written: torch.Tensor) -> torch.Tensor:
        return value - written

    found = all_logits(subject, few, intervene([part], Replacement.ZERO))[0]
    block = f"blocks.{part.layer}"
    for row, pair in enumerate(few.pairs):
        ids = torch.tensor([pair.clean_ids])
        with torch.inference_mode():
            subject.bridge.run_with_hooks(ids, fwd_hooks=[(f"{block}.attn.hook_z", keep)])
            written = kept.pop()[:, :, part.index] @ subject.bridge.blocks[part.layer].attn.W_O[part.index]
            hooks = [(f"{block}.hook_attn_out", partial(subtract, written=written))]
            expected = subject.bridge.run_with_hooks(ids, fwd_hooks=hooks)[0, -1].numpy()
        np.testing.assert_allclose(found[row], expected, rtol=0, atol=CLOSE * np.abs(expected).max())
    assert np.abs(found - all_logits(subject, few, CLEAN_RUN)[0]).max() > 0.05


def test_mixed_interventions_give_what_whole_forward_passes_give(
    subject: TransformerSubject, few: TokenisedPrompts
) -> None:
    asked = [
        CLEAN_RUN,
        Intervention((Edit(head(23, 3), Replacement.RESAMPLE), Edit(mlp(4, -1), Replacement.ZERO))),
        Intervention((Edit(edge(23, 3, -1, 4), Replacement.ZERO), Edit(head(2, 1, 3), Replacement.SCALE, -1.5))),
        Intervention(
            (Edit(resid(12, 6), Replacement.RESAMPLE), Edit(mlp(20), Replacement.SCALE, 0.5)), PromptSide.CORRUPTED
        ),
    ]
    slow = LiteralRunner(subject.bridge).run(few, asked)
    np.testing.assert_allclose(all_logits(subject, few, *asked), slow, rtol=0, atol=CLOSE * np.abs(slow).max())


def test_all_heads_together_keep_all_of_it(sufficiency: Mapping[str, Trial]) -> None:
    """The positive control of the head that is never called sufficient (test_default_model_circuits.py): the same trial finds
    all of it where that is true by definition; with nothing left to draw random sets from, that is no verdict yet."""
    found = judge_trial(sufficiency["everything"], seed=0)
    assert (found.verdict.state, found.verdict.reason) == (State.INCONCLUSIVE, "no_null")
    assert found.families[Replacement.RESAMPLE].value == pytest.approx(1, abs=1e-6)


def test_the_wave_gives_what_transformer_lens_own_patching_gives(
    subject: TransformerSubject, few: TokenisedPrompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six of the 270 heads, every 45th, and the residual stream of every tenth layer at the answer position."""
    import pandas
    import torch
    from transformer_lens import patching

    monkeypatch.setattr(patching, "tqdm", lambda rows: rows)
    pair = few.pairs[0]
    one, last = replace(few, pairs=(pair,)), len(pair.clean_ids) - 1
    clean, corrupted = torch.tensor([pair.clean_ids]), torch.tensor([pair.corrupted_ids])
    heads = subject.components(Kind.HEAD)[::45]
    places = [resid(layer, last) for layer in range(0, 30, 10)]
    asked = [intervene([part], Replacement.RESAMPLE, direction=Direction.DENOISING) for part in (*heads, *places)]
    logits = subject.run(one, asked)
    with torch.no_grad():
        _, cache = subject.bridge.run_with_cache(clean)

        def patch(setter: Any, name: str, rows: list[dict[str, int]]) -> list[float]:
            found = patching.generic_activation_patch(
                subject.bridge,
                corrupted,
                cache,
                lambda out: out[0, -1, pair.answer_id] - out[0, -1, pair.foil_id],
                setter,
                name,
                index_df=pandas.DataFrame(rows),
            )
            return found.flatten().tolist()

        theirs = patch(
            patching.layer_head_vector_patch_setter, "z", [{"layer": h.layer, "head": h.index} for h in heads]
        ) + patch(patching.layer_pos_patch_setter, "resid_pre", [{"layer": p.layer, "pos": last} for p in places])
    np.testing.assert_allclose((logits.answer - logits.foil)[:, 0], theirs, rtol=0, atol=1e-4)
    assert max(theirs) - min(theirs) > 1


def test_the_recorded_first_answer_is_what_is_measured(subject: TransformerSubject) -> None:
    """Sentence and maps that are shown while the model loads, against the same three audits now."""
    record = load_first_answer()
    assert record.measured_with.identity["short"] == subject.identity.short
    whole = tokenise(load_prompt_set(record.prompts), subject.tokenizer)
    one = pick_one(whole, record.prompt)
    parts = parse_components(", ".join(record.components))
    asked = {
        "attention": AttentionRequest(one, Source.ANSWER),
        "sweep": SweepRequest(one, pick_reference(one, whole)),
        "ablation": AblationRequest(one, pick_reference(one, whole), parts),
    }
    found: dict[str, Any] = {
        audit: get_plugin("audits", audit).run(subject, request, means=None, on_progress=no_progress)
        for audit, request in asked.items()
    }
    assert np.allclose(
        [cell.estimate.value for cell in record.sweep.cells],
        [c.estimate.value for c in found["sweep"].cells],
        atol=1e-3,
    )
    assert np.allclose([m.value for m in record.attention.mass], [m.value for m in found["attention"].mass], atol=1e-4)
    for name in ("clean", "corrupted", "after", "support"):
        assert getattr(record.ablation, name).value == pytest.approx(getattr(found["ablation"], name).value, abs=1e-3)
    assert record.ablation.support.value > 5, "and it is no map of zeros"
