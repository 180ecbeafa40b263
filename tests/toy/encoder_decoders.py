"""Random encoder–decoders of letters, and prompts for them; the arrow begins the target."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from toy.models import LETTERS, save_tokenizer

from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts
from audit_core.subjects.encoder_decoder import EncoderDecoderSubject, load_encoder_decoder

PAD, ARROW = "<pad>", "=>"
SIZES = {"d_model": 24, "d_ff": 32, "d_kv": 6, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4}


def build_random(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """A T5 with random weights: two layers of encoder, three of decoder, four heads each."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(seed)
    sizes = {"vocab_size": len(LETTERS) + 2, "decoder_start_token_id": 1, "pad_token_id": 0, "eos_token_id": 0}
    model = T5ForConditionalGeneration(T5Config(**{**sizes, **SIZES, "dropout_rate": 0.0, **config})).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.3)
    model.save_pretrained(folder)
    save_tokenizer(folder, [PAD, ARROW, *LETTERS])
    return folder


def load_random(folder: Path, **config: Any) -> EncoderDecoderSubject:
    """`build_random`, loaded."""
    return load_encoder_decoder(build_random(folder, **config))


def draw_prompts(subject: Any, n: int = 16, *, n_templates: int = 8, seed: int = 0) -> TokenisedPrompts:
    """Prompts of random letters of two shapes; clean and corrupted differ in one letter of the source."""
    rng = random.Random(seed)
    rows = []
    for at in range(n):
        template = at % n_templates
        source = rng.choices(LETTERS[5:], k=4 + template % 2)
        place = rng.randrange(len(source))
        other = [*source[:place], rng.choice([x for x in LETTERS[5:] if x != source[place]]), *source[place + 1 :]]
        target = [ARROW, LETTERS[template % 5], LETTERS[at % 3]]
        texts = [" ".join([*words, *target]) for words in (source, other)]
        rows.append(
            Prompt(f"toy-{at}", texts[0], texts[1], f" {LETTERS[at % 4]}", f" {LETTERS[4]}", f"template-{template}")
        )
    return tokenise(PromptSet("letters", tuple(rows)), subject.tokenizer)
