"""Prompts too long to keep everything of: run layer by layer, refused before a run, or kept one layer at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from agreement.literal import LiteralRunner
from toy.prompts import tokenise_letters

from audit_core.component import Kind, edge, head, mlp
from audit_core.engine import change_sizes, kept, layered, mean_capture, means, memory, plan
from audit_core.engine.capture import CaptureSteps
from audit_core.engine.direct import attention
from audit_core.engine.replay import BlockCall, record_calls
from audit_core.errors import ComponentRefused, InterventionRefused, PromptRefused
from audit_core.estimator import EstimateRequest
from audit_core.intervention import (
    CLEAN_RUN,
    CORRUPTED_RUN,
    Direction,
    Intervention,
    PromptSide,
    Replacement,
    intervene,
)
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.subject import MEAN_KINDS, Geometry, no_progress

CLOSE = 1e-4
"""Of the largest logit, as in `test_wavefront`."""
LONG = 301
DEFAULT = Geometry(30, 9, 3, 576, 64, 49_152, 1_536)
WAYS = (Replacement.RESAMPLE, Replacement.MEAN, Replacement.ZERO)


@pytest.fixture(scope="module")
def llama(load_family: Callable[[str], Any]) -> Iterator[Any]:
    subject = load_family("llama")
    yield subject
    subject.runner.clear_captures()


@pytest.fixture(scope="module")
def long_prompts(llama: Any) -> TokenisedPrompts:
    """Two pairs of 301 tokens, which differ from a late and from an early place on, and one that both begin the first."""
    short, draw = tokenise_letters(llama.tokenizer, (9, 9, 9)), random.Random(5)
    letters = [token for pair in short.pairs for token in pair.clean_ids[1:]]
    clean = [(0, *draw.choices(letters, k=LONG - 1)) for _ in range(2)]
    corrupted = [(*one[:at], *draw.choices(letters, k=LONG - at)) for one, at in zip(clean, (220, 20), strict=True)]
    rows = [*zip(clean, corrupted, strict=True), (clean[0][:-4], corrupted[0][:-4])]
    pairs = [
        replace(pair, clean_ids=one, corrupted_ids=other) for pair, (one, other) in zip(short.pairs, rows, strict=True)
    ]
    return replace(short, pairs=tuple(pairs))


@contextmanager
def keep_little() -> Iterator[None]:
    """Room for three rows of 301 tokens: a pass runs few interventions, and attention a part of the heads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layered, "KEPT_BYTES", 0)
        patch.setattr(change_sizes, "KEPT_BYTES", 0)
        patch.setattr(layered, "ROWS_BYTES", 3 * LONG * 64 * 4)
        patch.setattr(plan, "CHUNK_TOKENS", 2 * LONG)
        patch.setattr(attention, "MAX_SCORES", 2 * LONG**2)
        yield


def test_heads_and_mlps_of_a_long_prompt_are_those_of_whole_passes(llama: Any, long_prompts: TokenisedPrompts) -> None:
    """Layer by layer or kept whole, and against one pass for each intervention, which knows nothing of either."""
    prompts = long_prompts.take([0, 1])
    parts = [*llama.components(Kind.HEAD), *llama.components(Kind.MLP)]
    edits = [CLEAN_RUN, CORRUPTED_RUN]
    edits += [intervene([part], WAYS[at % 3]) for at, part in enumerate(parts)]
    edits += [intervene([part], Replacement.RESAMPLE, direction=Direction.DENOISING) for part in parts[1::5]]
    mean = llama.capture_means(prompts, kinds={Kind.HEAD, Kind.MLP})
    wanted = LiteralRunner(llama.bridge, prompts).run(prompts, edits)
    with keep_little():
        found = llama.run(prompts, edits, means=mean, vocabulary=True).vocabulary
    assert np.abs(found - wanted).max() < CLOSE * np.abs(wanted).max()
    moved = np.abs(wanted[2:] - wanted[[[CLEAN_RUN, CORRUPTED_RUN].index(Intervention((), e.side)) for e in edits[2:]]])
    assert moved.max((1, 2)).min() > 100 * np.abs(found - wanted).max(), (
        "an intervention that moves nothing shows nothing"
    )


