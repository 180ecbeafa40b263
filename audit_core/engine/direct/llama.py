"""Blocks of Llama, Mistral, Qwen2 and Qwen3: RMS norm, rotated queries and keys, gated MLP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind
from audit_core.engine.direct.arithmetic import add, multiply, records_gradients
from audit_core.engine.direct.attention import attend
from audit_core.engine.direct.direct_block import DirectBlock

if TYPE_CHECKING:
    import torch


class LlamaBlock(DirectBlock):
    """x + attention(norm(x)), then the same with the MLP."""

    layer_types = frozenset({"LlamaDecoderLayer", "MistralDecoderLayer", "Qwen2DecoderLayer", "Qwen3DecoderLayer"})

    def __init__(self, block: Any, points: Mapping[Kind, Any], config: Any) -> None:
        super().__init__(block, points, config)
        layer = block.original_component
        attention, mlp = layer.self_attn.original_component, layer.mlp.original_component
        self._norms = [norm.original_component for norm in (layer.input_layernorm, layer.post_attention_layernorm)]
        *self._projections, self._output = (getattr(attention, f"{name}_proj").original_component for name in "qkvo")
        norms = [getattr(attention, f"{name}_norm", None) for name in "qk"]
        self._head_norms = [norm and norm.original_component for norm in norms]
        self._gate, self._up, self._down = (
            getattr(mlp, f"{name}_proj").original_component for name in ("gate", "up", "down")
        )
        self._activation = mlp.act_fn
        self._d_head, self._scale, self._groups = attention.head_dim, attention.scaling, attention.num_key_value_groups

    def run(self, residual: torch.Tensor, call: Mapping[str, Any]) -> torch.Tensor:
        cos, sin = call["position_embeddings"]
        residual = self.pass_hooks(Kind.RESID, residual)
        normed = _norm(self._norms[0], residual)
        shape = (*normed.shape[:2], -1, self._d_head)
        queries, keys, values = (
            self.pass_hooks(kind, project(normed)).view(shape).transpose(1, 2)
            for kind, project in zip((Kind.QUERY, Kind.KEY, Kind.VALUE), self._projections)
        )
        queries, keys = (
            _rotate(heads if norm is None else _norm(norm, heads), cos.unsqueeze(1), sin.unsqueeze(1))
            for norm, heads in zip(self._head_norms, (queries, keys))
        )
        heads = attend(self, queries, keys, values, call, scale=self._scale, groups=self._groups)
        # Sums into tensors that nothing else has: `residual` itself may be kept.
        residual = add(self._output(heads), residual)
        normed = _norm(self._norms[1], residual)
        neurons = multiply(self._activation(self._gate(normed)), self._up(normed))
        return self.pass_hooks(Kind.MLP, self._down(self.pass_hooks(Kind.NEURON, neurons))) + residual


def _norm(norm: Any, x: torch.Tensor) -> torch.Tensor:
    """The norm as `LlamaRMSNorm` computes it, in float32."""
    import torch

    return multiply(x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon), norm.weight)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """x · cos + rotate_half(x) · sin, without the rotated copy of x."""
    middle = x.shape[-1] // 2
    if records_gradients():
        import torch

        return x * cos + torch.cat((-x[..., middle:], x[..., :middle]), dim=-1) * sin
    out = x * cos
    out[..., :middle].sub_(x[..., middle:] * sin[..., :middle])
    out[..., middle:].add_(x[..., :middle] * sin[..., middle:])
    return out
