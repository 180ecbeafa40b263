"""Prompts too long to keep everything of: what is refused before a run, and what is kept one layer at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toy.prompts import tokenise_letters

from audit_core.component import Kind
from audit_core.engine import means
from audit_core.errors import InterventionRefused
from audit_core.subject import MEAN_KINDS


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
