"""One unpatched run of a few prompts, kept: what enters each block, and the activations at the sites asked for."""

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
"""Entered for each block: holds the model's lock, so that others get their turn between blocks."""


@dataclass(frozen=True, eq=False)
class Capture:
    """One side of a few prompts of equal length, run without any edit."""

    tokens: torch.Tensor
    """Shape (prompt, pos)."""
    ends: torch.Tensor
    """What the readout takes: the residual stream after the last block at the answer position, shape (prompt, d_model);
    the logits there, shape (prompt, vocabulary), of a model that runs only as a whole."""
    residuals: tuple[torch.Tensor, ...]
    """Residual stream entering each block; each shape (prompt, pos, d_model); empty of a model that runs only as a whole."""
    sites: dict[tuple[Kind, int], torch.Tensor]
    """Activation per kind and layer; shapes as in `sites.HOOKS`."""
    keys_values: tuple[dict[str, torch.Tensor], ...]
    """Per layer "keys" and "values" as attention used them, each shape (prompt, key-value head, pos, d_head); empty
    where the architecture offers no place to put them back."""

    @property
    def size_bytes(self) -> int:
        tensors = (
            self.ends,
            *self.residuals,
            *self.sites.values(),
            *(v for layer in self.keys_values for v in layer.values()),
        )
        return sum(tensor.nbytes for tensor in tensors)

    def take_rows(self, start: int, count: int) -> Capture:
        """The capture of some of its prompts; views, not copies."""
        rows = slice(start, start + count)
        return Capture(
            self.tokens[rows],
            self.ends[rows],
            tuple(r[rows] for r in self.residuals),
            {k: v[rows] for k, v in self.sites.items()},
            tuple({k: v[rows] for k, v in layer.items()} for layer in self.keys_values),
        )


def capture_run(
    model: HookedModel, tokens: torch.Tensor, calls: Sequence[BlockCall], kinds: Iterable[Kind], turn: Turn
) -> Capture:
    """Run prompts block by block and keep what an intervention may need.

    Args:
        tokens: prompts of equal length, shape (prompt, pos).
        kinds: sites to keep, at every layer that has them.

    Raises:
        InterventionRefused: a kind that no layer has.
        ControlFailed: a site's hook did not fire.
    """
    sites: dict[tuple[Kind, int], torch.Tensor] = {}
    keys_values: list[dict[str, torch.Tensor]] = []
    places = model.list_places(kinds)
    with turn():
        residuals = [embed_tokens(model, tokens)]
    for layer in range(model.n_layers):
        recorder = KeyValueRecorder()
        with turn(), keep_sites(model, [place for place in places if place[1] == layer], sites):
            residuals.append(call_block(model, layer, residuals[-1], calls[layer], start=0, cache=recorder))
        keys_values.append(recorder.kept)
    end = residuals.pop()[:, -1]
    return Capture(tokens, end, tuple(residuals), sites, tuple(keys_values) if all(keys_values) else ())


@contextmanager
def keep_sites(model: HookedModel, places: Sequence[Place], sites: dict[Place, torch.Tensor]) -> Iterator[None]:
    """Keep activations while a block, or the model, runs.

    Args:
        sites: filled; shapes as in `sites.HOOKS`.

    Raises:
        InterventionRefused: this architecture does not expose one of the places.
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
        raise ControlFailed(f"The hook of {missing[0]} did not fire; nothing can be measured there.")


class _Entered(Exception):
    """The residual stream has reached the first block: the embedding is done."""


def embed_tokens(model: HookedModel, tokens: torch.Tensor) -> torch.Tensor:
    """What enters the first block; shape (prompt, pos, d_model)."""
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


def _keeper(sites: dict[Place, torch.Tensor], place: Place) -> Any:
    def keep(value: torch.Tensor, hook: Any) -> None:
        sites[place] = value.detach()

    return keep
