"""Sets a GPT-2's weights by hand: attention and output of heads, and responses of neurons.

    dimensions   content
    0 – 31       TOKEN: the token at this position, one-hot
    32 – 55      POSITION: the position, one-hot
    56 – 87      PREVIOUS: the previous token, written by a head
    88 – 119     OUT: the logit of each token
    120 – 151    JUNK: nothing reads it, except the MLP of planted-unseen
    152, 153     FLAG, FLAG_B: signals between layers
    154 – 185    NAMED: a token written for an MLP
    189          DUMP: nothing reads it; balances every written row to sum zero, so the norms' mean is zero
    190, 191     ±ballast: nothing reads it; the norms' standard deviation is then ballast · √(2/192) for every token

The norms' weight cancels the ballast, so each layer norm is the identity, except for a relative error of one millionth
by large writes; with a small ballast this error is not small.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

BOS, EQUALS, A, B = "<bos>", "=", "A", "B"
NOUNS = tuple(f"w{number:02d}" for number in range(1, 29))
WORDS = (BOS, *NOUNS, EQUALS, A, B)
"""Token i is the i-th word; words are separated by spaces."""
N_TOKENS, N_POSITIONS, N_HEADS, D_HEAD = len(WORDS), 24, 6, 32
D_MODEL = N_HEADS * D_HEAD
TOKEN, POSITION, PREVIOUS, OUT, JUNK, FLAG, FLAG_B, NAMED, DUMP = 0, 32, 56, 88, 120, 152, 153, 154, 189

BALLAST = 4096.0
MATCH, REST = 30.0, 15.0
"""Attention scores: a match exceeds the default on the first token by e^15, which exceeds all others by e^15."""
BACKGROUND_GAIN = 0.02
"""Size of a random head's writes; they change less than a tenth of the gap of 7 logits (methods 3.2)."""
Flags = Mapping[int, float]
"""Dimension of the residual stream → its weight in the score of the default position."""
_NO_FLAGS: Flags = MappingProxyType({})


def start_model(n_layers: int, *, ballast: float = BALLAST, n_neurons: int = 8) -> Any:
    """A GPT-2 with inactive heads and neurons: embeddings and unembedding are one-hot, norms the identity."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=N_TOKENS,
        n_positions=N_POSITIONS,
        n_embd=D_MODEL,
        n_layer=n_layers,
        n_head=N_HEADS,
        n_inner=n_neurons,
        activation_function="relu",
        resid_pdrop=0,
        embd_pdrop=0,
        attn_pdrop=0,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval().requires_grad_(False)
    for weights in model.parameters():
        weights.zero_()
    stack = model.transformer
    for norm in (stack.ln_f, *(n for block in stack.h for n in (block.ln_1, block.ln_2))):
        norm.weight.fill_(math.sqrt(2 * ballast**2 / D_MODEL + config.layer_norm_epsilon))
    for token in range(N_TOKENS):
        stack.wte.weight[token, TOKEN + token] = 1
        model.lm_head.weight[token, OUT + token] = 1
    for position in range(N_POSITIONS):
        stack.wpe.weight[position, POSITION + position] = 1
    stack.wpe.weight[:, D_MODEL - 2], stack.wpe.weight[:, D_MODEL - 1] = ballast, -ballast
    return model


def save_model(model: Any, folder: Path) -> None:
    """Balance all rows written to the residual stream, and save model and tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    stack = model.transformer
    written = [projection.weight for block in stack.h for projection in (block.attn.c_proj, block.mlp.c_proj)]
    for weights in (stack.wte.weight, stack.wpe.weight, *written):
        weights[:, DUMP] -= weights.sum(1)
    model.save_pretrained(folder)
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token=BOS))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {f"{role}_token": BOS for role in ("bos", "eos", "pad", "unk")}
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)


