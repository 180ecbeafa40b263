"""A GPT-2 whose weights are set by hand, so that what each head does is known before anything is measured.

    head   looks at                     writes                                role
    L0H0   the previous token           its name, for layer 1 to find         previous token: real, indirect
    L0H1   every token alike            share of A, share of B, times VOTE    diffuse and decisive (vote)
    L0H2   the previous token           JUNK, which nothing reads             decoy
    L1H0   the token after the last     that token's logit, times PRIMARY     induction: real; raises a flag
           occurrence of this one
    L1H1   the same                     nothing: its output weights are 0     decoy
    L1H2   the same                     JUNK                                  decoy
    L1H3   the same                     that token's logit, times NEGATIVE    pushes against the answer
    L2H0   the same, if no flag stands  that token's logit, times BACKUP      backup: acts only without L1H0

The other four heads and all MLPs are zero. Layer norm is made the identity by a ballast of ±B in two dimensions
that nothing reads: the standard deviation is then B·√(2/d) for every token, and the norm's weight undoes it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from toy.models import BOS, save_tokenizer

from audit_core.prompts.prompt_set import Prompt, PromptSet

PRIMARY, NEGATIVE, BACKUP, VOTE, JUNK_GAIN = 10.0, -3.0, 8.0, 20.0, 15.0
CLEAN_LOGIT = PRIMARY + NEGATIVE
"""Logit of the induction answer on the clean run: 10 − 3 = 7, and 0 for every other word."""

WORDS = [BOS, *(f"w{i:02d}" for i in range(1, 21)), "=", "A", "B"]
N_TOKENS, N_POSITIONS, N_HEADS, D_HEAD, N_LAYERS = len(WORDS), 24, 4, 48, 3
D_MODEL = N_HEADS * D_HEAD
BALLAST = 4096.0
_TOKEN, _POSITION, _PREVIOUS, _OUT, _JUNK, _FLAG, _DUMP = 0, 24, 48, 72, 96, 120, 189
_MATCH, _SINK = 30.0, 15.0
"""Attention scores: a match beats the resting place on the first token by e^15, and that beats all else by e^15."""


def build_planted(folder: Path) -> Path:
    """Write the model to a folder."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=N_TOKENS,
        n_positions=N_POSITIONS,
        n_embd=D_MODEL,
        n_layer=N_LAYERS,
        n_head=N_HEADS,
        n_inner=8,
        resid_pdrop=0,
        embd_pdrop=0,
        attn_pdrop=0,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        _set_weights(model, config.layer_norm_epsilon)
    model.save_pretrained(folder)
    save_tokenizer(folder, WORDS)
    return folder


def _set_weights(model: Any, epsilon: float) -> None:
    for weights in model.parameters():
        weights.zero_()
    stack = model.transformer
    for norm in (stack.ln_f, *(n for block in stack.h for n in (block.ln_1, block.ln_2))):
        norm.weight.fill_(math.sqrt(2 * BALLAST**2 / D_MODEL + epsilon))
    for token in range(N_TOKENS):
        stack.wte.weight[token, _TOKEN + token] = 1
        model.lm_head.weight[token, _OUT + token] = 1
    for position in range(N_POSITIONS):
        stack.wpe.weight[position, _POSITION + position] = 1
    stack.wpe.weight[:, D_MODEL - 2], stack.wpe.weight[:, D_MODEL - 1] = BALLAST, -BALLAST

    heads = {(layer, index): _Head(stack.h[layer].attn, index) for layer in range(N_LAYERS) for index in range(N_HEADS)}
    for place, target, gain in (((0, 0), _PREVIOUS, 1.0), ((0, 2), _JUNK, JUNK_GAIN)):
        heads[place].attend_to_previous()
        heads[place].copy_token(target, gain)
    heads[0, 1].vote()
    for place, target, gain in (
        ((1, 0), _OUT, PRIMARY),
        ((1, 1), _OUT, 0.0),
        ((1, 2), _JUNK, JUNK_GAIN),
        ((1, 3), _OUT, NEGATIVE),
        ((2, 0), _OUT, BACKUP),
    ):
        heads[place].attend_after_match(flag_sink=2 * _SINK if place == (2, 0) else 0)
        heads[place].copy_token(target, gain)
    heads[1, 0].output[1:N_TOKENS, _FLAG] = 1
    # Every row written to the residual stream sums to zero, so that the norm's mean is exactly zero.
    for weights in (stack.wte.weight, stack.wpe.weight, *(block.attn.c_proj.weight for block in stack.h)):
        weights[:, _DUMP] -= weights.sum(1)


