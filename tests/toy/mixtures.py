"""Edits of a mixture by raw hooks on its router and experts, which the engine is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import Module
from torch.nn import functional as nn
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True, eq=False)
class Sparse:
    """One layer's router and experts, as `transformers` calls them."""

    name: str
    block: Module
    router: Module
    experts: Module


@dataclass(frozen=True, eq=False)
class Routing:
    """What the experts of a layer were called with; one row per token."""

    hidden: Tensor
    indices: Tensor
    weights: Tensor

    def spread(self, n_experts: int) -> Tensor:
        """Weight of every expert, shape (token, expert); 0 where it was not chosen."""
        whole = self.weights.new_zeros(len(self.weights), n_experts)
        return whole.scatter(1, self.indices.long(), self.weights)


def find_sparse(model: Module) -> tuple[Sparse, ...]:
    """Layers with experts, first to last; under a bridge each block is listed twice, with the same experts."""
    found: dict[int, Sparse] = {}
    for name, block in model.named_modules():
        router = next((r for r in (getattr(block, k, None) for k in ("gate", "router")) if isinstance(r, Module)), None)
        if isinstance(experts := getattr(block, "experts", None), Module) and router is not None:
            found.setdefault(id(experts), Sparse(name, block, router, experts))
    return tuple(found.values())


@contextmanager
def recorded(layer: Sparse) -> Iterator[list[Routing]]:
    """Every call of the experts."""
    calls: list[Routing] = []
    handle = layer.experts.register_forward_pre_hook(lambda _, args: calls.append(Routing(*args[:3])))
    try:
        yield calls
    finally:
        handle.remove()


@contextmanager
def reweighed(layer: Sparse, change: Callable[[Routing], Tensor]) -> Iterator[None]:
    """Other weights for the same experts."""
    handle = layer.experts.register_forward_pre_hook(lambda _, args: (*args[:2], change(Routing(*args[:3]))))
    try:
        yield
    finally:
        handle.remove()


def zeroed(layer: Sparse, *experts: int) -> Any:
    """Set the outputs of experts to zero; all others keep their weights."""

    def change(call: Routing) -> Tensor:
        gone = sum((call.indices == expert for expert in experts), call.indices < 0)
        return call.weights.masked_fill(gone, 0)

    return reweighed(layer, change)


def run_masked(router: Module, expert: int, *args: Any) -> Any:
    """The router's own answer if an expert's logit were −∞."""
    with _ColumnMask(expert) as mode:
        found = type(router).forward(router, *args)
    assert mode.fired == 1
    return found


@contextmanager
def masked(layer: Sparse, expert: int) -> Iterator[None]:
    """Mask an expert in the router, so that another one enters."""
    handle = layer.router.register_forward_hook(lambda router, args, _: run_masked(router, expert, *args))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def survivors_reweighted(layer: Sparse, expert: int, n_experts: int) -> Iterator[None]:
    """The experts chosen without a mask, with the weights that they have under it; none enters."""
    asked: list[tuple[Any, ...]] = []

    def change(call: Routing) -> Tensor:
        _, weights, indices = run_masked(layer.router, expert, *asked[-1])
        return Routing(call.hidden, indices, weights).spread(n_experts).gather(1, call.indices.long())

    handle = layer.router.register_forward_pre_hook(lambda _, args: asked.append(args))
    try:
        with reweighed(layer, change):
            yield
    finally:
        handle.remove()


class _ColumnMask(TorchFunctionMode):
    """Sets one column of the first linear map to −∞."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self.column, self.fired = column, 0

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        if function is nn.linear and not self.fired:
            found = found.clone()
            found[..., self.column] = float("-inf")
            self.fired += 1
        return found