class Head:
    """Views of one head's weights; GPT-2 stores queries, keys and values in one matrix."""

    def __init__(self, model: Any, layer: int, index: int) -> None:
        attention = model.transformer.h[layer].attn
        at = [slice(part * D_MODEL + index * D_HEAD, part * D_MODEL + (index + 1) * D_HEAD) for part in range(3)]
        self.query, self.key, self.value = (attention.c_attn.weight[:, span] for span in at)
        self.query_bias = attention.c_attn.bias[at[0]]
        self.output = attention.c_proj.weight[at[0]]

    def attend_to_previous(self) -> None:
        """Attend to the previous position: query t matches key t − 1; the score is q·k / √d_head."""
        for position in range(N_POSITIONS):
            self.query[POSITION + position, position] = _SIZE
            if position + 1 < N_POSITIONS:
                self.key[POSITION + position, position + 1] = _SIZE

    def attend_to_position(self, position: int) -> None:
        """Attend from every token to the same position."""
        self.query_bias[0] = _SIZE
        self.key[POSITION + position, 0] = _SIZE

    def attend_after_match(self, *, rest: float = REST, flags: Flags = _NO_FLAGS) -> None:
        """Attend to the position after an earlier occurrence of this token, or to the first token if there is none.

        Args:
            rest: score of the first token; above `MATCH` the head always attends to it.
            flags: changes of `rest`.
        """
        for token in range(1, N_TOKENS):
            self.query[TOKEN + token, token] = _SIZE
            self.key[PREVIOUS + token, token] = _SIZE
        self._rest(rest)
        for dimension, change in flags.items():
            self.query[dimension, 0] = change * _PER_SCORE

    def attend_to_predicted(self, logit: float) -> None:
        """Attend to occurrences of a token that is predicted with this logit, or to the first token if there is none."""
        for token in range(1, N_TOKENS):
            self.query[OUT + token, token] = _SIZE / logit
            self.key[TOKEN + token, token] = _SIZE
        self._rest(REST)

    def _rest(self, score: float) -> None:
        self.key[TOKEN, 0] = _SIZE
        self.query_bias[0] = score * _PER_SCORE

    def write(self, word: str, dimension: int, gain: float) -> None:
        """Add to a dimension of the residual stream, per unit of attention on a word."""
        token = WORDS.index(word)
        self.value[TOKEN + token, token] = 1
        self.output[token, dimension] += gain

    def copy_token(self, block: int, gain: float) -> None:
        """Write the attended token into a block of dimensions; the first token writes nothing."""
        for token, word in enumerate(WORDS[1:], start=1):
            self.write(word, block + token, gain)

    def raise_flag(self, dimension: int) -> None:
        """Write 1 to a dimension unless the head attends to the first token."""
        for word in WORDS[1:]:
            self.write(word, dimension, 1)


_SIZE = math.sqrt(MATCH * math.sqrt(D_HEAD))
"""Size of query and key of a match; the score is size² / √d_head."""
_PER_SCORE = math.sqrt(D_HEAD) / _SIZE
"""Query size for a score of 1 against a key of that size."""


def plant_previous(model: Any, index: int = 0, block: int = PREVIOUS, gain: float = 1.0) -> None:
    """A head of layer 0 that writes the previous token into a block."""
    head = Head(model, 0, index)
    head.attend_to_previous()
    head.copy_token(block, gain)


def plant_match(
    model: Any, layer: int, index: int, block: int, gain: float, *, rest: float = REST, flags: Flags = _NO_FLAGS
) -> None:
    """A head that writes the token after the last occurrence of this token into a block; see `Head.attend_after_match`."""
    head = Head(model, layer, index)
    head.attend_after_match(rest=rest, flags=flags)
    head.copy_token(block, gain)


def respond(
    model: Any,
    layer: int,
    source: int,
    target: int,
    kinks: Sequence[tuple[float, float]],
    *,
    sign: float = 1.0,
    after: int = 0,
) -> None:
    """For each word, map x in one block to Σ weight · relu(sign · x − threshold) in another.

    Args:
        kinks: pairs of threshold and weight; each takes a neuron per word.
        sign: 1 or −1.
        after: kinks that earlier calls planted in this layer.
    """
    mlp = model.transformer.h[layer].mlp
    for number, (threshold, weight) in enumerate(kinks, start=after):
        for token in range(N_TOKENS):
            neuron = number * N_TOKENS + token
            mlp.c_fc.weight[source + token, neuron] = sign
            mlp.c_fc.bias[neuron] = -threshold
            mlp.c_proj.weight[neuron, target + token] = weight


def list_background(n_layers: int, planted: Collection[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Layer and index of every head without planted weights."""
    return tuple(
        (layer, index) for layer in range(n_layers) for index in range(N_HEADS) if (layer, index) not in planted
    )


def fill_background(model: Any, heads: Sequence[tuple[int, int]], *, seed: int) -> None:
    """Random attention and values, small random writes to the logits: heads for random baselines."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    read, spoken = slice(TOKEN, POSITION + N_POSITIONS), slice(OUT, OUT + N_TOKENS)
    for place in heads:
        head = Head(model, *place)
        head.query[read] = torch.randn(POSITION + N_POSITIONS - TOKEN, D_HEAD, generator=draw)
        head.key[read] = torch.randn(POSITION + N_POSITIONS - TOKEN, D_HEAD, generator=draw)
        head.value[TOKEN : TOKEN + N_TOKENS] = torch.randn(N_TOKENS, D_HEAD, generator=draw)
        head.output[:, spoken] = BACKGROUND_GAIN * torch.randn(D_HEAD, N_TOKENS, generator=draw)
