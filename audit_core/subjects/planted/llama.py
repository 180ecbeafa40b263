"""Induction in a Llama: rotary positions, RMS norms, grouped-query attention, and three kinds of decoy.

    head   attends to                   writes                                   role
    L0H0   the previous token           its name, for layer 1 to find            cause, with attention by rotation only
    L1H0   the token after the last     that token's logit, times PRIMARY        cause; raises a flag
           occurrence of this one
    L1H1   the same                     nothing: its output weights are 0        decoy
    L1H2   the same                     JUNK, which nothing reads                decoy
    L1H3   the same                     that token's logit, times NEGATIVE       acts against the answer
    L2H0   the same, if no flag is set  that token's logit, times BACKUP         backup: acts only without L1H0
    L2H1   the same                     EVEN on every logit, which does not      decoy
                                        change their differences

Heads 2k and 2k + 1 share keys and values. All other heads are background: random queries and small random writes, on
random keys and values unless they share those of a planted head. The dimensions of the residual stream:

    0 – 31       TOKEN: the token at this position, one-hot
    32 – 63      PREVIOUS: the previous token, written by a head
    64 – 95      OUT: the logit of each token
    96 – 127     JUNK
    128          FLAG
    287          ballast: the root mean square is then ballast / √288 for every token, which the norms' weight cancels

Positions enter by rotation only: a query and a key that are equal for all tokens give Σ cos(frequency · (distance − 1))
over the fast pairs of dimensions, with its maximum one token back. Tokens are matched on the slow pairs, which rotate by
less than 3 milliradians over the longest prompt.

The backup almost replaces the primary head: setting that to zero costs 0.5 of 7 logits and seems negligible; resampling
it costs 20 of 14. In the query task the prompts differ in the last word only, so resample does not detect the
previous-token head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from audit_core.claim import Role
from audit_core.component import parse_components as parts
from audit_core.intervention import Replacement
from audit_core.judging.verdict import State
from audit_core.subjects.planted.claims import NOTHING, found, list_bystanders, lost
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask
from audit_core.subjects.planted.tasks import make_context, make_query
from audit_core.subjects.planted.weights import (
    BACKGROUND_GAIN,
    BALLAST,
    BOS,
    MATCH,
    N_POSITIONS,
    N_TOKENS,
    REST,
    WORDS,
)

PRIMARY, NEGATIVE, BACKUP, JUNK_GAIN, EVEN = 10.0, -3.0, 9.5, 15.0, 5.0
"""Logits per unit of attention."""
N_LAYERS, N_HEADS, D_HEAD, HEADS_PER_KEY = 3, 6, 48, 2
D_MODEL = N_HEADS * D_HEAD
TOKEN, PREVIOUS, OUT, JUNK, FLAG, _BALLAST = 0, 32, 64, 96, 128, D_MODEL - 1

THETA = 1e12
"""Pair i rotates by THETA^(−i / 24) radians per token: 1, 0.32 and 0.1 for the fast pairs, at most 0.0001 for the slow."""
_PAIRS = D_HEAD // 2
_FAST, _FIRST_SLOW = 3, _PAIRS - N_TOKENS // 2
_PAST = 60.0
"""Score of each fast pair one token back; at any other distance their sum is lower by 30 or more."""
_SIZE = math.sqrt(MATCH * math.sqrt(D_HEAD))
"""Size of query and key of a match; the score is size² / √d_head."""
_PER_SCORE = math.sqrt(D_HEAD) / _SIZE
"""Query size for a score of 1 against a key of that size."""

_PLANTED = ((0, 0), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1))
_BACKGROUND = tuple(
    (layer, index) for layer in range(N_LAYERS) for index in range(N_HEADS) if (layer, index) not in _PLANTED
)


def build_llama(folder: Path, seed: int) -> None:
    """Write model and tokenizer to a folder."""
    model = _start_model()
    previous = _Head(model, 0, 0)
    previous.attend_to_previous()
    previous.copy_token(PREVIOUS, 1.0)
    for index, block, gain in ((0, OUT, PRIMARY), (1, OUT, 0.0), (2, JUNK, JUNK_GAIN), (3, OUT, NEGATIVE)):
        head = _Head(model, 1, index)
        head.attend_after_match()
        head.copy_token(block, gain)
    _Head(model, 1, 0).output[1:N_TOKENS, FLAG] = 1
    backup, even = _Head(model, 2, 0), _Head(model, 2, 1)
    backup.attend_after_match(rest_at_flag=2 * REST)
    backup.copy_token(OUT, BACKUP)
    even.attend_after_match()
    even.output[1:N_TOKENS, OUT : OUT + N_TOKENS] = EVEN
    _fill_background(model, seed)
    model.save_pretrained(folder)
    _save_tokenizer(folder)


def _start_model() -> Any:
    """A Llama with inactive heads: embeddings and unembedding are one-hot, norms the identity, MLPs zero."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=N_TOKENS,
        hidden_size=D_MODEL,
        intermediate_size=8,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=N_HEADS,
        num_key_value_heads=N_HEADS // HEADS_PER_KEY,
        max_position_embeddings=N_POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        attention_bias=True,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    for weights in model.parameters():
        weights.zero_()
    stack = model.model
    norms = (n for layer in stack.layers for n in (layer.input_layernorm, layer.post_attention_layernorm))
    for norm in (stack.norm, *norms):
        norm.weight.fill_(math.sqrt(BALLAST**2 / D_MODEL + config.rms_norm_eps))
    for token in range(N_TOKENS):
        stack.embed_tokens.weight[token, TOKEN + token] = 1
        model.lm_head.weight[token, OUT + token] = 1
    stack.embed_tokens.weight[:, _BALLAST] = BALLAST
    return model


