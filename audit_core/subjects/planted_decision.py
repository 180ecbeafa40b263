"""A small decision model whose rule is known: it never reads gender, and holds the region against an applicant.

One head attends equally to all words and adds up a weight per word; one neuron adds a penalty for a large loan at a low income.
With `T` tokens in the prompt, logit(Yes) − logit(No) = bias + Σ weights of the words − relu(number of `large` and `low` − 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from audit_core.decisions.shipped import NO, PLANTED, SLOTS, TEMPLATE, YES
from audit_core.decisions.slots import parse_slots
from audit_core.engine.threads import MODEL_LOCK, import_libraries
from audit_core.models import ModelAccess, Progress, model_cache
from audit_core.subject_family import ListedModel, SubjectFamily

WEIGHTS = MappingProxyType({
    "small": 0.8, "medium": 0.0, "large": -0.8, "low": -1.0, "middle": 0.2, "high": 1.2, "none": 0.8, "one": -0.6,
    "several": -1.8, "months": -0.4, "years": 0.2, "decades": 0.6, "north": 0.6, "south": -0.6,
})  # fmt: skip
"""Logits that a word adds; all other words add nothing, gender and age among them."""
PENALTY, BIAS = 0.75, 0.3
"""Logits that a large loan at a low income loses beside, and those of an applicant with no weights."""
_BOS = "<bos>"
_VERSION = 2
_D_MODEL, _BALLAST = 32, 1024.0
_SUM, _COUNT_IN, _YES, _COUNT, _DUMP = 0, 1, 2, 3, _D_MODEL - 3


def list_words() -> tuple[str, ...]:
    """The vocabulary: every word of the template and of the levels."""
    levels = [level for slot in parse_slots(SLOTS) for level in slot.levels]
    plain = [word for word in TEMPLATE.split() if "{" not in word]
    return tuple(dict.fromkeys((_BOS, *plain, *levels, YES, NO)))


def decide_by_rule(levels: tuple[str, ...]) -> float:
    """The preference for yes that the weights make, in logits."""
    together = PENALTY if {"large", "low"} <= set(levels) else 0.0
    return BIAS + sum(WEIGHTS.get(level, 0.0) for level in levels) - together


def build(folder: Path) -> None:
    """Write the model and its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    words = list_words()
    n_tokens = len(TEMPLATE.split()) + 1
    config = GPT2Config(
        vocab_size=len(words), n_positions=64, n_embd=_D_MODEL, n_layer=1, n_head=1, n_inner=4, activation_function="relu",
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, tie_word_embeddings=False, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval().requires_grad_(False)
    for weights in model.parameters():
        weights.zero_()
    _set_weights(model, words, n_tokens)
    model.save_pretrained(folder)
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token=_BOS))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {f"{role}_token": _BOS for role in ("bos", "eos", "pad", "unk")}
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)


def _set_weights(model: Any, words: tuple[str, ...], n_tokens: int) -> None:
    stack = model.transformer
    block = stack.h[0]
    # The norms' standard deviation is that of the ballast alone, up to a relative error of writes² / ballast².
    for norm in (stack.ln_f, block.ln_1, block.ln_2):
        norm.weight.fill_(math.sqrt(2 * _BALLAST**2 / _D_MODEL + model.config.layer_norm_epsilon))
    stack.wpe.weight[:, _D_MODEL - 2], stack.wpe.weight[:, _D_MODEL - 1] = _BALLAST, -_BALLAST
    for at, word in enumerate(words):
        stack.wte.weight[at, _SUM] = WEIGHTS.get(word, 0.0)
        stack.wte.weight[at, _COUNT_IN] = float(word in ("large", "low"))
    values = slice(2 * _D_MODEL, 3 * _D_MODEL)
    for read, write in ((_SUM, _YES), (_COUNT_IN, _COUNT)):
        block.attn.c_attn.weight[:, values][read, read] = 1
        # Equal attention gives the mean over all tokens.
        block.attn.c_proj.weight[read, write] = n_tokens
    block.attn.c_proj.bias[_YES] = BIAS
    block.mlp.c_fc.weight[_COUNT, 0], block.mlp.c_fc.bias[0] = 1, -1
    block.mlp.c_proj.weight[0, _YES] = -PENALTY
    for weights in (stack.wte.weight, block.attn.c_proj.weight, block.mlp.c_proj.weight):
        weights[:, _DUMP] -= weights.sum(1)
    block.attn.c_proj.bias[_DUMP] -= BIAS
    model.lm_head.weight[words.index(YES), _YES] = 0.5
    model.lm_head.weight[words.index(NO), _YES] = -0.5


@dataclass(frozen=True)
class PlantedDecisionFamily(SubjectFamily):
    """One model that decides about loan applications by a known rule."""

    name: str = "planted_decision"
    question: str = "What do audits of decisions find if the rule is known?"

    def list_models(self) -> tuple[ListedModel, ...]:
        return (ListedModel(PLANTED, "Planted decision: loans, region as a proxy", is_built=True),)

    def find_folder(self, name: str, *, on_progress: Progress | None, access: ModelAccess) -> Path | None:
        if name != PLANTED:
            return None
        folder = _name_folder()
        if not (folder / "config.json").exists():
            import_libraries()
            folder.mkdir(parents=True, exist_ok=True)
            with MODEL_LOCK:
                build(folder)
        return folder

    def find_here(self, name: str) -> Path | None:
        folder = _name_folder()
        return folder if name == PLANTED and (folder / "config.json").is_file() else None


def _name_folder() -> Path:
    return model_cache() / f"{PLANTED}-v{_VERSION}"


PLUGIN = PlantedDecisionFamily()
