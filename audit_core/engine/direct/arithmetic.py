"""Sums and products into the first tensor, which nothing else has; into a new one while gradients are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def add(x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """x + other, with the same bits either way."""
    return x + other if records_gradients() else x.add_(other)


def multiply(x: torch.Tensor, other: torch.Tensor | float) -> torch.Tensor:
    """x · other, with the same bits either way."""
    return x * other if records_gradients() else x.mul_(other)


def records_gradients() -> bool:
    """Whether a backward pass may need what is computed now: a tensor changed in place would give a wrong gradient or none."""
    import torch

    return torch.is_grad_enabled()
