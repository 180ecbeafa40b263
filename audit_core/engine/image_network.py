"""Small convolutional classifiers of square grey images, from a configuration and named tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from audit_core.engine.threads import MODEL_LOCK
from audit_core.errors import ModelRefused
from audit_core.subject import FeatureMaps, Floats

if TYPE_CHECKING:
    import torch

MODEL_TYPE = "assay-image-network"
KERNEL = 3
_BATCH = 128
_BOUNDS = {"side": (4, 16), "levels": (1, 255), "pool": (1, 2), "classes": (2, 100)}
_MOST_LAYERS, _MOST_CHANNELS = 3, 32


@dataclass(frozen=True)
class NetworkShape:
    """Convolutions of 3 × 3 with ReLU that keep the size, one max-pool, one linear layer."""

    side: int
    levels: int
    channels: tuple[int, ...]
    """Output channels of each convolution."""
    pool: int
    """Side of the max-pool's window; 1 for none."""
    classes: int

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor."""
        found: dict[str, tuple[int, ...]] = {}
        before = 1
        for at, channels in enumerate(self.channels):
            found |= {f"conv{at}.weight": (channels, before, KERNEL, KERNEL), f"conv{at}.bias": (channels,)}
            before = channels
        width = before * (self.side // self.pool) ** 2
        return found | {"head.weight": (self.classes, width), "head.bias": (self.classes,)}

    def to_json(self) -> dict[str, Any]:
        return {
            "model_type": MODEL_TYPE, "side": self.side, "levels": self.levels, "channels": list(self.channels),
            "pool": self.pool, "classes": self.classes,
        }  # fmt: skip


def read_shape(config: Mapping[str, Any]) -> NetworkShape:
    """The shape that a `config.json` describes.

    Raises:
        ModelRefused: an entry is missing, unknown or out of bounds.
    """
    require_entries(config, {"model_type", "channels", *_BOUNDS}, _BOUNDS)
    channels = config["channels"]
    is_list = isinstance(channels, list) and 1 <= len(channels) <= _MOST_LAYERS
    if not is_list or not all(type(n) is int and 1 <= n <= _MOST_CHANNELS for n in channels):
        raise refuse_shape(
            f"channels is {ascii(channels)[:80]}", f"1 to {_MOST_LAYERS} whole numbers from 1 to {_MOST_CHANNELS}"
        )
    if config["side"] % config["pool"]:
        raise refuse_shape("pool does not divide side", "a side that is a multiple of pool")
    return NetworkShape(config["side"], config["levels"], tuple(channels), config["pool"], config["classes"])


def require_entries(config: Mapping[str, Any], wanted: set[str], bounds: Mapping[str, tuple[int, int]]) -> None:
    """Refuse a configuration with other entries, or with a number out of bounds.

    Raises:
        ModelRefused: names the first.
    """
    if set(config) != wanted:
        wrong = sorted(set(config) ^ wanted)
        raise refuse_shape(
            f"config.json misses or adds {ascii(wrong)[:200]}", f"exactly the entries {', '.join(sorted(wanted))}"
        )
    for name, (least, most) in bounds.items():
        if type(config[name]) is not int or not least <= config[name] <= most:
            raise refuse_shape(f"{name} is {ascii(config[name])[:40]}", f"a whole number from {least} to {most}")


def refuse_shape(found: str, wanted: str) -> ModelRefused:
    """A refusal of an image classifier."""
    return ModelRefused(f"An image classifier whose {found}.", wanted=f"{wanted}.", remedy="export it again.")


class HasTensors(Protocol):
    """A shape that names its tensors."""

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]: ...


def check_tensors(shape: HasTensors, tensors: Mapping[str, Any]) -> None:
    """Refuse tensors of another name, shape or number format, or with a number that is not finite.

    Raises:
        ModelRefused: names the first.
    """
    known = shape.tensors
    if set(tensors) != set(known):
        wrong = sorted(set(tensors) ^ set(known))
        raise refuse_shape(f"weights miss or add {ascii(wrong[:6])[:200]}", f"exactly {', '.join(known)}")
    for name, size in known.items():
        found = tensors[name]
        if tuple(found.shape) != size or found.dtype != np.float32:
            raise refuse_shape(f"{name} has shape {tuple(found.shape)} in {found.dtype}", f"{size} in float32")
        if not np.isfinite(found).all():
            raise refuse_shape(f"{name} has numbers that are not finite", "finite weights")


class ImageNetwork:
    """Implements `Images` on the processor; keeps its weights as read-only arrays."""

    def __init__(self, shape: NetworkShape, tensors: Mapping[str, Floats]) -> None:
        check_tensors(shape, tensors)
        self.shape, self.side, self.levels, self.n_classes = shape, shape.side, shape.levels, shape.classes
        self.n_layers = len(shape.channels)
        self._tensors = {name: np.array(values, np.float32) for name, values in tensors.items()}

    def read_images(self, images: Floats) -> Floats:
        import torch

        weights, found = self._as_torch(), []
        with MODEL_LOCK, torch.no_grad():
            for part in in_batches(images):
                rows = torch.from_numpy(part)
                found.append(self._classify(self._convolve(rows, weights), weights).numpy())
        return np.concatenate(found)

    def make_empty(self, count: int) -> Floats:
        return np.zeros((count, self.side, self.side), np.float32)

    def read_image_gradients(self, images: Floats, answers: Sequence[int], foils: Sequence[int]) -> Floats:
        import torch

        weights, found = self._as_torch(), []
        for some, own, other in in_batches(images, answers, foils):
            with MODEL_LOCK, torch.enable_grad():
                rows = torch.from_numpy(some).requires_grad_()
                logits = self._classify(self._convolve(rows, weights), weights)
                found += [part.numpy() for part in torch.autograd.grad(contrast(logits, own, other), rows)]
        return np.concatenate(found)

    def read_feature_maps(self, images: Floats, answers: Sequence[int], foils: Sequence[int]) -> FeatureMaps:
        import torch

        weights, active, found = self._as_torch(), [], []
        for some, own, other in in_batches(images, answers, foils):
            with MODEL_LOCK, torch.enable_grad():
                maps = self._convolve(torch.from_numpy(some), weights).requires_grad_()
                logits = self._classify(maps, weights)
                found += [part.numpy() for part in torch.autograd.grad(contrast(logits, own, other), maps)]
            active.append(maps.detach().numpy())
        return FeatureMaps(np.concatenate(active), np.concatenate(found))

    def read_layer(self, images: Floats, layer: int) -> Floats:
        import torch

        weights, found = self._as_torch(), []
        with MODEL_LOCK, torch.no_grad():
            for part in in_batches(images):
                rows = torch.from_numpy(part)
                found.append(self._convolve(rows, weights, stop=layer + 1).numpy())
        return np.concatenate(found)

    def finish_layer(self, activations: Floats, layer: int) -> Floats:
        import torch

        weights, found = self._as_torch(), []
        with MODEL_LOCK, torch.no_grad():
            for part in in_batches(self._lay_out(activations)):
                rows = torch.from_numpy(part)
                found.append(self._classify(self._convolve(rows, weights, start=layer + 1), weights).numpy())
        return np.concatenate(found)

    def read_layer_gradients(self, active: Floats, layer: int, answers: Sequence[int], foils: Sequence[int]) -> Floats:
        import torch

        weights, found = self._as_torch(), []
        for some, own, other in in_batches(self._lay_out(active), answers, foils):
            with MODEL_LOCK, torch.enable_grad():
                rows = torch.from_numpy(some).requires_grad_()
                logits = self._classify(self._convolve(rows, weights, start=layer + 1), weights)
                found += [part.numpy() for part in torch.autograd.grad(contrast(logits, own, other), rows)]
        return np.concatenate(found)

    def _lay_out(self, activations: Floats) -> Floats:
        return activations.reshape(len(activations), -1, self.side, self.side)

    def shuffled(self, *, seed: int) -> ImageNetwork:
        draw = np.random.default_rng(seed)
        return ImageNetwork(
            self.shape,
            {name: draw.permutation(values.ravel()).reshape(values.shape) for name, values in self._tensors.items()},
        )

    def _as_torch(self) -> dict[str, torch.Tensor]:
        import torch

        return {name: torch.from_numpy(values) for name, values in self._tensors.items()}

    def _convolve(
        self, images: torch.Tensor, weights: dict[str, torch.Tensor], start: int = 0, stop: int | None = None
    ) -> torch.Tensor:
        """Convolutions from one to before another; images (image, row, column), or outputs of the convolution before."""
        from torch.nn.functional import conv2d, relu

        found = images if start else images[:, None]
        for at in range(len(self.shape.channels))[start:stop]:
            found = relu(conv2d(found, weights[f"conv{at}.weight"], weights[f"conv{at}.bias"], padding=KERNEL // 2))
        return found

    def _classify(self, maps: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
        from torch.nn.functional import linear, max_pool2d

        pooled = max_pool2d(maps, self.shape.pool) if self.shape.pool > 1 else maps
        return linear(pooled.flatten(1), weights["head.weight"], weights["head.bias"])


def in_batches(images: Floats, *beside: Sequence[int]) -> Iterator[Any]:
    """Batches, so that memory is bounded; copies, because torch writes to what it shares. With what belongs to each image."""
    for start in range(0, len(images), _BATCH):
        rows = slice(start, start + _BATCH)
        part = np.array(images[rows], np.float32)
        yield (part, *(values[rows] for values in beside)) if beside else part


def contrast(logits: torch.Tensor, answers: Sequence[int], foils: Sequence[int]) -> torch.Tensor:
    """Sum over rows of logit(answer) − logit(foil)."""
    import torch

    rows = torch.arange(len(logits))
    return (logits[rows, list(answers)] - logits[rows, list(foils)]).sum()
