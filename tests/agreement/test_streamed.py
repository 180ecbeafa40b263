"""A model that is read layer by layer gives the numbers of the same model in memory, bit for bit, in a part of its memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy.memory import read_peak, restart_peak
from toy.models import BOS, LETTERS, build_random, save_tokenizer
from toy.prompts import tokenise_letters

from audit_core import Auditor, RunLog, SweepRequest, open_subject, tokenise
from audit_core.attention.plausibility import Source
from audit_core.audits.attention import AttentionRequest
from audit_core.audits.paths import PathsRequest
from audit_core.audits.sweep import SweepAudit, predict_price
from audit_core.capability import ATTENTION, GRADIENTS, MEANS, PATHS, PATTERNS, RANDOMISABLE
from audit_core.cli import main
from audit_core.component import Component, Kind, head
from audit_core.engine.passes import list_lengths, plan_passes
from audit_core.engine.streamed.build import STREAMED_FAMILIES
from audit_core.engine.streamed.price import count_layers
from audit_core.engine.streamed.subject import StreamedSubject
from audit_core.errors import Cancelled, CapabilityRefused, IntegrityError, ModelRefused, Refused
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Direction, Edit, Intervention, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import list_plugins
from audit_core.subjects.planted import find_planted
from audit_core.subjects.transformer import TransformerSubject, load_streamed

Folder = Callable[[str], Path]
LENGTHS = (6, 9, 6, 9)
FEW_BYTES = 12_000
"""Room for the rows of one or two waves of these models, so that a run needs several passes."""
WAYS = (Replacement.RESAMPLE, Replacement.ZERO, Replacement.IDENTITY, Replacement.NOISE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    built: dict[str, Path] = {}

    def build(family: str) -> Path:
        if family not in built:
            built[family] = build_random(family, tmp_path_factory.mktemp(family))
        return built[family]

    return build


@pytest.fixture(scope="module")
def llama(folder: Folder) -> tuple[TransformerSubject, StreamedSubject]:
    return open_both(folder("llama"))


def open_both(folder: Path) -> tuple[Any, StreamedSubject]:
    return open_subject(str(folder)), load_streamed(folder)


def list_edits(subject: Any, *, every: int = 3) -> list[Intervention]:
    """Every kind and way, one component at a time; and several layers at once."""
    kinds = (Kind.HEAD, Kind.KEY, Kind.VALUE, Kind.QUERY, Kind.MLP, Kind.RESID)
    parts = [part for kind in kinds for part in subject.components(kind)]
    found = [intervene([part], way) for part in parts[::every] for way in WAYS]
    found += [intervene([part], Replacement.MEAN) for part in subject.components(Kind.HEAD)]
    found += [intervene([replace(part, position=-1)], Replacement.NOISE) for part in parts[1::5]]
    found += [intervene([part], Replacement.RESAMPLE, direction=Direction.DENOISING) for part in parts[::5]]
    patterns = subject.components(Kind.PATTERN)
    found += [intervene([part], way) for part in patterns[::4] for way in (Replacement.UNIFORM, Replacement.PERMUTED)]
    many = Intervention(tuple(Edit(part, Replacement.NOISE) for part in subject.components(Kind.HEAD)))
    return [CLEAN_RUN, CORRUPTED_RUN, *found, many]


def assert_equal(found: Any, wanted: Any) -> None:
    for name in ("answer", "foil", "vocabulary", "norms"):
        one, other = getattr(found, name), getattr(wanted, name)
        assert (one is None) == (other is None)
        assert one is None or (np.isfinite(one).all() and np.array_equal(one, other)), name
    assert found.edits_applied == wanted.edits_applied


@pytest.mark.parametrize("family", STREAMED_FAMILIES)
def test_every_edit_gives_the_same_bits_in_one_pass_and_in_several(family: str, folder: Folder) -> None:
    resident, streamed = open_both(folder(family))
    prompts = tokenise_letters(resident.tokenizer, LENGTHS, n_templates=1)
    means = resident.capture_means(prompts)
    # More of one family: of the others, every kind and way.
    edits = list_edits(resident, every=3 if family == "llama" else 7)
    wanted = resident.run(prompts, edits, means=means, seed=3)
    assert streamed.identity.short == resident.identity.short
    assert_equal(streamed.run(prompts, edits, means=streamed.capture_means(prompts), seed=3), wanted)
    streamed.runner.room = FEW_BYTES
    assert len(streamed.runner.plan_passes(prompts, streamed.runner.compile(prompts, edits))[1]) > 3
    assert_equal(streamed.run(prompts, edits, means=means, seed=3), wanted)


def test_all_logits_are_equal_and_so_are_the_changes_of_activations(llama: tuple[Any, StreamedSubject]) -> None:
    resident, streamed = llama
    prompts = tokenise_letters(resident.tokenizer, [7], n_templates=1)
    edits = list_edits(resident)[:40]
    assert_equal(streamed.run(prompts, edits, vocabulary=True), resident.run(prompts, edits, vocabulary=True))
    parts = resident.components(Kind.HEAD)
    moved = [one.activation_change_rms(prompts, parts, Replacement.RESAMPLE) for one in (streamed, resident)]
    assert np.array_equal(*moved)
    assert moved[0].min() > 0


def test_putting_back_what_was_there_changes_nothing_and_noise_changes_every_logit(
    llama: tuple[Any, StreamedSubject],
) -> None:
    _, streamed = llama
    prompts = tokenise_letters(streamed.tokenizer, [7, 7], n_templates=1)
    parts = streamed.components(Kind.HEAD)
    for way, is_changed in ((Replacement.IDENTITY, False), (Replacement.NOISE, True)):
        found = streamed.run(prompts, [CLEAN_RUN, *(intervene([part], way) for part in parts)])
        change = np.abs(found.answer[1:] - found.answer[0])
        assert (change.min() > streamed.tolerance) if is_changed else (change.max() == 0), way


def test_a_sweep_finds_what_was_planted_with_the_result_of_the_model_in_memory(tmp_path: Path) -> None:
    planted = find_planted("planted-llama")
    assert planted is not None
    planted.build(tmp_path / "model", 0)
    resident, streamed = open_both(tmp_path / "model")
    rows = tokenise(planted.find_task("context").make(1, 0), resident.tokenizer)
    found, wanted = (
        Auditor(one, RunLog(tmp_path / "log")).execute("sweep", SweepRequest(rows, rows))
        for one in (streamed, resident)
    )
    assert found == wanted
    effects = {cell.component: cell.estimate.value for cell in found.cells}
    assert max(effects, key=lambda name: effects[name]) == "L1.H0"
    assert effects["L1.H3"] < -1 < abs(effects["L1.H1"]) + 1 < 1.5


def test_weights_stored_as_bfloat16_are_widened_exactly(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    build_random("llama", tmp_path)
    for kind in (torch.bfloat16, torch.float16):
        AutoModelForCausalLM.from_pretrained(tmp_path, dtype=kind).save_pretrained(tmp_path)
        resident, streamed = open_both(tmp_path)
        assert {one.dtype for layer in streamed.store._stored for one in layer.values()} <= {"BF16", "F16"}
        prompts = tokenise_letters(resident.tokenizer, LENGTHS)
        edits = [CLEAN_RUN, *(intervene([part], Replacement.RESAMPLE) for part in resident.components(Kind.HEAD))]
        assert_equal(streamed.run(prompts, edits), resident.run(prompts, edits))


def test_two_layers_are_in_memory_and_the_others_hold_no_numbers(llama: tuple[Any, StreamedSubject]) -> None:
    resident, streamed = llama
    store = streamed.store
    for wanted in (0, 1, 2, 0, 2, 1):
        store.load(wanted)
        for at, layer in enumerate(store.layers):
            theirs = dict(resident.bridge.blocks[at].original_component.named_parameters())
            for name, weights in layer.named_parameters():
                same = np.array_equal(weights.numpy(), theirs[name].detach().numpy())
                assert same if at == wanted else bool(weights.isnan().all()), (wanted, at, name)
    held = {id(slot) for slot in store._slots} | {store._current}
    assert len(held) + (store._ahead is not None) == 2


def test_memory_stays_below_three_layers_and_does_not_hold_the_whole_model(tmp_path: Path) -> None:
    build_deep(tmp_path)
    letters = [6, 6]
    rise: dict[str, int] = {}
    for name, load in (("streamed", load_streamed), ("resident", lambda path: open_subject(str(path)))):
        before = restart_peak()
        subject: Any = load(tmp_path)
        prompts = tokenise_letters(subject.tokenizer, letters, n_templates=1)
        subject.run(prompts, [intervene([head(layer, 0)], Replacement.RESAMPLE) for layer in range(LAYERS)])
        rise[name] = read_peak() - before
        layer_bytes = 4 * sum(weights.numel() for weights in subject.bridge.blocks[0].parameters())
        del subject
    slack = 24 * 1024**2
    assert rise["streamed"] <= 3 * layer_bytes + slack
    # Positive control: the measurement sees a whole model.
    assert rise["resident"] >= LAYERS * layer_bytes


LAYERS = 8


def build_deep(folder: Path) -> None:
    """A Llama of which each layer takes 13 MB and nothing else matters."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": LAYERS, "num_attention_heads": 4}
    config = AutoConfig.for_model(
        "llama", vocab_size=len(LETTERS) + 1, bos_token_id=0, eos_token_id=0, max_position_embeddings=64, **sizes
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    save_tokenizer(folder, [BOS, *LETTERS])


def test_a_cancel_is_heard_at_every_layer_and_leaves_the_model_usable(llama: tuple[Any, StreamedSubject]) -> None:
    resident, streamed = llama
    prompts = tokenise_letters(resident.tokenizer, LENGTHS, n_templates=1)
    edits = [CLEAN_RUN, *(intervene([part], Replacement.NOISE) for part in resident.components(Kind.HEAD))]
    seen: list[tuple[int, int]] = []
    wanted = resident.run(prompts, edits)
    assert_equal(streamed.run(prompts, edits, on_progress=lambda done, total: seen.append((done, total))), wanted)
    assert len(seen) >= streamed.geometry.n_layers
    assert seen[-1] == (streamed.count_work(prompts, edits),) * 2
    for stop_at in range(len(seen)):
        heard = iter(range(stop_at, -1, -1))

        def stop(_done: int, _total: int, heard: Any = heard) -> None:
            if not next(heard):
                raise Cancelled("test")

        with pytest.raises(Cancelled):
            streamed.run(prompts, edits, on_progress=stop)
    assert_equal(streamed.run(prompts, edits), wanted)


def test_the_price_counts_the_passes_and_the_work_that_are_then_run(llama: tuple[Any, StreamedSubject]) -> None:
    _, streamed = llama
    streamed.runner.room = FEW_BYTES
    prompts = tokenise_letters(streamed.tokenizer, LENGTHS, n_templates=1)
    request = SweepRequest(prompts, prompts)
    price = predict_price(streamed, request)
    before, layers = streamed.store.n_reads, streamed.geometry.n_layers
    Auditor(streamed, RunLog(Path("unused"))).subject.run(prompts, [CLEAN_RUN])
    single = streamed.store.n_reads - before
    assert abs(single - layers) <= 1
    before = streamed.store.n_reads
    SweepAudit().run(streamed, request, means=None, on_progress=lambda *_: None)
    assert abs(streamed.store.n_reads - before - price.passes * layers) <= 1
    assert price.read_bytes == price.passes * streamed.store.stored_bytes
    assert price.seconds > 0
    edits = [intervene([part], Replacement.RESAMPLE) for part in streamed.components(Kind.HEAD)]
    variants = streamed.runner.compile(prompts, edits)
    planned = streamed.runner.plan_passes(prompts, variants)[1]
    counted = sum(tokens for one in planned for tokens, _ in count_layers(one, variants, layers))
    assert counted == streamed.count_work(prompts, edits)
    streamed.runner.room = 1 << 30


def test_no_pass_holds_more_rows_than_its_room_unless_one_wave_does(llama: tuple[Any, StreamedSubject]) -> None:
    _, streamed = llama
    prompts = tokenise_letters(streamed.tokenizer, LENGTHS, n_templates=1)
    variants = streamed.runner.compile(prompts, list_edits(streamed))
    groups = streamed.runner.plan_passes(prompts, variants)[0]
    for room in (1, FEW_BYTES, 10 * FEW_BYTES, 1 << 30):
        planned = plan_passes(groups, list_lengths(groups, prompts), streamed.geometry, room=room)
        waves = [(part.number, at) for one in planned for part in one.parts for at in part.chunks]
        assert waves == [(n, at) for n, group in enumerate(groups) for at in range(len(group.chunks))]
        assert [part.number for one in planned for part in one.parts if part.is_first] == list(range(len(groups)))
        for one in planned:
            assert one.rows_bytes <= room or sum(len(part.chunks) for part in one.parts) == 1


def test_capabilities_that_need_all_weights_are_refused_by_name(
    llama: tuple[Any, StreamedSubject], tmp_path: Path
) -> None:
    _, streamed = llama
    assert MEANS.is_met(streamed)
    assert not any(one.is_met(streamed) for one in (GRADIENTS, PATHS, PATTERNS, ATTENTION, RANDOMISABLE))
    prompts = tokenise_letters(streamed.tokenizer, LENGTHS, n_templates=1)
    auditor = Auditor(streamed, RunLog(tmp_path))
    for method in list_plugins("estimators"):
        with pytest.raises(Refused, match="Gradients are not available of a model that is read layer by layer"):
            auditor.execute("sweep", SweepRequest(prompts, prompts, screen=method))
    for audit, request in (
        ("attention", AttentionRequest(prompts, Source.ANSWER)),
        ("paths", PathsRequest(prompts, prompts, (head(0, 0), head(1, 0)))),
    ):
        with pytest.raises(CapabilityRefused):
            auditor.execute(audit, request)


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "gemma2", "mixtral"])
def test_other_families_are_refused_before_anything_is_loaded(
    family: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit_core.subjects.transformer.build_streamed", None)
    with pytest.raises(ModelRefused, match=f"({family}).*cannot be run layer by layer") as error:
        open_subject(str(folder(family)), streamed=True)
    assert "llama, mistral, qwen2, qwen3" in str(error.value)


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    from toy.encoder_decoders import build_random as build_random_t5

    build_random_t5(tmp_path)
    with pytest.raises(ModelRefused, match="cannot be run layer by layer"):
        open_subject(str(tmp_path), streamed=True)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda t: t.pop("model.layers.1.mlp.up_proj.weight"), "no tensor for: model.layers.1.mlp.up_proj.weight"),
        (lambda t: t.update(extra=t["model.norm.weight"].clone()), "no place for: extra"),
        (
            lambda t: t.update({"model.layers.2.self_attn.o_proj.weight": t["model.norm.weight"].clone()}),
            "of another shape: model.layers.2.self_attn.o_proj.weight",
        ),
    ],
)
def test_files_that_do_not_match_the_model_are_refused(
    change: Callable[[dict[str, Any]], None], found: str, tmp_path: Path
) -> None:
    build_random("llama", tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(ModelRefused, match=found):
        load_streamed(tmp_path)


def test_an_output_head_that_differs_from_the_embedding_it_is_tied_to_is_refused(tmp_path: Path) -> None:
    build_random("llama", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    with pytest.raises(ModelRefused, match="ties weights that differ in the files: lm_head.weight"):
        load_streamed(tmp_path)


def test_files_that_change_under_a_run_give_no_number(tmp_path: Path) -> None:
    build_random("llama", tmp_path)
    streamed = load_streamed(tmp_path)
    prompts = tokenise_letters(streamed.tokenizer, LENGTHS, n_templates=1)
    streamed.run(prompts, [CLEAN_RUN])
    with (tmp_path / "model.safetensors").open("r+b") as stream:
        stream.seek(-4, os.SEEK_END)
        stream.write(b"\1\2\3\4")
    with pytest.raises(IntegrityError, match="changed while the model was read"):
        streamed.run(prompts, [CLEAN_RUN])
    with (tmp_path / "model.safetensors").open("r+b") as stream:
        stream.truncate(4000)
    with pytest.raises(IntegrityError, match="ends before the tensor"):
        streamed.run(prompts, [CLEAN_RUN])


def test_the_command_line_sweeps_a_streamed_model_with_equal_cells(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"a b c d {x} f g,a b c d {y} f g, j, k" for x, y in ("hi", "lm", "no", "pq")]
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(["clean,corrupted,answer,foil", *rows]) + "\n")
    asked = ["sweep", "--json", "--model", str(folder("llama")), "--prompts", str(file)]
    found = []
    for more in ([], ["--streamed"]):
        assert main([*asked, *more]) == 0
        said = capsys.readouterr()
        found.append(json.loads(said.out))
    assert found[0]["cells"] == found[1]["cells"]
    assert found[0]["streamed"] is None
    assert found[1]["streamed"]["predicted"]["passes"] == 2
    assert found[1]["streamed"]["peak_bytes"] > 0
    assert "Predicted: " in said.err
    assert main(["sweep", "--streamed", "--model", str(folder("gpt2")), "--prompts", str(file)]) == 2
    assert "cannot be run layer by layer" in capsys.readouterr().err


def test_a_place_that_the_model_lacks_is_refused_before_a_layer_is_read(llama: tuple[Any, StreamedSubject]) -> None:
    _, streamed = llama
    prompts: TokenisedPrompts = tokenise_letters(streamed.tokenizer, [6], n_templates=1)
    before = streamed.store.n_reads
    with pytest.raises(Exception, match="is not in this model"):
        streamed.run(prompts, [intervene([Component(9, Kind.HEAD, 0)], Replacement.ZERO)])
    assert streamed.store.n_reads == before
