"""Evaluation: how often the stored model gives the right next word, by domain, on freshly drawn texts."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.mixture.domains import DOMAINS
from tools.mixture.world import World

N_TEXTS = 200
"""Of each domain."""


def load_stored(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model of a folder, in float32 with eager attention, as audits load them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    return AutoTokenizer.from_pretrained(folder, local_files_only=True), model.eval()


def measure_accuracy(world: World, tokenizer: Any, model: Any, *, seed: int, n: int = N_TEXTS) -> dict[str, float]:
    """Domain → share of texts after which the right word is the most likely of all tokens."""
    found = {}
    for name, draw in DOMAINS.items():
        rng = random.Random(f"evaluation {seed} {name}")
        pairs = [draw(world, rng) for _ in range(n)]
        tops = predict_next(tokenizer, model, [pair.texts[0] for pair in pairs])
        wanted = [tokenizer.encode(pair.nexts[0], add_special_tokens=False) for pair in pairs]
        found[name] = sum([top] == ids for top, ids in zip(tops, wanted, strict=True)) / n
    return found


def predict_next(tokenizer: Any, model: Any, texts: Sequence[str]) -> list[int]:
    """The most likely token after each text, computed in batches of equal length."""
    import torch

    rows = [[tokenizer.bos_token_id, *tokenizer.encode(text, add_special_tokens=False)] for text in texts]
    by_length: dict[int, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        by_length[len(row)].append(at)
    tops = [0] * len(rows)
    with torch.no_grad():
        for places in by_length.values():
            logits = model(torch.tensor([rows[at] for at in places]), logits_to_keep=1).logits[:, -1]
            for at, top in zip(places, logits.argmax(-1).tolist(), strict=True):
                tops[at] = top
    return tops
