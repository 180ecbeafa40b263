"""Experts of a mixture layer: which tokens the router sent to them, and edits of their outputs or of the routing.

Edits are made at the experts' module of `transformers`, below TransformerBridge, whose own routing hooks change nothing in
several families.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from audit_core.engine.replacing import disturb
from audit_core.errors import ControlFailed
from audit_core.intervention import ROUTING, Replacement

if TYPE_CHECKING:
    from torch import nn
    from transformer_lens.model_bridge import TransformerBridge

    from audit_core.engine.sites import SiteEdit

_ROUTERS = ("gate", "router")


@dataclass(frozen=True, eq=False)
class Routed:
    """What the experts of one mixture layer received, for some rows."""

    inputs: torch.Tensor
    """Shape (row, pos, d_model)."""
    index: torch.Tensor
    """Chosen experts; integers, shape (row, pos, choice). The order of choices has no meaning."""
    weights: torch.Tensor
    """Weight of each chosen expert's output; shape (row, pos, choice)."""
    outputs: torch.Tensor
    """Weighted sum over the chosen experts; shape (row, pos, d_model). Shared experts are not part of it."""

    def __getitem__(self, rows: Any) -> Routed:
        return Routed(self.inputs[rows], self.index[rows], self.weights[rows], self.outputs[rows])

    @property
    def nbytes(self) -> int:
        return self.inputs.nbytes + self.index.nbytes + self.weights.nbytes + self.outputs.nbytes

    def detach(self) -> Routed:
        """As a tensor's `detach`, so that recorders treat both alike."""
        return Routed(self.inputs.detach(), self.index.detach(), self.weights.detach(), self.outputs.detach())

    def weigh(self, expert: int) -> torch.Tensor:
        """Weight of an expert at each token, 0 where it was not chosen; shape (row, pos)."""
        return (self.weights * (self.index == expert)).sum(-1)


