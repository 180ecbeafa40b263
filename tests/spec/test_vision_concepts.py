"""Concepts in layers of image classifiers: hand-worked directions, known wiring, and a recorded case where TCAV and effect part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit_core.engine.image_network import ImageNetwork, NetworkShape
from audit_core.stats.estimates import Estimate
from audit_core.stats.multiplicity import adjust_by_holm
from audit_core.vision import MARKED, PLAIN, ConceptRow, Region, find_recorded
from audit_core.vision.concepts import measure_concepts
from audit_core.vision.directions import (
    AGAINST,
    DOES_LITTLE,
    LIKE_RANDOM,
    MOVES,
    UNDECIDED,
    WITH,
    Tried,
    decide,
    fit_direction,
    welch,
)
from audit_core.vision.images import ImagePairs

SHAPE = NetworkShape(side=8, levels=16, channels=(1,), pool=1, classes=2)


def make_network(corner: float, middle: float) -> ImageNetwork:
    """Class 0 reads the pixel at (0, 0) and that at (4, 4); class 1 reads nothing."""
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[0, 0, 1, 1] = 1
    head = np.zeros((2, 64), np.float32)
    head[0, 0], head[0, 4 * 8 + 4] = corner, middle
    bias = np.array([-(corner + middle) / 2, 0], np.float32)
    return ImageNetwork(
        SHAPE, {"conv0.weight": kernel, "conv0.bias": np.zeros(1, np.float32), "head.weight": head, "head.bias": bias}
    )


def make_pairs(n: int = 100) -> ImagePairs:
    """Class 0 has ink at (0, 0), and class 1 at (1, 1); both have noise in the rows below the middle."""
    draw = np.random.default_rng(0)
    clean = np.zeros((n, 8, 8), int)
    clean[:, 5:, :] = draw.integers(0, 17, (n, 3, 8))
    answers = np.arange(n) % 2
    clean[answers == 0, 0, 0] = clean[answers == 1, 1, 1] = 16
    return ImagePairs(clean, clean, tuple(answers.tolist()), tuple((1 - answers).tolist()))


def measure(network: ImageNetwork, n: int = 100) -> dict[str, ConceptRow]:
    found = measure_concepts(network, make_pairs(n), Region(0, 0, 2, 2), (0, 1), 0.1, seed=0)
    return {row.concept: row for row in found}


def test_the_direction_between_two_points_is_their_difference() -> None:
    found = fit_direction(np.array([[3.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 4.0], [0.0, 4.0]]))
    assert found == pytest.approx([0.6, -0.8])


def test_p_values_are_corrected_for_all_concepts_and_layers() -> None:
    """Holm by hand: 3 · 0.01, then 2 · 0.02, then 0.5, never falling and at most 1."""
    assert adjust_by_holm(np.array([0.5, 0.01, 0.02])) == pytest.approx([0.5, 0.03, 0.04])
    assert adjust_by_holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    assert welch(np.ones(5), np.ones(5)) == 1
    assert welch(np.ones(5), np.zeros(5)) == 0
    assert welch(np.array([0.4, 0.5, 0.6]), np.array([0.4, 0.5, 0.6])) == pytest.approx(1)


def test_a_network_that_reads_the_corner_is_moved_by_its_concept_and_not_by_the_same_pixels_elsewhere() -> None:
    """LD = 4·corner + 2·middle − 3: −3 in class 1, so that bringing the ink at (0, 0) adds up to 4 / 3 of it."""
    rows = measure(make_network(4, 2))
    own, elsewhere = rows["region of class 0"], rows["the same at the opposite place, class 0"]
    assert own.says == WITH
    assert own.score.value == 1
    assert own.does == MOVES
    assert own.p_null <= 0.05
    assert own.accuracy.value == 1
    assert elsewhere.does == DOES_LITTLE
    assert abs(elsewhere.brought.value) < 0.05


def test_a_network_that_does_not_read_the_corner_is_moved_by_no_concept_although_each_is_there() -> None:
    rows = measure(make_network(0, 8))
    for row in rows.values():
        assert row.accuracy.value > 0.8, "the concept can be read from the activations"
        assert row.does == DOES_LITTLE


def test_layers_put_together_are_the_network() -> None:
    network, images = make_network(4, 4), make_pairs().clean / 16
    active = network.read_layer(images, 0)
    assert network.finish_layer(active, 0) == pytest.approx(network.read_images(images), abs=1e-6)
    whole = network.read_feature_maps(images, [0] * 100, [1] * 100)
    assert network.read_layer_gradients(active, 0, [0] * 100, [1] * 100) == pytest.approx(whole.gradients)
    moved = active.copy()
    moved[:, 0, 0, 0] += 1
    change = network.finish_layer(moved, 0) - network.read_images(images)
    assert change[:, 0] == pytest.approx(4, abs=1e-5)


def test_few_images_give_no_concept() -> None:
    assert measure(make_network(4, 4), 60) == {}


def make_tried(scores: float, brought: float, p_null: float = 0.01) -> Tried:
    share = Estimate(brought, brought - 0.02, brought + 0.02, 40, "fraction of the logit difference", 0.95)
    values = np.full(30, scores) + np.linspace(-0.01, 0.01, 30)
    random = np.full(30, 0.5) + np.linspace(-0.1, 0.1, 30)
    return Tried("c", 0, share, values, random, welch(values, random), share, share, share, p_null, "of the images")


@pytest.mark.parametrize(
    ("tried", "says", "does"),
    [
        (make_tried(1.0, 0.5), WITH, MOVES),
        (make_tried(1.0, 0.0), WITH, DOES_LITTLE),
        (make_tried(0.5, 0.5), LIKE_RANDOM, MOVES),
        (make_tried(0.0, 0.5), AGAINST, MOVES),
        (make_tried(1.0, 0.5, p_null=0.2), WITH, UNDECIDED),
        (make_tried(1.0, 0.09), WITH, UNDECIDED),
    ],
)  # fmt: skip
def test_neither_finding_depends_on_the_other(tried: Tried, says: str, does: str) -> None:
    (row,) = decide([tried], 0.1)
    assert (row.says, row.does) == (says, does)
    (other,) = decide([replace(tried, scores=np.full(30, 0.5), p=1.0)], 0.1)
    assert other.does == does


def test_on_the_recorded_pair_tcav_names_the_marker_in_both_and_only_one_is_moved_by_it() -> None:
    """In the classifier trained without the marker, gradients go with the concept of class 8; adding it does little."""
    found = {}
    for model in (MARKED, PLAIN):
        recorded = find_recorded(model)
        assert recorded is not None
        found[model] = {(row.concept, row.layer): row for row in recorded.result.concepts}
    key = ("region of class 8", 1)
    assert found[MARKED][key].says == found[PLAIN][key].says == WITH
    assert found[MARKED][key].does == MOVES
    assert found[PLAIN][key].does == DOES_LITTLE
