"""The residual stream of plain texts: every token's activation, and the loss with the stream replaced by a function of it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_core.activations import StreamChange, TokenReading
from audit_core.component import Kind
from audit_core.engine.capture import Turn
from audit_core.engine.device import to_numpy
from audit_core.engine.sites import HookedModel
from audit_core.errors import ControlFailed
from audit_core.prompts.answers import Tokens
from audit_core.subject import Floats, Progress

if TYPE_CHECKING:
    import torch

ROWS = 8
"""Texts in one pass: the logits of 8 texts of 64 tokens and 50,000 words take 100 MB."""
MOST_TOKENS = 2048
"""Tokens in one pass of more than one text."""


class _Read(Exception):
    """Stops the model once the site was read."""


def read_stream(
    model: HookedModel, rows: Sequence[Tokens], layer: int, turn: Turn, on_progress: Progress
) -> list[Floats]:
    """Residual stream entering a layer at every position of each text; each of shape (pos, d_model).

    Raises:
        ControlFailed: the hook did not fire.
    """
    found: list[Floats] = []
    for start, batch in _list_batches(rows):
        kept: list[Floats] = []

        def keep(value: torch.Tensor, hook: Any, kept: list[Floats] = kept) -> None:
            kept.append(to_numpy(value.detach().float()).copy())
            raise _Read

        with contextlib.suppress(_Read):
            _run(model, batch, layer, keep, turn)
        if not kept:
            raise ControlFailed(f"The hook of the residual stream entering layer {layer} did not fire.")
        found += list(kept[0])
        on_progress(start + len(batch), len(rows))
    return found


def read_tokens(
    model: HookedModel, rows: Sequence[Tokens], layer: int, turn: Turn, on_progress: Progress
) -> list[TokenReading]:
    """The stream entering a layer and what the output says, at every position of each text, from one unedited pass.

    Raises:
        ControlFailed: the hook did not fire.
    """
    import torch

    found: list[TokenReading] = []
    for start, batch in _list_batches(rows):
        kept: list[Floats] = []

        def keep(value: torch.Tensor, hook: Any, kept: list[Floats] = kept) -> None:
            kept.append(to_numpy(value.detach().float()).copy())

        logits = _run(model, batch, layer, keep, turn)
        if not kept:
            raise ControlFailed(f"The hook of the residual stream entering layer {layer} did not fire.")
        with turn():
            logs = logits.float().log_softmax(-1)
            entropy = torch.special.entr(logs.exp()).sum(-1)
            top = logs.topk(2, dim=-1).values
            read = torch.full_like(entropy, torch.nan)
            wanted = model.place_tokens(batch)[:, 1:, None]
            read[:, 1:] = -logs[:, :-1].gather(-1, wanted)[..., 0]
        for at in range(len(batch)):
            outputs = (entropy[at], top[at, :, 0] - top[at, :, 1], read[at])
            found.append(TokenReading(kept[0][at], *(to_numpy(one).copy() for one in outputs)))
        on_progress(start + len(batch), len(rows))
    return found


def measure_losses(
    model: HookedModel, rows: Sequence[Tokens], layer: int, change: StreamChange | None, turn: Turn
) -> Floats:
    """Mean loss of the next token of each text; see `Activations.measure_losses`.

    Raises:
        ControlFailed: the hook did not fire.
    """
    import torch

    losses: list[float] = []
    for _, batch in _list_batches(rows):
        fired: list[bool] = []

        def replace(value: torch.Tensor, hook: Any, fired: list[bool] = fired) -> torch.Tensor:
            assert change is not None
            fired.append(True)
            new = value.clone()
            tokens = to_numpy(value[:, 1:].float()).reshape(-1, value.shape[-1])
            new[:, 1:] = torch.from_numpy(np.ascontiguousarray(change(tokens))).view_as(value[:, 1:]).to(value)
            return new

        logits = _run(model, batch, layer, None if change is None else replace, turn)
        if change is not None and not fired:
            raise ControlFailed(f"The hook of the residual stream entering layer {layer} did not fire.")
        with turn():
            wanted = model.place_tokens(batch)[:, 1:]
            each = torch.nn.functional.cross_entropy(logits[:, :-1].float().transpose(1, 2), wanted, reduction="none")
            losses += each.mean(1).tolist()
    return np.array(losses, np.float32)


def _run(model: HookedModel, batch: Sequence[Tokens], layer: int, hook: Any, turn: Turn) -> Any:
    point = model.find_point(Kind.RESID, layer)
    with turn():
        try:
            if hook is not None:
                point.add_hook(hook)
            return model.bridge(model.place_tokens(batch))
        finally:
            point.remove_hooks()


def _list_batches(rows: Sequence[Tokens]) -> list[tuple[int, list[Tokens]]]:
    """Consecutive texts of equal length, at most `ROWS` and `MOST_TOKENS`, with the number of texts before them."""
    found: list[tuple[int, list[Tokens]]] = []
    for at, row in enumerate(rows):
        most = min(ROWS, MOST_TOKENS // max(1, len(row)))
        if found and len(found[-1][1]) < most and len(found[-1][1][0]) == len(row):
            found[-1][1].append(row)
        else:
            found.append((at, [row]))
    return found
