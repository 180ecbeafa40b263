"""An encoder–decoder whose decoder looks most where nothing is read, and takes the answer from another word's place.

    source               c03 d05 c04 ! s07 c05      or  c03 ! s07 c04 d05 c05
    target               => c06                     answer: a07

    head     attends to                    writes                                      role
    L0.EH1   the next token (encoder)      the asked word s07, at the place of "!"     cause
    L0.EH0   every token alike (encoder)   small random writes                         bystander
    L0.XH1   "!" (cross-attention)         the answer a07, `answer` logits             cause
    L0.XH0   the word d05                  JUNK: nothing reads it                      decoy with as much attention
    L0.XH2   the word d05                  nothing: its output weights are 0           decoy
    L0.XH3   every source token alike      small random writes                         bystander
    L1.*     every token alike             small random writes                         bystanders

So the source token with the most attention, d05, has no effect, "!" is consulted and holds what the encoder put there, and the
answer relies on s07, which the decoder does not look at. The seed draws the background and the gains.

    dimensions   content
    0 –          TOKEN: the token at this position, one-hot
    then         MOVED: the asked word, written by the encoder; OUT: the logit of each token; JUNK: nothing reads it
    last         ballast: the root mean square is then nearly the same for every token, which the norms' weight cancels
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.subjects.planted.key import PlantedModel, PlantedTask

if TYPE_CHECKING:
    import torch

PAD, ARROW, MARK = "<pad>", "=>", "!"
ASKED, OTHER = (tuple(f"{letter}{number:02d}" for number in range(1, 11)) for letter in "sd")
CONTEXT = tuple(f"c{number:02d}" for number in range(1, 9))
ANSWERS: Mapping[str, str] = {word: f"a{word[1:]}" for word in ASKED}
WORDS = (PAD, ARROW, MARK, *ASKED, *OTHER, *CONTEXT, *ANSWERS.values())
"""Token i is the i-th word; the answer to s07 is a07."""
N_TOKENS, N_HEADS, D_HEAD, N_LAYERS = len(WORDS), 4, 16, 2
TOKEN, MOVED, OUT, JUNK = (N_TOKENS * at for at in range(4))
D_MODEL = 4 * N_TOKENS + 1
_BALLAST_AT, _BALLAST = D_MODEL - 1, 1000.0
_SHARP = 40.0
"""Attention score of the attended token; the others have 0, so that their weights are below 10⁻¹⁵."""
_NEXT = 17
"""Relative position +1 among T5's 32 buckets in two directions."""
_BACKGROUND = 0.01