def _save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token=BOS))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {f"{role}_token": BOS for role in ("bos", "eos", "pad", "unk")}
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)


def _slot(token: int) -> int:
    """Dimension of queries and keys that matches a token; each slow pair encodes two."""
    return _FIRST_SLOW + token % (N_TOKENS // 2) + (token // (N_TOKENS // 2)) * _PAIRS


class _Head:
    """Views of one head's weights, input first; key and value are those of its group."""

    def __init__(self, model: Any, layer: int, index: int) -> None:
        attention = model.model.layers[layer].self_attn
        own, shared = (slice(at * D_HEAD, (at + 1) * D_HEAD) for at in (index, index // HEADS_PER_KEY))
        self.query, self.query_bias = attention.q_proj.weight[own].T, attention.q_proj.bias[own]
        self.key, self.key_bias = attention.k_proj.weight[shared].T, attention.k_proj.bias[shared]
        self.value = attention.v_proj.weight[shared].T
        self.output = attention.o_proj.weight[:, own].T

    def attend_to_previous(self) -> None:
        """Attend to the previous token: keys have angle 0 and queries are rotated back by one token."""
        size = math.sqrt(_PAST * math.sqrt(D_HEAD))
        for pair in range(_FAST):
            turn = THETA ** (-pair / _PAIRS)
            self.key_bias[pair] = size
            self.query_bias[pair], self.query_bias[pair + _PAIRS] = size * math.cos(turn), -size * math.sin(turn)

    def attend_after_match(self, *, rest_at_flag: float = 0.0) -> None:
        """Attend to the position after an earlier occurrence of this token, or to the first token if there is none.

        Args:
            rest_at_flag: what a flag adds to the score of the first token.
        """
        for token in range(1, N_TOKENS):
            self.query[TOKEN + token, _slot(token)] = _SIZE
            self.key[PREVIOUS + token, _slot(token)] = _SIZE
        self.key[TOKEN, _slot(0)] = _SIZE
        self.query_bias[_slot(0)] = REST * _PER_SCORE
        self.query[FLAG, _slot(0)] = rest_at_flag * _PER_SCORE

    def copy_token(self, block: int, gain: float) -> None:
        """Write the attended token into a block of dimensions; the first token writes nothing."""
        for token in range(1, N_TOKENS):
            self.value[TOKEN + token, token] = 1
            self.output[token, block + token] = gain


def _fill_background(model: Any, seed: int) -> None:
    """Random attention and values, small random writes to the logits; reads only the token."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    read = slice(TOKEN, TOKEN + N_TOKENS)
    taken = {(layer, index // HEADS_PER_KEY) for layer, index in _PLANTED}
    for layer, index in _BACKGROUND:
        head = _Head(model, layer, index)
        head.query[read] = torch.randn(N_TOKENS, D_HEAD, generator=draw)
        head.output[:, OUT : OUT + N_TOKENS] = BACKGROUND_GAIN * torch.randn(D_HEAD, N_TOKENS, generator=draw)
        if (layer, index // HEADS_PER_KEY) not in taken:
            taken.add((layer, index // HEADS_PER_KEY))
            head.key[read] = torch.randn(N_TOKENS, D_HEAD, generator=draw)
            head.value[read] = torch.randn(N_TOKENS, D_HEAD, generator=draw)


_AGREED: Mapping[Replacement, State] = MappingProxyType({})
_UNSEEN_BY_ZERO = found(zero=State.NEGLIGIBLE, mean=State.SUPPORTED, resample=State.SUPPORTED)
_UNSEEN_BY_RESAMPLE = found(zero=State.SUPPORTED, mean=State.SUPPORTED, resample=State.NEGLIGIBLE)
_SEEN_BY_ZERO_ALONE = found(zero=State.SUPPORTED, mean=State.NEGLIGIBLE, resample=State.NEGLIGIBLE)


def _claim_on_both() -> tuple[PlantedClaim, ...]:
    """Ground truth of both tasks."""
    primary = lost(zero=PRIMARY - BACKUP, mean=PRIMARY, resample=2 * PRIMARY)
    both = lost(zero=PRIMARY, mean=PRIMARY, resample=2 * PRIMARY)
    negative = lost(zero=NEGATIVE, mean=NEGATIVE, resample=2 * NEGATIVE)
    return tuple(
        PlantedClaim(parts(heads), task, planted, expected, support, by_family=by_family)
        for task in ("query", "context")
        for heads, planted, expected, support, by_family in (
            ("L1.H0", PlantedRole.BACKED_UP, State.INCONCLUSIVE, primary, _UNSEEN_BY_ZERO),
            ("L1.H0 L2.H0", PlantedRole.CAUSE, State.SUPPORTED, both, _AGREED),
            ("L1.H1", PlantedRole.DECOY, State.NEGLIGIBLE, NOTHING, _AGREED),
            ("L1.H2", PlantedRole.DECOY, State.NEGLIGIBLE, NOTHING, _AGREED),
            ("L2.H1", PlantedRole.DECOY, State.NEGLIGIBLE, NOTHING, _AGREED),
            ("L1.H3", PlantedRole.NEGATIVE, State.REVERSED, negative, _AGREED),
            ("L2.H0", PlantedRole.BACKUP, State.NEGLIGIBLE, NOTHING, _AGREED),
        )
    )


_CLAIMS = (
    PlantedClaim(parts("L0.H0"), "context", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=7, mean=7, resample=14)),
    PlantedClaim(
        parts("L0.H0"),
        "query",
        PlantedRole.CAUSE,
        State.INCONCLUSIVE,
        lost(zero=7, mean=7, resample=0),
        by_family=_UNSEEN_BY_RESAMPLE,
    ),
    *_claim_on_both(),
    PlantedClaim(
        parts("L0.H0 L1.H0 L1.H3"),
        "query",
        PlantedRole.CAUSE,
        State.SUPPORTED,
        lost(zero=7, mean=7, resample=14),
        Role.SUFFICIENT,
    ),
    PlantedClaim(
        parts("L0.H0 L1.H1 L1.H2 L2.H1"),
        "query",
        PlantedRole.DECOY,
        State.NEGLIGIBLE,
        lost(zero=7, mean=7, resample=0),
        Role.SUFFICIENT,
    ),
    PlantedClaim(
        parts("L0.H0 L2.H0"),
        "query",
        PlantedRole.BACKUP,
        State.INCONCLUSIVE,
        lost(zero=7, mean=7, resample=0),
        Role.SUFFICIENT,
        _SEEN_BY_ZERO_ALONE,
    ),
    *list_bystanders(_BACKGROUND, "query"),
)

LLAMA = PlantedModel(
    "planted-llama",
    "Induction in a Llama, with three kinds of decoy and a backup that hides the cause",
    "Layer 0 writes the previous token by rotation only; layer 1 finds the token after its last occurrence and copies it. "
    "One decoy writes nothing, one writes to unread dimensions, one raises all logits equally. If the primary head is set "
    "to zero, a backup in layer 2 almost replaces it.",
    build_llama,
    (PlantedTask("query", make_query), PlantedTask("context", make_context)),
    _CLAIMS,
)
