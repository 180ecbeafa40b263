"""The wavefront against one whole forward pass per intervention, in eight families."""

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
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Edit, Intervention, Replacement, Side
from audit_core.prompts import TokenisedPrompts
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
SHORTEST = 6
LENGTHS = (SHORTEST, SHORTEST, 9, 9) * 2
"""Letters of each prompt: every length has two prompts in each of two templates, as a template's mean needs.
With the first token added, positions reach to 6 in every one of them."""
CLOSE = 1e-4
"""Of the largest logit: float32 rounds at 6e-8, and three layers of differently shaped products add to that."""
CHOICES = (Replacement.ZERO, Replacement.MEAN, Replacement.MEAN_TEMPLATE, Replacement.RESAMPLE, Replacement.SCALE)

positions = st.none() | st.integers(-SHORTEST, SHORTEST)


@st.composite
def parts(draw: st.DrawFn, n_layers: int, n_heads: int) -> Component:
    kind, layer = (
        draw(st.sampled_from([Kind.HEAD, Kind.MLP, Kind.RESID, Kind.EDGE])),
        draw(st.integers(0, n_layers - 1)),
    )
    if kind is Kind.HEAD:
        return head(layer, draw(st.integers(0, n_heads - 1)), draw(positions))
    if kind is Kind.EDGE:
        query = draw(st.integers(0, SHORTEST))
        return edge(layer, draw(st.integers(0, n_heads - 1)), query, draw(st.integers(0, query)))
    return (mlp if kind is Kind.MLP else resid)(layer, draw(positions))


def place_of(part: Component) -> tuple:
    """Edits of one place, at any position, would overlap for some length; an edge has a place of its own."""
    return (part.layer, part.kind, part.index, *((part.position, part.key) if part.kind is Kind.EDGE else ()))


@st.composite
def interventions(draw: st.DrawFn, n_layers: int, n_heads: int) -> Intervention:
    chosen = draw(st.lists(parts(n_layers, n_heads), min_size=1, max_size=6, unique_by=place_of))
    edits = [Edit(part, draw(st.sampled_from(CHOICES)), draw(st.floats(-2, 3))) for part in chosen]
    return Intervention(tuple(edits), draw(st.sampled_from(list(Side))))


def compare(
    subject: TransformerSubject, literal: LiteralRunner, prompts: TokenisedPrompts, asked: list[Intervention]
) -> None:
    fast = subject.run(prompts, asked, means=subject.capture_means(prompts), vocabulary=True)
    slow = literal.run(prompts, asked)
    assert fast.vocabulary is not None
    np.testing.assert_allclose(fast.vocabulary, slow, rtol=0, atol=CLOSE * np.abs(slow).max())
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
        max_examples=2,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(interventions(shape.n_layers, shape.n_heads), min_size=3, max_size=5))
    def check(asked: list[Intervention]) -> None:
        compare(subject, literal, prompts, [CLEAN_RUN, CORRUPTED_RUN, *asked])

    check()


@pytest.mark.parametrize("chunk", [1, 30, 10_000])
def test_how_work_is_cut_into_chunks_changes_no_number(
    chunk: int, load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row at a time, a few, or all at once; products of other shapes round differently, and by no more than that."""
    monkeypatch.setattr("audit_core.engine.chunks.CHUNK_TOKENS", chunk)
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
