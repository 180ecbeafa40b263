"""Sets a mixture's weights by hand: router scores by class of token, and what each expert writes.

    dimensions   content
    0 – 35       TOKEN: the token at this position, one-hot
    36 – 71      OUT: the logit of each token
    72 – 107     JUNK: nothing reads it
    108 – 143    NAMED: a token written for the next layer
    144 – 146    START, CONTEXT, ASKED: the class of the token, which the routers read
    159          ballast: the root mean square is then ballast / √160 for every token, which the norms' weight cancels

Attention weights are zero: the answer depends on the last token and its experts only. The gate half of an expert is a
constant, so that its output is linear in the token; a responding expert uses the gate as a threshold instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.subjects.planted.weights import BALLAST, BOS, EQUALS

ASKED_WORDS = tuple(f"s{number:02d}" for number in range(1, 13))
SILENT_WORDS = ("n01", "n02")
"""Asked like the others, but without an answer of their own."""
CONTEXT_WORDS = tuple(f"c{number:02d}" for number in range(1, 9))
ANSWER_WORDS = tuple(f"a{number:02d}" for number in range(1, 13))
WORDS = (BOS, *ASKED_WORDS, *SILENT_WORDS, *CONTEXT_WORDS, *ANSWER_WORDS, EQUALS)
"""Token i is the i-th word; the answer to s07 is a07."""
ANSWERS: Mapping[str, str] = dict(zip(ASKED_WORDS, ANSWER_WORDS, strict=True))
N_TOKENS, N_POSITIONS, N_LAYERS, N_EXPERTS, N_CHOSEN, N_HEADS, D_HEAD = len(WORDS), 16, 2, 8, 2, 5, 32
D_MODEL = N_HEADS * D_HEAD
TOKEN, OUT, JUNK, NAMED = 0, N_TOKENS, 2 * N_TOKENS, 3 * N_TOKENS
START, CONTEXT, ASKED = (4 * N_TOKENS + at for at in range(3))
_BALLAST = D_MODEL - 1
_OPEN = 10.0
"""Input of the constant gate; SiLU maps it to `_GATE`."""
_GATE = _OPEN / (1 + math.exp(-_OPEN))
_STEEP = 400.0
"""Gain of a threshold: SiLU is a ramp to within 10⁻⁸ at a twentieth of a name from it."""
_UNREAD = -4.0
"""Router logit of an expert that is not chosen."""
_FIRST_CHOICE = 4.0
"""Above all random logits, at a weight of about 0.9."""
BACKGROUND_GAIN = 0.01

Scores = Mapping[int, float]
"""Expert → router logit; all others have `_UNREAD`."""


@dataclass(frozen=True)
class RouterKind:
    """A family of mixtures: how router logits become weights of the chosen experts."""

    model_type: str
    block: str
    """Attribute of a layer that holds router and experts."""
    router: str
    options: Mapping[str, Any]
    """Entries of the configuration besides the sizes."""
    weigh: Callable[[Sequence[float], Sequence[int]], tuple[float, ...]]
    """Router logits of all experts, and the chosen ones → their weights."""


def softmax_over_chosen(logits: Sequence[float], chosen: Sequence[int]) -> tuple[float, ...]:
    """Weights that sum to one: Mixtral renormalises a softmax, Granite takes it of the chosen only."""
    shares = [math.exp(logits[expert]) for expert in chosen]
    return tuple(share / sum(shares) for share in shares)


def softmax_over_all(logits: Sequence[float], chosen: Sequence[int]) -> tuple[float, ...]:
    """Weights that sum to less than one: OLMoE keeps each expert's share of all."""
    total = sum(map(math.exp, logits))
    return tuple(math.exp(logits[expert]) / total for expert in chosen)


SCALE = 2.5


def scaled_sigmoid(logits: Sequence[float], chosen: Sequence[int]) -> tuple[float, ...]:
    """Weights that sum to `SCALE`: DeepSeek-V3 scores each expert alone, and scales what it renormalised."""
    shares = [1 / (1 + math.exp(-logits[expert])) for expert in chosen]
    return tuple(SCALE * share / sum(shares) for share in shares)


