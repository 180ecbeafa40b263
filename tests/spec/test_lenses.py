"""Lenses: planted writers and planted causes, sums against the model's own answer, and TransformerLens as the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toy.prompts import tokenise_letters

from audit_core import open_subject
from audit_core.engine.jacobian import SKIPPED
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.intervention import CLEAN_RUN
from audit_core.lenses import LensEffect, LensesRequest, LensesResult, LensWriting, count_pairs, measure_lenses
from audit_core.lenses.measurement import _name_effect, _name_writing, count_work_of
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts
from audit_core.stats.estimates import Estimate
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted
from audit_core.subjects.planted.weights import (
    JUNK,
    N_POSITIONS,
    OUT,
    POSITION,
    WORDS,
    Head,
    plant_previous,
    save_model,
    start_model,
)

MODEL = "planted-induction"


def ask(subject: Any, name: str = MODEL, task: str = "context") -> TokenisedPrompts:
    model = find_planted(name)
    assert model is not None
    return tokenise(model.find_task(task).make(3, 1), subject.tokenizer)


def measure(subject: Any, prompts: TokenisedPrompts) -> LensesResult:
    return measure_lenses(subject, LensesRequest(prompts, prompts), None, no_progress)


@pytest.fixture(scope="module")
def found(load_planted: Callable[[str], Any]) -> LensesResult:
    subject = load_planted(MODEL)
    return measure(subject, ask(subject))


def test_a_writer_a_cause_that_writes_nothing_and_an_opponent_have_different_words(found: LensesResult) -> None:
    parts = {part.component: part for part in found.parts}
    wired = {
        "L1.H0": (10, 20, LensWriting.FOR, LensEffect.LOWERS),
        "L1.H3": (-3, -6, LensWriting.AGAINST, LensEffect.RAISES),
        # It writes where the other head looks, and nothing to the answer.
        "L0.H0": (0, 14, LensWriting.LITTLE, LensEffect.LOWERS),
    }
    for name, (direct, measured, writing, effect) in wired.items():
        part = parts.pop(name)
        assert (round(part.direct.value), round(part.measured.value)) == (direct, measured)
        assert (part.writing, part.effect) == (writing, effect)
    assert {(part.writing, part.effect) for part in parts.values()} == {(LensWriting.LITTLE, LensEffect.NEGLIGIBLE)}
    assert sum(count_pairs(found.parts).values()) == len(found.parts) == 6 * 3 + 3
    assert found.finding.startswith(
        "Of 3 heads and MLPs whose replacement changes the lead, 1 (L0.H0) writes little to the answer directly. "
        "Of 2 that do write to it, replacing does little for none."
    )


def test_the_lens_is_blind_before_the_layer_that_writes_and_reads_the_model_s_answer_at_the_end(
    found: LensesResult,
) -> None:
    lens = [round(layer.lens.value) for layer in found.layers]
    assert lens == [0, 0, 7, 7]
    assert found.layers[-1].measured is None
    # The word asked about is the same in both runs: nothing at the answer position tells them apart before layer 1 has run.
    assert [round(layer.measured.value) for layer in found.layers[:-1]] == [0, 0, 14]
    assert found.lens_agrees.value == pytest.approx(1.0), "of layers 1 and 2 the later one shows more and costs more"
    assert (found.jacobian_agrees, found.n_texts) == (None, 0), "it was not asked for"
    assert found.layers[-1].prefers == 1.0


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, TokenisedPrompts, LensesResult]:
    """Layer 0 writes the previous token where no output is read; layer 1 copies it from there to its logit, times 5."""
    folder = tmp_path_factory.mktemp("carried")
    model = start_model(2)
    plant_previous(model, 0, JUNK)
    copier = Head(model, 1, 0)
    for place in range(N_POSITIONS):
        copier.query[POSITION + place, place] = copier.key[POSITION + place, place] = 20.0
    for token in range(1, len(WORDS)):
        copier.value[JUNK + token, token], copier.output[token, OUT + token] = 1.0, 5.0
    save_model(model, folder)
    subject = open_subject(str(folder))
    # Texts of two lengths: TransformerLens merges only lenses that were fitted alike.
    before = ("w01", "w02", "w03 w04")
    rows = tuple(
        Prompt(f"p{at}", f"{before[at % 3]} {answer} =", f"{before[at % 3]} {foil} =", f" {answer}", f" {foil}", f"t{at % 3}")
        for at, (answer, foil) in enumerate((("A", "B"), ("B", "A")) * 3)
    )  # fmt: skip
    prompts = tokenise(PromptSet("carried", rows), subject.tokenizer)
    request, reported = LensesRequest(prompts, prompts, jacobian=3), list[tuple[int, int]]()
    found = measure_lenses(subject, request, None, lambda done, total: reported.append((done, total)))
    # The fit is work of its own: its three texts are reported one by one, and the last of them is the end.
    measured, total = count_work_of(subject, replace(request, jacobian=0)), count_work_of(subject, request)
    assert len({done for done, _ in reported if done > measured}) == 3
    assert reported[-1] == (total, total)
    return subject, prompts, found


def test_the_jacobian_lens_reads_what_a_later_layer_will_carry_to_the_answer_and_the_logit_lens_does_not(
    carried: tuple[Any, TokenisedPrompts, LensesResult],
) -> None:
    """Entering layer 1 the answer is there, in a direction that no output reads: its swap costs all of 2 · 5 logits."""
    _, _, found = carried
    first, middle, end = found.layers
    assert (first.jacobian, found.n_texts, found.no_jacobian) == (None, 3, "")
    assert middle.measured.value == pytest.approx(10, abs=0.1)
    assert middle.lens.value == pytest.approx(0, abs=0.01)
    assert middle.jacobian.value == pytest.approx(5, abs=0.1)
    assert end.jacobian.value == pytest.approx(5, abs=0.1)
    assert end.lens.value == end.jacobian.value, "after the last layer both are the model's own answer"


def test_transformer_lens_reads_the_same_through_its_jacobian_lens(
    carried: tuple[Any, TokenisedPrompts, LensesResult],
) -> None:
    import torch
    from transformer_lens.tools.analysis import JacobianLens

    subject, prompts, found = carried
    texts = [prompts.pairs[at].prompt.clean for at in prompts.spread(3)]
    with torch.inference_mode(False):
        lens = JacobianLens.fit(
            subject.bridge, texts, corpus="carried", skip_first_positions=SKIPPED, show_progress=False
        )
        theirs = []
        for pair in prompts.pairs:
            read = lens.readout(subject.bridge, pair.prompt.clean, positions=[-1], return_full_logits=True)
            logits = read.lens_logits[0][0]
            theirs.append(float(logits[pair.answer_ids[0]] - logits[pair.foil_ids[0]]))
    assert found.layers[1].jacobian.value == pytest.approx(np.mean(theirs), abs=1e-3)


def test_a_model_that_transformer_lens_refuses_has_a_reason_and_no_jacobian_lens(
    carried: tuple[Any, TokenisedPrompts, LensesResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, prompts, _ = carried
    few = prompts.take((0, 1, 2, 3))
    turned = replace(few.pairs[0], prompt=replace(few.pairs[0].prompt, clean="w09 w09 ="))
    monkeypatch.setattr(type(subject.bridge.adapter), "supports_generation", False)
    found = measure_lenses(subject, LensesRequest(few, few, jacobian=1), None, no_progress)
    assert "fits no Jacobian lens here" in found.no_jacobian
    assert [layer.jacobian for layer in found.layers] == [None] * 3
    assert (found.n_texts, found.jacobian_agrees) == (0, None)
    monkeypatch.undo()
    with pytest.raises(NotMeasured, match="other tokens"):
        subject.read_jacobian_lens(few, replace(few, pairs=(turned,)))


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox", "qwen3", "mixtral"])
def test_parts_add_up_to_the_answer_in_each_family(load_family: Callable[[str], Any], family: str) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 6, 9, 9))
    read = subject.read_lenses(prompts)
    assert read.why_no_parts == ""
    total = read.heads.sum((0, 1)) + read.mlps.sum(0) + read.rest
    logits = subject.run(prompts, [CLEAN_RUN])
    own = (logits.answer - logits.foil)[0]
    assert np.abs(own).max() > 0.01, "nothing to add up"
    np.testing.assert_allclose(total, own, atol=1e-3)
    np.testing.assert_allclose(read.stream[-1], own, atol=1e-4)
    assert np.abs(read.heads).max() > 1e-4
    assert np.abs(read.mlps).max() > 1e-4


def test_a_model_that_caps_its_logits_is_read_by_layer_and_not_by_part(load_family: Callable[[str], Any]) -> None:
    subject = load_family("gemma2")
    prompts = tokenise_letters(subject.tokenizer, (6, 6, 9, 9))
    read = subject.read_lenses(prompts)
    assert read.heads is None
    assert "normalises, scales or caps" in read.why_no_parts
    logits = subject.run(prompts, [CLEAN_RUN])
    np.testing.assert_allclose(read.stream[-1], (logits.answer - logits.foil)[0], atol=1e-4)


def test_an_answer_of_several_tokens_is_read_by_layer_alone(load_planted: Callable[[str], Any]) -> None:
    subject = load_planted(MODEL)
    prompts = ask(subject)
    pairs = tuple(
        replace(pair, contrast=replace(pair.contrast, answers=(*pair.contrast.answers, (0,)))) for pair in prompts.pairs
    )
    read = subject.read_lenses(replace(prompts, pairs=pairs))
    assert read.heads is None
    assert "set of several tokens" in read.why_no_parts


@pytest.mark.parametrize("name", [MODEL, "planted-llama"])
def test_transformer_lens_reads_the_same(load_planted: Callable[[str], Any], name: str) -> None:
    """Its logit lens on the model as it is; its attribution on a copy whose norms are folded into its weights."""
    import torch
    from transformer_lens.model_bridge import TransformerBridge
    from transformer_lens.tools.analysis.direct_logit_attribution import direct_logit_attribution
    from transformer_lens.tools.analysis.logit_lens import logit_lens

    subject = load_planted(name)
    prompts = ask(subject, name)
    prompts = replace(prompts, pairs=prompts.pairs[:3])
    read = subject.read_lenses(prompts)
    folded = TransformerBridge.boot_transformers(subject.identity.folder, device="cpu", dtype=torch.float32)
    folded.enable_compatibility_mode(disable_warnings=True)
    for at, pair in enumerate(prompts.pairs):
        tokens = torch.tensor([pair.clean_ids])
        ids = [pair.answer_ids[0], pair.foil_ids[0]]
        lens = logit_lens(subject.bridge, tokens, targets=ids)
        values = lens.values.detach().reshape(-1, 2)
        blocks = [i for i, label in enumerate(lens.labels) if label.endswith("_pre") or label == "final_post"]
        np.testing.assert_allclose((values[blocks, 0] - values[blocks, 1]).numpy(), read.stream[:, at], atol=1e-4)
        written = direct_logit_attribution(folded, tokens, answer_tokens=ids[0], incorrect_tokens=ids[1], unit="head")
        heads = [i for i, label in enumerate(written.labels) if label.startswith("L")]
        theirs = written.attribution.detach().flatten(1)[heads, 0].reshape(read.heads.shape[:2]).numpy()
        np.testing.assert_allclose(theirs, read.heads[:, :, at], atol=1e-3)


def test_a_lens_on_other_runs_than_the_measured_ones_is_refused(
    load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted(MODEL)
    prompts = ask(subject)
    turned = tuple(replace(p, clean_ids=p.corrupted_ids, corrupted_ids=p.clean_ids) for p in prompts.pairs)
    other = subject.read_lenses(replace(prompts, pairs=turned))
    monkeypatch.setattr(type(subject), "read_lenses", lambda self, prompts, **how: other)
    with pytest.raises(ControlFailed, match="lens reads another logit difference"):
        measure(subject, prompts)


@pytest.mark.parametrize(
    ("low", "high", "writing", "effect"),
    [
        (1.1, 3.0, LensWriting.FOR, LensEffect.LOWERS),
        (-3.0, -1.1, LensWriting.AGAINST, LensEffect.RAISES),
        (-0.9, 0.9, LensWriting.LITTLE, LensEffect.NEGLIGIBLE),
        (0.9, 3.0, LensWriting.UNDECIDED, LensEffect.UNDECIDED),
        (-3.0, 3.0, LensWriting.UNDECIDED, LensEffect.UNDECIDED),
        (None, None, LensWriting.UNDECIDED, LensEffect.UNDECIDED),
    ],
)
def test_words_follow_the_whole_interval(
    low: float | None, high: float | None, writing: LensWriting, effect: LensEffect
) -> None:
    estimate = Estimate(0.0 if low is None else (low + high) / 2, low, high, 8, "logits", None if low is None else 0.95)
    assert _name_writing(estimate, 1.0) == writing
    assert _name_effect(estimate, 1.0) == effect
