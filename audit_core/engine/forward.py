"""Whole forward passes: slower replacement of the wavefront for models whose blocks cannot be run one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind
from audit_core.engine.capture import Capture, Place, Turn, record_sites
from audit_core.engine.hooks import EditHooks, Sources
from audit_core.engine.readout import join_tokens
from audit_core.engine.sites import HookedModel
from audit_core.engine.wave import Variant, Wave
from audit_core.prompts.answers import Tokens

if TYPE_CHECKING:
    import torch


class LogitReadout:
    """Replaces `Readout` if the final states already are logits."""

    def read_all(self, logits: torch.Tensor) -> torch.Tensor:
        """Identity; shape (..., vocabulary)."""
        return logits.float()

    def read_tokens(self, logits: torch.Tensor, ids: Sequence[Tokens]) -> torch.Tensor:
        """Logit of one set of tokens per prompt, shape (variant, prompt, vocabulary) → (variant, prompt)."""
        import torch

        return join_tokens(ids, lambda tokens: logits[:, torch.arange(len(tokens)), tokens].float())


def capture_forward(model: HookedModel, tokens: torch.Tensor, kinds: Iterable[Kind], turn: Turn) -> Capture:
    """`capture_run` in one pass through the whole model.

    Raises:
        ControlFailed: a site's hook did not fire.
    """
    sites: dict[Place, Any] = {}
    places = model.list_places(kinds)
    with turn(), record_sites(model, places, sites):
        end = model.bridge(tokens)[:, -1]
    return Capture(tokens, end[:, None], (), sites, ())


def run_forward(
    model: HookedModel,
    sources: Sources,
    variants: Sequence[Variant],
    *,
    generator: torch.Generator,
    turn: Turn,
    on_layer: Callable[[int], None],
    with_patterns: bool = False,
) -> Wave:
    """`run_wave` in one pass through the whole model, for all variants, prompts and positions.

    Raises:
        ControlFailed: an edit's hook did not fire.
    """
    import torch

    tokens = torch.cat([sources.captures[variant.side].tokens for variant in variants])
    n_prompts = len(tokens) // len(variants)
    patterns: dict[int, torch.Tensor] = {}
    hooks: list[EditHooks] = []
    with turn(), ExitStack() as stack:
        for layer in range(model.n_layers):
            jobs = [(slot, v.side, e) for slot, v in enumerate(variants) for e in v.edits if e.layer == layer]
            hooks.append(stack.enter_context(EditHooks(model, layer, jobs, sources, n_prompts, 0, generator)))
            if with_patterns and (Kind.EDGE, layer) in model.points:
                hooks[-1].watch_pattern(patterns)
        end = model.bridge(tokens)[:, -1]
    on_layer(tokens.numel() * model.n_layers)
    return Wave(end.view(len(variants), n_prompts, 1, -1), sum(hook.applied for hook in hooks), patterns)
