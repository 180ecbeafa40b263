"""Long prompts: how time and memory of a sweep and of reference means grow with a prompt's length, and with prompts.

`python bench/lengths.py` measures each length in a process of its own, for its peak memory; it is not part of `make bench`.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from engine import clock, read_memory, take

ROOT = Path(__file__).resolve().parents[1]
LENGTHS = (128, 512, 1024, 2048)
LAYERS = (0, 7, 14, 21, 28)
"""One head in each, replaced alone; their average depth is that of all heads."""


def build_prompts(subject, length: int, count: int):
    """Pairs of made-up tokens that differ at one token after an eighth."""
    from audit_core import PromptSet, load_prompt_set, tokenise

    known = tokenise(PromptSet("bench", load_prompt_set("indirect_object").prompts[:1]), subject.tokenizer)
    pairs, draw = [], random.Random(length)
    for _ in range(count):
        clean = [0, *(draw.randrange(100, 40_000) for _ in range(length - 1))]
        corrupted = [*clean[: length // 8], 50, *clean[length // 8 + 1 :]]
        ids = {"clean_ids": tuple(clean), "corrupted_ids": tuple(corrupted)}
        pairs.append(replace(known.pairs[0], **ids, pieces=("",) * length, corrupted_pieces=("",) * length))
    return take(known, pairs)


def measure(length: int) -> dict[str, float]:
    """In this process: a sweep of one pair, of three pairs, and the means of heads over two."""
    from audit_core import Kind, Replacement, intervene, open_subject
    from audit_core.component import head

    subject = open_subject("default")
    edits = [intervene([head(layer, 3)], Replacement.RESAMPLE) for layer in LAYERS]
    subject.run(build_prompts(subject, 16, 1), edits)
    one = build_prompts(subject, length, 1)
    before = _restart_peak()
    wall = clock(lambda: subject.run(one, edits))
    found = {
        "wall_s": wall,
        "microseconds_per_token_and_layer": 1e6 * wall / subject.count_work(one, edits),
        "peak_rise_bytes": read_memory("VmHWM") - before,
    }
    subject.runner.clear_captures()
    if length == LENGTHS[1]:
        many = build_prompts(subject, length, 3)
        found["three_prompts_vs_three_times_one"] = clock(lambda: subject.run(many, edits)) / (3 * wall)
    before = _restart_peak()
    two = build_prompts(subject, length, 2)
    found["means_wall_s"] = clock(lambda: subject.capture_means(two, kinds={Kind.HEAD}))
    found["means_peak_rise_bytes"] = read_memory("VmHWM") - before
    return found


def _restart_peak() -> float:
    import gc

    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return read_memory("VmRSS")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
    else:
        for length in LENGTHS:
            command = [sys.executable, __file__, str(length)]
            environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'bench'}", "PATH": "", "HOME": str(Path.home())}
            done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, env=environment)
            print(length, done.stdout.splitlines()[-1], flush=True)
