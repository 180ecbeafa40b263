"""Makes the shipped monitors of the default model; about forty minutes of one core.

Run from the repository root: `PYTHONPATH=. OMP_NUM_THREADS=1 python data/monitors/make.py TEXTS.json FOLDER`. The normal texts are
what the model writes after its first token at temperature 1; they are drawn once and kept in TEXTS.json, which is not shipped.
"""

import json
import sys
from pathlib import Path
from random import Random

import torch
from transformers import AutoModelForCausalLM

from audit_core import open_subject
from audit_core.monitors import MonitorText, Recipe, fit_monitor, save_monitor

LENGTH, BATCH, SEED, LAYER = 32, 50, 0, 12
NORMAL, CASES = 500, 100
CODE = "import os\nimport sys\n\n\ndef "
"""Written after the first token for texts of another domain; not part of the texts."""


def generate(model, opening: list[int], count: int, draw: torch.Generator) -> list[list[int]]:
    """What the model writes after an opening, at temperature 1."""
    found: list[list[int]] = []
    with torch.inference_mode():
        while len(found) < count:
            rows, past, last = [], None, torch.tensor([opening]).repeat(BATCH, 1)
            for _ in range(LENGTH - 1):
                out = model(last, past_key_values=past, use_cache=True)
                past, logits = out.past_key_values, out.logits[:, -1].clone()
                # A second beginning of a text inside one would be a token that no text has.
                logits[:, :3] = -torch.inf
                last = torch.multinomial(logits.softmax(-1), 1, generator=draw)
                rows.append(last)
            found += torch.cat(rows, 1).tolist()
            print(f"{len(found)} of {count}", file=sys.stderr, flush=True)
    return found[:count]


def write_texts(path: Path) -> None:
    subject = open_subject("default")
    bos = subject.tokenizer.bos_id
    model = AutoModelForCausalLM.from_pretrained(subject.identity.folder, local_files_only=True, dtype=torch.float32).eval()
    draw = torch.Generator().manual_seed(SEED)
    own = generate(model, [bos], NORMAL + 2 * CASES, draw)
    code = generate(model, [bos, *subject.tokenizer.encode(CODE)], CASES, draw)
    path.write_text(json.dumps({"bos": bos, "own": own, "code": code}))


def make_cases(kind: str, read: dict) -> list[MonitorText]:
    """`switch`: from a random token on, code that the model wrote apart. `repeat`: from there on, the last three to five tokens
    again and again. The onset is the first token that a rule put there."""
    draw = Random(f"{kind} {SEED}")
    first = NORMAL + (CASES if kind == "repeat" else 0)
    found = []
    for number in range(CASES):
        text, at = read["own"][first + number], draw.randrange(10, LENGTH - 14)
        if kind == "switch":
            text = text[:at] + read["code"][number][: LENGTH - 1 - at]
        else:
            period = text[at - draw.randrange(3, 6) : at]
            text = (text[:at] + period * LENGTH)[: LENGTH - 1]
        found.append(MonitorText(f"{kind} {number}", (read["bos"], *text), True, at + 1))
    return found


if __name__ == "__main__":
    texts, folder = Path(sys.argv[1]), Path(sys.argv[2])
    if not texts.exists():
        write_texts(texts)
    read = json.loads(texts.read_text())
    normal = [MonitorText(f"own {at}", (read["bos"], *text)) for at, text in enumerate(read["own"][:NORMAL])]
    subject = open_subject("default")
    for kind in sys.argv[3:] or ("switch", "repeat"):
        recipe = Recipe(name=f"default-{kind}", layer=LAYER, rate=0.05, examples=6, seed=SEED)
        made = fit_monitor(
            subject, [*normal, *make_cases(kind, read)], recipe, on_progress=lambda done, total: print(done, total, file=sys.stderr)
        )
        save_monitor(made, folder / f"default-{kind}.safetensors")
