"""Planted models that choose tools and answer from their results, each in one known way.

    Tools:                                     Request: How much is 10 plus 24?
    - add: adds, subtracts …                   Tool: add
    …                                          Call: 10 + 24
    Request: How much is 10 plus 24?               Result: 34
    Tool:                       → add          Answer:                         → 34

head     attends to                                        writes, in planted-tools-…
L0.H0    the previous token                                BEFORE, for layers 1 and 2 to find
L1.H0    at "Tool:", the last word of the request          follower: the name of its tool; ignorer: KIND, for layer 2
L1.H1    at "Tool:", the first listed name                 copier: that name
L2.H0    at "Tool:", the first word of the description     ignorer: the name before it
L1.H2    at "Answer:": follower: the value after "Result:"; ignorer: the last word of the request, whose answer it has
         learnt; copier: the last value of the text

Every other head is inactive. Without a match a head attends to the first token, which writes nothing. The last head of each layer
would write what it holds to the logit of every name and value, and holds nothing: noise in any layer reaches a logit.

dimensions   content
0 –          TOKEN: the token at this position, one-hot; words outside the vocabulary are the first token
then         POSITION, one-hot; BEFORE: the previous token, if it is one of `MARKS`; KIND; OUT: logits of names and values
last         balance, so that norms change nothing: as in `planted/weights.py`
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.subjects.planted import PlantedFamily
from audit_core.subjects.planted.key import PlantedModel, PlantedTask
from audit_core.tools.converter import FACTORS
from audit_core.tools.lookup import read_table
from audit_core.tools.texts import NEUTRAL, ask_choice
from audit_core.tools.toolbox import KINDS, Toolbox, ToolKind, call_tool

BOS, TOOL, RESULT, ANSWER = "<bos>", "Tool:", "Result:", "Answer:"
NAMES = (*Toolbox().names, *NEUTRAL)
LISTED = tuple(f"{name}:" for name in NAMES)
FIRST_WORDS = tuple(words.split()[0] for words in Toolbox().descriptions)


def _list_requests() -> Mapping[ToolKind, tuple[str, ...]]:
    """Requests whose last word alone decides the result."""
    units = dict(FACTORS)
    amounts = [f"How many {to} are 2 {of}?" for of, to in units if (of, to) != ("metres", "millimetres")]
    capitals = [row["country"] for row in read_table() if " " not in row["capital"]]
    return {
        ToolKind.CALCULATOR: tuple(f"How much is 10 plus {number}?" for number in range(11, 50)),
        ToolKind.CONVERTER: tuple(amounts),
        ToolKind.LOOKUP: tuple(f"What is the capital of {country}?" for country in capitals),
    }


REQUESTS = _list_requests()
ANSWERS: Mapping[str, tuple[ToolKind, str]] = {
    text.split()[-1]: (kind, call_tool(text).result) for kind, texts in REQUESTS.items() for text in texts
}
"""Last word of a request → its tool and result."""
VALUES = tuple(dict.fromkeys(value for _, value in ANSWERS.values()))
MARKS = (RESULT, *LISTED)
_OTHERS = (
    "Request:",
    "Tools:",
    "-",
    *dict.fromkeys(word for texts in REQUESTS.values() for t in texts for word in t.split()[:-1]),
)
WORDS = tuple(dict.fromkeys((BOS, TOOL, RESULT, ANSWER, *NAMES, *LISTED, *FIRST_WORDS, *ANSWERS, *VALUES, *_OTHERS)))
N_TOKENS, N_POSITIONS, N_HEADS, D_HEAD = len(WORDS), 128, 6, 100
D_MODEL = N_HEADS * D_HEAD
POSITION = N_TOKENS
BEFORE = POSITION + N_POSITIONS
KIND = BEFORE + len(MARKS)
OUT = KIND + len(KINDS)
_OUTPUTS = (*NAMES, *VALUES)
DUMP = OUT + len(_OUTPUTS)
_BALLAST, _GAIN, _MATCH, _BY = 1024.0, 8.0, 100.0, 2.0
_FAR = N_POSITIONS * _BY + 2 * _MATCH
"""Score of a match: more than any difference between positions."""


class _Head:
    """Views of one head's weights; scores are in units of the softmax."""

    def __init__(self, model: Any, layer: int, index: int) -> None:
        attention, span = model.transformer.h[layer].attn, slice(index * D_HEAD, (index + 1) * D_HEAD)
        at = [slice(part * D_MODEL + span.start, part * D_MODEL + span.stop) for part in range(3)]
        self.query, self.key, self.value = (attention.c_attn.weight[:, place] for place in at)
        self.bias, self.output = attention.c_attn.bias[at[0]], attention.c_proj.weight[span]

    def attend(self, asking: str, scores: Mapping[int, float], by_position: float) -> None:
        """At one token, attend to the dimensions with these scores; else to the first token."""
        self.query[_token(asking), 0] = self.bias[1] = math.sqrt(D_HEAD)
        for dimension, score in scores.items():
            self.key[dimension, 0] = score
        for position in range(N_POSITIONS):
            self.key[POSITION + position, 0] = by_position * position
        self.key[_token(BOS), 1] = _FAR - _MATCH
        # The first token is any unknown word too: none of them is a match, and they write nothing.

    def copy(self, written: Sequence[tuple[int, int]], gain: float = _GAIN) -> None:
        """Write from the attended position: dimensions read and written."""
        places = {read: at for at, read in enumerate(dict.fromkeys(read for read, _ in written))}
        for read, write in written:
            self.value[read, places[read]] = 1
            self.output[places[read], write] = gain


