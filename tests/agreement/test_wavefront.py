"""The wavefront against one whole forward pass per intervention, in ten families."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from agreement.literal import LiteralRunner
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from toy.models import FAMILIES
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, edge, head, mlp, resid
from audit_core.engine.sites import HOOKS, count_indices
from audit_core.intervention import (
    CLEAN_RUN,
    CORRUPTED_RUN,
    PATTERN_ABLATIONS,
    Edit,
    Intervention,
    PromptSide,
    Replacement,
)
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Geometry
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
SHORTEST = 6
LENGTHS = (SHORTEST, SHORTEST, 9, 9) * 2
"""Letters of each prompt: every length has two prompts in each of two templates, as a template's mean needs, one in each half.
With the first token added, positions reach to 6 in every one of them."""
CLOSE = 1e-4
"""Of the largest logit: float32 rounds at 6e-8, and three layers of differently shaped products add to that."""
CHOICES = (Replacement.ZERO, Replacement.MEAN, Replacement.MEAN_TEMPLATE, Replacement.RESAMPLE, Replacement.SCALE)

WIDE = (Kind.MLP, Kind.RESID, Kind.EXPERT)
"""Kinds that write into the residual stream."""

positions = st.none() | st.integers(-SHORTEST, SHORTEST)


@st.composite
def parts(draw: st.DrawFn, shape: Geometry) -> Component:
    """A part of any kind that the model has, at any position; `test_shared_path` has models with shared experts."""
    kinds = [kind for kind in HOOKS if count_indices(kind, shape) and kind is not Kind.SHARED]
    kind, layer = draw(st.sampled_from(kinds)), draw(st.integers(0, shape.n_layers - 1))
    index = draw(st.integers(0, count_indices(kind, shape) - 1))
    if kind is Kind.EDGE:
        query = draw(st.integers(0, SHORTEST))
        return edge(layer, index, query, draw(st.integers(0, query)))
    return Component(layer, kind, index, draw(positions))


@st.composite
def edits(draw: st.DrawFn, part: Component, shape: Geometry) -> Edit:
    """Any replacement of the part, or of its projection on a random direction."""
    factor, size = draw(st.floats(-2, 3)), shape.d_model if part.kind in WIDE else shape.d_head
    if part.kind in (Kind.EDGE, Kind.PATTERN, Kind.NEURON) or draw(st.booleans()):
        ways = (*CHOICES, *PATTERN_ABLATIONS) if part.kind is Kind.PATTERN else CHOICES
        return Edit(part, draw(st.sampled_from(ways)), factor)
    along = np.random.default_rng(draw(st.integers(0, 99))).normal(size=size)
    unit = tuple(float(x) for x in along / np.linalg.norm(along))
    ways = (Replacement.ADD,) if part.kind is Kind.EXPERT else (*CHOICES, Replacement.ADD, Replacement.SET)
    chosen = draw(st.sampled_from(ways))
    # An oblique projection reads along another vector than it writes along.
    oblique = unit + 0.1 * np.random.default_rng(draw(st.integers(0, 99))).normal(size=size)
    reads = tuple(float(x) for x in oblique / (oblique @ unit))
    is_oblique = chosen is not Replacement.ADD and draw(st.booleans())
    return Edit(part, chosen, factor, unit, reads if is_oblique else None)


def place_of(part: Component) -> tuple:
    """Edits of one place, at any position, would overlap for some length; a pattern and its edges are one place."""
    kind = Kind.EDGE if part.kind is Kind.PATTERN else part.kind
    return part.layer, kind, part.index


@st.composite
def interventions(draw: st.DrawFn, shape: Geometry) -> Intervention:
    chosen = draw(st.lists(parts(shape), min_size=1, max_size=6, unique_by=place_of))
    return Intervention(tuple(draw(edits(part, shape)) for part in chosen), draw(st.sampled_from(list(PromptSide))))


def compare(
    subject: TransformerSubject, literal: LiteralRunner, prompts: TokenisedPrompts, asked: list[Intervention]
) -> None:
    """Each intervention runs on all prompts; whole passes check the first half of them and the second by turns, two
    interventions (of late edits: both sides) at a time."""
    kinds = {edit.component.kind for i in asked for edit in i.edits}
    means = subject.capture_means(prompts, kinds=kinds)
    fast = subject.run(prompts, asked, means=means, vocabulary=True)
    assert fast.vocabulary is not None
    half = len(prompts) // 2
    for turn, checked in enumerate((range(half), range(half, len(prompts)))):
        rows = [row for row in range(len(asked)) if row // 2 % 2 == turn]
        slow = literal.run(prompts.take(checked), [asked[row] for row in rows])
        found = fast.vocabulary[np.ix_(rows, checked)]
        np.testing.assert_allclose(found, slow, rtol=0, atol=CLOSE * np.abs(slow).max())
    assert fast.edits_applied == sum(len(i.edits) for i in asked) * len(prompts)
    at = np.arange(len(prompts))
    answers, foils = ([getattr(pair, f"{role}_id") for pair in prompts.pairs] for role in ("answer", "foil"))
    assert (fast.answer == fast.vocabulary[:, at, answers]).all()
    assert (fast.foil == fast.vocabulary[:, at, foils]).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_random_interventions_give_what_whole_forward_passes_give(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, LENGTHS)
    literal, shape = LiteralRunner(subject.bridge, prompts), subject.geometry

    @settings(
        max_examples=4,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(interventions(shape), min_size=3, max_size=5))
    def check(asked: list[Intervention]) -> None:
        compare(subject, literal, prompts, [CLEAN_RUN, CORRUPTED_RUN, *asked])

    check()


@pytest.mark.parametrize("chunk", [1, 30, 130, 10_000])
def test_how_work_is_cut_into_chunks_changes_no_number(
    chunk: int, load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row at a time, a few, or all at once; products of other shapes round differently, and by no more than that.

    At 130 the four prompts of seven tokens are three and one: the one that is left over is run too.
    """
    monkeypatch.setattr("audit_core.engine.plan.CHUNK_TOKENS", chunk)
    subject = load_family("gemma3")
    prompts = tokenise_letters(subject.tokenizer, LENGTHS)
    asked = [
        CLEAN_RUN,
        *(Intervention((Edit(part, Replacement.RESAMPLE),)) for part in subject.components(Kind.HEAD)[::3]),
        Intervention(tuple(Edit(part, Replacement.MEAN) for part in subject.components(Kind.MLP))),
        CORRUPTED_RUN,
    ]
    compare(subject, LiteralRunner(subject.bridge, prompts), prompts, asked)


