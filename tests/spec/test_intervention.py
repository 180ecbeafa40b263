"""Interventions: one replacement per component, and only replacements that are defined."""

from __future__ import annotations

import pytest

from audit_core.component import edge, head, mlp
from audit_core.errors import InterventionRefused
from audit_core.intervention import (
    CLEAN_RUN,
    CORRUPTED_RUN,
    Direction,
    Edit,
    Intervention,
    PromptSide,
    Replacement,
    describe_replacement,
    intervene,
)


def test_noising_edits_the_clean_run_and_denoising_the_corrupted_one() -> None:
    assert intervene([head(0, 0)], Replacement.ZERO).side is PromptSide.CLEAN
    restored = intervene([head(0, 0)], Replacement.RESAMPLE, direction=Direction.DENOISING)
    assert restored.side is PromptSide.CORRUPTED
    assert (PromptSide.CLEAN.other, PromptSide.CORRUPTED.other) == (PromptSide.CORRUPTED, PromptSide.CLEAN)


@pytest.mark.parametrize(
    "replacement", [Replacement.ZERO, Replacement.MEAN, Replacement.MEAN_TEMPLATE, Replacement.SCALE]
)
def test_only_the_pairs_other_run_can_be_put_back(replacement: Replacement) -> None:
    with pytest.raises(InterventionRefused, match="clean activations restored.*choose resample, or noising"):
        intervene([head(0, 0)], replacement, direction=Direction.DENOISING)
    assert intervene([head(0, 0)], replacement).replacements == {replacement}


@pytest.mark.parametrize(
    "parts, says",
    [
        ((head(1, 2), head(1, 2)), r"L1\.H2 edited twice"),
        ((head(1, 2), head(1, 2, 4)), r"L1\.H2@4 edited twice"),
        ((mlp(1, -1), mlp(1), mlp(0)), r"L1\.MLP@-1 edited twice"),
        ((edge(0, 1, 4, 2), edge(0, 1, 4, 2)), r"L0\.H1:4>2 edited twice"),
    ],
)
def test_a_part_edited_twice_is_refused(parts: tuple, says: str) -> None:
    """A whole head and the same head at a position overlap: which replacement stands there would hang on their order."""
    with pytest.raises(InterventionRefused, match=says):
        intervene(parts, Replacement.ZERO)
    with pytest.raises(InterventionRefused, match=says):
        Intervention(tuple(Edit(part, way) for part, way in zip(parts, (Replacement.ZERO, Replacement.MEAN) * 2)))


def test_parts_that_do_not_overlap_are_taken() -> None:
    parts = (head(1, 2, 3), head(1, 2, 4), head(1, 3), edge(1, 2, 3, 0), mlp(1), head(1, 2, -1))
    assert len(intervene(parts, Replacement.ZERO).components) == 6


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -101, 100.5])
def test_a_factor_that_is_no_number_or_out_of_reach_is_refused(factor: float) -> None:
    with pytest.raises(InterventionRefused, match="-100 to 100"):
        intervene([head(0, 0)], Replacement.SCALE, factor=factor)
    assert intervene([head(0, 0)], Replacement.SCALE, factor=-100).edits[0].factor == -100


def test_order_of_edits_is_no_part_of_an_intervention() -> None:
    one, other = (intervene(parts, Replacement.ZERO) for parts in ([head(1, 0), mlp(0)], [mlp(0), head(1, 0)]))
    assert one == other
    assert hash(one) == hash(other)


def test_an_intervention_says_what_it_does() -> None:
    assert str(CLEAN_RUN) == "clean: nothing replaced"
    assert str(CORRUPTED_RUN) == "corrupted: nothing replaced"
    assert str(intervene([head(0, 0)], Replacement.SCALE, factor=0.5)) == "clean: L0.H0 × 0.5"
    assert str(intervene([mlp(1), head(0, 0)], Replacement.ZERO)) == "clean: L0.H0 → zero, L1.MLP → zero"


def test_every_replacement_has_words() -> None:
    assert len({describe_replacement(replacement) for replacement in Replacement}) == len(Replacement)
