"""Blocks of GPT-2: layer norm, learned positions (which the blocks do not see), MLP without a gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind
from audit_core.engine.direct.arithmetic import add, records_gradients
from audit_core.engine.direct.attention import attend
from audit_core.engine.direct.direct_block import DirectBlock

if TYPE_CHECKING:
    import torch


class Gpt2Block(DirectBlock):
    """x + attention(norm(x)), then the same with the MLP."""

    layer_types = frozenset({"GPT2Block"})
    argument_names = ("past_key_values", "attention_mask", "encoder_hidden_states")

    def __init__(self, block: Any, points: Mapping[Kind, Any], config: Any) -> None:
        super().__init__(block, points, config)
        layer = block.original_component
        self._norms = [norm.original_component for norm in (layer.ln_1, layer.ln_2)]
        *self._projections, self._output = (getattr(layer.attn, name).original_component for name in "qkvo")
        mlp = layer.mlp.original_component
        self._in, self._out, self._activation = mlp.c_fc.original_component, mlp.c_proj.original_component, mlp.act
        self._n_heads, self._epsilon, self._scale = config.n_heads, config.eps, config.d_head**-0.5

    def run(self, residual: torch.Tensor, call: Mapping[str, Any]) -> torch.Tensor:
        residual = self.pass_hooks(Kind.RESID, residual)
        normed = self._norm(0, residual)
        shape = (*normed.shape[:2], self._n_heads, -1)
        queries, keys, values = (
            self.pass_hooks(kind, project(normed)).view(shape).transpose(1, 2)
            for kind, project in zip((Kind.QUERY, Kind.KEY, Kind.VALUE), self._projections)
        )
        heads = attend(self, queries, keys, values, call, scale=self._scale, groups=1)
        residual = add(self._output(heads), residual)
        neurons = self._activation(self._in(self._norm(1, residual)))
        return self.pass_hooks(Kind.MLP, self._out(self.pass_hooks(Kind.NEURON, neurons))) + residual

    def _norm(self, which: int, x: torch.Tensor) -> torch.Tensor:
        """The layer norm as TransformerLens computes it for this family, with its scale as a number of its own."""
        norm = self._norms[which]
        x = x - x.mean(-1, keepdim=True)
        if records_gradients():
            return x / (x.pow(2).mean(-1, keepdim=True) + self._epsilon).sqrt() * norm.weight + norm.bias
        scale = x.pow(2).mean(-1, keepdim=True).add_(self._epsilon).sqrt_()
        return x.div_(scale).mul_(norm.weight).add_(norm.bias)
