"""Sums and products into the first tensor, which nothing else has; into a new one while gradients are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import torch

_SILU = ("SiLU", "SiLUActivation")
"""Modules of torch and of `transformers` that compute x · sigmoid(x)."""


def add(x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """x + other, with the same bits either way."""
    return x + other if records_gradients() else x.add_(other)


def multiply(x: torch.Tensor, other: torch.Tensor | float) -> torch.Tensor:
    """x · other, with the same bits either way."""
    return x * other if records_gradients() else x.mul_(other)


def activate(function: Any, x: torch.Tensor) -> torch.Tensor:
    """The activation function of x, with the same bits either way."""
    import torch

    if records_gradients() or type(function).__name__ not in _SILU:
        return cast(torch.Tensor, function(x))
    return torch.nn.functional.silu(x, inplace=True)


def records_gradients() -> bool:
    """Whether a backward pass may need what is computed now: a tensor changed in place would give a wrong gradient or none."""
    import torch

    return torch.is_grad_enabled()
