"""Devices: what is refused, what enters the identity of a result, and what is done where memory does not suffice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy.additive import AdditiveSubject, pair_up
from toy.prompts import tokenise_letters

from audit_core import cli
from audit_core.audits.ablation import AblationRequest
from audit_core.component import Kind, head
from audit_core.engine import device, plan, wave
from audit_core.errors import InterventionRefused, ModelRefused
from audit_core.intervention import CLEAN_RUN, Replacement, intervene
from audit_core.models.devices import DEVICE_VARIABLE, read_device
from audit_core.run import Actor, Auditor, identify_run, open_subject
from audit_core.store import RunLog
from audit_core.subject_family import load_folder

ME = Actor("me", "here")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("gpu", "one of cpu, cuda, mps"),
        ("cuda:1", "CUDA_VISIBLE_DEVICES"),
        ("mps", "does not find"),
        ("cuda", "does not find"),
    ],
)
def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, wanted: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ModelRefused, match=wanted):
        device.require_device(name)


@pytest.mark.parametrize(("kind", "streamed"), [("t5", False), ("llama", True)])
def test_what_runs_on_the_cpu_only_is_refused_elsewhere(tmp_path: Path, kind: str, streamed: bool) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "is_encoder_decoder": kind == "t5"}))
    with pytest.raises(ModelRefused, match="cuda' for a model"):
        load_folder(tmp_path, streamed=streamed, device="cuda")


@pytest.mark.parametrize("command", [["sweep"], ["audit", "ablation"], ["audit", "rationale", "--file"]])
def test_the_option_of_a_command_reaches_the_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str]
) -> None:
    """A device that was asked for and is not used would be a measurement on another one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"clean": "a b", "corrupted": "a c", "answer": "d", "foil": "e"}\n')
    words = [str(prompts)] if command[-1] == "--file" else ["--prompts", str(prompts)]
    assert cli.main([*command, *words, "--model", "planted-strict", "--device", "cuda"]) == 2
    assert "Device cuda" in capsys.readouterr().err


def test_before_a_device_is_used_products_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_float32_matmul_precision()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    try:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        device.require_device("cuda")
        found = (
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.cudnn.allow_tf32,
            torch.get_float32_matmul_precision(),
        )
        assert found == (False, False, "highest")
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_environment_names_the_device_of_models_for_which_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("audit_core.run.find_folder", lambda *_, **__: Path())
    monkeypatch.setattr("audit_core.run.load_folder", lambda *_, device, **__: asked.append(device))
    assert read_device() == "cpu"
    open_subject("any")
    monkeypatch.setenv(DEVICE_VARIABLE, "cuda")
    open_subject("any")
    open_subject("any", device="cpu")
    assert asked == ["cpu", "cuda", "cpu"]


def on(subject: AdditiveSubject, name: str, own_name: str) -> Any:
    subject.identity = replace(subject.identity, device=name, device_name=own_name)
    return subject


def test_answers_of_two_devices_have_keys_of_their_own_and_are_not_reused(tmp_path: Path) -> None:
    """Kept answers, kept parts and kept searches are all found by the short digest of the identity."""
    worth, log = {head(0, 0): 3.0, head(1, 2): -1.0}, RunLog(tmp_path)
    prompts = pair_up(AdditiveSubject(worth))
    request = AblationRequest(prompts, prompts, (head(0, 0),), Replacement.RESAMPLE)
    on_cpu = Auditor(AdditiveSubject(worth), log)
    on_cpu.run("ablation", request, actor=ME)
    assert on_cpu.find_earlier("ablation", request) is not None
    places = [("cuda", "first"), ("cuda", "second"), ("mps", "first")]
    others = [Auditor(on(AdditiveSubject(worth), *place), log) for place in places]
    for other in others:
        assert other.find_earlier("ablation", request) is None
        assert other.run("ablation", request, actor=ME).is_reused is False
    auditors = [on_cpu, *others]
    assert len({one.content_key("ablation", request) for one in auditors}) == 4
    assert len({one.subject.identity.short for one in auditors}) == 4


