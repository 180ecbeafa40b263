"""Checks of a model's mixture layers when it is loaded: experts are only offered where their edits are shown to be real."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from audit_core.engine.experts import MixtureLayer, Routed
from audit_core.engine.shared_path import SharedPath, check_shared_paths
from audit_core.errors import ControlFailed

if TYPE_CHECKING:
    from audit_core.engine.sites import HookedModel

_MISFITS = (TypeError, ValueError, LookupError, AttributeError, RuntimeError)
"""Errors of a router or of experts that are called or answer in another way than those of `MixtureLayer`."""
LARGEST_DIFFERENCE = 1e-5
"""Largest relative difference between the experts' sum and the outputs of their module (architectures 1.4; measured at most 3e-9)."""


@dataclass(frozen=True)
class MixtureReport:
    """What the checks found."""

    why_not: str
    """Why experts cannot be edited; empty if they can."""
    backend: str = ""
    """Implementation of the experts' module that runs."""
    sum_difference: float = 0.0
    """Largest relative difference between Σ weight · output of the chosen experts and what their module returns."""
    scores_are_read: bool = False
    """Whether the model changes when the scores that the router returns are changed; if not, editing them would do nothing."""
    why_no_shared: str = ""
    """Why the shared paths cannot be edited; empty if they can, or if the model has none."""
    shared_difference: float = 0.0
    """Largest relative difference between routed + shared experts and the output of their layer."""


def check_mixtures(
    model: HookedModel, layers: dict[int, MixtureLayer], paths: dict[int, SharedPath], tokens: torch.Tensor
) -> MixtureReport:
    """Run the checks on some tokens.

    Args:
        tokens: shape (row, pos).
    """
    try:
        with torch.inference_mode():
            report = _check(model, layers, tokens)
    except ControlFailed as error:
        return MixtureReport(str(error))
    except _MISFITS as error:
        # The model is audited without its experts, as a model of another architecture is.
        return MixtureReport(f"Its mixture layers work in another way ({type(error).__name__}: {str(error)[:200]}).")
    try:
        with torch.inference_mode():
            difference = check_shared_paths(model, paths, tokens, most=LARGEST_DIFFERENCE)
    except ControlFailed as error:
        return replace(report, why_no_shared=str(error))
    except _MISFITS as error:
        why = f"Its shared experts work in another way ({type(error).__name__}: {str(error)[:200]})."
        return replace(report, why_no_shared=why)
    return replace(report, shared_difference=difference)


def _check(model: HookedModel, layers: dict[int, MixtureLayer], tokens: torch.Tensor) -> MixtureReport:
    seen: dict[int, Routed] = {}
    _check_contract(model, layers, tokens)
    for layer, mixture in layers.items():
        mixture.add_hook(_keep(seen, layer))
    try:
        unedited = model.bridge(tokens)
    finally:
        for mixture in layers.values():
            mixture.remove_hooks()
    worst = 0.0
    for layer, mixture in layers.items():
        if layer not in seen:
            raise ControlFailed(f"The experts of layer {layer} were never called.")
        mixture.n_chosen = seen[layer].index.shape[-1]
        worst = max(worst, _check_sum(layer, mixture, seen[layer]))
        _check_router(layer, mixture, seen[layer])
    first = min(layers)
    backend = str(getattr(model.bridge.original_model.config, "_experts_implementation", None) or "eager")
    return MixtureReport("", backend, worst, _probe_scores(model, layers[first], tokens, unedited))


def _keep(seen: dict[int, Routed], layer: int) -> Any:
    def keep(value: Routed, hook: Any) -> None:
        seen[layer] = value

    return keep


def _check_contract(model: HookedModel, layers: dict[int, MixtureLayer], tokens: torch.Tensor) -> None:
    calls: dict[int, list[tuple[Any, ...]]] = {layer: [] for layer in layers}
    handles = [mixture.experts.register_forward_pre_hook(_note(calls[layer])) for layer, mixture in layers.items()]
    try:
        model.bridge(tokens)
    finally:
        for handle in handles:
            handle.remove()
    for layer, mixture in layers.items():
        received = [x for x in (calls[layer][0] if len(calls[layer]) == 1 else ()) if isinstance(x, torch.Tensor)]
        if not (len(received) == 3 and received[1].shape == received[2].shape and not received[1].is_floating_point()):
            raise ControlFailed(
                f"Layer {layer} calls its experts {len(calls[layer])} times with {len(received)} tensors; one call with "
                "tokens, chosen experts and weights can be audited."
            )
        for module in (mixture.block, mixture.router, mixture.experts):
            if "forward" in vars(module):
                raise ControlFailed(
                    f"Layer {layer} runs a replaced kernel in place of its own code ({type(module).__name__})."
                )
            if module.training:
                raise ControlFailed(f"Layer {layer} is in training mode, in which routers draw at random.")


def _note(calls: list[tuple[Any, ...]]) -> Any:
    return lambda _module, args: calls.append(args)


def _check_sum(layer: int, mixture: MixtureLayer, seen: Routed) -> float:
    """Relative difference of Σ weight · output of each expert and the module's own output."""
    inputs, total = seen.inputs.flatten(0, 1), torch.zeros_like(seen.outputs).flatten(0, 1)
    for expert in range(mixture.n_experts):
        weight = seen.weigh(expert).flatten()
        at = weight.nonzero()[:, 0]
        total[at] += weight[at, None] * mixture.run_expert(inputs[at], expert)
    whole = seen.outputs.flatten(0, 1)
    difference = float((total - whole).norm() / whole.norm().clamp_min(torch.finfo(torch.float32).tiny))
    if not difference <= LARGEST_DIFFERENCE:
        raise ControlFailed(f"At layer {layer} the weighted outputs of the experts miss their sum by {difference:.2g}.")
    return difference


def _check_router(layer: int, mixture: MixtureLayer, seen: Routed) -> None:
    """The router's own code gives what the experts received, and obeys a mask."""
    inputs = seen.inputs.flatten(0, 1)
    index, weights = mixture.route(inputs)
    rerouted = Routed(inputs[None], index[None], weights[None], inputs[None])
    for expert in range(mixture.n_experts):
        if not torch.allclose(rerouted.weigh(expert).flatten(), seen.weigh(expert).flatten(), atol=1e-6):
            raise ControlFailed(f"Layer {layer} does not use the weights that its router returns.")
    mixture.route(inputs, [int(seen.index.flatten().mode().values)])


def _probe_scores(model: HookedModel, mixture: MixtureLayer, tokens: torch.Tensor, unedited: torch.Tensor) -> bool:
    """Whether noise on the scores that the router returns moves the logits."""

    def disturb(_module: Any, _args: Any, output: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (output[0].float() + 100.0 * torch.randn(output[0].shape).to(output[0].device)).to(
            output[0].dtype
        ), *output[1:]

    handle = mixture.router.register_forward_hook(disturb)
    try:
        moved = (model.bridge(tokens) - unedited).abs().max()
    finally:
        handle.remove()
    return bool(moved > 0)
