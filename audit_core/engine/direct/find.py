"""Which blocks of a model can be run directly: those that compute the same bits as TransformerLens' own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from audit_core.engine.capture import Capture
from audit_core.engine.direct.direct_block import SITES, DirectBlock
from audit_core.engine.direct.gpt2 import Gpt2Block
from audit_core.engine.direct.llama import LlamaBlock
from audit_core.engine.replay import BlockCall, KeyValueRecorder, Prefix, call_block
from audit_core.engine.sites import HookedModel

FAMILIES: tuple[type[DirectBlock], ...] = (Gpt2Block, LlamaBlock)
_log = logging.getLogger(__name__)
_MISFITS = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)
"""Errors of arithmetic that does not fit a variant of an architecture."""


def find_direct_blocks(
    model: HookedModel, run: Capture, calls: Sequence[BlockCall], start: int
) -> dict[int, DirectBlock]:
    """Blocks by layer that give TransformerLens' own bits for a captured run, whole and from a position on.

    Args:
        run: unedited run by TransformerLens' blocks, with keys and values; in inference mode.
        start: position from which the second comparison runs, on the keys and values before it.
    """
    found: dict[int, DirectBlock] = {}
    if not run.keys_values:
        return found
    for layer in range(model.n_layers):
        try:
            block = _wrap(model, layer)
            if block is not None and _has_same_bits(model, block, layer, run, calls[layer], start):
                found[layer] = block
        except _MISFITS as error:
            _log.info("Layer %d runs through TransformerLens' own block: %s", layer, error)
    return found


def _wrap(model: HookedModel, layer: int) -> DirectBlock | None:
    block: Any = model.bridge.blocks[layer]
    points: dict[Any, Any] = {kind: model.points.get((kind, layer)) for kind in SITES}
    name = type(block.original_component).__name__
    for family in FAMILIES:
        if name in family.layer_types and all(points.values()):
            return family(block, points, model.bridge.cfg)
    return None


def _has_same_bits(
    model: HookedModel, block: DirectBlock, layer: int, run: Capture, call: BlockCall, start: int
) -> bool:
    import torch

    own, direct = replace(model, direct={}), replace(model, direct={layer: block})
    kept = run.keys_values[layer]
    recorder, before = KeyValueRecorder(), Prefix([(kept, 1)], start)
    entering = run.residuals[layer]
    whole = call_block(direct, layer, entering, call, start=0, cache=recorder)
    wanted = run.residuals[layer + 1] if layer + 1 < model.n_layers else run.ends[:, None]
    later = [call_block(one, layer, entering[:, start:], call, start=start, cache=before) for one in (own, direct)]
    pairs = [(whole[:, -wanted.shape[1] :], wanted), (later[0], later[1])]
    return all(torch.equal(a, b) for a, b in [*pairs, *((recorder.kept[name], kept[name]) for name in kept)])