class MixtureLayer:
    """One mixture layer; has the two methods of a hook point that the engine uses.

    Args:
        block: module whose input has shape (row, pos, d_model) and which calls router and experts once each.
        router: returns (anything, weights, index).
        experts: called as `experts(inputs, index, weights)` on flattened tokens.
    """

    def __init__(self, block: nn.Module, router: nn.Module, experts: nn.Module, n_experts: int) -> None:
        self.block, self.router, self.experts, self.n_experts = block, router, experts, n_experts
        self.n_chosen = 0
        """Experts per token; known once the layer was checked."""
        self._handles: list[Any] = []
        self._shape: tuple[int, int] = (0, 0)
        self._router_inputs: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def add_hook(self, use: Callable[[Routed, Any], torch.Tensor | None]) -> None:
        """Call `use` with each run of the layer; a tensor that it returns replaces the experts' outputs.

        Hooks see the outputs as hooks added before them left them.
        """

        def run(_module: Any, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
            rows, n_positions = self._shape
            inputs, index, weights, flat = (x.reshape(rows, n_positions, -1) for x in (*args[:3], output))
            edited = use(Routed(inputs, index, weights, flat), None)
            return output if edited is None else edited.reshape(output.shape)

        self._handles += [
            self.block.register_forward_pre_hook(self._keep_shape, with_kwargs=True),
            self.router.register_forward_pre_hook(self._keep_router_inputs, with_kwargs=True),
            self.experts.register_forward_hook(run),
        ]

    def remove_hooks(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _keep_shape(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        self._shape = (hidden.shape[0], hidden.shape[1])

    def _keep_router_inputs(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # Some routers take a bias beside the tokens.
        self._router_inputs = (args[1:], kwargs)

    def combine(self, inputs: torch.Tensor, index: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Weighted sum of experts' outputs, by the module's own code; shape (token, d_model)."""
        if not len(inputs):
            return torch.zeros_like(inputs)
        # Not through `__call__`, whose hooks would edit again.
        combined: torch.Tensor = type(self.experts).forward(self.experts, inputs, index, weights)
        return combined

    def run_expert(self, inputs: torch.Tensor, expert: int) -> torch.Tensor:
        """Unweighted output of one expert, also for tokens that were not sent to it; shape (token, d_model)."""
        index = torch.full((len(inputs), 1), expert, dtype=torch.long, device=inputs.device)
        return self.combine(inputs, index, inputs.new_ones(len(inputs), 1))

    def measure_norms(self, routed: Routed) -> torch.Tensor:
        """Length of each chosen expert's unweighted output; shape (row, pos, choice)."""
        inputs, index = routed.inputs.flatten(0, 1), routed.index.flatten(0, 1)
        found = torch.zeros(index.shape, device=index.device)
        for expert in index.unique().tolist():
            at, choice = (index == expert).nonzero(as_tuple=True)
            found[at, choice] = self.run_expert(inputs[at], expert).float().norm(dim=-1)
        return found.view(routed.index.shape)

    def _run_router(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        args, kwargs = self._router_inputs
        kwargs = {name: value for name, value in kwargs.items() if name != "hidden_states"}
        _, weights, index = type(self.router).forward(self.router, inputs, *args, **kwargs)
        return index, weights

    def route_to(self, inputs: torch.Tensor, experts: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Index and weights if these experts were chosen: the router's own scores of them, by its own rule.

        Args:
            inputs: shape (token, d_model).

        Raises:
            ControlFailed: the router does not choose by one top-k, or gave one of them no weight.
        """
        with _ForceChoice(self.n_experts, experts) as force:
            index, weights = self._run_router(inputs)
        forced = torch.tensor(sorted(experts), device=index.device).expand_as(index)
        if force.fired != 1 or not torch.equal(index.sort(-1).values, forced) or not bool((weights != 0).all()):
            raise ControlFailed(
                "This router does not choose by one top-k of its scores, so no route can be forced; no number is reported."
            )
        return index, weights

    def route(self, inputs: torch.Tensor, without: Sequence[int] = ()) -> tuple[torch.Tensor, torch.Tensor]:
        """Index and weights that the router gives to tokens, by its own code.

        Args:
            inputs: shape (token, d_model).
            without: experts whose score is −∞ before the router chooses and weighs.

        Raises:
            ControlFailed: the router's scores were not found, or a masked expert kept a weight.
        """
        with _MaskScores(self.n_experts, without) as mask:
            index, weights = self._run_router(inputs)
        # A router that adds a bias to its scores may still name a masked expert; its weight is then zero.
        kept = any(bool(weights[index == expert].any()) for expert in without)
        if without and (mask.fired != 1 or kept):
            raise ControlFailed(
                "A masked expert kept a weight, or the router's scores were not found; no number is reported."
            )
        return index, weights


class _MaskScores(TorchFunctionMode):
    """Sets scores to −∞ in the router's first linear map; counts how often."""

    def __init__(self, n_experts: int, without: Sequence[int]) -> None:
        super().__init__()
        self.n_experts, self.without, self.fired = n_experts, list(without), 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is torch.nn.functional.linear and found.shape[-1] == self.n_experts and self.without:
            self.fired += 1
            found = found.clone()
            found[..., self.without] = -torch.inf
        return found


class _ForceChoice(TorchFunctionMode):
    """Makes the router's top-k over all experts choose stated ones; counts how often."""

    def __init__(self, n_experts: int, experts: Sequence[int]) -> None:
        super().__init__()
        self.n_experts, self.experts, self.fired = n_experts, sorted(experts), 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        # A top-k within groups of experts has a third axis, and one over groups another width.
        if getattr(func, "__name__", "") == "topk" and args[0].shape[1:] == (self.n_experts,):
            self.fired += 1
            index = torch.tensor(self.experts, device=args[0].device).expand(len(args[0]), -1)
            return torch.return_types.topk((args[0].gather(1, index), index))
        return found


def find_mixtures(bridge: TransformerBridge) -> dict[int, MixtureLayer]:
    """The mixture layers of a model: raw modules, without those that TransformerBridge puts around them."""
    found = {layer: _find_mixture(block) for layer, block in enumerate(bridge.blocks)}
    return {layer: mixture for layer, mixture in found.items() if mixture is not None}


def _find_mixture(block: nn.Module) -> MixtureLayer | None:
    for module in block.modules():
        experts = getattr(module, "experts", None)
        router = next((r for name in _ROUTERS if isinstance(r := getattr(module, name, None), torch.nn.Module)), None)
        if isinstance(experts, torch.nn.Module) and router is not None:
            experts, router = (getattr(part, "_original_component", part) for part in (experts, router))
            weight = next((w for w in router.parameters() if w.dim() == 2), None)
            if weight is not None:
                return MixtureLayer(module, router, experts, weight.shape[0])
    return None


def edit_experts(
    layer: MixtureLayer,
    part: Routed,
    edit: SiteEdit,
    source: Routed | torch.Tensor | None,
    generator: torch.Generator,
    *,
    restores: bool,
) -> torch.Tensor:
    """New outputs of a mixture layer under one edit.

    What an expert writes is replaced at the tokens sent to it and keeps the weight that the router gave it; tokens sent
    elsewhere are unchanged.

    Args:
        part: the edited rows and positions.
        source: for `resample` and `identity` the captured layer at the same rows and positions; for means the mean output of
            each expert, shape (row, expert, d_model); else None.
        restores: denoising: each expert contributes what it contributed in the source run, to the tokens sent to it there.

    Returns:
        Shape (row, pos, d_model).

    Raises:
        ControlFailed: see `MixtureLayer.route`.
    """
    inputs, index, weights = (x.flatten(0, 1) for x in (part.inputs, part.index, part.weights))
    edited = torch.isin(index, torch.tensor(edit.indices, device=index.device))
    if edit.replacement is Replacement.FORCED:
        new_index, new_weights = layer.route_to(inputs, edit.indices)
        return layer.combine(inputs, new_index, new_weights.to(inputs)).view_as(part.outputs)
    if edit.replacement in ROUTING:
        new_index, new_weights = layer.route(inputs, edit.indices)
        if edit.replacement is Replacement.REWEIGHTED:
            same = index[:, :, None] == new_index[:, None, :]
            new_index, new_weights = index, (same * new_weights[:, None, :]).sum(-1)
        return layer.combine(inputs, new_index, new_weights.to(inputs)).view_as(part.outputs)
    if edit.replacement is Replacement.SCALE:
        return layer.combine(inputs, index, torch.where(edited, weights * edit.factor, weights)).view_as(part.outputs)
    if edit.replacement is Replacement.ADD:
        # A step in the residual stream, whose length does not depend on the weight.
        along = torch.tensor(edit.direction, dtype=part.outputs.dtype, device=part.outputs.device)
        return part.outputs + edit.factor * along * edited.sum(-1).view(*part.outputs.shape[:2], 1)
    outputs = layer.combine(inputs, index, weights.masked_fill(edited, 0.0))
    if edit.replacement is not Replacement.ZERO:
        for expert in edit.indices:
            outputs = outputs + _contribute(layer, part, edit, expert, source, generator, restores=restores)
    return outputs.view_as(part.outputs)


def _contribute(
    layer: MixtureLayer,
    part: Routed,
    edit: SiteEdit,
    expert: int,
    source: Routed | torch.Tensor | None,
    generator: torch.Generator,
    *,
    restores: bool,
) -> torch.Tensor:
    """What an edited expert adds to the outputs; shape (token, d_model)."""
    inputs = part.inputs.flatten(0, 1)
    weight = (source if restores and isinstance(source, Routed) else part).weigh(expert).flatten()
    tokens = weight.nonzero()[:, 0]
    if isinstance(source, Routed):
        written = layer.run_expert(source.inputs.flatten(0, 1)[tokens], expert)
    elif source is not None:
        written = source[tokens // part.inputs.shape[1], expert]
    else:
        written = layer.run_expert(inputs[tokens], expert)
        written = disturb(written, generator)
    return torch.zeros_like(inputs).index_add(0, tokens, (weight[tokens, None] * written).to(inputs.dtype))