_LOCAL = {"intermediate_size": N_TOKENS, "num_local_experts": N_EXPERTS, "head_dim": D_HEAD}
_LATENT = {
    "kv_lora_rank": 16, "q_lora_rank": None, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": D_HEAD,
}  # fmt: skip
RENORMALISED = RouterKind("mixtral", "mlp", "gate", _LOCAL, softmax_over_chosen)
AS_SCORED = RouterKind(
    "olmoe",
    "mlp",
    "gate",
    {"intermediate_size": N_TOKENS, "num_experts": N_EXPERTS, "norm_topk_prob": False},
    softmax_over_all,
)
CHOSEN_FIRST = RouterKind("granitemoe", "block_sparse_moe", "router", _LOCAL, softmax_over_chosen)
GROUPED = RouterKind(
    "deepseek_v3",
    "mlp",
    "gate",
    {
        "intermediate_size": N_TOKENS,
        "moe_intermediate_size": N_TOKENS,
        "n_routed_experts": N_EXPERTS,
        "n_shared_experts": 1,
        "first_k_dense_replace": 0,
        "n_group": 4,
        "topk_group": 2,
        "norm_topk_prob": True,
        "routed_scaling_factor": SCALE,
        "num_mtp_layers": 0,
        **_LATENT,
    },
    scaled_sigmoid,
)


def list_logits(scores: Scores) -> tuple[float, ...]:
    """Router logit of every expert."""
    return tuple(scores.get(expert, _UNREAD) for expert in range(N_EXPERTS))


def start_mixture(kind: RouterKind) -> Any:
    """A mixture with inactive experts: embeddings and unembedding are one-hot, norms the identity, attention zero."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        kind.model_type,
        vocab_size=N_TOKENS,
        hidden_size=D_MODEL,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=N_HEADS,
        num_key_value_heads=N_HEADS,
        num_experts_per_tok=N_CHOSEN,
        max_position_embeddings=N_POSITIONS,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        **kind.options,
    )
    model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for weights in model.parameters():
        weights.zero_()
    stack = model.model
    norms = (n for layer in stack.layers for n in (layer.input_layernorm, layer.post_attention_layernorm))
    for norm in (stack.norm, *norms):
        norm.weight.fill_(math.sqrt(BALLAST**2 / D_MODEL + config.rms_norm_eps))
    for token, word in enumerate(WORDS):
        embedding = stack.embed_tokens.weight[token]
        embedding[TOKEN + token] = 1
        embedding[_find_class(word)] = 1
        model.lm_head.weight[token, OUT + token] = 1
    stack.embed_tokens.weight[:, _BALLAST] = BALLAST
    return model


def _find_class(word: str) -> int:
    if word == BOS:
        return START
    return ASKED if word in ASKED_WORDS + SILENT_WORDS else CONTEXT


def save_mixture(model: Any, folder: Path) -> None:
    """Write model and tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    model.save_pretrained(folder)
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token=BOS))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {f"{role}_token": BOS for role in ("bos", "eos", "pad", "unk")}
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)


