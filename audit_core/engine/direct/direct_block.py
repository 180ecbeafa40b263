"""Base of the blocks that run without the wrappers of TransformerLens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from audit_core.component import Kind
from audit_core.engine.sites import HOOKS

if TYPE_CHECKING:
    import torch
    from transformer_lens.hook_points import HookPoint

SITES = tuple(kind for kind, hook in HOOKS.items() if hook and kind is not Kind.EDGE)
"""Sites whose hooks these blocks call; `Kind.EDGE` has the hook of `Kind.PATTERN`."""
_OWN_HOOKS = "BlockBridge._maybe_wire_capture_hooks."
"""Hooks that TransformerLens leaves in every block: they keep tensors for options that this engine does not use."""


class DirectBlock(ABC):
    """One block of one opened model.

    The hooks of `SITES` are called where TransformerLens calls them. A hook anywhere else in the block, or an unusual mask, needs
    TransformerLens' own block; see `can_run`. While gradients are recorded nothing is changed in place (`arithmetic`).
    """

    layer_types: ClassVar[frozenset[str]]
    """Names of the `transformers` classes with this arithmetic."""
    argument_names: ClassVar[tuple[str, ...]] = ()
    """Names of the positional arguments after the residual stream."""

    def __init__(self, block: Any, points: Mapping[Kind, HookPoint], config: Any) -> None:
        """Args:
        block: TransformerLens' block.
        points: its hook points, of all `SITES`.
        config: TransformerLens' configuration of the model.
        """
        self._block, self._points, self.config = block, points, config
        called = {id(point) for point in points.values()}
        self._unexpected: list[Any] = []
        for module in block.modules():
            self._unexpected += [module._backward_hooks, module._backward_pre_hooks]
            if id(module) not in called:
                self._unexpected.append(module._forward_hooks)
            if not _has_only_own(module._forward_pre_hooks):
                self._unexpected.append(module._forward_pre_hooks)
        self._own = [(hooks, len(hooks)) for m in block.modules() if _has_only_own(hooks := m._forward_pre_hooks)]

    def can_run(self, residual: torch.Tensor, call: Mapping[str, Any]) -> bool:
        """Whether no hook or argument of this call needs TransformerLens' own block."""
        import torch

        mask = call.get("attention_mask")
        return (
            not any(self._unexpected)
            and all(len(hooks) == count for hooks, count in self._own)
            and not self._block.training
            and residual.dtype == torch.float32
            and mask is not None
            and mask.dim() == 4
            and mask.dtype == torch.float32
        )

    @abstractmethod
    def run(self, residual: torch.Tensor, call: Mapping[str, Any]) -> torch.Tensor:
        """Residual stream after the block; shape in and out (row, pos, d_model), float32.

        Args:
            call: the block's other arguments by name, as `transformers` gives them.
        """

    def has_hooks(self, kind: Kind) -> bool:
        """Whether a site has hooks now."""
        return bool(self._points[kind]._forward_hooks)

    def pass_hooks(self, kind: Kind, value: torch.Tensor) -> torch.Tensor:
        """The value of a site after its hooks, if it has any now."""
        hooked: torch.Tensor = self._points[kind](value) if self.has_hooks(kind) else value
        return hooked


def _has_only_own(hooks: Mapping[int, Any]) -> bool:
    return bool(hooks) and all(str(getattr(h, "__qualname__", "")).startswith(_OWN_HOOKS) for h in hooks.values())
