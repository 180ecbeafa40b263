"""Long prompts: how time and memory of a sweep and of reference means grow with a prompt's length, and with prompts.

`python bench/lengths.py` measures each length in a process of its own, for its peak memory, and writes `bench/lengths.json` and the
table of docs/performance.md; lengths that the record has are not measured again, so that it can be stopped and goes on. A length
that was stopped has the figures up to there. It is not part of `make bench`.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine import read_memory, take

ROOT = Path(__file__).resolve().parents[1]
RECORD, PAGE = ROOT / "bench/lengths.json", ROOT / "docs/performance.md"
BEGIN, END = "<!-- lengths of the last run -->\n", "<!-- end of lengths -->\n"
LENGTHS = (128, 256, 512, 1024, 2048)
MODELS = {"default": "default model, 30 layers of width 576", "256": "random weights, 8 layers of width 256"}
AVERAGE_OF, LATE_OF = 5, 6
"""One head and the MLP in one of so many layers, whose average depth is that of all; all heads of the last sixth of the layers."""
SPANS = 8
COLUMNS = {
    "sweep_cpu_s": "sweep of some heads and MLPs, CPU s",
    "microseconds": "a token and layer, µs",
    "late_cpu_s": "all heads of the last layers, CPU s",
    "sweep_peak_bytes": "peak beside the model, MB",
    "means_cpu_s": "means of two pairs, CPU s",
    "means_peak_bytes": "peak, MB",
    "means_bytes": "of it the means, MB",
    "spans_cpu_s": "eight spans, CPU s",
    "spans_peak_bytes": "peak, MB",
    "apart": "largest difference from one pass an intervention, logits",
    "largest": "largest effect, logits",
}


def build_prompts(subject: Any, length: int, count: int) -> Any:
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


def measure(model: str, length: int) -> dict[str, float]:
    """In this process: sweeps of one pair and of three, means over two, and spans of one prompt replaced in turn."""
    from audit_core import Kind, Replacement, intervene, mlp, open_subject
    from audit_core.component import head
    from audit_core.engine.input_tree import run_tree
    from audit_core.subject import no_progress

    if model == "default":
        subject = open_subject("default")
    else:
        from widths import build

        subject = build(int(model))
    runner, n_layers = subject.runner, subject.geometry.n_layers
    layers = range(0, n_layers, max(1, n_layers // (AVERAGE_OF - 1) - 1))[:AVERAGE_OF]
    parts = [part for layer in layers for part in (head(layer, 3), mlp(layer))]
    edits = [intervene([part], Replacement.RESAMPLE) for part in parts]
    late = [h for h in subject.components(Kind.HEAD) if h.layer >= n_layers - max(1, n_layers // LATE_OF)]
    lates = [intervene([part], Replacement.RESAMPLE) for part in late]
    subject.run(build_prompts(subject, 16, 1), edits)
    one = build_prompts(subject, length, 1)
    found: dict[str, float] = {}
    before = restart_peak()
    found["sweep_cpu_s"] = clock_cpu(lambda: subject.run(one, edits))
    found["microseconds"] = 1e6 * found["sweep_cpu_s"] / subject.count_work(one, edits)
    found["late_cpu_s"] = clock_cpu(lambda: subject.run(one, lates))
    found["sweep_peak_bytes"] = read_memory("VmHWM") - before
    runner.clear_captures()
    print(json.dumps(found), flush=True)
    if length == 512:
        many = build_prompts(subject, length, 3)
        found["three_prompts_vs_three_times_one"] = clock_cpu(lambda: subject.run(many, edits)) / (
            3 * clock_cpu(lambda: subject.run(one, edits))
        )
        runner.clear_captures()
    two = build_prompts(subject, length, 2)
    before = restart_peak()
    kept: list[Any] = []
    found["means_cpu_s"] = clock_cpu(lambda: kept.append(subject.capture_means(two, kinds={Kind.HEAD, Kind.MLP})))
    found["means_peak_bytes"] = read_memory("VmHWM") - before
    found["means_bytes"] = sum(mean.nbytes for mean in kept.pop().activations[length, ""].values())
    print(json.dumps(found), flush=True)
    spans = replace_spans(one)
    before = restart_peak()
    found["spans_cpu_s"] = clock_cpu(lambda: run_tree(runner, spans, on_progress=no_progress))
    found["spans_peak_bytes"] = read_memory("VmHWM") - before
    print(json.dumps(found), flush=True)
    found |= compare_with_whole_passes(subject, one, edits[:2])
    return found


def replace_spans(prompts: Any) -> Any:
    """One prompt, and eight more in each of which an eighth of its tokens is other text: what documents swapped in turn take."""
    (pair,) = prompts.pairs
    ids, size, draw = pair.clean_ids, len(pair.clean_ids) // SPANS, random.Random(0)
    rows = [ids]
    for at in range(1, len(ids) - size + 1, size):
        rows.append((*ids[:at], *(draw.randrange(100, 40_000) for _ in range(size)), *ids[at + size :]))
    return take(prompts, [replace(pair, clean_ids=row) for row in rows])


def compare_with_whole_passes(subject: Any, prompts: Any, edits: list[Any]) -> dict[str, float]:
    """A head and an MLP by one whole pass of TransformerLens each, hooks by name, as the slow definition has it."""
    import torch

    (pair,), bridge, worst, largest = prompts.pairs, subject.bridge, 0.0, 0.0
    logits = subject.run(prompts, edits)
    with torch.inference_mode():
        plain = bridge(torch.tensor([pair.clean_ids]))[0, -1].float()
    names = {"head": "attn.hook_z", "mlp": "hook_mlp_out"}
    for at, edit in enumerate(edits):
        (part,) = edit.components
        name, kept = f"blocks.{part.layer}.{names[part.kind.value]}", []
        where = (slice(None), slice(None), part.index) if part.kind.value == "head" else (slice(None),)

        def put(value: Any, hook: Any, where: Any = where, kept: list[Any] = kept) -> Any:
            value = value.clone()
            value[where] = kept[0][where]
            return value

        with torch.inference_mode():
            hooks = [(name, lambda value, hook, kept=kept: kept.append(value.clone()))]
            bridge.run_with_hooks(torch.tensor([pair.corrupted_ids]), fwd_hooks=hooks)
            end = bridge.run_with_hooks(torch.tensor([pair.clean_ids]), fwd_hooks=[(name, put)])[0, -1].float()
        difference, before = (float(one[pair.answer_id] - one[pair.foil_id]) for one in (end, plain))
        worst = max(worst, abs(float(logits.answer[at, 0] - logits.foil[at, 0]) - difference))
        largest = max(largest, abs(difference - before))
    return {"apart": worst, "largest": largest}


def clock_cpu(work: Any) -> float:
    """CPU seconds of this process: other work on the machine hardly changes them."""
    start = time.process_time()
    work()
    return time.process_time() - start


def restart_peak() -> float:
    import gc

    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return read_memory("VmRSS")


def measure_all() -> dict[str, Any]:
    """Every model and length in a process of its own; the record is written after each."""
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    found |= {"python": platform.python_version(), "threads": os.environ.get("OMP_NUM_THREADS", "all")}
    for model in MODELS:
        for length in LENGTHS:
            if f"{model} {length}" in found:
                continue
            command = [sys.executable, __file__, model, str(length)]
            environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'bench'}"}
            load = round(os.getloadavg()[0], 1)
            done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, env=environment)
            found[f"{model} {length}"] = json.loads(done.stdout.splitlines()[-1]) | {"load_before": load}
            print(model, length, found[f"{model} {length}"], flush=True)
            RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def write_table(found: dict[str, Any]) -> str:
    loads = [row["load_before"] for row in found.values() if isinstance(row, dict) and "load_before" in row]
    lines = [
        f"Load of the machine (two cores) when a length began: {min(loads)} to {max(loads)}. Threads of a process: {found['threads']}.\n"
    ]
    for model, named in MODELS.items():
        rows = {length: found[f"{model} {length}"] for length in LENGTHS if f"{model} {length}" in found}
        lines += [
            f"{named[0].upper()}{named[1:]}:\n",
            f"| tokens | {' | '.join(COLUMNS.values())} |",
            "|---" * (len(COLUMNS) + 1) + "|",
        ]
        lines += [
            f"| {length:,} | {' | '.join(write_cell(row, key) for key in COLUMNS)} |" for length, row in rows.items()
        ]
        ratio = rows[512]["three_prompts_vs_three_times_one"]
        lines.append(f"\nThree prompts of 512 tokens took {ratio:.2f} times the CPU time of three times one.\n")
    return "\n".join(lines)


def write_cell(row: dict[str, float], key: str) -> str:
    """Two digits, or whole numbers above 99; MB of bytes; empty what was not measured."""
    if key not in row:
        return "–"
    number = max(0.0, row[key] / 1e6) if key.endswith("_bytes") else row[key]
    return f"{number:,.0f}" if abs(number) >= 99 or key.endswith("_bytes") else f"{number:.2g}"


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        found = measure_all()
        page = PAGE.read_text(encoding="utf-8")
        head, rest = page.split(BEGIN)
        table = write_table(found)
        PAGE.write_text(f"{head}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}", encoding="utf-8")