def test_layer_by_layer_and_kept_whole_give_the_same_bits(llama: Any, long_prompts: TokenisedPrompts) -> None:
    parts = [component for kind in (Kind.HEAD, Kind.MLP, Kind.VALUE) for component in llama.components(kind)]
    edits = [
        CLEAN_RUN,
        *(intervene([part], way) for part in parts[::4] for way in (Replacement.RESAMPLE, Replacement.ZERO)),
    ]
    noisy = [*edits, *(intervene([part], Replacement.NOISE) for part in parts[1::5])]
    for asked, prompts in ((edits, long_prompts), (noisy, long_prompts.take([0, 1]))):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan, "CHUNK_TOKENS", 2 * LONG)
            whole = llama.run(prompts, asked, vocabulary=True, seed=3)
        heard: list[tuple[int, int]] = []
        with keep_little():
            found = llama.run(prompts, asked, vocabulary=True, seed=3, on_progress=lambda *now, h=heard: h.append(now))
            assert heard[-1] == (llama.count_work(prompts, asked),) * 2
        np.testing.assert_array_equal(found.vocabulary, whole.vocabulary)
        assert found.edits_applied == whole.edits_applied > len(asked)


def test_less_is_kept_at_once_layer_by_layer(llama: Any, long_prompts: TokenisedPrompts) -> None:
    """One layer of the unedited runs, and the rows of three interventions; each pass runs the unedited rows again."""
    prompts = long_prompts.take([1])
    edits = [intervene([part], Replacement.RESAMPLE) for part in llama.components(Kind.HEAD)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "CHUNK_TOKENS", 2 * LONG)
        whole = llama.count_work(prompts, edits)
    with keep_little(), pytest.MonkeyPatch.context() as patch:
        run, kept = CaptureSteps.run_layer, []
        patch.setattr(CaptureSteps, "run_layer", lambda *call: kept.append(run(*call)) or kept[-1])
        patch.setattr(llama.runner, "prepare", lambda *_: pytest.fail("all layers were kept"))
        llama.run(prompts, edits)
        passes, left = divmod(len(kept), llama.geometry.n_layers)
        assert (passes > 2, left) == (True, 0)
        assert llama.count_work(prompts, edits) == whole + (passes - 1) * 2 * LONG * llama.geometry.n_layers


