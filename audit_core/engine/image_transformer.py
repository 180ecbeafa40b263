"""Small vision transformers of square grey images, through TransformerLens: layers are read and replaced by its hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_core.engine.image_network import check_tensors, contrast, in_batches, refuse_shape, require_entries
from audit_core.engine.threads import MODEL_LOCK, import_libraries
from audit_core.errors import ControlFailed, ModelRefused
from audit_core.subject import FeatureMaps, Floats

if TYPE_CHECKING:
    import torch

MODEL_TYPE = "assay-image-transformer"
_ARCHITECTURE = "ViTForImageClassification"
_BOUNDS = {
    "side": (4, 16), "levels": (1, 255), "patch": (1, 8), "width": (4, 64), "layers": (2, 4), "heads": (1, 8),
    "inner": (4, 256), "classes": (2, 100),
}  # fmt: skip


@dataclass(frozen=True)
class TransformerShape:
    """Patches, one class token, learned positions, pre-norm blocks of attention and MLP, and a linear head on the class token."""

    side: int
    levels: int
    patch: int
    width: int
    layers: int
    heads: int
    inner: int
    classes: int

    @property
    def grid(self) -> int:
        """Patches in one row."""
        return self.side // self.patch

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor."""
        return {name: tuple(value.shape) for name, value in build_module(self).state_dict().items()}

    def to_json(self) -> dict[str, Any]:
        return {"model_type": MODEL_TYPE, **asdict(self)}


def read_transformer_shape(config: Mapping[str, Any]) -> TransformerShape:
    """The shape that a `config.json` describes.

    Raises:
        ModelRefused: an entry is missing, unknown or out of bounds.
    """
    require_entries(config, {"model_type", *_BOUNDS}, _BOUNDS)
    for part, whole in (("patch", "side"), ("heads", "width")):
        if config[whole] % config[part]:
            raise refuse_shape(f"{part} does not divide {whole}", f"a {whole} that is a multiple of {part}")
    return TransformerShape(**{name: config[name] for name in _BOUNDS})


def build_module(shape: TransformerShape) -> Any:
    """The classifier of `transformers`, with random weights; the state of random numbers stays as it was."""
    import torch

    import_libraries()
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=shape.width, num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
        intermediate_size=shape.inner, image_size=shape.side, patch_size=shape.patch, num_channels=1,
        num_labels=shape.classes, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    )  # fmt: skip
    config.architectures = [_ARCHITECTURE]
    with MODEL_LOCK, torch.random.fork_rng(devices=[]):
        return ViTForImageClassification(config).eval()