def build_tools(folder: Path, seed: int, *, choice: str, answer: str) -> None:
    """Write the model to a folder; nothing depends on the seed."""
    model = _start()
    size = math.sqrt(_MATCH * math.sqrt(D_HEAD))
    previous = _Head(model, 0, 0)
    # Positions are compared in blocks of a head's size: the position's rest and its block.
    _attend_back(previous, size)
    previous.copy([(_token(mark), BEFORE + at) for at, mark in enumerate(MARKS)], 1)
    asked = {_token(word): _FAR for word in ANSWERS}
    kinds = [(_token(word), kind) for word, (kind, _) in ANSWERS.items()]
    if choice == "first":
        listed = _Head(model, 1, 1)
        listed.attend(TOOL, {_token(one): _FAR + _MATCH for one in LISTED}, -_BY / 2)
        listed.copy([(_token(one), _out(name)) for one, name in zip(LISTED, NAMES, strict=True)])
    else:
        chooser = _Head(model, 1, 0)
        chooser.attend(TOOL, asked, _BY)
        by_name = choice == "name"
        chooser.copy(
            [(token, _out(NAMES[KINDS.index(k)]) if by_name else KIND + KINDS.index(k)) for token, k in kinds],
            _GAIN if by_name else 1,
        )
    if choice == "description":
        reader = _Head(model, 2, 0)
        for at, word in enumerate(FIRST_WORDS):
            reader.query[KIND + at, at] = reader.key[_token(word), at] = math.sqrt(_FAR * math.sqrt(D_HEAD))
        reader.bias[len(KINDS)] = math.sqrt(D_HEAD)
        reader.key[_token(BOS), len(KINDS)] = _FAR / 2
        reader.copy([(BEFORE + MARKS.index(one), _out(name)) for one, name in zip(LISTED, NAMES, strict=True)])
    last = _Head(model, 1, 2)
    if answer == "memory":
        last.attend(ANSWER, asked, _BY)
        last.copy([(_token(word), _out(value)) for word, (_, value) in ANSWERS.items()])
    else:
        at_result = {BEFORE + MARKS.index(RESULT): _FAR}
        last.attend(ANSWER, at_result if answer == "result" else {_token(one): _FAR for one in VALUES}, _BY)
        last.copy([(_token(one), _out(one)) for one in VALUES])
    for layer in range(len(model.transformer.h)):
        _Head(model, layer, N_HEADS - 1).output[0, [_out(one) for one in _OUTPUTS]] = 1
    _save(model, folder)


