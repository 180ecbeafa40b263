"""Attention pattern of one head, which a long prompt has room for where patterns of all heads do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit_core.component import Component, Kind
from audit_core.engine.capture import CaptureSteps
from audit_core.engine.device import to_numpy
from audit_core.engine.hooks import Sources
from audit_core.engine.memory import check_pattern
from audit_core.engine.needs import gather_sources, list_edited, list_needs
from audit_core.engine.sites import check_places
from audit_core.engine.wave import Variant, WaveSteps, compile_intervention
from audit_core.errors import ComponentRefused
from audit_core.intervention import Intervention, PromptSide
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Floats, Means, read_only

if TYPE_CHECKING:
    import torch

    from audit_core.engine.runner import WaveRunner


def draw_pattern(
    runner: WaveRunner, pair: TokenPair, intervention: Intervention, head: Component, means: Means | None
) -> Floats:
    """Pattern of one head under an intervention, from a run that ends at its layer; see `Patterns.pattern_of`.

    Raises:
        ComponentRefused: not a head of this model, or a layer without attention.
        PromptRefused: the patterns of one layer do not fit.
    """
    n_heads = runner.geometry.n_heads
    if head.kind is not Kind.HEAD or head.layer not in runner.model.list_layers(Kind.EDGE) or head.index >= n_heads:
        raise ComponentRefused(
            f"The attention pattern of {head}.",
            wanted=f"a head, 0 to {n_heads - 1}, of a layer with attention.",
            remedy="choose a head of this model.",
        )
    length = len(pair.clean_ids)
    check_places([intervention], runner.geometry, length)
    runner.model.check_sites([intervention])
    if runner.fallback:
        return read_only(runner.draw_patterns(pair, intervention, means)[head.layer, head.index].copy())
    check_pattern(runner.geometry, length)
    variant = compile_intervention(intervention)
    # Before the first edit, a run is its unedited run.
    is_edited = bool(variant.edits) and variant.first_layer <= head.layer
    found = (
        _draw_edited(runner, pair, intervention, variant, head.layer, means)
        if is_edited
        else _draw_unedited(runner, pair, intervention.side, head.layer)
    )
    with runner.turn():
        return read_only(to_numpy(found[0, head.index]).copy())


def _draw_unedited(runner: WaveRunner, pair: TokenPair, side: PromptSide, last: int) -> torch.Tensor:
    """Patterns of one layer, shape (1, head, query, key)."""

    ids = pair.clean_ids if side is PromptSide.CLEAN else pair.corrupted_ids
    calls = runner.find_calls(len(ids))
    steps = CaptureSteps(runner.model, runner.model.place_tokens([ids]), (Kind.EDGE,), runner.turn)
    for layer in range(last):
        steps.run_layer(layer, calls[layer])
    found: torch.Tensor = steps.run_layer(last, calls[last]).sites[Kind.EDGE, last]
    return found


def _draw_edited(
    runner: WaveRunner,
    pair: TokenPair,
    intervention: Intervention,
    variant: Variant,
    last: int,
    means: Means | None,
) -> torch.Tensor:
    """Patterns of one layer under edits, shape (1, head, query, key): unedited rows and the edited one take turns at each layer."""
    import torch

    needs = list_needs([intervention])
    calls = runner.find_calls(len(pair.clean_ids))
    inserted = gather_sources(means, [pair], [intervention], runner.model.device, kinds=list_edited([intervention]))
    unedited = CaptureSteps(runner.model, runner.model.place_tokens(needs.list_rows([pair])), needs.kinds, runner.turn)
    generator = torch.Generator().manual_seed(0)
    wave = WaveSteps(runner.model, [variant], start=0, generator=generator, turn=runner.turn, with_patterns=True)
    for layer in range(last + 1):
        sources = Sources(needs.divide(unedited.run_layer(layer, calls[layer]), 1), *inserted)
        # Of one layer at a time.
        wave.patterns.clear()
        wave.run_layer(layer, calls[layer], sources, lambda _: None, at=0)
    return wave.patterns[last]