class Layer:
    """Views of one layer's router and experts."""

    def __init__(self, model: Any, kind: RouterKind, layer: int) -> None:
        block = getattr(model.model.layers[layer], kind.block)
        self.router, self.experts = getattr(block, kind.router), block.experts
        self.shared = getattr(block, "shared_experts", None)
        self.attention = model.model.layers[layer].self_attn

    def route(self, scores: Mapping[int, Scores]) -> None:
        """Set the router's logits for each class of token."""
        for dimension, chosen in scores.items():
            for expert, logit in enumerate(list_logits(chosen)):
                self.router.weight[expert, dimension] = logit

    def route_everything(self, scores: Mapping[int, float]) -> None:
        """The same logits for every token."""
        for expert, logit in scores.items():
            self.router.weight[expert, _BALLAST] = logit / BALLAST

    def correct(self, expert: int, change: float) -> None:
        """Add to an expert's score for the choice, but not for its weight."""
        self.router.e_score_correction_bias[expert] = change

    def translate(self, expert: int, block: int, words: Mapping[str, str], gain: float) -> None:
        """An expert that writes a word into a block for each word it reads, times a gain and its weight."""
        gate_up, down = self.experts.gate_up_proj[expert], self.experts.down_proj[expert]
        gate_up[:N_TOKENS, _BALLAST] = _OPEN / BALLAST
        for read, written in words.items():
            neuron = WORDS.index(read)
            gate_up[N_TOKENS + neuron, TOKEN + neuron] = 1
            down[block + WORDS.index(written), neuron] = gain / _GATE

    def translate_shared(self, block: int, words: Mapping[str, str], gain: float) -> None:
        """The same for the shared path, which has no weight."""
        shared = self._open_shared()
        for read, written in words.items():
            neuron = WORDS.index(read)
            shared.up_proj.weight[neuron, TOKEN + neuron] = 1
            shared.down_proj.weight[block + WORDS.index(written), neuron] = gain / _GATE

    def fill_shared(self, seed: int) -> None:
        """A shared path with small random writes to the logits."""
        import torch

        shared, draw = self._open_shared(), torch.Generator().manual_seed(seed + 1000)
        shared.up_proj.weight[:, TOKEN : TOKEN + N_TOKENS] = torch.randn(N_TOKENS, N_TOKENS, generator=draw)
        writes = torch.randn(N_TOKENS, N_TOKENS, generator=draw)
        shared.down_proj.weight[OUT : OUT + N_TOKENS] = BACKGROUND_GAIN * writes / _GATE

    def read_heads(self, seed: int) -> None:
        """Give heads a path to the logits. They hold zeros, so that nothing changes; noise on them then shows that their hook works."""
        import torch

        draw = torch.Generator().manual_seed(seed + 2000)
        output = self.attention.o_proj.weight
        output[OUT : OUT + N_TOKENS] = BACKGROUND_GAIN * torch.randn(N_TOKENS, output.shape[1], generator=draw)

    def _open_shared(self) -> Any:
        if self.shared is None:
            raise ValueError("This family has no shared path.")
        self.shared.gate_proj.weight[:, _BALLAST] = _OPEN / BALLAST
        return self.shared

    def respond(self, expert: int, kinks: Sequence[tuple[float, float]]) -> None:
        """An expert that maps x in NAMED to Σ weight · relu(x − threshold) in OUT, for each answer."""
        gate_up, down = self.experts.gate_up_proj[expert], self.experts.down_proj[expert]
        for number, (threshold, weight) in enumerate(kinks):
            for at, word in enumerate(ANSWER_WORDS):
                neuron, token = number * len(ANSWER_WORDS) + at, WORDS.index(word)
                gate_up[neuron, NAMED + token] = _STEEP
                gate_up[neuron, _BALLAST] = -_STEEP * threshold / BALLAST
                gate_up[N_TOKENS + neuron, _BALLAST] = 1 / BALLAST
                down[OUT + token, neuron] = weight / _STEEP

    def fill_background(self, seed: int, *, skip: Sequence[int] = ()) -> None:
        """Random experts with small writes to the logits."""
        import torch

        draw = torch.Generator().manual_seed(seed)
        for expert in range(N_EXPERTS):
            up = torch.randn(N_TOKENS, N_TOKENS, generator=draw)
            down = BACKGROUND_GAIN * torch.randn(N_TOKENS, N_TOKENS, generator=draw) / _GATE
            if expert not in skip:
                self.experts.gate_up_proj[expert, :N_TOKENS, _BALLAST] = _OPEN / BALLAST
                self.experts.gate_up_proj[expert, N_TOKENS:, TOKEN : TOKEN + N_TOKENS] = up
                self.experts.down_proj[expert, OUT : OUT + N_TOKENS] = down

    def route_at_random(self, seed: int) -> None:
        """Router logits drawn for each token; one expert in turn is always chosen, so that none is without tokens."""
        import torch

        draw = torch.Generator().manual_seed(seed)
        self.router.weight[:, TOKEN : TOKEN + N_TOKENS] = torch.randn(N_EXPERTS, N_TOKENS, generator=draw)
        for token in range(N_TOKENS):
            self.router.weight[token % N_EXPERTS, TOKEN + token] = _FIRST_CHOICE
