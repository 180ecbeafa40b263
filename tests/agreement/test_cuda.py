"""A CUDA device against the CPU. None of this has run yet: no machine of this project has such a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy.models import build_random
from toy.prompts import tokenise_letters

from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.claim import Claim
from audit_core.component import Kind, head
from audit_core.engine.gradients import batch_prompts, embed, measure_gradients
from audit_core.intervention import CLEAN_RUN, PromptSide, Replacement, intervene
from audit_core.prompts.alignment import tokenise
from audit_core.registry import get_plugin
from audit_core.subject import no_progress
from audit_core.subjects.planted import STRICT
from audit_core.subjects.transformer import load_transformer

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device on this machine"),
]
CLOSE = 1e-4
"""Largest difference between the devices, in logits."""
DEVICE = "cuda"


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = build_random(request.param, tmp_path_factory.mktemp(request.param))
    return load_transformer(folder), load_transformer(folder, DEVICE)


def test_every_head_has_the_effect_that_it_has_on_the_cpu(both: tuple[Any, Any]) -> None:
    prompts, effects = tokenise_letters(both[0].tokenizer, (6, 9) * 10), []
    for subject in both:
        asked = [CLEAN_RUN, *(intervene([part], Replacement.RESAMPLE) for part in subject.components(Kind.HEAD))]
        found = subject.run(prompts, asked)
        gaps = found.answer - found.foil
        effects.append(gaps[1:] - gaps[0])
    assert np.abs(effects[0]).max() > 0.1
    np.testing.assert_allclose(effects[1], effects[0], rtol=0, atol=CLOSE)


def test_gradients_are_those_of_the_cpu(both: tuple[Any, Any]) -> None:
    prompts, gradients = tokenise_letters(both[0].tokenizer, (6,) * 4), []
    for subject in both:
        (batch,) = batch_prompts(subject.runner, prompts)
        rows = embed(subject.runner, batch.list_ids(PromptSide.CLEAN))
        kinds = (Kind.HEAD, Kind.MLP)
        one = measure_gradients(subject.runner, rows, batch.answers, batch.foils, kinds, batch.calls)
        gradients.append({place: value.cpu() for place, value in one.gradients.items()})
    for place, wanted in gradients[0].items():
        torch.testing.assert_close(gradients[1][place], wanted, rtol=1e-3, atol=CLOSE)


def test_the_verdict_is_that_of_the_cpu(tmp_path: Path) -> None:
    STRICT.build(tmp_path, 0)
    on_cpu, there = load_transformer(tmp_path), load_transformer(tmp_path, DEVICE)
    assert on_cpu.identity.short != there.identity.short
    prompts = tokenise(STRICT.find_task("query").make(20, 0), on_cpu.tokenizer)
    audit, claim = get_plugin("audits", "claim_test"), Claim("needed", (head(0, 0), head(1, 0)))
    found = [
        audit.run(
            subject, ClaimTestRequest(prompts, claim), means=subject.capture_means(prompts), on_progress=no_progress
        )
        for subject in (on_cpu, there)
    ]
    assert found[0].state == found[1].state != "not_measured"
    assert found[0].reason == found[1].reason
    for family, wanted in found[0].families.items():
        assert (wanted is None) == (found[1].families[family] is None)
        if wanted is not None:
            assert abs(found[1].families[family].value - wanted.value) <= CLOSE
