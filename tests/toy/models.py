"""Small models written to disk as Hugging Face folders, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BOS = "<bos>"
LETTERS = tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM")
"""The words of the random models; token 0 is the beginning of sequence, token i the i-th letter."""

BY_BLOCKS = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "mixtral", "olmoe")
AS_A_WHOLE = ("granite", "bloom")
"""Families with heads whose blocks cannot be run one by one: logits scaled at the end, a mask for each head."""
RECURRENT = "mamba"
"""Neither heads nor MLPs: such a model is refused."""
FAMILIES = (*BY_BLOCKS, *AS_A_WHOLE)
MIXTURES = (
    "mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "granitemoe", "granitemoeshared", "deepseek_v2", "deepseek_v3",
    "gpt_oss", "phimoe", "glm4_moe", "lfm2_moe",
)  # fmt: skip
"""Families of experts whose router returns logits, weights and indices, and whose experts take indices and weights."""
ADDS_TO_RESIDUAL = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3")
"""Families in which z @ W_O enters the residual stream as it is; Gemma normalises it first."""

_WINDOW = 5
"""Sliding window of Mistral and Gemma: shorter than the prompts, so that it bites."""


def save_tokenizer(folder: Path, words: list[str], *, with_bos: bool = True) -> None:
    """A tokenizer whose tokens are whole words between spaces."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=inner, **_special(words[0], with_bos)).save_pretrained(folder)


def save_byte_tokenizer(folder: Path, letters: tuple[str, ...], *, with_bos: bool) -> None:
    """A byte-level tokenizer: transformers rebuilds Qwen2's so, whatever kind the folder holds."""
    from tokenizers import AddedToken
    from transformers import Qwen2Tokenizer

    pieces = [BOS, *letters, "Ġ", *("Ġ" + letter for letter in letters)]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    bos = AddedToken(BOS, special=True)
    special = _special(bos, with_bos) | {"pad_token": bos}
    Qwen2Tokenizer(vocabulary, [("Ġ", letter) for letter in letters], **special).save_pretrained(folder)


def _special(bos: Any, with_bos: bool) -> dict[str, Any]:
    return {"unk_token": bos, "eos_token": bos} | ({"bos_token": bos} if with_bos else {})


def build_random(family: str, folder: Path, *, seed: int = 0, with_bos: bool = True) -> Path:
    """Random weights, large enough that attention is uneven and every part matters."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(_config(family), attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.22, generator=generator)
            elif name.endswith("bias"):
                weights.normal_(0, 0.1, generator=generator)
        for name, values in model.named_buffers():
            # Corrections of the router's scores count for the choice of experts, not for their weights.
            if name.endswith(("correction_bias", "expert_bias")):
                values.normal_(0, 0.1, generator=generator)
    model.save_pretrained(folder)
    if family == "qwen2":
        save_byte_tokenizer(folder, LETTERS, with_bos=with_bos)
    else:
        save_tokenizer(folder, [BOS, *LETTERS], with_bos=with_bos)
    return folder


def _config(family: str) -> Any:
    from transformers import AutoConfig

    n_tokens = 2 * (len(LETTERS) + 1) if family == "qwen2" else len(LETTERS) + 1
    common = {"vocab_size": n_tokens, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    if family == "gpt2":
        sizes = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 32}
        return AutoConfig.for_model("gpt2", **common, **sizes, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    if family == "bloom":
        return AutoConfig.for_model("bloom", **common, hidden_size=64, n_layer=3, n_head=4)
    if family == "mamba":
        return AutoConfig.for_model("mamba", **common, hidden_size=64, num_hidden_layers=3, state_size=8)
    sizes = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "tie_word_embeddings": False,
    }
    if family == "gpt_neox":
        return AutoConfig.for_model("gpt_neox", **common, **sizes, attention_dropout=0, hidden_dropout=0)
    grouped = {"num_key_value_heads": 2, "head_dim": 16}
    own: dict[str, Any] = {
        "llama": {},
        "granite": {"logits_scaling": 3.0, "residual_multiplier": 0.7},
        "mistral": {"sliding_window": _WINDOW},
        "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
        "olmoe": {"num_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 4},
        "qwen2": {},
        "qwen3": {"num_hidden_layers": 4},
        "gemma2": {"sliding_window": _WINDOW, "query_pre_attn_scalar": 16, "final_logit_softcapping": 10.0},
        "gemma3": {
            "sliding_window": _WINDOW,
            "query_pre_attn_scalar": 16,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
        **_mixtures(),
    }[family]
    name = "gemma3_text" if family == "gemma3" else family
    return AutoConfig.for_model(name, **common, **(sizes | grouped | own))


def _mixtures() -> dict[str, dict[str, Any]]:
    """Sizes of small mixtures: eight experts, of which each token has two or three."""
    three = {"num_experts_per_tok": 3, "moe_intermediate_size": 32}
    eight, local = {"num_experts": 8, **three}, {"num_local_experts": 8, "num_experts_per_tok": 3}
    shared = {"n_routed_experts": 8, "n_shared_experts": 1, **three}
    latent = {
        "kv_lora_rank": 16, "q_lora_rank": None, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16,
        "num_key_value_heads": 4,
    }  # fmt: skip
    return {
        "qwen2_moe": {**eight, "shared_expert_intermediate_size": 32},
        "qwen3_moe": {**eight, "norm_topk_prob": True},
        "granitemoe": {**local, "residual_multiplier": 0.7},
        "granitemoeshared": {**local, "shared_intermediate_size": 32, "residual_multiplier": 0.7},
        "deepseek_v2": {
            **shared,
            **latent,
            "first_k_dense_replace": 1,
            "topk_method": "greedy",
            "routed_scaling_factor": 1.5,
        },
        "deepseek_v3": {
            **shared,
            **latent,
            "first_k_dense_replace": 1,
            "n_group": 4,
            "topk_group": 2,
            "num_mtp_layers": 0,
        },
        "gpt_oss": {**local, "sliding_window": _WINDOW, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
        "phimoe": {"num_local_experts": 8, "num_experts_per_tok": 2},
        "glm4_moe": {**shared, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1},
        "lfm2_moe": {
            **eight,
            "num_dense_layers": 1,
            "layer_types": ["full_attention", "conv", "full_attention"],
        },
    }


def load(folder: Path) -> Any:
    """The subject of a folder; one thread, also in the test that is the first to import torch."""
    import torch

    from audit_core.subject_family import load_folder

    torch.set_num_threads(1)
    return load_folder(folder)
