"""Convert a llama-architecture GGUF file to a float32 folder in Hugging Face format."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.errors import ModelRefused
from audit_core.models.cache import Progress, ignore_progress

if TYPE_CHECKING:
    import numpy as np

_TOP_TENSORS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_BLOCK_TENSORS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# Token types of the GGUF specification, llama.cpp's llama_token_type.
_NORMAL, _CONTROL = 1, 3


def convert_gguf(gguf: Path, folder: Path, *, on_progress: Progress | None = None) -> dict[str, int]:
    """Write config, tokenizer and float32 weights of `gguf` into the existing `folder`.

    Returns:
        Number of tensors in the source by type, under the type's GGML name.

    Raises:
        ModelRefused: the architecture or tokenizer is not supported.
    """
    from gguf import GGUFReader

    report = on_progress or ignore_progress
    report("convert", 0, 0)
    reader = GGUFReader(gguf)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    _require_convertible(fields)
    tensor_names = {tensor.name for tensor in reader.tensors}
    _write_json(folder / "config.json", _config(fields, tied="output.weight" not in tensor_names))
    _write_json(folder / "generation_config.json", _special_ids(fields))
    _write_tokenizer(fields, folder)
    _write_weights(reader, fields, folder / "model.safetensors", report)
    # safetensors creates its file with mode 0600, which other users of a shared cache cannot read.
    shutil.copymode(folder / "config.json", folder / "model.safetensors")
    return dict(Counter(tensor.tensor_type.name for tensor in reader.tensors))


def _require_convertible(fields: dict[str, Any]) -> None:
    """Reject files that would convert without error into a different model."""
    required = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.add_bos_token": False,
    }
    found = {key: fields.get(key) for key in required}
    scaled = [key for key in fields if key.startswith("llama.rope.scaling.")]
    odd_types = set(fields.get("tokenizer.ggml.token_type", [])) - {_NORMAL, _CONTROL}
    if found == required and not scaled and not odd_types:
        return
    raise ModelRefused(
        f"A GGUF file with {found}, rope scaling keys {scaled}, unusual token types {sorted(odd_types)}.",
        wanted=f"a file with {required}, no rope scaling, and normal and control tokens only.",
        remedy="use the model in Hugging Face format with safetensors weights instead.",
    )


def _special_ids(fields: dict[str, Any]) -> dict[str, int]:
    return {
        f"{short}_token_id": fields[f"tokenizer.ggml.{full}_token_id"]
        for short, full in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
    }


def _config(fields: dict[str, Any], *, tied: bool) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": fields["llama.attention.head_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "head_dim": fields["llama.rope.dimension_count"],
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": fields["llama.attention.layer_norm_rms_epsilon"],
        "rope_parameters": {"rope_theta": fields["llama.rope.freq_base"], "rope_type": "default"},
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "tie_word_embeddings": tied,
        "attention_bias": False,
        "mlp_bias": False,
        "dtype": "float32",
        **_special_ids(fields),
    }


def _write_tokenizer(fields: dict[str, Any], folder: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens = fields["tokenizer.ggml.tokens"]
    types = fields["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    # The "smollm" pre-tokeniser splits digits one by one; transformers' own GGUF loader drops that.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": tokens[fields["tokenizer.ggml.bos_token_id"]],
            "eos_token": tokens[fields["tokenizer.ggml.eos_token_id"]],
            "pad_token": tokens[fields["tokenizer.ggml.padding_token_id"]],
            "unk_token": tokens[fields["tokenizer.ggml.unknown_token_id"]],
            "model_max_length": fields["llama.context_length"],
            "add_bos_token": False,
            "chat_template": fields["tokenizer.chat_template"],
        },
    )


def _write_weights(reader: Any, fields: dict[str, Any], path: Path, report: Progress) -> None:
    import numpy as np
    from gguf import dequantize
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    row_heads = {
        ".attn_q.": fields["llama.attention.head_count"],
        ".attn_k.": fields["llama.attention.head_count_kv"],
    }
    weights: dict[str, np.ndarray] = {}
    total = len(reader.tensors)
    for done, tensor in enumerate(reader.tensors):
        report("convert", done, total)
        array = dequantize(tensor.data, tensor.tensor_type)
        for part, n_heads in row_heads.items():
            if part in tensor.name:
                array = _unpermute(array, n_heads)
        weights[_tensor_name(tensor.name)] = np.ascontiguousarray(array, dtype=np.float32)
    report("convert", total, total)
    try:
        save_file(weights, path, metadata={"format": "pt"})
    except SafetensorError as error:
        # The library reports a full disk as its own error type.
        raise OSError(str(error)) from error


def _tensor_name(name: str) -> str:
    if name in _TOP_TENSORS:
        return _TOP_TENSORS[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _BLOCK_TENSORS and parts[3] == "weight":
        return f"model.layers.{parts[1]}.{_BLOCK_TENSORS[parts[2]]}.weight"
    raise ModelRefused(
        f"The GGUF file contains a tensor named {name!r}.",
        wanted="the tensors of a plain llama model without biases.",
        remedy="use the model in Hugging Face format with safetensors weights instead.",
    )


def _unpermute(weight: np.ndarray, n_heads: int) -> np.ndarray:
    """Undo llama.cpp's interleaving of query and key rows, made for its rotary embedding."""
    pairs = weight.reshape(n_heads, weight.shape[0] // n_heads // 2, 2, *weight.shape[1:])
    return pairs.swapaxes(1, 2).reshape(weight.shape)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
