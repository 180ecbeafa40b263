"""The shared path of a mixture layer: what experts that every token passes through add to the layer's output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from audit_core.engine.experts import MixtureLayer, Routed
from audit_core.errors import ControlFailed

if TYPE_CHECKING:
    from torch import nn
    from transformer_lens.model_bridge import TransformerBridge

    from audit_core.engine.sites import HookedModel

_NAMES = ("shared_expert", "shared_experts", "shared_mlp")
_GATE = "shared_expert_gate"


class SharedPath:
    """One layer's shared path; has the two methods of a hook point that the engine uses.

    Its value is what it adds to the layer's output, its sigmoid gate included: shape (row, pos, d_model).

    Args:
        owner: module whose attribute the shared module is: the mixture itself, or the decoder layer around it.
        module: the shared experts.
        gate: gives the logit of the weight of their output; None if that weight is one.
    """

    def __init__(self, mixture: MixtureLayer, owner: nn.Module, module: nn.Module, gate: nn.Module | None) -> None:
        self.mixture, self.owner, self.module, self.gate = mixture, owner, module, gate
        self._handles: list[Any] = []
        self._uses: list[Callable[[torch.Tensor, Any], torch.Tensor | None]] = []
        self._shape: torch.Size = torch.Size()

    @property
    def is_inside(self) -> bool:
        """Whether the mixture's own output contains it."""
        return self.owner is self.mixture.block

    def add_hook(self, use: Callable[[torch.Tensor, Any], torch.Tensor | None]) -> None:
        """Call `use` with each value; a tensor that it returns replaces the value. Hooks see the edits of those before them."""
        self._uses.append(use)
        if len(self._uses) > 1:
            return
        self._handles += [
            self.mixture.block.register_forward_pre_hook(self._keep_shape, with_kwargs=True),
            self.module.register_forward_hook(self._run),
        ]
        if self.gate is not None:
            # The value holds the gate already, so that the layer's own multiplication must be one by one.
            self._handles.append(self.gate.register_forward_hook(lambda *call: torch.full_like(call[-1], torch.inf)))

    def remove_hooks(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._uses.clear()

    def _keep_shape(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._shape = (args[0] if args else kwargs["hidden_states"]).shape

    def _run(self, _module: Any, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        value = output
        if self.gate is not None:
            value = torch.sigmoid(type(self.gate).forward(self.gate, args[0])) * output
        value = value.reshape(self._shape)
        for use in self._uses:
            edited = use(value, None)
            value = value if edited is None else edited
        return value.reshape(output.shape)


def find_shared_paths(bridge: TransformerBridge, mixtures: Mapping[int, MixtureLayer]) -> dict[int, SharedPath]:
    """The shared paths of a model's mixture layers; a layer without one has no entry."""
    found = {layer: _find_shared(bridge.blocks[layer], mixture) for layer, mixture in mixtures.items()}
    return {layer: path for layer, path in found.items() if path is not None}


def _find_shared(block: nn.Module, mixture: MixtureLayer) -> SharedPath | None:
    for owner in (mixture.block, *map(_unwrap, block.modules())):
        for name in _NAMES:
            module = getattr(owner, name, None)
            if isinstance(module, torch.nn.Module):
                gate = getattr(owner, _GATE, None)
                return SharedPath(mixture, owner, _unwrap(module), None if gate is None else _unwrap(gate))
    return None


def _unwrap(module: nn.Module) -> Any:
    """The module of `transformers` inside a bridge's."""
    return getattr(module, "_original_component", module)


def check_shared_paths(
    model: HookedModel, paths: Mapping[int, SharedPath], tokens: torch.Tensor, *, most: float
) -> float:
    """Relative difference between routed + shared experts and the output of their layer, the largest of all layers.

    Args:
        tokens: shape (row, pos).
        most: difference from which the shared path is not offered.

    Raises:
        ControlFailed: a sum misses its layer's output, or a shared path was not called.
    """
    if not paths:
        return 0.0
    routed: dict[int, Routed] = {}
    shared: dict[int, torch.Tensor] = {}
    whole: dict[int, torch.Tensor] = {}
    handles: list[Any] = []
    try:
        for layer, path in paths.items():
            path.mixture.add_hook(_keep(routed, layer))
            handles += _watch_whole(path, whole, layer)
        model.bridge(tokens)
        for handle in handles:
            handle.remove()
        # A run of its own: hooks of a shared path replace the layer's gate, which is what the sum is to be compared with.
        for layer, path in paths.items():
            path.add_hook(_keep(shared, layer))
        model.bridge(tokens)
    finally:
        for handle in handles:
            handle.remove()
        for path in paths.values():
            path.mixture.remove_hooks()
            path.remove_hooks()
    worst = 0.0
    for layer, path in paths.items():
        if layer not in shared or layer not in whole:
            raise ControlFailed(f"The shared path of layer {layer} was never called.")
        total = (routed[layer].outputs + shared[layer]) * _find_factor(path)
        difference = float((total - whole[layer]).norm() / whole[layer].norm())
        if not difference <= most:
            raise ControlFailed(f"Routed and shared experts of layer {layer} miss its output by {difference:.2g}.")
        worst = max(worst, difference)
    return worst


def _find_factor(path: SharedPath) -> float:
    """Factor of the sum in the residual stream, for a layer that adds both parts itself."""
    return 1.0 if path.is_inside else float(getattr(path.owner, "residual_multiplier", 1.0))


def _watch_whole(path: SharedPath, whole: dict[int, torch.Tensor], layer: int) -> list[Any]:
    """Hooks that record what the layer adds to the residual stream, or the mixture's output where the path is inside."""

    def keep(_module: Any, _args: Any, output: Any) -> None:
        value = output[0] if isinstance(output, tuple) else output
        whole[layer] = value - whole[layer] if layer in whole else value

    handles = [path.owner.register_forward_hook(keep)]
    if not path.is_inside:
        norm = _unwrap(path.owner.get_submodule("post_attention_layernorm"))
        handles.append(norm.register_forward_pre_hook(lambda _module, args: whole.update({layer: args[0]})))
    return handles


def _keep(found: dict[int, Any], layer: int) -> Callable[[Any, Any], None]:
    def keep(value: Any, _hook: Any) -> None:
        found[layer] = value

    return keep