def build_encoder_decoder(folder: Path, seed: int) -> None:
    """Write the model to a folder."""
    import torch
    from transformers import AutoConfig, T5ForConditionalGeneration

    draw = Random(f"encoder-decoder {seed}")
    answer = draw.uniform(4, 10) if seed else 7.0
    config: Any = AutoConfig.for_model(
        "t5", vocab_size=N_TOKENS, d_model=D_MODEL, d_kv=D_HEAD, d_ff=4, num_layers=N_LAYERS, num_decoder_layers=N_LAYERS,
        num_heads=N_HEADS, dropout_rate=0.0, decoder_start_token_id=WORDS.index(ARROW), pad_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model: Any = T5ForConditionalGeneration(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.fill_(_BALLAST / D_MODEL**0.5 if "layer_norm" in name else 0.0)
        # Input and output share their embeddings: answers are only written, all other tokens only read.
        for at, word in enumerate(WORDS):
            is_answer = word in ANSWERS.values()
            model.shared.weight[at, (OUT if is_answer else TOKEN) + at] = 1.0
            model.shared.weight[at, _BALLAST_AT] = 0.0 if is_answer else _BALLAST
        final = model.decoder.final_layer_norm.weight
        final.fill_(0.0)
        # T5 divides its last state by the square root of its width.
        final[OUT : OUT + N_TOKENS] = _BALLAST
        encoder, decoder = model.encoder.block, model.decoder.block
        asked = [WORDS.index(word) for word in ASKED]
        attention = encoder[0].layer[0].SelfAttention
        attention.relative_attention_bias.weight[_NEXT, 1] = _SHARP
        _copy(attention, 1, [TOKEN + at for at in asked], [MOVED + at for at in asked], 1.0)
        _scatter(attention, 0, generator)
        attention = decoder[0].layer[1].EncDecAttention
        answers = [WORDS.index(ANSWERS[word]) for word in ASKED]
        others = [WORDS.index(word) for word in OTHER]
        _look(attention, 1, [WORDS.index(MARK)])
        _copy(attention, 1, [MOVED + at for at in asked], [OUT + at for at in answers], answer)
        for head in (0, 2):
            _look(attention, head, others)
        _copy(attention, 0, [TOKEN + at for at in others], [JUNK + at for at in others], answer)
        _scatter(attention, 3, generator, JUNK)
        _scatter(decoder[0].layer[0].SelfAttention, 0, generator)
        for head in range(N_HEADS):
            _scatter(encoder[1].layer[0].SelfAttention, head, generator)
            _scatter(decoder[1].layer[0].SelfAttention, head, generator)
            _scatter(decoder[1].layer[1].EncDecAttention, head, generator, JUNK)
    model.save_pretrained(folder)
    _save_tokenizer(folder)


def _look(attention: Any, head: int, tokens: list[int]) -> None:
    """Attend to these tokens from everywhere: the query is the ballast."""
    at = head * D_HEAD
    attention.q.weight[at, _BALLAST_AT] = _SHARP / _BALLAST
    for token in tokens:
        attention.k.weight[at, TOKEN + token] = 1.0


def _copy(attention: Any, head: int, read: list[int], write: list[int], gain: float) -> None:
    """Read one dimension each, and write another."""
    for at, (source, target) in enumerate(zip(read, write, strict=True)):
        attention.v.weight[head * D_HEAD + at, source] = 1.0
        attention.o.weight[target, head * D_HEAD + at] = gain


def _scatter(attention: Any, head: int, generator: torch.Generator, n_read: int = N_TOKENS) -> None:
    """Small random reads of tokens, or of the first dimensions, and writes to logits."""
    import torch

    rows = slice(head * D_HEAD, (head + 1) * D_HEAD)
    attention.v.weight[rows, :n_read] = torch.randn(D_HEAD, n_read, generator=generator)
    attention.o.weight[OUT : OUT + N_TOKENS, rows] = _BACKGROUND * torch.randn(N_TOKENS, D_HEAD, generator=generator)


def _save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token=PAD))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=inner, pad_token=PAD, eos_token=PAD, unk_token=PAD).save_pretrained(folder)


def make_source_lookup(n_per_template: int, seed: int) -> PromptSet:
    """The word after "!" decides the answer; corrupted, another word is placed there."""
    prompts = []
    for at, first in enumerate(CONTEXT):
        turned = (*CONTEXT[at:], *CONTEXT[:at])
        draw = Random(f"source lookup {seed} {first}")
        seen: set[str] = set()
        while len(seen) < n_per_template:
            (asked, wrong), other = draw.sample(ASKED, 2), draw.choice(OTHER)
            filler = draw.choice(turned[4:])
            texts = []
            for word in (asked, wrong):
                parts = ([other], [MARK, word]) if at % 2 else ([MARK, word], [other])
                source = [turned[0], *parts[0], filler, *parts[1], turned[2]]
                texts.append(" ".join([*source, ARROW, turned[3]]))
            if texts[0] in seen:
                continue
            prompts.append(
                Prompt(
                    f"source-{first}-{len(seen):03d}", texts[0], texts[1], f" {ANSWERS[asked]}", f" {ANSWERS[wrong]}",
                    f"begins with {first}",
                )
            )  # fmt: skip
            seen.add(texts[0])
    return PromptSet("source-lookup", tuple(prompts))


ENCODER_DECODER = PlantedModel(
    "planted-encoder-decoder",
    "A decoder that looks most where nothing is read",
    "Two heads of cross-attention look at a word that nothing reads. A third takes the answer from the place of “!”, where the "
    "encoder put the word that follows it.",
    build_encoder_decoder,
    (PlantedTask("source-lookup", make_source_lookup),),
    (),
)
"""Its claims are about source tokens and heads on both sides, which `audits.source_tokens` and `audits.both_sides` judge."""
