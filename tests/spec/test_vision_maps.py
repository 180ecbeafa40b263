"""Maps over images, against values worked out by hand on networks small enough for it.

The network of most tests: images of 4 × 4, one convolution whose only weight that is not zero is the centre, 2, so that its
map is A = 2x; no pooling; two classes. Class 0 reads head weight w at each place, class 1 reads nothing. Pixels and weights
are positive, so the network is linear: logit difference F = Σ 2 w x.
"""

from __future__ import annotations

import numpy as np
import pytest

from audit_core.engine.image_network import ImageNetwork, NetworkShape, read_shape
from audit_core.errors import ModelRefused
from audit_core.vision import maps

SHAPE = NetworkShape(side=4, levels=16, channels=(1,), pool=1, classes=2)
ONE = ([0], [1])
"""Answer and foil of one image."""


def make_linear(weights: np.ndarray, bias: float = 0.0) -> ImageNetwork:
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[0, 0, 1, 1] = 2
    head = np.stack([weights.ravel(), np.zeros(16)]).astype(np.float32)
    return ImageNetwork(
        SHAPE,
        {
            "conv0.weight": kernel, "conv0.bias": np.array([bias], np.float32), "head.weight": head,
            "head.bias": np.array([0.5, 0.25], np.float32),
        },
    )  # fmt: skip


@pytest.fixture
def weights() -> np.ndarray:
    return np.arange(16, dtype=np.float32).reshape(4, 4)


@pytest.fixture
def image() -> np.ndarray:
    found = np.zeros((1, 4, 4), np.float32)
    found[0, 0, 1], found[0, 2, 2] = 1.0, 0.5
    return found


def test_the_preference_is_that_of_the_weights(weights: np.ndarray, image: np.ndarray) -> None:
    """2 · (1 · 1 + 10 · 0.5) + 0.5 − 0.25 = 12.25."""
    assert maps.preference(make_linear(weights), image, *ONE) == pytest.approx([12.25])


def test_saliency_and_gradient_times_input_of_a_linear_network(weights: np.ndarray, image: np.ndarray) -> None:
    """A bias of 0.1 keeps every unit active, also where the pixel is empty."""
    network = make_linear(weights, bias=0.1)
    assert maps.saliency(network, image, *ONE)[0] == pytest.approx(2 * weights)
    expected = np.zeros((4, 4))
    expected[0, 1], expected[2, 2] = 2.0, 10.0
    assert maps.gradient_input(network, image, *ONE)[0] == pytest.approx(expected)


def test_saliency_has_no_sign(weights: np.ndarray, image: np.ndarray) -> None:
    assert (maps.saliency(make_linear(-weights), image, *ONE) >= 0).all()


def test_grad_cam_of_a_linear_network(weights: np.ndarray, image: np.ndarray) -> None:
    """α = mean of the head's weights = 7.5, so the map is 7.5 · 2x: 15 and 7.5, where the weights are 1 and 10.

    The place with ten times the weight gets half the value: Grad-CAM forgets where a channel matters.
    """
    expected = np.zeros((4, 4))
    expected[0, 1], expected[2, 2] = 15.0, 7.5
    assert maps.grad_cam(make_linear(weights), image, *ONE)[0] == pytest.approx(expected)
    assert not maps.grad_cam(make_linear(-weights), image, *ONE).any(), "a negative channel is cut off"


def test_occlusion_is_the_exact_loss_of_every_square() -> None:
    """Weights 1, so a square loses 2 · its ink. One pixel of 1 in a corner is in one square, one inside in four: each loses 2.

    Row 1, column 1 is covered by four squares, all of which hold the ink at (1, 1); row 0, column 1 by two, both of which do.
    """
    network, corner, inside = (
        make_linear(np.ones((4, 4))),
        np.zeros((1, 4, 4), np.float32),
        np.zeros((1, 4, 4), np.float32),
    )
    corner[0, 0, 0] = inside[0, 1, 1] = 1
    found = maps.occlusion(network, corner, *ONE)[0]
    assert found[0, 0] == pytest.approx(2)
    assert found[0, 1] == found[1, 0] == pytest.approx(1), "one of the two squares that cover it holds the ink"
    assert found[1, 1] == pytest.approx(0.5), "one of four"
    assert not found[2:].any()
    assert maps.occlusion(network, inside, *ONE)[0][[0, 0, 1], [0, 1, 1]] == pytest.approx([2, 2, 2])


def test_integrated_gradients_are_complete_where_the_gradient_changes(image: np.ndarray) -> None:
    """A bias of −0.6 keeps a unit silent up to 2x = 0.6: a pixel of 1 gives 1.4, one of 0.5 gives 0.4, by weights of 1."""
    network = make_linear(np.ones((4, 4)), bias=-0.6)
    found = maps.integrated_gradients(network, image, *ONE)
    expected = np.zeros((4, 4))
    expected[0, 1], expected[2, 2] = 1.4, 0.4
    assert found[0] == pytest.approx(expected, abs=2e-3)
    assert maps.completeness_error(network, found, image, *ONE) <= 1e-3
    assert maps.gradient_input(network, image, *ONE)[0, 0, 1] == pytest.approx(2.0), "which is not the change it makes"


