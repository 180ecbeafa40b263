"""Readers of documents with the same attention and the same accuracy, whose answers rely on different things.

    [1] k03 v11
    [2] k07 v02
    [3] k05 v20
    Summary: k07                            answer: v02

    head     attends to                               writes, in planted-reader-…
    L0.H0    the previous token                       its key, for layer 1 to find
    L1.H0    the value behind the asked key           grounded: that value's logit; parametric, wrong-document: JUNK
    L1.H1    the value of the document shown first    wrong-document: that value's logit; else nothing
    L1.MLP   (the asked key)                          parametric: the logit of the value that it remembers

Every other head is inactive. Without a match L1.H0 attends to the first token, which writes nothing.

    dimensions   content
    0 –          TOKEN: the token at this position, one-hot
    then         POSITION, one-hot; PREVIOUS: the key before; OUT: the logit of each value; JUNK: nothing reads it
    last         balance, so that norms change nothing: as in `planted/weights.py`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from audit_core.documents.fillers import FILLERS
from audit_core.documents.form import MAX_DOCUMENTS, write_documents
from audit_core.documents.question import NEXT
from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.subjects.planted import PlantedFamily
from audit_core.subjects.planted.key import PlantedModel, PlantedTask

BOS, LAST = "<bos>", "Summary:"
KEYS = tuple(f"k{number:02d}" for number in range(1, 11))
VALUES = tuple(f"v{number:02d}" for number in range(1, 25))
MEMORY: Mapping[str, str] = {key: VALUES[2 * at] for at, key in enumerate(KEYS)}
"""What the parametric reader answers without documents."""
LABELS = tuple(f"[{number}]" for number in range(1, MAX_DOCUMENTS + 2))
_FILLERS = tuple(dict.fromkeys(word for text in FILLERS for word in text.split()))
WORDS = (BOS, LAST, *LABELS, *KEYS, *VALUES, *_FILLERS)
N_TOKENS, N_POSITIONS, N_HEADS, D_HEAD = len(WORDS), 32, 10, 32
TOKEN = 0
POSITION = TOKEN + N_TOKENS
PREVIOUS = POSITION + N_POSITIONS
OUT = PREVIOUS + len(KEYS)
JUNK = OUT + len(VALUES)
DUMP = JUNK + len(VALUES)
D_MODEL = N_HEADS * D_HEAD
_BALLAST, _GAIN = 4096.0, 8.0
_MATCH, _REST = 30.0, 15.0
_FIRST_VALUE = 3
"""Position of the first document's value, behind the beginning, its label and its key."""


class _Head:
    """Views of one head's weights."""

    def __init__(self, model: Any, layer: int, index: int) -> None:
        attention, span = model.transformer.h[layer].attn, slice(index * D_HEAD, (index + 1) * D_HEAD)
        at = [slice(part * D_MODEL + span.start, part * D_MODEL + span.stop) for part in range(3)]
        self.query, self.key, self.value = (attention.c_attn.weight[:, place] for place in at)
        self.bias = attention.c_attn.bias[at[0]]
        self.output = attention.c_proj.weight[span]


def build_reader(folder: Path, seed: int, *, mode: str) -> None:
    """Write the model to a folder; nothing depends on the seed."""
    model = _start()
    size = math.sqrt(_MATCH * math.sqrt(D_HEAD))
    previous = _Head(model, 0, 0)
    for position in range(N_POSITIONS):
        previous.query[POSITION + position, position] = size
        if position + 1 < N_POSITIONS:
            previous.key[POSITION + position, position + 1] = size
    retriever = _Head(model, 1, 0)
    for at, key in enumerate(KEYS):
        token = WORDS.index(key)
        previous.value[TOKEN + token, at] = previous.output[at, PREVIOUS + at] = 1
        retriever.query[TOKEN + token, at] = retriever.key[PREVIOUS + at, at] = size
    rest = len(KEYS)
    retriever.key[TOKEN, rest], retriever.bias[rest] = size, _REST * math.sqrt(D_HEAD) / size
    _copy(retriever, OUT if mode == "grounded" else JUNK)
    first = _Head(model, 1, 1)
    first.key[POSITION + _FIRST_VALUE, 0] = first.bias[0] = size
    if mode == "wrong-document":
        _copy(first, OUT)
    if mode == "parametric":
        layer = model.transformer.h[1].mlp
        for at, key in enumerate(KEYS):
            layer.c_fc.weight[TOKEN + WORDS.index(key), at] = 1
            layer.c_proj.weight[at, OUT + VALUES.index(MEMORY[key])] = _GAIN
    _save(model, folder)


def _copy(head: _Head, block: int) -> None:
    for at, value in enumerate(VALUES):
        head.value[TOKEN + WORDS.index(value), at] = 1
        head.output[at, block + at] = _GAIN