class ImageTransformer:
    """Implements `Images` on the processor. A layer is the residual stream after a block, of all tokens."""

    def __init__(self, shape: TransformerShape, tensors: Mapping[str, Floats]) -> None:
        """Load tensors into the module and put TransformerLens around it.

        Raises:
            ModelRefused: a tensor has another name, shape or format, or TransformerLens gives other logits than the module.
        """
        check_tensors(shape, tensors)
        self.shape, self.side, self.levels, self.n_classes = shape, shape.side, shape.levels, shape.classes
        self.n_layers = shape.layers
        self._tensors = {name: np.array(values, np.float32) for name, values in tensors.items()}
        self._bridge = _bridge(shape, self._tensors)

    def read_images(self, images: Floats) -> Floats:
        return np.concatenate([self._run(part)[0] for part in in_batches(images)])

    def make_empty(self, count: int) -> Floats:
        return np.zeros((count, self.side, self.side), np.float32)

    def read_image_gradients(self, images: Floats, answers: Sequence[int], foils: Sequence[int]) -> Floats:
        import torch

        found = []
        for part, own, other in in_batches(images, answers, foils):
            with MODEL_LOCK, torch.enable_grad():
                rows = torch.from_numpy(part).requires_grad_()
                found += list(torch.autograd.grad(contrast(self._bridge(rows[:, None]), own, other), rows))
        return np.concatenate([one.numpy() for one in found])

    def read_feature_maps(self, images: Floats, answers: Sequence[int], foils: Sequence[int]) -> FeatureMaps:
        """Tokens of the patches before the last block: after it, the answer reads the class token alone."""
        layer, grid = self.n_layers - 2, self.shape.grid
        active = self.read_layer(images, layer)

        def lay_out(values: Floats) -> Floats:
            return values[:, 1:].transpose(0, 2, 1).reshape(len(values), -1, grid, grid)

        return FeatureMaps(lay_out(active), lay_out(self.read_layer_gradients(active, layer, answers, foils)))

    def read_layer(self, images: Floats, layer: int) -> Floats:
        """Shape (image, token, width); the first token is the class token."""
        return np.concatenate([self._run(part, keep=layer)[1] for part in in_batches(images)])

    def finish_layer(self, activations: Floats, layer: int) -> Floats:
        import torch

        found = []
        for part in in_batches(self._lay_out(activations)):
            with MODEL_LOCK, torch.no_grad():
                found.append(self._continue(torch.from_numpy(part), layer).numpy())
        return np.concatenate(found)

    def read_layer_gradients(self, active: Floats, layer: int, answers: Sequence[int], foils: Sequence[int]) -> Floats:
        import torch

        found = []
        for part, own, other in in_batches(self._lay_out(active), answers, foils):
            with MODEL_LOCK, torch.enable_grad():
                rows = torch.from_numpy(part).requires_grad_()
                found += list(torch.autograd.grad(contrast(self._continue(rows, layer), own, other), rows))
        return np.concatenate([one.numpy() for one in found])

    def shuffled(self, *, seed: int) -> ImageTransformer:
        draw = np.random.default_rng(seed)
        return ImageTransformer(
            self.shape,
            {name: draw.permutation(values.ravel()).reshape(values.shape) for name, values in self._tensors.items()},
        )

    def _lay_out(self, activations: Floats) -> Floats:
        return activations.reshape(len(activations), 1 + self.shape.grid**2, self.shape.width)

    def _run(self, images: Floats, keep: int | None = None) -> tuple[Floats, Floats]:
        """Logits, and the output of one block."""
        import torch

        kept: list[torch.Tensor] = []
        with MODEL_LOCK, torch.no_grad():
            rows = torch.from_numpy(images)[:, None]
            logits = self._bridge(rows) if keep is None else self._hooked(rows, keep, kept.append)
        return logits.numpy(), kept[0].numpy() if kept else np.empty(0, np.float32)

    def _continue(self, states: torch.Tensor, layer: int) -> torch.Tensor:
        """Logits with these states in the place of a block's output. What ran before has no effect."""
        import torch

        return self._hooked(torch.zeros(len(states), 1, self.side, self.side), layer, lambda _: states)

    def _hooked(self, rows: torch.Tensor, layer: int, use: Callable[[torch.Tensor], Any]) -> torch.Tensor:
        """Run with a block's output given to `use`, and replaced by what it returns, if anything.

        Raises:
            ControlFailed: the hook did not fire exactly once.
        """
        fired: list[int] = []

        def hook(value: torch.Tensor, hook: Any) -> Any:
            fired.append(1)
            return use(value)

        logits: torch.Tensor = self._bridge.run_with_hooks(rows, fwd_hooks=[(f"blocks.{layer}.hook_out", hook)])
        if len(fired) != 1:
            raise ControlFailed(f"The output of block {layer} was read {len(fired)} times instead of once.")
        return logits


def _bridge(shape: TransformerShape, tensors: Mapping[str, Floats]) -> Any:
    """TransformerLens around the module, with the same logits as the module alone."""
    import torch

    module = build_module(shape)
    module.load_state_dict({name: torch.from_numpy(values) for name, values in tensors.items()})
    module.requires_grad_(False)
    images = torch.linspace(0, 1, 2 * shape.side**2).reshape(2, 1, shape.side, shape.side)
    with MODEL_LOCK, torch.no_grad():
        wanted = module(pixel_values=images).logits
        from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module

        bridge = build_bridge_from_module(module, _ARCHITECTURE, hf_config=module.config, dtype=torch.float32)
        bridge.eval()
        error = float((bridge(images) - wanted).abs().max())
    if not error <= 1e-5:
        raise ModelRefused(
            f"TransformerLens gives logits that differ by up to {error:.2g} from the classifier's own.",
            wanted="the same logits.", remedy="use the versions in requirements.lock.",
        )  # fmt: skip
    return bridge
