"""Sets the weights of planted chain models by hand: a GPT-2 whose heads look up facts and steps.

block        content
TOKEN        the token at this position, one-hot
POSITION     the position, one-hot
BEFORE       the previous token; BEFORE_THAT the one before it: written by two heads of layer 0
FIRST …      nouns that heads found, at the last position: FIRST to FOURTH
OUT          the logit of each token
FLAG         whether the question has one of the verbs that raise it
DUMP         nothing reads it; balances every written row to sum zero
last two     ± ballast: see `weights`
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BOS, QUESTION, STEPS, ANSWER, IS, KNOWN = "<bos>", "Question:", "Steps:", "Answer:", "is", "known"
VERBS = ("ask", "find", "seek", "tell", "name", "show")
TO = ("to", "into", "onto", "past", "with", "near")
GIVES = ("gives", "yields", "makes", "holds", "brings", "takes")
_OTHERS = ("Hint:", "the", "answer", "so", ",", ".", ";", "...", "First,", "Next,", "Last,")
NOUNS = tuple(f"w{number:02d}" for number in range(1, 17))
WORDS = (BOS, QUESTION, STEPS, ANSWER, IS, KNOWN, *VERBS, *TO, *GIVES, *_OTHERS, *NOUNS)
N_TOKENS, N_POSITIONS, N_HEADS, D_HEAD = len(WORDS), 56, 6, 56
D_MODEL = N_HEADS * D_HEAD
TOKEN, BEFORE, OUT = (N_TOKENS * at for at in range(3))
# Blocks of nouns alone begin so that the token of a noun added to them is its dimension.
BEFORE_THAT, FIRST, SECOND, THIRD, FOURTH = (3 * N_TOKENS + len(NOUNS) * at - WORDS.index(NOUNS[0]) for at in range(5))
POSITION = 3 * N_TOKENS + 5 * len(NOUNS)
FLAG = POSITION + N_POSITIONS
DUMP = FLAG + 1
BALLAST = 4096.0
LOGIT = 8.0
"""Logit of the answer that a head writes; all others have 0."""
_MATCH, _LATER_BY = 100.0, 4.0
_LATER = N_POSITIONS * _LATER_BY + _MATCH
_CONSTANT, _REST, _RAISED = N_TOKENS, N_TOKENS + 1, N_TOKENS + 2
"""Dimensions of a head beside those of the tokens."""


def start_model(n_layers: int) -> Any:
    """A GPT-2 in which two heads of layer 0 copy the two tokens before each one."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=N_TOKENS, n_positions=N_POSITIONS, n_embd=D_MODEL, n_layer=n_layers, n_head=N_HEADS, n_inner=8,
        activation_function="relu", resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, tie_word_embeddings=False,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval().requires_grad_(False)
    for weights in model.parameters():
        weights.zero_()
    stack = model.transformer
    for norm in (stack.ln_f, *(n for block in stack.h for n in (block.ln_1, block.ln_2))):
        norm.weight.fill_(math.sqrt(2 * BALLAST**2 / D_MODEL + config.layer_norm_epsilon))
    for token in range(N_TOKENS):
        stack.wte.weight[token, TOKEN + token] = 1
        model.lm_head.weight[token, OUT + token] = 1
    # What it says when no head finds a noun.
    stack.wte.weight[WORDS.index(ANSWER), OUT + WORDS.index(KNOWN)] = 1
    for position in range(N_POSITIONS):
        stack.wpe.weight[position, POSITION + position] = 1
    stack.wpe.weight[:, D_MODEL - 2], stack.wpe.weight[:, D_MODEL - 1] = BALLAST, -BALLAST
    for index, (block, distance, words) in enumerate(((BEFORE, 1, WORDS[1:]), (BEFORE_THAT, 2, NOUNS))):
        head = ChainHead(model, 0, index)
        head.attend_back(distance)
        head.copy(block, words=words)
    return model


def save_model(model: Any, folder: Path) -> None:
    """Balance all rows written to the residual stream, and save model and tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    stack = model.transformer
    for weights in (stack.wte.weight, stack.wpe.weight, *(block.attn.c_proj.weight for block in stack.h)):
        weights[:, DUMP] -= weights.sum(1)
    model.save_pretrained(folder)
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token=BOS))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {f"{role}_token": BOS for role in ("bos", "eos", "pad", "unk")}
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)


class ChainHead:
    """Views of one head's weights. Scores are in units of the softmax; without a match it attends to the first token."""

    def __init__(self, model: Any, layer: int, index: int) -> None:
        attention = model.transformer.h[layer].attn
        at = [slice(part * D_MODEL + index * D_HEAD, part * D_MODEL + (index + 1) * D_HEAD) for part in range(3)]
        self.query, self.key, self.value = (attention.c_attn.weight[:, span] for span in at)
        self.bias = attention.c_attn.bias[at[0]]
        self.output = attention.c_proj.weight[at[0]]

    def attend_back(self, distance: int) -> None:
        """Attend to the token this far before."""
        size = math.sqrt(_MATCH * math.sqrt(D_HEAD))
        for position in range(distance, N_POSITIONS):
            self.query[POSITION + position, position] = size
            self.key[POSITION + position - distance, position] = size

    def attend_to_fact(self, block: int) -> None:
        """Attend to x of "w to x" and the like, for the noun w in this block."""
        size = math.sqrt(_MATCH * math.sqrt(D_HEAD))
        for token in map(WORDS.index, NOUNS):
            self.query[block + token, token] = size
            self.key[BEFORE_THAT + token, token] = size
        self._attend({BEFORE + WORDS.index(word): _MATCH for word in TO}, rest=1.5 * _MATCH)

    def attend_after(self, *words: str) -> None:
        """Attend to the token after one of these words."""
        self._attend({BEFORE + WORDS.index(word): _MATCH for word in words}, rest=_MATCH / 2)

    def attend_to(self, *words: str) -> None:
        """Attend to these words."""
        self._attend({TOKEN + WORDS.index(word): _MATCH for word in words}, rest=_MATCH / 2)

    def attend_to_latest(self, block: int, words: tuple[str, ...]) -> None:
        """Attend to the latest position with one of these words in a block."""
        later = {POSITION + position: _LATER_BY * position for position in range(N_POSITIONS)}
        self._attend({block + WORDS.index(word): _LATER for word in words} | later, rest=_LATER - _MATCH / 2)

    def rest_unless(self, flag: int, *, is_raised: bool) -> None:
        """Attend to the first token unless a flag is raised, or unless it is not."""
        self.query[flag, _RAISED] = (-2 if is_raised else 2) * _MATCH * math.sqrt(D_HEAD)
        self.bias[_RAISED] = (2 if is_raised else 0) * _MATCH * math.sqrt(D_HEAD)
        self.key[TOKEN, _RAISED] = 1

    def copy(self, block: int, gain: float = 1.0, words: tuple[str, ...] = NOUNS) -> None:
        """Write the attended token into a block, if it is one of these words."""
        for token in map(WORDS.index, words):
            self.value[TOKEN + token, token] = 1
            self.output[token, block + token] = gain

    def raise_flag(self, *words: str) -> None:
        """Raise the flag if one of these words is attended to."""
        for token in map(WORDS.index, words):
            self.value[TOKEN + token, token] = 1
            self.output[token, FLAG] = 1

    def _attend(self, scores: Mapping[int, float], *, rest: float) -> None:
        self.bias[_CONSTANT] = self.bias[_REST] = math.sqrt(D_HEAD)
        for dimension, score in scores.items():
            self.key[dimension, _CONSTANT] = score
        self.key[TOKEN, _REST] = rest
