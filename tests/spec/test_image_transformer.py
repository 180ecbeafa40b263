"""The vision transformer through TransformerLens: the classifier's own logits and gradients, and layers that can be replaced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from audit_core.engine.image_transformer import (
    ImageTransformer,
    TransformerShape,
    build_module,
    read_transformer_shape,
)
from audit_core.errors import ControlFailed, ModelRefused

SHAPE = TransformerShape(side=8, levels=16, patch=2, width=8, layers=2, heads=2, inner=8, classes=3)
ANSWERS, FOILS = [0, 1, 2], [1, 2, 0]


@pytest.fixture(scope="module")
def pair() -> tuple[ImageTransformer, Any]:
    """The classifier of this project, and the module of `transformers` with the same weights."""
    state, module = torch.get_rng_state(), build_module(SHAPE)
    assert torch.equal(state, torch.get_rng_state()), "building a classifier changes no random numbers of others"
    torch.manual_seed(0)
    for values in module.parameters():
        values.data = torch.randn_like(values) * 0.5
    return ImageTransformer(SHAPE, {name: value.numpy() for name, value in module.state_dict().items()}), module


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)


def test_logits_and_gradients_are_those_of_the_classifier_itself(pair: Any, images: np.ndarray) -> None:
    network, module = pair
    rows = torch.from_numpy(images)[:, None].requires_grad_()
    logits = module(pixel_values=rows).logits
    assert network.read_images(images) == pytest.approx(logits.detach().numpy(), abs=1e-5)
    (wanted,) = torch.autograd.grad(
        sum(logits[at, a] - logits[at, f] for at, (a, f) in enumerate(zip(ANSWERS, FOILS))), rows
    )
    assert float(wanted.abs().max()) > 1e-3
    assert network.read_image_gradients(images, ANSWERS, FOILS) == pytest.approx(wanted[:, 0].numpy(), abs=1e-5)


@pytest.mark.parametrize("layer", [0, 1])
def test_a_layers_own_output_changes_nothing_and_another_one_gives_the_answer_of_its_image(
    pair: Any, images: np.ndarray, layer: int
) -> None:
    network, _ = pair
    states, logits = network.read_layer(images, layer), network.read_images(images)
    assert states.shape == (3, 17, 8)
    assert network.finish_layer(states.reshape(3, -1), layer) == pytest.approx(logits, abs=1e-5)
    assert network.finish_layer(states[::-1], layer) == pytest.approx(logits[::-1], abs=1e-5)
    assert np.abs(logits - logits[::-1]).max() > 0.01


def test_the_gradient_at_a_layer_is_that_of_finite_differences(pair: Any, images: np.ndarray) -> None:
    network, _ = pair
    states = network.read_layer(images, 0)
    gradient = network.read_layer_gradients(states, 0, ANSWERS, FOILS)
    step = 1e-2 * np.random.default_rng(1).normal(size=states.shape).astype(np.float32)
    ends = [network.finish_layer(states + sign * step, 0) for sign in (1, -1)]
    up, down = ([one[at, a] - one[at, f] for at, (a, f) in enumerate(zip(ANSWERS, FOILS))] for one in ends)
    assert (gradient * 2 * step).sum((1, 2)) == pytest.approx(np.array(up) - np.array(down), rel=2e-2, abs=1e-4)


def test_feature_maps_are_the_patches_where_they_are_in_the_image(pair: Any, images: np.ndarray) -> None:
    """A patch's embedding changes most at its own place. After the last block no patch would have a gradient."""
    network, _ = pair
    maps = network.read_feature_maps(images, ANSWERS, FOILS)
    assert maps.activations.shape == maps.gradients.shape == (3, 8, 4, 4)
    assert np.abs(maps.gradients).max() > 0
    changed = images.copy()
    changed[:, 2:4, 6:8] += 1
    moved = np.abs(network.read_feature_maps(changed, ANSWERS, FOILS).activations - maps.activations).sum(1)
    assert [np.unravel_index(int(one.argmax()), one.shape) for one in moved] == [(1, 3)] * 3


def test_shuffled_weights_are_the_same_numbers_in_other_places(pair: Any, images: np.ndarray) -> None:
    network, _ = pair
    before = network.read_images(images)
    other = network.shuffled(seed=0)
    assert np.abs(other.read_images(images) - before).max() > 0.1
    assert network.read_images(images) == pytest.approx(before, abs=0)


def test_a_hook_that_does_not_fire_is_no_result(pair: Any, images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = pair
    monkeypatch.setattr(network._bridge, "run_with_hooks", lambda rows, fwd_hooks: network._bridge(rows))
    with pytest.raises(ControlFailed, match="0 times"):
        network.read_layer(images, 0)


@pytest.mark.parametrize("wrong", [{"heads": 3}, {"patch": 3}, {"layers": 1}, {"width": 4096}, {"inner": "8"}])
def test_a_configuration_that_is_not_known_is_refused(wrong: dict[str, Any]) -> None:
    assert read_transformer_shape(SHAPE.to_json()) == SHAPE
    with pytest.raises(ModelRefused):
        read_transformer_shape(SHAPE.to_json() | wrong)


def test_weights_of_another_shape_are_refused(pair: Any) -> None:
    network, _ = pair
    with pytest.raises(ModelRefused, match=r"classifier\.bias"):
        ImageTransformer(SHAPE, network._tensors | {"classifier.bias": np.zeros(4, np.float32)})
