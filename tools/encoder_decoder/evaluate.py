"""Evaluation: how often the stored model gives the right next word, by task, on freshly drawn texts."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.encoder_decoder.tasks import TASKS
from tools.mixture.world import World

N_TEXTS = 200
"""Of each task."""


def load_stored(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model of a folder, in float32 with eager attention, as audits load them."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    model = AutoModelForSeq2SeqLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    return AutoTokenizer.from_pretrained(folder, local_files_only=True), model.eval()


def measure_accuracy(world: World, tokenizer: Any, model: Any, *, seed: int, n: int = N_TEXTS) -> dict[str, float]:
    """Task → share of texts after which the right word is the most likely of all tokens."""
    found = {}
    for name, draw in TASKS.items():
        rng = random.Random(f"evaluation {seed} {name}")
        pairs = [draw(world, rng).pair for _ in range(n)]
        tops = predict_next(tokenizer, model, [pair.texts[0] for pair in pairs])
        wanted = [tokenizer.encode(pair.nexts[0], add_special_tokens=False) for pair in pairs]
        found[name] = sum([top] == ids for top, ids in zip(tops, wanted, strict=True)) / n
    return found


def predict_next(tokenizer: Any, model: Any, texts: Sequence[str]) -> list[int]:
    """The most likely token after each text `source => beginning`, computed in batches of equal lengths."""
    import torch

    start = model.config.decoder_start_token_id
    rows = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    by_shape: dict[tuple[int, int], list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        by_shape[row.index(start), len(row)].append(at)
    tops = [0] * len(rows)
    with torch.no_grad():
        for (middle, _), places in by_shape.items():
            batch = torch.tensor([rows[at] for at in places])
            logits = model(input_ids=batch[:, :middle], decoder_input_ids=batch[:, middle:]).logits[:, -1]
            for at, top in zip(places, logits.argmax(-1).tolist(), strict=True):
                tops[at] = top
    return tops
