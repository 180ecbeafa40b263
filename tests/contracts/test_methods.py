"""What every screening method owes the sweep that it orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from toy.prompts import tokenise_letters

from audit_core.estimator import EstimateRequest, can_estimate
from audit_core.intervention import PromptSide
from audit_core.registry import list_plugins

METHODS = list_plugins("estimators")


@pytest.mark.parametrize("key", METHODS)
def test_a_method_estimates_every_kind_it_names_and_says_what_it_misses(
    key: str, load_family: Callable[[str], Any]
) -> None:
    method, subject = METHODS[key], load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, [6, 8, 6])
    assert method.name == key
    assert method.question.endswith("?")
    assert method.misses.endswith(".")
    for kind in method.kinds:
        for replacement in method.replacements:
            assert can_estimate(method, kind, replacement)
            seen: list[tuple[int, ...]] = []

            def note(*step: int, seen: list[tuple[int, ...]] = seen) -> None:
                seen.append(step)

            found = method.estimate(
                subject, EstimateRequest(prompts, kind, replacement, PromptSide.CLEAN), on_progress=note
            )
            assert found.components == subject.components(kind)
            assert found.support.shape == (len(found.components), len(prompts))
            assert np.isfinite(found.support).all()
            assert np.abs(found.support).max() > 1e-3
            assert found.is_signed or (found.support >= 0).all()
            assert seen[-1] == (3, 3)
            with pytest.raises(ValueError, match="read-only"):
                found.support[...] = 0


@pytest.mark.parametrize("key", METHODS)
def test_the_order_of_prompts_changes_no_estimate(key: str, load_family: Callable[[str], Any]) -> None:
    from dataclasses import replace

    method, subject = METHODS[key], load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, [6, 8, 6, 7])
    turned = replace(prompts, pairs=prompts.pairs[::-1])
    kind, replacement = method.kinds[0], method.replacements[0]
    first, second = (
        method.estimate(
            subject, EstimateRequest(p, kind, replacement, PromptSide.CORRUPTED), on_progress=lambda *_: None
        ).support
        for p in (prompts, turned)
    )
    np.testing.assert_allclose(first, second[:, ::-1], atol=1e-4)
