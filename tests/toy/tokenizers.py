"""Tokenizers of the kinds that models have, small enough to know every piece."""

from __future__ import annotations

from typing import Any

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INSTRUCT = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)


def make_sentencepiece(words: list[str], *, template: str | None = None) -> Any:
    """Puts a space before every text, as Llama 2, Mistral and Phi-3 do; digits are tokens of their own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted({c for word in words for c in word})
    pieces = [("<s>", 0.0), ("<unk>", -20.0), ("</s>", 0.0), *((word, -1.0) for word in words)]
    pieces += [(c, -9.0) for c in letters if c not in words]
    inner = Tokenizer(models.Unigram(pieces, unk_id=1, byte_fallback=False))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    inner.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    made = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    made.chat_template = template
    return made


def make_bytes(merges: list[tuple[str, str]], *, template: str | None = None, special: tuple[str, ...] = ()) -> Any:
    """Byte-level pieces, as GPT-2 and Qwen have them; `Ġ` is the space."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<s>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(merge) for merge in merges)]
    inner = Tokenizer(models.BPE({piece: i for i, piece in enumerate(dict.fromkeys(pieces))}, merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in ("<s>", *special)])
    made = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="<s>", unk_token="<s>")
    made.chat_template = template
    return made


def wrap(inner: Any, **limits: int) -> Any:
    """As a subject asks it."""
    from audit_core.prompts.answers import TokenLimits
    from audit_core.subjects.transformer import FolderTokenizer

    return FolderTokenizer(inner, inner.bos_token_id, TokenLimits(**limits))
