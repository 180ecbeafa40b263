"""The slow reading of the definitions: one whole forward pass per intervention and prompt, hooks by name.

Nothing of `audit_core.engine` is used: what the two share is TransformerBridge and the definitions alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import torch

from audit_core.component import Component, Kind
from audit_core.intervention import Edit, Intervention, PromptSide, Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair

HOOKS = {
    Kind.HEAD: "attn.hook_z",
    Kind.EDGE: "attn.hook_pattern",
    Kind.MLP: "hook_mlp_out",
    Kind.RESID: "hook_resid_pre",
    Kind.QUERY: "attn.hook_q",
    Kind.KEY: "attn.hook_k",
    Kind.VALUE: "attn.hook_v",
    Kind.PATTERN: "attn.hook_pattern",
    Kind.NEURON: "mlp.hook_post",
}


def find_experts(bridge: Any) -> dict[int, Any]:
    """The experts' module of each mixture layer."""
    named = {
        layer: [m for n, m in block.named_modules() if n.endswith(".experts")]
        for layer, block in enumerate(bridge.blocks)
    }
    return {layer: found[0] for layer, found in named.items() if found}


def write(experts: Any, token: torch.Tensor, expert: int) -> torch.Tensor:
    """What one expert writes for one token, unweighted."""
    return type(experts).forward(experts, token[None], torch.tensor([[expert]]), torch.ones(1, 1))[0]


Sent = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Experts' input, chosen experts and weights of one prompt; first axis: position."""


def change_expert(
    experts: Any, now: Sent, out: torch.Tensor, edit: Edit, side: PromptSide, source: Any
) -> torch.Tensor:
    """One token after the other; `source` is what the experts received in the other run, or a mean."""
    out, part = out.clone(), edit.component
    for at in range(len(out)) if part.position is None else [part.position % len(out)]:
        inputs, chosen, weights = (x[at] for x in now)
        weight = sum((w for e, w in zip(chosen.tolist(), weights) if e == part.index), torch.tensor(0.0))
        own = write(experts, inputs, part.index)
        if edit.replacement is Replacement.ADD:
            out[at] += edit.factor * torch.tensor(edit.direction) * bool(weight)
        elif edit.replacement is Replacement.SCALE:
            out[at] += (edit.factor - 1) * weight * own
        elif edit.replacement is Replacement.ZERO:
            out[at] -= weight * own
        elif edit.replacement is not Replacement.RESAMPLE:
            out[at] += weight * (source - own) if weight else 0
        else:
            there, theirs, shares = (x[at] for x in source)
            share = sum((w for e, w in zip(theirs.tolist(), shares) if e == part.index), torch.tensor(0.0))
            share = weight if side is PromptSide.CLEAN else share
            out[at] += share * write(experts, there, part.index) - weight * own
    return out


def name_hook(part: Component) -> str:
    return f"blocks.{part.layer}.{HOOKS[part.kind]}"


def index_part(part: Component) -> tuple:
    """Where the part stands in a batch of one; torch counts negative positions from the end itself."""
    at = slice(None) if part.position is None else part.position
    if part.kind is Kind.EDGE:
        return (0, part.index, at, part.key)
    if part.kind is Kind.PATTERN:
        return (0, part.index, at)
    return (0, at) if part.kind in (Kind.MLP, Kind.RESID) else (0, at, part.index)


def reaim(value: torch.Tensor, edit: Edit, ids: Sequence[int], seed: int) -> None:
    """One query after the other. Visible are the keys from the first that any head weighs to the last."""
    part, n = edit.component, value.shape[2]
    ranks = np.random.default_rng([seed, part.layer, part.index, *ids]).random((n, n))
    for query in range(n) if part.position is None else [part.position % n]:
        weighed = [key for key in range(n) if any(float(row[key]) > 0 for row in value[0, :, query])]
        keys = [key for key in range(max(1, weighed[0]), weighed[-1] + 1)]
        row = value[0, part.index, query]
        weights = [float(row[key]) for key in keys]
        if edit.replacement is Replacement.UNIFORM:
            dealt = [sum(weights) / len(weights) for _ in keys]
        else:
            dealt = [weights[at] for at in sorted(range(len(keys)), key=lambda at: ranks[query, keys[at]])]
        for key, weight in zip(keys, dealt, strict=True):
            row[key] = weight


def change_part(
    value: torch.Tensor, hook: Any, *, edit: Edit, source: torch.Tensor | None, ids: Sequence[int] = ()
) -> torch.Tensor:
    value, where = value.clone(), index_part(edit.component)
    if edit.replacement in (Replacement.UNIFORM, Replacement.PERMUTED):
        reaim(value, edit, ids, 0)
    elif edit.direction is not None:
        along = torch.tensor(edit.direction)
        reads = along if edit.reads is None else torch.tensor(edit.reads)
        value[where] += (
            move_along(value[where] @ reads, None if source is None else source[where] @ reads, edit)[..., None] * along
        )
    elif edit.replacement is Replacement.ZERO:
        value[where] = 0
    elif edit.replacement is Replacement.SCALE:
        value[where] *= edit.factor
    else:
        assert source is not None
        value[where] = source[where]
    return value


def move_along(now: torch.Tensor, other: torch.Tensor | None, edit: Edit) -> torch.Tensor:
    """By how much the projection on a direction changes."""
    if edit.replacement is Replacement.ADD:
        return torch.full_like(now, edit.factor)
    if edit.replacement is Replacement.SCALE:
        return (edit.factor - 1) * now
    if edit.replacement is Replacement.SET:
        return edit.factor - now
    return (torch.zeros_like(now) if other is None else other) - now


