"""Capture: an unedited run of some prompts, with the input of each block and the requested activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind
from audit_core.engine.replay import BlockCall, KeyValueRecorder, call_block
from audit_core.engine.sites import HookedModel
from audit_core.errors import ControlFailed

if TYPE_CHECKING:
    import torch

Place = tuple[Kind, int]
"""A site: kind of component and layer."""
Turn = Callable[[], AbstractContextManager[Any]]
"""Context entered for each block: takes the model lock, so that other threads can run between blocks."""


@dataclass(frozen=True, eq=False)
class Capture:
    """Unedited run of one side of some prompts of equal length."""

    tokens: torch.Tensor
    """Shape (prompt, pos)."""
    finals: torch.Tensor
    """Input of the readout: the residual stream after the last block, shape (prompt, pos, d_model); for a model that
    runs only as a whole, the logits at the last position, shape (prompt, 1, vocabulary)."""
    residuals: tuple[torch.Tensor, ...]
    """Residual stream entering each block; each shape (prompt, pos, d_model); empty for a model that runs only as a whole."""
    sites: dict[Place, Any]
    """Activation per kind and layer; shapes as in `sites.HOOKS`; for experts a `Routed`."""
    keys_values: tuple[dict[str, torch.Tensor], ...]
    """Per layer "keys" and "values" as attention used them, each shape (prompt, key-value head, pos, d_head); empty
    if the architecture does not accept them."""

    @property
    def ends(self) -> torch.Tensor:
        """The same at the answer position, shape (prompt, width)."""
        return self.finals[:, -1]

    @property
    def size_bytes(self) -> int:
        tensors = (
            self.finals,
            *self.residuals,
            *self.sites.values(),
            *(v for layer in self.keys_values for v in layer.values()),
        )
        return sum(tensor.nbytes for tensor in tensors)

    def take_rows(self, start: int, count: int) -> Capture:
        """Select prompts; views, not copies."""
        rows = slice(start, start + count)
        return Capture(
            self.tokens[rows],
            self.finals[rows],
            tuple(r[rows] for r in self.residuals),
            {k: v[rows] for k, v in self.sites.items()},
            tuple({k: v[rows] for k, v in layer.items()} for layer in self.keys_values),
        )


def capture_run(
    model: HookedModel, tokens: torch.Tensor, calls: Sequence[BlockCall], kinds: Iterable[Kind], turn: Turn
) -> Capture:
    """Run prompts block by block and record what interventions need.

    Args:
        tokens: prompts of equal length, shape (prompt, pos).
        kinds: sites to record, at every layer that has them.

    Raises:
        InterventionRefused: no layer has a kind.
        ControlFailed: a site's hook did not fire.
    """
    parts = list(capture_layers(model, tokens, calls, kinds, turn))
    keys_values = tuple(part.keys_values[0] for part in parts)
    return Capture(
        tokens,
        parts[-1].finals,
        tuple(part.residuals[0] for part in parts),
        {place: value for part in parts for place, value in part.sites.items()},
        keys_values if all(keys_values) else (),
    )


def capture_layers(
    model: HookedModel, tokens: torch.Tensor, calls: Sequence[BlockCall], kinds: Iterable[Kind], turn: Turn
) -> Iterator[Capture]:
    """`capture_run` one layer after the other, for those who keep a part of each."""
    steps = CaptureSteps(model, tokens, kinds, turn)
    yield from (steps.run_layer(layer, calls[layer]) for layer in range(model.n_layers))


class CaptureSteps:
    """An unedited run, layer by layer, so that waves can use a layer's weights together with it."""

    def __init__(self, model: HookedModel, tokens: torch.Tensor, kinds: Iterable[Kind], turn: Turn) -> None:
        self.model, self.tokens, self.turn = model, tokens, turn
        self._places = model.list_places(kinds)
        with turn():
            self._residual = embed_tokens(model, tokens)

    def run_layer(self, layer: int, call: BlockCall) -> Capture:
        """What this layer alone gives; layers must come in order. `finals` are those of the run only after the last one."""
        sites: dict[Place, Any] = {}
        recorder, before = KeyValueRecorder(), self._residual
        with self.turn(), record_sites(self.model, [place for place in self._places if place[1] == layer], sites):
            self._residual = call_block(self.model, layer, before, call, start=0, cache=recorder)
        return Capture(self.tokens, self._residual, (before,), sites, (recorder.kept,))


@contextmanager
def record_sites(model: HookedModel, places: Sequence[Place], sites: dict[Place, Any]) -> Iterator[None]:
    """Record activations while a block, or the model, runs.

    Args:
        sites: filled in place; shapes as in `sites.HOOKS`.

    Raises:
        InterventionRefused: this architecture lacks one of the sites.
        ControlFailed: a hook did not fire.
    """
    points = [model.find_point(kind, layer) for kind, layer in places]
    try:
        for place, point in zip(places, points):
            point.add_hook(_keeper(sites, place))
        yield
    finally:
        for point in points:
            point.remove_hooks()
    if missing := [f"{kind} at layer {layer}" for kind, layer in places if (kind, layer) not in sites]:
        raise ControlFailed(f"The hook of {missing[0]} did not fire; this site cannot be measured.")


class _Entered(Exception):
    """Stops the model at the first block."""


def embed_tokens(model: HookedModel, tokens: torch.Tensor) -> torch.Tensor:
    """Input of the first block; shape (prompt, pos, d_model)."""
    first: list[torch.Tensor] = []

    def stop(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first.append(args[0] if args else kwargs["hidden_states"])
        raise _Entered

    handle = model.bridge.blocks[0].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        model.bridge(tokens)
    except _Entered:
        pass
    finally:
        handle.remove()
    return first[0]


def _keeper(sites: dict[Place, Any], place: Place) -> Any:
    def keep(value: Any, hook: Any) -> None:
        sites[place] = value.detach()

    return keep
