"""Weights shuffled from one layer up: a model that computes nothing sensible, with every matrix as large as before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from audit_core.errors import ModelRefused

if TYPE_CHECKING:
    import torch

_OUTPUTS = ("o_proj", "c_proj", "out_proj", "dense")
"""Names of the attention output matrix in the families of `transformers` that are tested."""
_MLPS = ("mlp", "block_sparse_moe", "feed_forward")


def shuffle_weights(model: Any, layer: int, *, n_heads: int, seed: int) -> int:
    """Permute the entries of each matrix behind the attention patterns, each within itself, in place.

    Of every block from `layer` up: the attention's value and output matrices and all matrices of the MLP; and the
    unembedding, untied from the embedding first, which stays. Norms, biases, queries and keys stay.

    Args:
        model: freshly loaded and nobody else's: a `transformers` model for causal language modelling.
        seed: of all permutations.

    Returns:
        Matrices shuffled.

    Raises:
        ModelRefused: an architecture whose value or output matrices are not known here.

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
    """Give the unembedding weights of its own; the embedding is what the untouched layers below still read."""
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
    """Values, output, and every matrix of the MLP; a joint matrix gives its values as a view."""
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
        f"The value and output matrices of {type(part).__name__} are not known.",
        wanted="one of the families whose weights can be shuffled by name.",
        remedy="leave the weight randomisation out for this model.",
    )
