"""Models that run only as a whole: the same answers, said to be slow, and never an estimate from slopes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from toy.models import AS_A_WHOLE, BY_BLOCKS
from toy.prompts import tokenise_letters

from audit_core.audits.sweep import PLUGIN as SWEEP
from audit_core.audits.sweep import SweepRequest
from audit_core.component import Kind
from audit_core.engine.gradients import get_runner
from audit_core.errors import Refused
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Direction, Replacement, intervene
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]


@pytest.mark.parametrize("family", AS_A_WHOLE)
def test_what_cannot_be_replayed_says_so(family: str, load_family: Load) -> None:
    subject = load_family(family)
    assert "one by one" in subject.fallback or "residual stream" in subject.fallback
    with pytest.raises(Refused, match="without an estimator"):
        get_runner(subject)


@pytest.mark.parametrize("family", BY_BLOCKS)
def test_what_can_be_replayed_is(family: str, load_family: Load) -> None:
    """Else a family could turn slow unseen, with the same numbers."""
    assert not load_family(family).fallback


def test_a_model_that_falls_back_answers_as_it_did_before(
    load_family: Load, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One model both ways: blocks one by one, and as a whole."""
    from toy.models import build_random, load

    fast, slow = load_family("llama"), load(build_random("llama", tmp_path_factory.mktemp("whole")))
    slow.runner.fall_back("for this test")
    prompts = tokenise_letters(fast.tokenizer, (6, 9, 6))
    asked = [
        CLEAN_RUN,
        CORRUPTED_RUN,
        *(intervene([part], Replacement.RESAMPLE) for part in fast.components(Kind.HEAD)),
    ]
    one, two = (subject.run(prompts, asked, vocabulary=True) for subject in (fast, slow))
    np.testing.assert_allclose(one.vocabulary, two.vocabulary, rtol=0, atol=1e-4)
    assert one.edits_applied == two.edits_applied
    pair, edit = prompts.pairs[0], intervene([fast.components(Kind.HEAD)[0]], Replacement.ZERO)
    np.testing.assert_allclose(fast.patterns(pair, edit), slow.patterns(pair, edit), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", AS_A_WHOLE)
@pytest.mark.parametrize("direction", list(Direction))
def test_a_sweep_passes_its_controls_and_counts_its_work(family: str, direction: Direction, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 6))
    seen: list[tuple[int, int]] = []
    request = SweepRequest(prompts, prompts, Kind.RESID, direction=direction)
    result = SWEEP.run(subject, request, means=None, on_progress=lambda done, total: seen.append((done, total)))
    assert result.controls.noise_min > 100 * result.controls.tolerance
    assert seen[-1][0] == seen[-1][1] == SWEEP.count_work(subject, request)
    assert max(abs(cell.estimate.value) for cell in result.cells) > 0.01


def test_every_method_refuses_a_model_without_gradients(load_family: Load) -> None:
    subject = load_family(AS_A_WHOLE[0])
    prompts = tokenise_letters(subject.tokenizer, (6,))
    with pytest.raises(Refused, match="without an estimator"):
        SWEEP.run(
            subject,
            SweepRequest(prompts, prompts, screen="attribution_patching"),
            means=None,
            on_progress=lambda *_: None,
        )
