"""Prompts that begin another prompt are read from its run: the numbers of a run of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from agreement.literal import LiteralRunner
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, head, mlp, resid
from audit_core.engine.beginnings import merge_beginnings
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Direction, Edit, Intervention, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts

ALONG = tuple(float(x) for x in np.eye(64)[3])
ASKED = (
    CLEAN_RUN,
    CORRUPTED_RUN,
    intervene([head(0, 1), mlp(2)], Replacement.RESAMPLE),
    intervene([Component(1, Kind.PATTERN, 2)], Replacement.RESAMPLE),
    intervene([head(1, 2)], Replacement.ZERO),
    intervene([Component(0, Kind.VALUE, 0)], Replacement.RESAMPLE, direction=Direction.DENOISING),
    Intervention((Edit(resid(1), Replacement.ADD, 4.0, ALONG),)),
    Intervention((Edit(resid(2), Replacement.SET, 1.0, ALONG),)),
)


def nest(subject: Any) -> TokenisedPrompts:
    """Prompts, two continuations of each, one of them continued, and one prompt twice."""
    prompts = tokenise_letters(subject.tokenizer, (6, 9, 6))
    rows = []
    for pair in prompts.pairs:
        for more in ((4, 7), (), (4,), (9,), (4,)):
            rows.append(replace(pair, clean_ids=pair.clean_ids + more, corrupted_ids=pair.corrupted_ids + more))
    return replace(prompts, pairs=tuple(rows))


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral"])
def test_each_prompt_has_the_logits_of_a_run_of_its_own(load_family: Callable[[str], Any], family: str) -> None:
    subject = load_family(family)
    prompts = nest(subject)
    merged = merge_beginnings(prompts, ASKED)
    assert len(merged.prompts) == 6
    found = subject.run(prompts, ASKED, vocabulary=True)
    wanted = LiteralRunner(subject.bridge).run(prompts, ASKED)
    np.testing.assert_allclose(found.vocabulary, wanted, atol=1e-4 * np.abs(wanted).max())
    assert found.edits_applied == sum(len(one.edits) for one in ASKED) * len(prompts)
    # A run reads what it says: neighbours differ, so a wrong position would be seen.
    assert (np.abs(wanted[:, 0] - wanted[:, 1]).max(axis=1) > 0.01).all()


@pytest.mark.parametrize(
    "edit",
    [
        Edit(head(1, 2), Replacement.MEAN),
        Edit(head(1, 2), Replacement.NOISE),
        Edit(Component(1, Kind.PATTERN, 2), Replacement.PERMUTED),
        Edit(head(1, 2, position=-1), Replacement.ZERO),
        Edit(Component(1, Kind.EDGE, 2, 3, 1), Replacement.ZERO),
    ],
    ids=lambda edit: f"{edit.component}-{edit.replacement}",
)
def test_what_depends_on_the_length_of_a_prompt_runs_for_each_prompt(
    load_family: Callable[[str], Any], edit: Edit
) -> None:
    prompts = nest(load_family("llama"))
    merged = merge_beginnings(prompts, (*ASKED, Intervention((edit,))))
    assert merged.prompts == prompts
    assert merged.places == tuple((at, 0) for at in range(len(prompts)))


def test_prompts_that_share_only_one_side_stay_apart(load_family: Callable[[str], Any]) -> None:
    prompts = nest(load_family("llama"))
    pairs = [replace(pair, corrupted_ids=(*pair.corrupted_ids[:-1], 20 + at)) for at, pair in enumerate(prompts.pairs)]
    merged = merge_beginnings(replace(prompts, pairs=tuple(pairs)), ASKED)
    assert len(merged.prompts) == len(prompts)
