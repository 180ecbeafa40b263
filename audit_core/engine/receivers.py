"""Receivers: outputs of components for a changed input, with everything else as on the clean run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind
from audit_core.connection import Through
from audit_core.engine.capture import Capture
from audit_core.engine.replacing import NOISE_SCALE
from audit_core.engine.replay import BlockCall, call_block
from audit_core.engine.runner import WaveRunner
from audit_core.errors import ControlFailed

if TYPE_CHECKING:
    import torch

INPUTS = {Through.QUERY: Kind.QUERY, Through.KEY: Kind.KEY, Through.VALUE: Kind.VALUE}
"""Kind of activation of each head input."""

REACTS = 1e-4
"""Fraction of the largest output: far above rounding, far below the effect of noise at ten times the input."""


class _Seen(Exception):
    """Stops a block once the requested activations are computed."""


@dataclass(frozen=True, eq=False)
class MlpRun:
    """Input and output of one MLP."""

    entering: torch.Tensor
    """Input of the MLP; shape (row, pos, d_model)."""
    output: torch.Tensor
    """Shape (row, pos, d_model)."""


def run_heads(
    runner: WaveRunner,
    layer: int,
    residual: torch.Tensor,
    call: BlockCall,
    *,
    start: int,
    cache: Any,
    put: dict[Kind, torch.Tensor] | None = None,
    keep: Collection[Kind] = (),
) -> dict[Kind, torch.Tensor]:
    """Run the attention of a block, then stop.

    Args:
        residual: input of the block; shape (row, pos, d_model).
        put: queries, keys or values that replace the computed ones, for all heads at once: the output of a head
            depends only on its query and on the key and value of its group.
        keep: kinds to return in addition to the heads' outputs.

        Raises:
            ControlFailed: a hook did not fire.
    """
    kept: dict[Kind, torch.Tensor] = {}
    put = put or {}
    places: dict[Kind, Any] = {kind: runner.model.find_point(kind, layer) for kind in (*put, *keep, Kind.HEAD)}
    fired: set[Kind] = set()

    def edit(kind: Kind) -> Any:
        def replace(value: torch.Tensor, hook: Any) -> torch.Tensor:
            fired.add(kind)
            return put[kind].clone()

        return replace

    def watch(kind: Kind) -> Any:
        def look(value: torch.Tensor, hook: Any) -> None:
            fired.add(kind)
            kept[kind] = value.clone()
            if kind is Kind.HEAD:
                raise _Seen

        return look

    try:
        for kind, point in places.items():
            point.add_hook(edit(kind) if kind in put else watch(kind))
        call_block(runner.model, layer, residual, call, start=start, cache=cache)
    except _Seen:
        pass
    finally:
        for point in places.values():
            point.remove_hooks()
    _check_fired(set(places) - fired, layer)
    return kept


def run_mlp(
    runner: WaveRunner,
    layer: int,
    residual: torch.Tensor,
    call: BlockCall,
    outputs: torch.Tensor,
    *,
    start: int,
    cache: Any,
) -> MlpRun:
    """Run the MLP of a block with given head outputs.

    Args:
        residual: input of the block; shape (row, pos, d_model).
            outputs: of all heads of the layer; shape (row, pos, head, d_head).

        Raises:
            ControlFailed: a hook did not fire.
    """
    entering: list[torch.Tensor] = []
    kept: list[torch.Tensor] = []
    put: list[bool] = []

    def replace(value: torch.Tensor, hook: Any) -> torch.Tensor:
        put.append(True)
        return outputs.clone()

    def keep(value: torch.Tensor, hook: Any) -> None:
        kept.append(value.clone())

    places: dict[Kind, Any] = {kind: runner.model.find_point(kind, layer) for kind in (Kind.HEAD, Kind.MLP)}
    try:
        places[Kind.HEAD].add_hook(replace)
        places[Kind.MLP].add_hook(keep)
        with _watch_input(runner, layer, entering):
            call_block(runner.model, layer, residual, call, start=start, cache=cache)
    finally:
        for point in places.values():
            point.remove_hooks()
    _check_fired(
        {kind for kind, seen in ((Kind.HEAD, put), (Kind.MLP, kept), (Kind.NEURON, entering)) if not seen}, layer
    )
    return MlpRun(entering[0], kept[0])


@contextmanager
def _watch_input(runner: WaveRunner, layer: int, entering: list[torch.Tensor]) -> Iterator[None]:
    """Record the input of a layer's MLP."""
    module: Any = runner.bridge.blocks[layer].mlp

    def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        entering.append((args[0] if args else kwargs["hidden_states"]).clone())

    handle = module.register_forward_pre_hook(before, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _check_fired(missing: Collection[Kind], layer: int) -> None:
    if missing:
        name = "input of the MLP" if Kind.NEURON in missing else sorted(missing)[0]
        raise ControlFailed(
            f"The hook of the {name} of layer {layer} did not fire; connections to it cannot be measured."
        )


def find_is_parallel(runner: WaveRunner) -> bool:
    """Whether attention and MLP of a block run in parallel; tested by changing the heads' outputs of block 0.

    Raises:
        ControlFailed: the MLP was never called.
    """
    import torch

    call = runner.find_calls(1)[0]
    with runner.turn():
        shape = (1, 1, runner.geometry.n_heads, runner.geometry.d_head)
        residual = torch.linspace(-1, 1, runner.geometry.d_model)[None, None].to(runner.model.device)
        outputs = (residual.new_zeros(shape), residual.new_ones(shape))
        still, moved = (run_mlp(runner, 0, residual, call, z, start=0, cache=None).entering for z in outputs)
    return bool(torch.equal(still, moved))


def check_reaction(
    runner: WaveRunner,
    run: Capture,
    layer: int,
    kind: Kind,
    through: Through,
    call: BlockCall,
    generator: torch.Generator,
) -> None:
    """Check that large noise on the input of a block reaches its heads through this input, or its MLP.

    Raises:
        ControlFailed: it did not.
    """
    import torch

    residual = run.residuals[layer]
    size = NOISE_SCALE * (residual.square().mean().sqrt() + 1.0)
    noisy = residual + size * torch.randn(residual.shape, generator=generator).to(residual)
    if kind is Kind.MLP:
        seen = [
            run_mlp(runner, layer, rows, call, run.sites[Kind.HEAD, layer], start=0, cache=None).entering
            for rows in (residual, noisy)
        ]
    else:
        still = run_heads(runner, layer, residual, call, start=0, cache=None)
        wanted = INPUTS.get(through)
        moved = run_heads(runner, layer, noisy, call, start=0, cache=None, keep=() if wanted is None else (wanted,))
        if wanted is not None:
            put = {wanted: moved[wanted]}
            moved = run_heads(runner, layer, residual, call, start=0, cache=None, put=put)
        seen = [still[Kind.HEAD], moved[Kind.HEAD]]
    if not float((seen[0] - seen[1]).abs().max()) > REACTS * float(seen[0].abs().max()):
        raise ControlFailed(
            f"Large noise on the {through} input of every {kind} of layer {layer} changed none of them."
        )
