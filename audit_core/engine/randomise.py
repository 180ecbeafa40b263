"""Weight randomisation: permutes the weights from one layer up, keeping the scale of each matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from audit_core.errors import ModelRefused

if TYPE_CHECKING:
    import torch

_OUTPUTS = ("o_proj", "c_proj", "out_proj", "dense")
"""Names of the attention output matrix in the tested families of `transformers`."""
_MLPS = ("mlp", "block_sparse_moe", "feed_forward")


def shuffle_weights(model: Any, layer: int, *, n_heads: int, seed: int) -> int:
    """Permute the entries within each matrix that does not affect attention patterns of its own layer, in place.

    In every block from `layer` up: value and output matrices of attention, and all matrices of the MLP; and the
    unembedding, after untying it from the embedding. Embedding, norms, biases, queries and keys are unchanged.

        Args:
            model: a `transformers` causal language model, loaded for this call and not shared.
            seed: seed of all permutations.

        Returns:
            Number of permuted matrices.

        Raises:
            ModelRefused: the value or output matrices of the architecture are unknown.

        Source: Adebayo et al. 2018, arXiv:1810.03292, section 3.1 (cascading randomisation; here by permutation, so that the
        scale of each matrix is kept).
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    done = 0
    with torch.no_grad():
        for block in _find_blocks(model)[layer:]:
            for weights in _list_matrices(block, n_heads):
                _shuffle(weights, generator)
                done += 1
        _untie(model)
        _shuffle(model.get_output_embeddings().weight, generator)
    return done + 1


def _shuffle(weights: torch.Tensor, generator: torch.Generator) -> None:
    import torch

    order = torch.randperm(weights.numel(), generator=generator)
    weights.copy_(weights.reshape(-1)[order].view(weights.shape))


def _untie(model: Any) -> None:
    """Untie the unembedding from the embedding, which unchanged layers still read."""
    import torch

    out = model.get_output_embeddings()
    out.weight = torch.nn.Parameter(out.weight.detach().clone())
    model.config.tie_word_embeddings = False


def _find_blocks(model: Any) -> Any:
    inner = getattr(model, model.base_model_prefix)
    for name in ("layers", "h"):
        if hasattr(inner, name):
            return getattr(inner, name)
    raise _unknown(model)


def _list_matrices(block: Any, n_heads: int) -> Iterator[torch.Tensor]:
    """Value and output matrices, and all matrices of the MLP; for a joint matrix, a view of its values."""
    names = [name for name in ("self_attn", "attn", "attention", "self_attention") if hasattr(block, name)]
    mlps = [name for name in _MLPS if hasattr(block, name)]
    if not names or not mlps:
        raise _unknown(block)
    attention = getattr(block, names[0])
    outputs = [getattr(attention, name).weight for name in _OUTPUTS if hasattr(attention, name)]
    if len(outputs) != 1:
        raise _unknown(block)
    yield _find_values(attention, n_heads)
    yield outputs[0]
    for weights in getattr(block, mlps[0]).parameters():
        if weights.dim() >= 2:
            yield weights


def _find_values(attention: Any, n_heads: int) -> torch.Tensor:
    if hasattr(attention, "v_proj"):
        weights: torch.Tensor = attention.v_proj.weight
        return weights
    if hasattr(attention, "c_attn"):
        # GPT-2: (d_model, query | key | value).
        joint: torch.Tensor = attention.c_attn.weight
        return joint[:, 2 * joint.shape[1] // 3 :]
    if hasattr(attention, "query_key_value"):
        # GPT-NeoX and BLOOM: rows are heads, then query, key and value of each.
        rows: torch.Tensor = attention.query_key_value.weight
        return rows.view(n_heads, 3, -1, rows.shape[1])[:, 2]
    raise _unknown(attention)


def _unknown(part: Any) -> ModelRefused:
    return ModelRefused(
        f"The value and output matrices of {type(part).__name__} are unknown.",
        wanted="a supported model family.",
        remedy="skip weight randomisation for this model.",
    )