def test_the_path_is_read_in_the_middle_of_each_step(image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps are read at 1/4 and 3/4. A pixel of 1 is active from 0.3 on, so one of two gradients of 2 counts: 1."""
    monkeypatch.setattr(maps, "STEPS", 2)
    found = maps.integrated_gradients(make_linear(np.ones((4, 4)), bias=-0.6), image, *ONE)
    assert found[0, 0, 1] == pytest.approx(1)


def test_few_steps_are_not_complete(image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "STEPS", 1)
    network = make_linear(np.ones((4, 4)), bias=-0.6)
    found = maps.integrated_gradients(network, image, *ONE)
    assert maps.completeness_error(network, found, image, *ONE) > maps.MOST_ERROR


def test_pooled_maps_are_repeated_up_to_the_image() -> None:
    shape = NetworkShape(side=4, levels=16, channels=(1,), pool=2, classes=2)
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[0, 0, 1, 1] = 1
    head = np.array([[1, 2, 3, 4], [0, 0, 0, 0]], np.float32)
    network = ImageNetwork(
        shape,
        {"conv0.weight": kernel, "conv0.bias": np.zeros(1, np.float32), "head.weight": head, "head.bias": np.zeros(2, np.float32)},
    )  # fmt: skip
    image = np.zeros((1, 4, 4), np.float32)
    image[0, 0, 0], image[0, 3, 3] = 1, 1
    assert maps.preference(network, image, *ONE) == pytest.approx([5])


def test_integrated_gradients_of_several_images_are_those_of_each_alone(weights: np.ndarray) -> None:
    """Steps of several images share a batch: each image keeps its own answer, and each step its own gradient."""
    images = np.random.default_rng(0).random((3, 4, 4), np.float32)
    answers, foils = [0, 1, 0], [1, 0, 1]
    network = make_linear(weights, bias=-0.6)
    found = maps.integrated_gradients(network, images, answers, foils)
    alone = [maps.integrated_gradients(network, images[[i]], [answers[i]], [foils[i]])[0] for i in range(3)]
    assert found == pytest.approx(np.stack(alone), abs=1e-5)
    assert np.abs(found[1] - maps.integrated_gradients(network, images[[1]], [0], [1])[0]).max() > 0.1, (
        "the other class"
    )


def test_images_of_several_batches_are_read_as_they_are_alone(weights: np.ndarray) -> None:
    """130 images, two more than a batch; the answer of every second one is the other class."""
    images = np.random.default_rng(0).random((130, 4, 4), np.float32)
    answers = [at % 2 for at in range(130)]
    foils = [1 - answer for answer in answers]
    network = make_linear(weights, bias=-0.5)
    for read in (
        network.read_images,
        *(lambda x, f=f: f(network, x, answers, foils) for f in (maps.saliency, maps.grad_cam)),
    ):
        assert len(read(images)) == 130
    alone = maps.gradient_input(network, images[129:], answers[129:], foils[129:])
    assert maps.gradient_input(network, images, answers, foils)[129:] == pytest.approx(alone)
    assert maps.grad_cam(network, images, answers, foils)[129:] == pytest.approx(
        maps.grad_cam(network, images[129:], answers[129:], foils[129:])
    )


def test_shuffled_weights_give_other_logits_and_leave_the_network_alone(weights: np.ndarray, image: np.ndarray) -> None:
    network = make_linear(weights)
    before = network.read_images(image)
    assert not np.allclose(network.shuffled(seed=0).read_images(image), before)
    assert np.array_equal(network.read_images(image), before)


@pytest.mark.parametrize(
    "change",
    [
        {"side": 17}, {"side": "8"}, {"side": True}, {"levels": 0}, {"channels": []}, {"channels": [8] * 4},
        {"channels": [33]}, {"channels": 8}, {"pool": 3}, {"classes": 1}, {"auto_map": "x"}, {"side": 5, "pool": 2},
    ],
)  # fmt: skip
def test_a_configuration_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    config = SHAPE.to_json()
    assert read_shape(config) == SHAPE
    with pytest.raises(ModelRefused):
        read_shape(config | change)


def test_wrong_tensors_are_refused(weights: np.ndarray) -> None:
    good = {name: np.zeros(size, np.float32) for name, size in SHAPE.tensors.items()}
    ImageNetwork(SHAPE, good)
    nan = np.full(2, np.nan, np.float32)
    for name, wrong in (("head.bias", np.zeros(3, np.float32)), ("head.bias", np.zeros(2)), ("head.bias", nan)):
        with pytest.raises(ModelRefused, match="head.bias"):
            ImageNetwork(SHAPE, good | {name: wrong})
    with pytest.raises(ModelRefused, match="more"):
        ImageNetwork(SHAPE, good | {"more": nan})