class _Head:
    """Views of one head's weights; GPT-2 keeps queries, keys and values side by side in one matrix."""

    def __init__(self, attention: Any, index: int) -> None:
        at = [slice(part * D_MODEL + index * D_HEAD, part * D_MODEL + (index + 1) * D_HEAD) for part in range(3)]
        self.query, self.key, self.value = (attention.c_attn.weight[:, span] for span in at)
        self.query_bias = attention.c_attn.bias[at[0]]
        self.output = attention.c_proj.weight[at[0]]

    def attend_to_previous(self) -> None:
        """Position t asks for dimension t, which position t − 1 offers; q·k / √d_head is then the score."""
        size = math.sqrt(_MATCH * math.sqrt(D_HEAD))
        for position in range(N_POSITIONS):
            self.query[_POSITION + position, position] = size
            if position + 1 < N_POSITIONS:
                self.key[_POSITION + position, position + 1] = size

    def attend_after_match(self, *, flag_sink: float) -> None:
        """A token asks for the position whose predecessor it is; with no such position, for the first token."""
        size = math.sqrt(_MATCH * math.sqrt(D_HEAD))
        for token in range(1, N_TOKENS):
            self.query[_TOKEN + token, token] = size
            self.key[_PREVIOUS + token, token] = size
        self.key[_TOKEN, 0] = size
        self.query_bias[0] = _SINK * math.sqrt(D_HEAD) / size
        self.query[_FLAG, 0] = flag_sink * math.sqrt(D_HEAD) / size

    def copy_token(self, target: int, gain: float) -> None:
        for token in range(1, N_TOKENS):
            self.value[_TOKEN + token, token] = 1
            self.output[token, target + token] = gain

    def vote(self) -> None:
        """Queries and keys stay zero, so attention is even; the value says A or B."""
        for slot, word in enumerate("AB"):
            token = WORDS.index(word)
            self.value[_TOKEN + token, slot] = 1
            self.output[slot, _OUT + token] = VOTE


def make_induction(n: int, *, change: str, n_templates: int = 1, seed: int = 0) -> PromptSet:
    """`… a b … c d … a` whose answer is b and whose foil is d.

    Args:
        change: "query" ends the corrupted prompt in c; "context" swaps a and c before their successors instead,
            so that only what the previous-token head says has changed at the end.
    """
    import random

    draw, rows = random.Random(seed), []
    for number in range(n):
        words = draw.sample(WORDS[1:21], 10)
        first, second = 2 * draw.randrange(2), 2 * draw.randrange(2, 5)
        a, c = words[first], words[second]
        swapped = words.copy()
        swapped[first], swapped[second] = c, a
        corrupted = [*words, c] if change == "query" else [*swapped, a]
        template = f"t{number % n_templates}"
        answer, foil = f" {words[first + 1]}", f" {words[second + 1]}"
        rows.append(Prompt(f"p{number}", " ".join([*words, a]), " ".join(corrupted), answer, foil, template))
    return PromptSet(f"induction by {change}", tuple(rows))


def make_votes(*pairs: tuple[str, str], n_templates: int | None = None) -> PromptSet:
    """`A A B =` from ("AAB", "ABB"): the answer is A, the foil B; each pair a template of its own unless told."""
    rows = [
        Prompt(
            f"v{at}", " ".join([*clean, "="]), " ".join([*corrupted, "="]), " A", " B", f"t{at % (n_templates or 99)}"
        )
        for at, (clean, corrupted) in enumerate(pairs)
    ]
    return PromptSet("vote", tuple(rows))