def test_the_manifest_of_a_run_names_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    worth = {head(0, 0): 3.0}
    prompts = pair_up(AdditiveSubject(worth))
    request = AblationRequest(prompts, prompts, (head(0, 0),), Replacement.RESAMPLE)
    here = identify_run(AdditiveSubject(worth).identity, request)
    there = identify_run(on(AdditiveSubject(worth), "cuda", "NVIDIA H100").identity, request)
    assert not {"device", "device_name"} & set(here)
    assert (there["device"], there["device_name"]) == ("cuda", "NVIDIA H100")
    assert (here["environment"]["gpu_model"], here["environment"]["gpu_count"]) == (None, 0)
    assert (there["environment"]["gpu_model"], there["environment"]["gpu_count"]) == ("NVIDIA H100", 1)


def sweep(subject: Any, prompts: Any) -> tuple[Any, list[tuple[int, int]]]:
    seen: list[tuple[int, int]] = []
    edits = [CLEAN_RUN, *(intervene([part], Replacement.RESAMPLE) for part in subject.components(Kind.HEAD))]
    found = subject.run(prompts, edits, on_progress=lambda done, total: seen.append((done, total)))
    return found, seen


@pytest.mark.parametrize("family", ["llama", "granite"])
def test_a_chunk_that_does_not_fit_runs_in_parts(
    load_family: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Memory for three of twelve interventions, missed in the last block: progress still ends at the whole, and no edit is lost."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 6, 9))
    wanted, _ = sweep(subject, prompts)
    failed = limit_rows(subject, monkeypatch, most=6)
    found, seen = sweep(subject, prompts)
    assert failed
    assert found.edits_applied == wanted.edits_applied == 36
    np.testing.assert_allclose(found.answer, wanted.answer, rtol=0, atol=1e-5)
    assert {total for _, total in seen} == {seen[0][1]}
    assert seen[-1] == (seen[0][1],) * 2
    assert max(done for done, _ in seen) == seen[0][1]


def test_one_intervention_that_does_not_fit_is_refused(
    load_family: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, (6, 6, 9))
    limit_rows(subject, monkeypatch, most=1)
    with pytest.raises(InterventionRefused, match="One intervention on 2 prompts does not fit"):
        sweep(subject, prompts)


def limit_rows(subject: Any, patch: pytest.MonkeyPatch, *, most: int) -> list[int]:
    """Let a device's memory suffice for this many rows of a wave."""
    failed: list[int] = []

    def fail(rows: int) -> None:
        if rows > most:
            failed.append(rows)
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate more")

    def call(model: Any, layer: int, rows: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        if layer + 1 == model.n_layers:
            fail(len(rows))
        return own(model, layer, rows, *given, **named)

    if subject.fallback:
        whole = subject.runner.run_variants
        patch.setattr(
            subject.runner, "run_variants",
            lambda sources, variants, **how: (fail(len(variants) * 2), whole(sources, variants, **how))[1],
        )  # fmt: skip
    own = wave.call_block
    patch.setattr(wave, "call_block", call)
    return failed


def test_other_errors_of_a_chunk_are_no_lack_of_memory(
    load_family: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> torch.Tensor:
        raise RuntimeError("expected all tensors to be on the same device")

    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, (6,))
    monkeypatch.setattr(wave, "call_block", fail)
    with pytest.raises(RuntimeError, match="same device"):
        sweep(subject, prompts)


def test_chunks_follow_the_free_memory(load_family: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is the same however it is divided."""
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, (9,) * 8)
    edits = [intervene([part], Replacement.ZERO) for part in subject.components(Kind.HEAD)]
    sizes, work, logits = [], [], []
    for free in (400_000, 4_000_000, 1 << 30):
        monkeypatch.setattr(subject.runner, "chunk_room", plan.divide_memory(free))
        groups = subject.runner._plan(prompts, subject.runner.compile(prompts, edits))
        rows = [len(group.prompts) * len(chunk.variants) for group in groups for chunk in group.chunks]
        assert sum(rows) == len(edits) * len(prompts)
        sizes.append(max(rows))
        work.append(subject.count_work(prompts, edits))
        logits.append(subject.run(prompts, edits).answer)
    assert sizes[0] < sizes[1] < sizes[2] == len(edits) * len(prompts)
    assert len(set(work)) == 1
    for one in logits[1:]:
        np.testing.assert_allclose(one, logits[0], rtol=0, atol=1e-5)