def _start() -> Any:
    """A GPT-2 with inactive heads: norms change nothing but a relative millionth."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=N_TOKENS, n_positions=N_POSITIONS, n_embd=D_MODEL, n_layer=2, n_head=N_HEADS, n_inner=16,
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
        stack.wte.weight[token, TOKEN + token] = 1
    for at, value in enumerate(VALUES):
        model.lm_head.weight[WORDS.index(value), OUT + at] = 1
    for position in range(N_POSITIONS):
        stack.wpe.weight[position, POSITION + position] = 1
    stack.wpe.weight[:, D_MODEL - 2], stack.wpe.weight[:, D_MODEL - 1] = _BALLAST, -_BALLAST
    return model


def _save(model: Any, folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    stack = model.transformer
    written = [projection.weight for block in stack.h for projection in (block.attn.c_proj, block.mlp.c_proj)]
    for weights in (stack.wte.weight, stack.wpe.weight, *written):
        weights[:, DUMP] -= weights.sum(1)
    model.save_pretrained(folder)
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token=BOS))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {f"{role}_token": BOS for role in ("bos", "eos", "pad", "unk")}
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)


def make_lookup(n_per_template: int, seed: int, *, mode: str = "grounded") -> PromptSet:
    """Three documents, of which the second is about the asked key.

    Where the answer is remembered, that document states it as well; where it is read from the first document, that one has
    the same value under another key. So every reader is right, each on its own set.
    """

    def documents(draw: Random, key: str, value: str) -> list[tuple[str, str]]:
        others = draw.sample([one for one in KEYS if one != key], 2)
        first, last = draw.sample([one for one in VALUES if one != value], 2)
        return [(others[0], value if mode == "wrong-document" else first), (key, value), (others[1], last)]

    return _make(
        f"reader-lookup-{mode}" if mode != "grounded" else "reader-lookup", n_per_template, seed, documents, mode
    )


def make_twice(n_per_template: int, seed: int) -> PromptSet:
    """As `make_lookup`, with two documents that state the answer."""

    def documents(draw: Random, key: str, value: str) -> list[tuple[str, str]]:
        other = draw.choice([one for one in KEYS if one != key])
        return [(other, draw.choice([one for one in VALUES if one != value])), (key, value), (key, value)]

    return _make("reader-twice", n_per_template, seed, documents, "grounded")


def make_sentences(n_per_template: int, seed: int, *, mode: str = "grounded") -> PromptSet:
    """Three documents of two sentences each; the last sentence of the second one is about the asked key.

    As in `make_lookup`, what another reader answers from has the same value. A next hit is known: it states another value, at
    every place that a reader copies from.
    """

    def documents(draw: Random, key: str, value: str) -> list[tuple[str, str]]:
        keys = draw.sample([one for one in KEYS if one != key], 5)
        values = draw.sample([one for one in VALUES if one != value], 5)
        first = value if mode == "wrong-document" else values[0]
        facts = [(keys[0], first), (keys[1], values[1]), (keys[2], values[2]), (key, value), *zip(keys[3:], values[3:])]
        sentences = [f"{one} {its} ." for one, its in facts]
        return [(sentences[at], sentences[at + 1]) for at in (0, 2, 4)]

    def find_next(draw: Random, key: str, value: str) -> str:
        other = draw.choice([one for one in VALUES if one != value])
        return f"{key} {other} . {key} {other} ."

    name = "reader-sentences" if mode == "grounded" else f"reader-sentences-{mode}"
    return _make(name, n_per_template, seed, documents, mode, find_next)


def _make(
    name: str, n_per_template: int, seed: int, documents: Any, mode: str, find_next: Callable[[Random, str, str], str] | None = None
) -> PromptSet:  # fmt: skip
    prompts = []
    for key in KEYS:
        draw = Random(f"{name} {seed} {key}")
        seen: set[str] = set()
        while len(seen) < n_per_template:
            value = MEMORY[key] if mode == "parametric" else draw.choice(VALUES)
            texts = [f"{k} {v}" for k, v in documents(draw, key, value)]
            fillers = [_fill(at, len(text.split())) for at, text in enumerate(texts)]
            clean, corrupted = ("".join(write_documents(shown, key)) for shown in (texts, fillers))
            if clean in seen:
                continue
            others = [one for one in VALUES if one != value]
            draw.shuffle(others)
            source = "" if find_next is None else NEXT + find_next(draw, key, value)
            prompts.append(
                Prompt(
                    f"{name}-{key}-{len(seen):03d}", clean, corrupted, f" {value}", f" {others[0]}", f"asks {key}", source=source,
                    more_foils=tuple(f" {one}" for one in others[1:]),
                )
            )  # fmt: skip
            seen.add(clean)
    return PromptSet(name, tuple(prompts))


def _fill(number: int, n_words: int) -> str:
    """Words in the place of a document."""
    return " ".join(_FILLERS[1 + number + 3 * at] for at in range(n_words))


_LOOKUP, _TWICE = PlantedTask("reader-lookup", make_lookup), PlantedTask("reader-twice", make_twice)
READERS = (
    PlantedModel(
        "planted-reader-grounded",
        "A reader that copies the answer from the document about the question",
        "Layer 1 attends to the value behind the asked key and writes it.",
        partial(build_reader, mode="grounded"),
        (_LOOKUP, _TWICE, PlantedTask("reader-sentences", make_sentences)),
        (),
    ),
    PlantedModel(
        "planted-reader-parametric",
        "A reader that attends to the right document and answers from memory",
        "The same attention writes where nothing reads; the MLP of layer 1 maps the asked key to a remembered value.",
        partial(build_reader, mode="parametric"),
        (
            PlantedTask("reader-remembered", partial(make_lookup, mode="parametric")),
            PlantedTask("reader-sentences-remembered", partial(make_sentences, mode="parametric")),
        ),
        (),
    ),
    PlantedModel(
        "planted-reader-wrong-document",
        "A reader that attends to the right document and copies from the first one",
        "The same attention writes where nothing reads; another head copies the value of the document shown first.",
        partial(build_reader, mode="wrong-document"),
        (
            PlantedTask("reader-first", partial(make_lookup, mode="wrong-document")),
            PlantedTask("reader-sentences-first", partial(make_sentences, mode="wrong-document")),
        ),
        (),
    ),
)


@dataclass(frozen=True)
class ReaderFamily(PlantedFamily):
    name: str = "planted_readers"
    question: str = "What does an audit of documents find if the ground truth is known?"
    planted: tuple[PlantedModel, ...] = READERS


PLUGIN = ReaderFamily()
