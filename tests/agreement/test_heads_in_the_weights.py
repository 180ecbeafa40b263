"""The slices that a diff lays to a head are the ones the engine computes it with: changed there, and the head taken away, nothing moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy.models import build_random, load
from toy.versions import Tensors, copy_model

from audit_core.change.model_diff import compare_models
from audit_core.component import head
from audit_core.intervention import CLEAN_RUN, Replacement, intervene
from audit_core.models.folder import read_json
from audit_core.models.layout import read_layout, split_tensor
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import Prompt, PromptSet

HEAD = "L1.H1"


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "llama", "bloom"])
def test_what_a_diff_lays_to_a_head_acts_through_that_head_alone(family: str, tmp_path: Path) -> None:
    first = build_random(family, tmp_path / "v1")
    layout = read_layout(read_json(first / "config.json"))
    assert layout is not None
    group = {f"L1.H{index}" for index in range(layout.n_heads) if index // layout.group == 1 // layout.group}

    def shift(tensors: Tensors) -> None:
        for name, array in tensors.items():
            for share in split_tensor(name, array.shape, layout):
                if HEAD in share.components:
                    array[share.at] += np.random.default_rng(0).normal(size=array[share.at].shape).astype(array.dtype)

    second = copy_model(first, tmp_path / "v2", shift)
    found = compare_models(first, second)
    assert {one.component for one in found.components} == group
    own = found.find_component(HEAD)
    assert own is not None
    assert own.parts == ("key", "output", "query", "value")
    models: list[Any] = [load(first), load(second)]
    asked = tokenise(PromptSet("p", (Prompt("a", "a b c d", "a b c e", " f", " g", "t"),)), models[0].tokenizer)
    gone = intervene([head(1, int(name.rsplit("H")[1])) for name in sorted(group)], Replacement.ZERO)
    whole, without = (
        [model.run(asked, (run,), vocabulary=True).vocabulary for model in models] for run in (CLEAN_RUN, gone)
    )
    assert np.abs(whole[0] - whole[1]).max() > 1e-3
    assert np.abs(without[0] - without[1]).max() < 1e-5