@pytest.mark.parametrize("family", FAMILIES)
def test_late_edits_of_both_runs_in_one_wave_keep_the_beginning_of_their_own_run(
    family: str, load_family: Load
) -> None:
    """Only edits behind the first difference, on both sides at once, can tell whose earlier keys and values a row has."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, [9] * 4)
    assert max(pair.first_changed for pair in prompts.pairs) < 8
    parts = (head(0, 1, -1), head(1, 2, -2), mlp(0, -1), resid(1, -2))
    asked = [Intervention((Edit(part, Replacement.ZERO),), side) for part in parts for side in PromptSide]
    compare(subject, LiteralRunner(subject.bridge), prompts, asked)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_comparison_would_find_one_edit_that_is_missing(family: str, load_family: Load) -> None:
    """The positive control: leave any one edit of four out, and the two disagree by more than is allowed."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, LENGTHS[:4])
    parts = (head(0, 1), mlp(1, -1), resid(2, -2), edge(1, 2, 6, 6))
    edits = tuple(Edit(part, Replacement.ZERO) for part in parts)
    whole = LiteralRunner(subject.bridge).run(prompts, [Intervention(edits)])
    for missing in edits[:2]:
        rest = Intervention(tuple(edit for edit in edits if edit is not missing))
        found = subject.run(prompts, [rest], vocabulary=True).vocabulary
        assert np.abs(found - whole).max() > 10 * CLOSE * np.abs(whole).max()
