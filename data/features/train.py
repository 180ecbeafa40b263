"""Trains the shipped sparse dictionary of the default model and writes its card and index; about fifteen minutes of one core.

Run from the repository root: `PYTHONPATH=. OMP_NUM_THREADS=1 python data/features/train.py FOLDER`, with a new folder. The text
is drawn from the model itself, beside the exploratory split of the shipped prompt sets; nothing of it is kept but the
examples of the index.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from audit_core import open_subject
from audit_core.capability import ACTIVATIONS
from audit_core.dictionaries.store import round_to_half
from audit_core.features import Recipe, Training, measure_quality, save_dictionary, train_dictionary
from audit_core.features.index import build_index, write_index
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import take_split
from audit_core.shipped import list_prompt_sets, load_prompt_set

LAYER, SEED = 12, 0
DOCUMENTS, LENGTH, BATCH = 512, 64, 64
HELD_OUT = 64
"""Generated documents that are not trained on; as many prompts of the confirmatory split, spread over the sets."""
RECIPE = Recipe(width=1024, active=24, steps=1500, batch=1024, rate=1e-3, seed=SEED)


def generate(folder: str, bos: int) -> list[Tokens]:
    """Documents that the model writes after its first token, at temperature 1."""
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
    draw = torch.Generator().manual_seed(SEED)
    found: list[Tokens] = []
    with torch.inference_mode():
        while len(found) < DOCUMENTS:
            rows, past = torch.full((BATCH, 1), bos), None
            for _ in range(LENGTH - 1):
                out = model(rows if past is None else rows[:, -1:], past_key_values=past, use_cache=True)
                past = out.past_key_values
                logits = out.logits[:, -1].clone()
                # A second beginning of a text inside one would be a token that no text has.
                logits[:, :3] = -torch.inf
                rows = torch.cat([rows, torch.multinomial(logits.softmax(-1), 1, generator=draw)], 1)
            found += [tuple(row) for row in rows.tolist()]
            print(f"{len(found)} documents", file=sys.stderr)
    return found


def read_unembedding(folder: str) -> np.ndarray:
    """See `build_index`."""
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    found = (model.lm_head.weight * model.model.norm.weight).detach().numpy()
    return found - found.mean(0)


def list_prompts(tokenizer, *, exploratory: bool) -> list[tuple[Tokens, str]]:
    """Both texts of every prompt of a split, each once, with its template."""
    found = {}
    for key in list_prompt_sets():
        for prompt in take_split(load_prompt_set(key), exploratory=exploratory).prompts:
            for text in (prompt.clean, prompt.corrupted):
                found[(tokenizer.bos_id, *tokenizer.encode(text))] = f"{key} {prompt.template}"
    return sorted(found.items(), key=lambda one: len(one[0]))


def thin(rows: Sequence[tuple[Tokens, str]], most: int) -> list[tuple[Tokens, str]]:
    return [rows[at * len(rows) // most] for at in range(min(most, len(rows)))]


if __name__ == "__main__":
    target = Path(sys.argv[1])
    subject = open_subject("default")
    tokenizer = subject.tokenizer
    written = generate(subject.identity.folder, tokenizer.bos_id)
    asked = list_prompts(tokenizer, exploratory=True)
    train = [*written[HELD_OUT:], *(row for row, _ in asked)]
    held = [*((row, f"generated {at}") for at, row in enumerate(written[:HELD_OUT])),
            *thin(list_prompts(tokenizer, exploratory=False), HELD_OUT)]  # fmt: skip
    held.sort(key=lambda one: len(one[0]))
    read = ACTIVATIONS.of(subject).read_stream
    stream = read(train, LAYER)
    # Without the first token, which no dictionary reads.
    x = np.concatenate([one[1:] for one in stream])
    print(f"{len(x):,} tokens", file=sys.stderr)
    made = round_to_half(
        train_dictionary(x, LAYER, RECIPE, on_progress=lambda done, n: print(f"\r{done}/{n}", end="", file=sys.stderr))
    )
    digest = hashlib.sha256(json.dumps([train, [row for row, _ in held]]).encode()).hexdigest()
    training = Training(subject.identity.weights_sha256, digest, RECIPE, len(x))
    rows, names = [row for row, _ in held], [name for _, name in held]
    card = measure_quality(subject, made, rows, names, training, seed=SEED)
    save_dictionary(made, card, target)
    stream += read(rows, LAYER)
    write_index(
        build_index(made, [*train, *rows], stream, tokenizer, read_unembedding(subject.identity.folder)), target
    )
    print(json.dumps(card.to_json(), indent=1))
