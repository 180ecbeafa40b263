"""What a transformer subject refuses, counts and keeps to itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy.models import FAMILIES, build_random, load
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, edge, head, mlp, resid
from audit_core.engine.readout import Readout
from audit_core.engine.sites import HookedModel
from audit_core.errors import AuditError, Cancelled, ComponentRefused, InterventionRefused, ModelRefused
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Edit, Intervention, Replacement, intervene
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]


@pytest.mark.parametrize(
    "part",
    [
        head(3, 0),
        head(0, 4),
        head(0, -1),
        head(-1, 0),
        mlp(3),
        resid(99),
        edge(0, 4, 1, 0),
        Component(0, Kind.EXPERT, 1),
        Component(-1, Kind.DOCUMENT, 1),
        Component(-1, Kind.TOOL, name="search"),
    ],
    ids=str,
)
def test_a_component_the_model_lacks_is_refused_and_nothing_is_run(part: Component, load_family: Load) -> None:
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, (6,))
    with pytest.raises(ComponentRefused, match="not in this model.*layers 0–2, heads 0–3"):
        subject.run(prompts, [intervene([part], Replacement.ZERO)])
    with pytest.raises(ComponentRefused):
        subject.patterns(prompts.pairs[0], intervene([part], Replacement.ZERO))


@pytest.mark.parametrize(
    "part", [head(0, 0, 7), head(0, 0, -8), resid(1, 7), mlp(0, -8), edge(0, 0, 7, 0), edge(0, 0, 6, 7)], ids=str
)
def test_a_position_outside_any_of_the_prompts_is_refused(part: Component, load_family: Load) -> None:
    """Six letters and the first token: positions 0 to 6, or −7 to −1. The other prompt is long enough."""
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, (9, 6))
    with pytest.raises(InterventionRefused, match=r"in a prompt of 7 tokens.*-7 to 6"):
        subject.run(prompts, [intervene([part], Replacement.ZERO)])


def test_one_place_addressed_from_both_ends_is_refused(load_family: Load) -> None:
    """Position −1 of seven tokens is position 6: halved twice it would be a quarter, and nobody would know."""
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, (6,))
    with pytest.raises(InterventionRefused, match=r"L0\.H0@-1.*L0\.H0@6|L0\.H0@6.*L0\.H0@-1"):
        subject.run(prompts, [intervene([head(0, 0, -1), head(0, 0, 6)], Replacement.SCALE, factor=0.5)])
    subject.run(prompts, [intervene([head(0, 0, -1), head(0, 0, 5)], Replacement.SCALE, factor=0.5)])


def test_a_pattern_and_one_of_its_edges_are_one_place(load_family: Load) -> None:
    """Whichever is replaced last would undo the other; two heads' patterns are two places."""
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, (6,))
    both = [Component(1, Kind.PATTERN, 2), edge(1, 2, 4, 1)]
    with pytest.raises(InterventionRefused, match="part of an attention pattern that is also replaced"):
        subject.run(prompts, [intervene(both, Replacement.RESAMPLE)])
    subject.run(prompts, [intervene([both[0], edge(1, 3, 4, 1)], Replacement.RESAMPLE)])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_reaches_its_heads_mlps_and_stream(family: str, load_family: Load) -> None:
    subject = load_family(family)
    shape = subject.geometry
    assert len(subject.components(Kind.HEAD)) == shape.n_layers * shape.n_heads
    assert len(subject.components(Kind.MLP)) == len(subject.components(Kind.RESID)) == shape.n_layers
    assert len(subject.components(Kind.EXPERT)) == shape.n_layers * shape.n_experts
    assert (shape.n_experts > 0) is (family in ("mixtral", "olmoe"))
    with pytest.raises(ComponentRefused):
        subject.components(Kind.DOCUMENT)


def test_progress_rises_to_the_work_that_was_counted(load_family: Load) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, [6, 9] * 30)
    asked = [CLEAN_RUN, CORRUPTED_RUN, *(intervene([part], Replacement.ZERO) for part in subject.components(Kind.HEAD))]
    seen: list[tuple[int, int]] = []
    subject.run(prompts, asked, on_progress=lambda done, total: seen.append((done, total)))
    total = subject.count_work(prompts, asked)
    assert len(seen) > 3
    assert {all_of_it for _, all_of_it in seen} == {total}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == total
    assert subject.count_work(prompts, asked[2:]) < 2 * subject.count_work(prompts, asked[2:8])