class LiteralRunner:
    """Runs whole forward passes; what an unedited pass computed is kept, for replacements to be taken from."""

    def __init__(self, bridge: Any, reference: TokenisedPrompts | None = None) -> None:
        self.bridge, self.reference = bridge, reference
        self._kept: dict[tuple[int, ...], dict[str, torch.Tensor]] = {}
        self._kept_sent: dict[tuple[int, ...], dict[int, Sent]] = {}

    def run(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> np.ndarray:
        """All logits at the last position; shape (intervention, prompt, vocabulary)."""
        return np.stack([[self._forward(pair, i, []) for pair in prompts.pairs] for i in interventions])

    def draw(self, pair: TokenPair, intervention: Intervention) -> np.ndarray:
        """Attention patterns under an intervention; shape (layer, head, query, key)."""
        kept: dict[str, torch.Tensor] = {}
        names = [f"blocks.{layer}.{HOOKS[Kind.EDGE]}" for layer in range(self.bridge.cfg.n_layers)]
        self._forward(pair, intervention, [(name, partial(_keep, kept=kept, name=name)) for name in names])
        return np.stack([kept[name][0].numpy() for name in names])

    def _forward(self, pair: TokenPair, intervention: Intervention, watching: list[tuple[str, Any]]) -> np.ndarray:
        ids = pair.clean_ids if intervention.side is PromptSide.CLEAN else pair.corrupted_ids
        hooks = [
            (
                name_hook(edit.component),
                partial(change_part, edit=edit, source=self._source(pair, intervention.side, edit), ids=ids),
            )
            for edit in intervention.edits
            if edit.component.kind is not Kind.EXPERT
        ]
        with torch.inference_mode(), ExitStack() as stack:
            for edit in intervention.edits:
                if edit.component.kind is Kind.EXPERT:
                    self._hook_expert(stack, pair, intervention.side, edit)
            return self.bridge.run_with_hooks(torch.tensor([ids]), fwd_hooks=[*hooks, *watching])[0, -1].numpy()

    def _hook_expert(self, stack: ExitStack, pair: TokenPair, side: PromptSide, edit: Edit) -> None:
        layer = edit.component.layer
        source: Any = None
        if edit.replacement is Replacement.RESAMPLE:
            source = self.sent_to(pair.corrupted_ids if side is PromptSide.CLEAN else pair.clean_ids)[layer]
        elif edit.replacement in (Replacement.MEAN, Replacement.MEAN_TEMPLATE):
            source = self._mean_written(pair, edit)

        def hook(experts: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
            return change_expert(experts, args, out, edit, side, source)

        stack.callback(find_experts(self.bridge)[layer].register_forward_hook(hook).remove)

    def sent_to(self, ids: tuple[int, ...]) -> dict[int, Sent]:
        if ids not in self._kept_sent:
            kept: dict[int, Sent] = {}
            with torch.inference_mode(), ExitStack() as stack:
                for layer, experts in find_experts(self.bridge).items():
                    keep = partial(lambda _module, args, layer: kept.update({layer: args}), layer=layer)
                    stack.callback(experts.register_forward_pre_hook(keep).remove)
                self.bridge(torch.tensor([ids]))
            self._kept_sent[ids] = kept
        return self._kept_sent[ids]

    def _mean_written(self, pair: TokenPair, edit: Edit) -> torch.Tensor:
        """Mean over the reference tokens that were sent to the expert."""
        experts, expert = find_experts(self.bridge)[edit.component.layer], edit.component.index
        sent = [self.sent_to(ids)[edit.component.layer] for ids in self._list_reference(pair, edit)]
        rows = [(token, expert in chosen.tolist()) for one in sent for token, chosen in zip(*one[:2], strict=True)]
        own = [token for token, is_sent in rows if is_sent] or [token for token, _ in rows]
        written = [write(experts, token, expert).double() for token in own]
        return torch.stack(written).mean(0).float()

    def _list_reference(self, pair: TokenPair, edit: Edit) -> list[tuple[int, ...]]:
        assert self.reference is not None
        return [
            ids
            for other in self.reference.pairs
            if len(other.clean_ids) == len(pair.clean_ids)
            and (edit.replacement is Replacement.MEAN or other.prompt.template == pair.prompt.template)
            for ids in (other.clean_ids, other.corrupted_ids)
        ]

    def _source(self, pair: TokenPair, side: PromptSide, edit: Edit) -> torch.Tensor | None:
        name = name_hook(edit.component)
        if edit.replacement is Replacement.RESAMPLE:
            return self._activations(pair.corrupted_ids if side is PromptSide.CLEAN else pair.clean_ids)[name]
        if edit.replacement not in (Replacement.MEAN, Replacement.MEAN_TEMPLATE):
            return None
        runs = [self._activations(ids)[name] for ids in self._list_reference(pair, edit)]
        return torch.stack(runs).double().mean(0).float()

    def _activations(self, ids: tuple[int, ...]) -> dict[str, torch.Tensor]:
        if ids not in self._kept:
            kept: dict[str, torch.Tensor] = {}
            names = [f"blocks.{n}.{hook}" for n in range(self.bridge.cfg.n_layers) for hook in HOOKS.values()]
            names = [name for name in names if name in self.bridge.hook_dict]
            hooks = [(name, partial(_keep, kept=kept, name=name)) for name in names]
            with torch.inference_mode():
                self.bridge.run_with_hooks(torch.tensor([ids]), fwd_hooks=hooks)
            self._kept[ids] = kept
        return self._kept[ids]


def _keep(value: torch.Tensor, hook: Any, *, kept: dict[str, torch.Tensor], name: str) -> None:
    kept[name] = value.detach().clone()
