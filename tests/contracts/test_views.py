"""What every plausibility view owes the reader: a number per token, a sentence on what it hides, and nothing of a verdict."""

from __future__ import annotations

import numpy as np
import pytest

from audit_core.errors import Refused
from audit_core.registry import list_plugins
from audit_core.view import AttentionRecord

VIEWS = list_plugins("views")
SHAPE = (3, 4, 6, 6)


def make_looks(seed: int = 0, *, with_gradients: bool = True) -> AttentionRecord:
    """Random causal patterns and slopes."""
    draw = np.random.default_rng(seed)
    weights = np.tril(draw.random(SHAPE).astype(np.float32) + 0.05)
    gradients = draw.normal(size=SHAPE).astype(np.float32) if with_gradients else None
    return AttentionRecord(weights / weights.sum(-1, keepdims=True), gradients)


def rest_on(token: int) -> AttentionRecord:
    """Every head of every layer rests on one token, as far as that is not ahead, and more of it would raise the answer."""
    patterns = np.zeros(SHAPE, np.float32)
    for query in range(SHAPE[-1]):
        patterns[:, :, query, min(token, query)] = 1
    return AttentionRecord(patterns, np.ones(SHAPE, np.float32))


@pytest.mark.parametrize("key", VIEWS)
def test_a_view_gives_each_token_a_share_and_says_what_it_hides(key: str) -> None:
    view = VIEWS[key]
    assert view.name == key
    assert view.question.endswith("?")
    assert view.hides.endswith(".")
    assert len(view.hides) > 40
    found = view.read(make_looks())
    assert found.shape == SHAPE[-1:]
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    with pytest.raises(ValueError, match="read-only"):
        found[...] = 0


@pytest.mark.parametrize("key", VIEWS)
def test_the_token_that_all_rest_on_is_marked(key: str) -> None:
    """The positive control: what is looked at by every head of every layer has more than any token but the answer's own."""
    found = VIEWS[key].read(rest_on(2))
    assert found[:-1].argmax() == 2
    assert found[2] > 2 * np.delete(found[:-1], 2).max()


@pytest.mark.parametrize("key", VIEWS)
def test_another_prompt_gives_another_picture_and_the_same_gives_the_same(key: str) -> None:
    view = VIEWS[key]
    np.testing.assert_array_equal(view.read(make_looks()), view.read(make_looks()))
    assert np.abs(view.read(make_looks(1)) - view.read(make_looks())).max() > 1e-3


@pytest.mark.parametrize("key", VIEWS)
def test_only_a_view_that_needs_gradients_reads_them(key: str) -> None:
    view, bare = VIEWS[key], make_looks(with_gradients=False)
    if not view.needs_gradients:
        np.testing.assert_array_equal(view.read(bare), view.read(make_looks()))
        return
    with pytest.raises(Refused, match="gradients"):
        view.read(bare)