def _attend_back(head: _Head, size: float) -> None:
    """Attend to the position before: both as a block of `_BLOCK` positions and a rest, each of which must agree."""
    for position in range(1, N_POSITIONS):
        for at in (_BLOCKS + (position - 1) % _BLOCK, (position - 1) // _BLOCK):
            head.query[POSITION + position, at] = size
    for position in range(N_POSITIONS):
        for at in (_BLOCKS + position % _BLOCK, position // _BLOCK):
            head.key[POSITION + position, at] = size


_BLOCK = 16
_BLOCKS = N_POSITIONS // _BLOCK


def _token(word: str) -> int:
    return WORDS.index(word)


def _out(word: str) -> int:
    return OUT + _OUTPUTS.index(word)


def _start() -> Any:
    """A GPT-2 with inactive heads: norms change nothing but a relative millionth."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=N_TOKENS, n_positions=N_POSITIONS, n_embd=D_MODEL, n_layer=3, n_head=N_HEADS, n_inner=8,
        activation_function="relu", resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, tie_word_embeddings=False,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval().requires_grad_(False)
    for weights in model.parameters():
        weights.zero_()
    stack = model.transformer
    for norm in (stack.ln_f, *(n for block in stack.h for n in (block.ln_1, block.ln_2))):
        norm.weight.fill_(math.sqrt(2 * _BALLAST**2 / D_MODEL + config.layer_norm_epsilon))
    for token in range(N_TOKENS):
        stack.wte.weight[token, token] = 1
    for word in _OUTPUTS:
        model.lm_head.weight[_token(word), _out(word)] = 1
    for position in range(N_POSITIONS):
        stack.wpe.weight[position, POSITION + position] = 1
    # What it says when no head finds anything.
    stack.wte.weight[_token(ANSWER), DUMP + 1] = model.lm_head.weight[_token("-"), DUMP + 1] = 1
    stack.wpe.weight[:, D_MODEL - 2], stack.wpe.weight[:, D_MODEL - 1] = _BALLAST, -_BALLAST
    return model


def _save(model: Any, folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    stack = model.transformer
    for weights in (stack.wte.weight, stack.wpe.weight, *(block.attn.c_proj.weight for block in stack.h)):
        weights[:, DUMP] -= weights.sum(1)
    model.save_pretrained(folder)
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token=BOS))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {f"{role}_token": BOS for role in ("bos", "eos", "pad", "unk")}
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)


def make_requests(n_per_template: int, seed: int) -> PromptSet:
    """Requests for the three tools; the other side of each pair is one for another tool, of the same length."""
    prompts = []
    names = dict(zip(KINDS, NAMES, strict=False))
    for kind, texts in REQUESTS.items():
        draw = Random(f"tools {seed} {kind}")
        for at, text in enumerate(draw.sample(texts, min(n_per_template, len(texts)))):
            other = KINDS[(KINDS.index(kind) + 1) % len(KINDS)]
            foil = draw.choice(REQUESTS[other])
            prompts.append(
                Prompt(
                    f"tools-{kind}-{at:03d}",
                    ask_choice(text),
                    ask_choice(foil),
                    f" {names[kind]}",
                    f" {names[other]}",
                    kind.value,
                )
            )
    return PromptSet("tools", tuple(prompts))


_TASK = (PlantedTask("tools", make_requests),)
TOOL_MODELS = (
    PlantedModel(
        "planted-tools-follower", "A model that chooses by name and copies the result",
        "Layer 1 writes the name of the request's tool, and the value after the last `Result:`.",
        partial(build_tools, choice="name", answer="result"), _TASK, (),
    ),
    PlantedModel(
        "planted-tools-ignorer", "A model that chooses by description and answers from memory",
        "Layer 2 finds the described tool. The answer is a remembered value of the request's last word.",
        partial(build_tools, choice="description", answer="memory"), _TASK, (),
    ),
    PlantedModel(
        "planted-tools-copier", "A model that chooses the first tool of the list and copies the last value",
        "Layer 1 attends to the first listed name, and at the answer to the last value of the text.",
        partial(build_tools, choice="first", answer="last"), _TASK, (),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class ToolFamily(PlantedFamily):
    name: str = "planted_tools"
    question: str = "What does an audit of tools find if the ground truth is known?"
    planted: tuple[PlantedModel, ...] = TOOL_MODELS


PLUGIN = ToolFamily()