def test_edits_of_the_last_position_read_the_keys_of_all_positions_and_are_cut_by_them(
    llama: Any, long_prompts: TokenisedPrompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 2,048 tokens of the default model by hand: 2 · 2048 · 64 · (3 + 9) numbers of 4 bytes a row, so 85 rows in 1 GB."""
    assert plan.count_prefix_rows(DEFAULT, 2048) == 85
    assert plan.count_prefix_rows(DEFAULT, 64) > plan.CHUNK_TOKENS, "what was recorded is not cut otherwise"
    prompts = long_prompts.take([0])
    edits = [intervene([replace(part, position=-1)], Replacement.ZERO) for part in llama.components(Kind.HEAD)]
    wanted = llama.run(prompts, edits, vocabulary=True).vocabulary
    shape = llama.geometry
    each = 4 * 2 * LONG * shape.d_head * (shape.n_key_value_heads + shape.n_heads)
    monkeypatch.setattr(plan, "PREFIX_BYTES", 3 * each + 1)
    (group,) = llama.runner._plan(prompts, llama.runner.compile(prompts, edits))
    assert [len(chunk.variants) for chunk in group.chunks] == [3, 3, 3, 3]
    assert {chunk.start for chunk in group.chunks} == {LONG - 1}
    np.testing.assert_allclose(llama.run(prompts, edits, vocabulary=True).vocabulary, wanted, atol=CLOSE)


def test_sizes_of_changes_need_no_more_than_one_layer(
    llama: Any, long_prompts: TokenisedPrompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "CHUNK_TOKENS", 2 * LONG)
    parts = [*llama.components(Kind.HEAD), *llama.components(Kind.MLP)]
    whole = llama.activation_change_rms(long_prompts, parts, Replacement.RESAMPLE)
    with keep_little():
        found = llama.activation_change_rms(long_prompts, parts, Replacement.RESAMPLE)
    np.testing.assert_array_equal(found, whole)
    assert whole.min() > 0


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_arguments_of_blocks_are_recorded_without_running_blocks_or_the_output_head(
    load_family: Callable[[str], Any], family: str
) -> None:
    """The logits of 2,048 tokens of the default model would take 400 MB, the maps of one layer 150 MB."""
    runner = load_family(family).runner
    tokens, ran = torch.zeros(1, 24, dtype=torch.long), []
    with torch.inference_mode():
        wanted = record_calls(runner.model, tokens)
        watched = [runner.bridge.unembed, *(block.mlp for block in runner.bridge.blocks)]
        handles = [module.register_forward_pre_hook(lambda *_: ran.append(1)) for module in watched]
        try:
            with runner.skip_blocks():
                found = record_calls(runner.model, tokens)
            assert not ran
            runner.bridge(tokens)
            assert len(ran) == len(watched), "blocks run again afterwards"
        finally:
            for handle in handles:
                handle.remove()
    for one, other in zip(found, wanted, strict=True):
        assert one.kwargs.keys() == other.kwargs.keys()
        for mine, theirs in zip(list_tensors(one), list_tensors(other), strict=True):
            assert torch.equal(mine, theirs)
    assert list_tensors(found[0])


def list_tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    inner = (*value.args, *value.kwargs.values()) if isinstance(value, BlockCall) else value
    return [tensor for one in inner for tensor in list_tensors(one)] if isinstance(inner, tuple) else []


def test_arguments_of_many_lengths_are_kept_within_their_room(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask of one length is shared by the layers and counts once."""
    monkeypatch.setattr(llama.runner, "_calls", kept.keep_calls())
    sizes = []
    for length in (40, 41):
        llama.runner.find_calls(length)
        sizes.append(llama.runner._calls.size_bytes)
    assert 4 * 40**2 < sizes[0] < 2 * 4 * 40**2 + 4 * 2 * 40 * 16 * 4
    llama.runner._calls.most_bytes = most = sizes[1] * 5 // 4
    for length in range(42, 46):
        llama.runner.find_calls(length)
    assert len(llama.runner._calls) == 2
    assert llama.runner._calls.size_bytes <= most
    llama.runner._calls.most_bytes = 100
    assert llama.runner.find_calls(46)
    assert len(llama.runner._calls) == 0


def test_what_does_not_fit_is_refused_with_its_size_and_what_would_fit(
    llama: Any, long_prompts: TokenisedPrompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand for the default model: 2 rows × 30 layers × 2048 × (576 + 2·192 + 576 + 576) × 4 bytes = 1.04 GB."""
    assert memory.measure_kept(DEFAULT, {Kind.HEAD, Kind.MLP}, 2, 2048) == 2 * 30 * 2048 * (3 * 576 + 384) * 4
    streams, maps = 4 * 2048 * (12 * 576 + 3 * 1536), 4 * 9 * 2048**2
    assert memory.measure_row(DEFAULT, 2048, is_in_parts=False) == streams + 3 * maps
    assert memory.measure_row(DEFAULT, 2048, is_in_parts=True) == streams + 3 * 128 * 1024**2
    memory.check_kept(DEFAULT, {Kind.HEAD, Kind.MLP}, 2, 2048)
    memory.check_patterns(DEFAULT, 512)
    memory.check_gradients(DEFAULT, 1, 1024)
    for check, says in (
        (lambda: memory.check_kept(DEFAULT, {Kind.EDGE}, 2, 2048), "2,048 tokens with edge of all layers take 9.5 GB"),
        (lambda: memory.check_patterns(DEFAULT, 600), "600 tokens take 389 MB"),
        (lambda: memory.check_gradients(DEFAULT, 1, 2048), r"1 × 2,048 tokens keeps 16\.\d GB"),
    ):
        with pytest.raises(InterventionRefused, match=says):
            check()
    monkeypatch.setattr(llama.runner, "capture", lambda *_: pytest.fail("it ran"))
    monkeypatch.setattr(memory, "ROW_BYTES", memory.measure_row(llama.geometry, 300, is_in_parts=True))
    edits = [intervene([head(0, 0)], Replacement.ZERO)]
    with pytest.raises(PromptRefused, match="up to 300 tokens on this model"):
        llama.run(long_prompts, edits)
    monkeypatch.setattr(memory, "PATTERN_BYTES", 4 * 12 * 100**2)
    with pytest.raises(InterventionRefused, match="up to 100 tokens on this model"):
        llama.patterns(long_prompts.pairs[0], CLEAN_RUN)
    monkeypatch.setattr(memory, "GRADIENT_BYTES", 1)
    with pytest.raises(InterventionRefused, match="backward pass over 1 × 301 tokens"):
        request = EstimateRequest(long_prompts, Kind.HEAD, Replacement.RESAMPLE, PromptSide.CLEAN)
        get_plugin("estimators", "attribution_patching").estimate(llama, request, on_progress=no_progress)


def test_means_that_do_not_fit_are_refused_by_kind_and_size_before_any_run(
    load_family: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, (9, 9, 6))
    pairs = [
        replace(pair, clean_ids=pair.clean_ids * 300, corrupted_ids=pair.corrupted_ids * 300) for pair in prompts.pairs
    ]
    monkeypatch.setattr(subject.runner, "capture_layers", lambda *_: pytest.fail("it ran"))
    with pytest.raises(InterventionRefused, match=r"Means of edge over prompts of up to 3000 tokens take 2\.\d GB"):
        monkeypatch.setattr(means, "MEANS_BYTES", 1 << 30)
        subject.capture_means(replace(prompts, pairs=tuple(pairs)), kinds={Kind.PATTERN})


def test_the_mean_of_all_prompts_is_that_of_their_templates_by_number_of_prompts(
    load_family: Callable[[str], Any],
) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, (6, 6, 6, 9, 9))
    found = subject.capture_means(prompts, kinds={*MEAN_KINDS, Kind.EDGE})
    by_template = {name: n for (length, name), n in found.n_prompts.items() if length == 7}
    assert by_template == {"": 3, "t0": 2, "t1": 1}
    for kind in (*MEAN_KINDS, Kind.EDGE):
        one, two = (found.activations[7, name][kind] for name in ("t0", "t1"))
        assert np.abs(one - two).max() > 0.01
        np.testing.assert_allclose(found.activations[7, ""][kind], (2 * one + two) / 3, atol=1e-6)
    single = subject.capture_means(prompts.take([1]), kinds={Kind.HEAD}).activations[7, "t1"][Kind.HEAD]
    np.testing.assert_allclose(found.activations[7, "t1"][Kind.HEAD], single, atol=1e-6)
    alone = subject.capture_means(prompts.take([0, 2]), kinds={Kind.HEAD})
    assert alone.activations[7, ""][Kind.HEAD] is alone.activations[7, "t0"][Kind.HEAD]


def test_means_in_turns_keep_the_sums_of_one_layer_and_give_the_same_bits(
    llama: Any, long_prompts: TokenisedPrompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layer on all prompts, as for sums that are large, beside each prompt through all layers; two templates."""
    kinds = {*MEAN_KINDS, Kind.VALUE}
    monkeypatch.setattr(plan, "CHUNK_TOKENS", 2 * LONG)
    whole = llama.capture_means(long_prompts, kinds=kinds)
    add, most = means.MeanSums.add, []

    def watch(sums: means.MeanSums, *what: Any) -> None:
        add(sums, *what)
        most.append(max(len(entry) for names in sums._sums.values() for entry in names.values()))

    monkeypatch.setattr(means.MeanSums, "add", watch)
    llama.capture_means(long_prompts, kinds=kinds)
    n_layers = llama.geometry.n_layers
    assert max(most) == len(kinds) * n_layers, "short prompts keep their path"
    most.clear()
    monkeypatch.setattr(mean_capture, "KEPT_BYTES", 0)
    heard: list[tuple[int, int]] = []
    found = llama.capture_means(long_prompts, kinds=kinds, on_progress=lambda *now: heard.append(now))
    assert max(most) == len(kinds)
    assert [now[0] for now in heard] == sorted(now[0] for now in heard)
    assert heard[-1] == (len(long_prompts),) * 2
    assert found.n_prompts == whole.n_prompts
    assert found.activations.keys() == whole.activations.keys()
    for key, by_kind in whole.activations.items():
        for kind, mean in by_kind.items():
            np.testing.assert_array_equal(found.activations[key][kind], mean)
            assert np.abs(mean).max() > 1e-3


def test_the_pattern_of_one_head_is_that_of_all_heads_and_has_room_where_they_have_none(
    llama: Any, long_prompts: TokenisedPrompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pair,), asked = long_prompts.take([1]).pairs, head(1, 1)
    reference = llama.capture_means(long_prompts, kinds={Kind.HEAD})
    hows = [
        CLEAN_RUN,
        CORRUPTED_RUN,
        intervene([head(0, 1), head(2, 2)], Replacement.RESAMPLE),
        intervene([head(0, 2)], Replacement.RESAMPLE, direction=Direction.DENOISING),
        intervene([head(0, 0)], Replacement.MEAN),
        intervene([head(0, 3)], Replacement.NOISE),
        intervene([edge(1, 1, 250, 30)], Replacement.ZERO),
        intervene([head(2, 0)], Replacement.ZERO),
    ]
    wanted = [llama.patterns(pair, how, means=reference)[1, 1] for how in hows]
    llama.runner.clear_captures()
    monkeypatch.setattr(memory, "PATTERN_BYTES", 1)
    monkeypatch.setattr(llama.runner, "prepare", lambda *_, **__: pytest.fail("all layers were kept"))
    for how, want in zip(hows, wanted, strict=True):
        found = llama.pattern_of(pair, how, asked, means=reference)
        np.testing.assert_array_equal(found, want)
        base = wanted[1] if how.side is PromptSide.CORRUPTED else wanted[0]
        is_before = any(component.layer < 2 for component in how.components)
        assert (np.abs(found - base).max() > 1e-4) == is_before, (
            "an edit at or before its layer moves it, one after it does not"
        )
    for wrong in (head(1, 99), head(99, 0), mlp(1)):
        with pytest.raises(ComponentRefused, match="of a layer with attention"):
            llama.pattern_of(pair, CLEAN_RUN, wrong)
    monkeypatch.setattr(memory, "ROW_BYTES", memory.measure_row(llama.geometry, 300, is_in_parts=False))
    with pytest.raises(PromptRefused, match="up to 300 tokens on this model"):
        llama.pattern_of(pair, CLEAN_RUN, asked)
