"""Effects measured in blocks say what the same effects measured at once would say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from toy.additive import NOISE, AdditiveSubject, pair_up
from toy.prompts import tokenise_letters

from audit_core.component import head, mlp
from audit_core.effect import measure_effect, measure_in_blocks
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.metrics.logit_difference import PLUGIN as LOGIT_DIFFERENCE
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Means

ROUNDING = 1e-7


class Rounding(AdditiveSubject):
    """Every activation that is put back costs a little, below the tolerance of 1e-6."""

    def _answer(self, pair: TokenPair, intervention: Intervention, means: Means | None) -> float:
        back = sum(edit.replacement is Replacement.IDENTITY for edit in intervention.edits)
        return super()._answer(pair, intervention, means) + ROUNDING * back


def test_the_controls_of_all_blocks_are_the_worst_of_each_and_every_edit() -> None:
    """A layer's three heads put back cost 3e-7 and noise moves 3000; its MLP costs 1e-7 and noise moves 1000."""
    subject = Rounding({})
    prompts = pair_up(subject, 4)
    asked = [intervene([part], Replacement.ZERO) for part in (head(0, 0), mlp(0))]
    for order in ([0, 1], [1, 0]):
        found = measure_in_blocks(
            subject, prompts, asked, LOGIT_DIFFERENCE, np.split(np.array(order), 2), seed=0, on_block=lambda *_: None
        ).controls
        whole = measure_effect(subject, prompts, asked, LOGIT_DIFFERENCE, seed=0).controls
        assert found.identity_max == pytest.approx(3 * ROUNDING, rel=1e-3)
        assert (found.noise_min, found.edits, found.tolerance) == (NOISE, 2 * 4, subject.tolerance)
        assert (whole.noise_min, whole.edits, whole.tolerance) == (NOISE, 2 * 4, subject.tolerance)


def test_residual_lengths_are_where_their_interventions_are(load_family: Callable[[str], Any]) -> None:
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, [6] * 3)
    asked = [intervene([part], Replacement.ZERO) for part in (head(0, 0), mlp(1), head(2, 1), mlp(0))]
    blocks = [np.array([3, 0]), np.array([2, 1])]
    found = measure_in_blocks(subject, prompts, asked, LOGIT_DIFFERENCE, blocks, seed=0, on_block=lambda *_: None)
    whole = measure_effect(subject, prompts, asked, LOGIT_DIFFERENCE, seed=0)
    assert found.norms is not None
    assert whole.norms is not None
    np.testing.assert_allclose(found.norms, whole.norms, rtol=1e-4)
    assert np.abs(whole.norms[2:] - whole.norms[0]).max() > 1e-2