def test_cancelling_stops_between_chunks_and_leaves_no_hook_behind(load_family: Load) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, [9] * 60)
    before = subject.run(prompts, [CLEAN_RUN]).answer
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        raise Cancelled("enough")

    asked = [intervene([part], Replacement.ZERO) for part in subject.components(Kind.HEAD)]
    with pytest.raises(Cancelled):
        subject.run(prompts, asked, on_progress=stop)
    assert len(calls) == 1
    assert (subject.run(prompts, [CLEAN_RUN]).answer == before).all()


def test_an_edit_that_is_refused_midway_leaves_no_hook_behind(
    load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the head's hook left in place when the MLP's is missing, every later run would carry the edit."""
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, (6,))
    before = subject.run(prompts, [CLEAN_RUN, intervene([head(1, 0)], Replacement.RESAMPLE)]).answer
    points = {place: point for place, point in subject.runner.model.points.items() if place != (Kind.MLP, 0)}
    with monkeypatch.context() as patch, pytest.raises(InterventionRefused, match="no hook in this architecture"):
        patch.setattr(subject.runner, "model", HookedModel(subject.bridge, points))
        subject.run(prompts, [intervene([head(0, 0), mlp(0)], Replacement.ZERO)])
    after = subject.run(prompts, [CLEAN_RUN, intervene([head(1, 0)], Replacement.RESAMPLE)]).answer
    assert (after == before).all()


def test_order_of_interventions_and_company_change_nothing(load_family: Load) -> None:
    """Rows of a batch do not see each other: what is computed beside an intervention is not part of it."""
    subject = load_family("gemma2")
    prompts = tokenise_letters(subject.tokenizer, (6, 8, 6, 9))
    asked = [
        CLEAN_RUN,
        *(intervene([part], Replacement.RESAMPLE) for part in subject.components(Kind.HEAD)),
        CORRUPTED_RUN,
    ]
    together = subject.run(prompts, asked).answer
    backwards = subject.run(prompts, asked[::-1]).answer[::-1]
    alone = np.concatenate([subject.run(prompts, [one]).answer for one in asked])
    np.testing.assert_allclose(backwards, together, atol=2e-5)
    np.testing.assert_allclose(alone, together, atol=2e-5)


def test_order_of_prompts_is_the_order_of_numbers(load_family: Load) -> None:
    """Prompts are run by length, and come back where they stood."""
    subject = load_family("qwen2")
    prompts = tokenise_letters(subject.tokenizer, (9, 6, 8, 6, 9))
    asked = [CLEAN_RUN, CORRUPTED_RUN, intervene([head(0, 0), mlp(1)], Replacement.MEAN)]
    means = subject.capture_means(tokenise_letters(subject.tokenizer, (9, 9, 6, 6, 8, 8), seed=4))
    order = [3, 0, 4, 2, 1]
    shuffled = replace(prompts, pairs=tuple(prompts.pairs[at] for at in order))
    found, moved = (subject.run(these, asked, means=means).answer for these in (prompts, shuffled))
    np.testing.assert_allclose(moved, found[:, order], atol=2e-5)
    for rows, at in zip(subject.attention_to_last(shuffled), order, strict=True):
        np.testing.assert_allclose(rows, subject.attention_to_last(prompts)[at], atol=1e-5)
    assert len(np.unique(found[0].round(3))) == 5


def test_a_subject_keeps_nothing_of_the_run_before(load_family: Load) -> None:
    subject = load_family("qwen3")
    prompts = tokenise_letters(subject.tokenizer, (6, 8))
    asked = [intervene([head(1, 1), mlp(2)], Replacement.RESAMPLE)]
    first = subject.run(prompts, asked).answer
    subject.run(
        tokenise_letters(subject.tokenizer, (6, 8), seed=9), [CLEAN_RUN, intervene([head(0, 0)], Replacement.ZERO)]
    )
    assert (subject.run(prompts, asked).answer == first).all()
    assert not first.flags.writeable


def test_threads_that_share_a_subject_get_their_own_numbers(load_family: Load) -> None:
    """Hooks belong to the model: were two runs to mix, one would carry the other's edits."""
    subject = load_family("mistral")
    prompts = tokenise_letters(subject.tokenizer, [7] * 12)
    parts = [head(0, 1), mlp(1), resid(2, -1), edge(1, 2, -1, 6)]
    apart = {part: subject.run(prompts, [intervene([part], Replacement.ZERO)] * 6).answer for part in parts}
    found: dict[Component, list[np.ndarray]] = {part: [] for part in parts}

    def ask(part: Component) -> None:
        for _ in range(8):
            found[part].append(subject.run(prompts, [intervene([part], Replacement.ZERO)] * 6).answer)

    workers = [threading.Thread(target=ask, args=(part,)) for part in parts]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    for part in parts:
        assert len(found[part]) == 8
        assert all((answer == apart[part]).all() for answer in found[part])
    assert len({apart[part].tobytes() for part in parts}) == 4


def test_a_prompt_of_one_token_can_be_run(tmp_path: Path) -> None:
    """Without a beginning of sequence a prompt may be one token, and every axis of what its blocks are called with is 1."""
    from agreement.literal import LiteralRunner

    subject = load(build_random("llama", tmp_path, with_bos=False))
    assert subject.tokenizer.bos_id is None
    rows = [
        Prompt(f"p{i}", clean, corrupted, " a", " b", "t") for i, (clean, corrupted) in enumerate(["cd", "ef", "gh"])
    ]
    prompts = tokenise(PromptSet("one token", tuple(rows)), subject.tokenizer)
    asked = [CLEAN_RUN, CORRUPTED_RUN, intervene([head(0, 1), mlp(2)], Replacement.RESAMPLE)]
    found = subject.run(prompts, asked, vocabulary=True).vocabulary
    np.testing.assert_allclose(found, LiteralRunner(subject.bridge).run(prompts, asked), atol=1e-4)


@pytest.mark.parametrize("reading", ["read_all", "read_tokens"])
def test_a_model_whose_readout_is_not_ours_runs_as_a_whole(
    reading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A family that does something between its last block and its logits must not pass for one that does not."""
    folder = build_random("gpt2", tmp_path)
    honest = getattr(Readout, reading)
    monkeypatch.setattr(Readout, reading, lambda self, *asked: 1.1 * honest(self, *asked))
    assert "blocks run one by one change its logits by" in load(folder).fallback


def test_a_model_that_makes_no_numbers_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = build_random("gpt2", tmp_path) / "model.safetensors"
    weights = load_file(file)
    next(weight for name, weight in weights.items() if "mlp" in name)[:] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelRefused, match="logits contain NaN"):
        load(tmp_path)


def test_a_model_that_replays_less_exactly_has_the_tolerance_of_its_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off by 5e-5 logits at loading: ten times that is its tolerance, and noise must move a logit by 100 times more."""
    folder = build_random("gpt2", tmp_path)
    honest = Readout.read_all
    assert load(folder).tolerance == 1e-4
    monkeypatch.setattr(Readout, "read_all", lambda self, residual: honest(self, residual) + 5e-5)
    assert load(folder).tolerance == pytest.approx(5e-4, rel=0.2)


def test_a_folder_that_is_no_transformer_is_refused(tmp_path: Path) -> None:
    build_random("gpt2", tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "no such thing"}')
    with pytest.raises(AuditError, match="What to do"):
        load(tmp_path)


def test_a_seed_decides_the_noise_and_nothing_else(load_family: Load) -> None:
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, (6,))
    noise = [Intervention((Edit(head(0, 0), Replacement.NOISE),))]
    first, again, other = (subject.run(prompts, noise, seed=seed).answer for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).all()
    zero = [intervene([head(0, 0)], Replacement.ZERO)]
    assert (subject.run(prompts, zero, seed=1).answer == subject.run(prompts, zero, seed=2).answer).all()
