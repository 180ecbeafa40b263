"""How fast the engine is, as ratios of interleaved runs on one machine: against TransformerLens' own loop, and against the
multiply-adds it cannot avoid at the rate this machine multiplies matrices."""

from __future__ import annotations

import gc
import random
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

REPEATS = 5
SAMPLE = 20
"""Cells of TransformerLens' loop that are timed; the rest is this pace times their number."""
MANY = 100
N_CIRCUITS, CIRCUIT_SIZE, CIRCUIT_PROMPTS = 200, 10, 50


def clock(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def clock_cpu(work: Callable[[], Any]) -> float:
    """CPU seconds of this thread, which other work on the machine hardly changes; all of the work with one thread of torch."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def measure_gemm(clock: Callable[[Callable[[], Any]], float] = clock) -> float:
    """Multiply-adds per second of large square matrices: more than the engine's own shapes can reach."""
    import torch

    a, b = torch.randn(1536, 1536), torch.randn(1536, 1536)
    with torch.inference_mode():
        return 10 * 1536**3 / clock(lambda: [a @ b for _ in range(10)])


def count_multiply_adds(subject, prompts, edits) -> float:
    """Of the blocks alone: parameters of one block × rows × positions × layers, captures included."""
    weights = sum(p.numel() for p in subject.bridge.blocks[0].parameters() if p.dim() == 2)
    return float(weights) * subject.count_work(prompts, edits)


def compare_cpu(subject, prompts, edits) -> dict[str, float]:
    """One thread, CPU time: the sweep, and its products alone at their own shapes, over the same multiply-adds in large squares."""
    return {
        "cpu_floor_ratio": compare_sweeps(subject, prompts, edits),
        "own_shapes_floor_ratio": _compare_with_floor(
            subject, prompts, edits, lambda: run_products(subject, prompts, edits)
        ),
    }


def compare_sweeps(subject, prompts, edits) -> float:
    """One thread, CPU time: the sweep with its unedited runs, over its multiply-adds in large squares."""

    def sweep() -> None:
        subject.runner.clear_captures()
        subject.run(prompts, edits)

    return _compare_with_floor(subject, prompts, edits, sweep)


def _compare_with_floor(subject, prompts, edits, work: Callable[[], None]) -> float:
    import torch

    threads, ratios = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for _ in range(REPEATS):
            floor = count_multiply_adds(subject, prompts, edits) / measure_gemm(clock_cpu)
            ratios.append(clock_cpu(work) / floor)
    finally:
        torch.set_num_threads(threads)
    return statistics.median(ratios)


def run_products(subject, prompts, edits) -> None:
    """Every product of a sweep with the blocks' weights, and nothing else; for prompts of one length that are captured together."""
    import torch

    runner, length = subject.runner, len(prompts.pairs[0].clean_ids)
    variants = runner.compile(prompts, edits)
    (group,) = runner._plan(prompts, variants)
    layers = [[p for p in block.parameters() if p.dim() == 2] for block in subject.bridge.blocks]
    sizes = [[group.capture_work // len(layers)] * len(layers)]
    for chunk in group.chunks:
        each = len(group.prompts) * (length - chunk.start)
        joined = [sum(variants[i].first_layer <= layer for i in chunk.variants) for layer in range(len(layers))]
        sizes.append([each * count for count in joined])
    with torch.inference_mode():
        rows = {w.shape[1]: torch.randn(max(map(max, sizes)), w.shape[1]) for w in layers[0]}
        for size in sizes:
            for weights, count in zip(layers, size):
                for weight in weights:
                    torch.nn.functional.linear(rows[weight.shape[1]][:count], weight)


def bench_engine() -> dict[str, float]:
    """The exact effect of every head of the default model, and what grows with what."""
    from audit_core import (
        Direction,
        Kind,
        PromptSet,
        Replacement,
        intervene,
        load_prompt_set,
        open_subject,
        tokenise,
    )

    subject = open_subject("default")
    rows = load_prompt_set("indirect_object").prompts
    one = tokenise(PromptSet("bench", rows[:1]), subject.tokenizer)
    heads = subject.components(Kind.HEAD)

    def plan(direction=Direction.DENOISING, parts=heads, replacement=Replacement.RESAMPLE):
        return [intervene([part], replacement, direction=direction) for part in parts]

    found = compare_with_loop(subject, one, plan())
    found |= {f"sweep.{name}": value for name, value in compare_cpu(subject, one, plan()).items()}
    found["sweep.direct_vs_wrapped"] = compare_blocks(subject, one, plan())
    found |= bench_growth(subject, rows, plan())
    found |= bench_sets(subject, rows)
    found |= bench_cancel(subject, rows, plan())
    return found


def compare_with_loop(subject, prompts, edits) -> dict[str, float]:
    """One pair, all heads: the wave, TransformerLens' loop and the bare matrix products, in turn."""
    import pandas
    import torch
    from transformer_lens import patching

    pair, bridge = prompts.pairs[0], subject.bridge
    heads = [edit.components[0] for edit in edits]
    sample = sorted(random.Random(0).sample(range(len(heads)), SAMPLE))
    cells = pandas.DataFrame([{"layer": heads[i].layer, "head": heads[i].index} for i in sample])
    clean, corrupted = torch.tensor([pair.clean_ids]), torch.tensor([pair.corrupted_ids])
    wave, loop, floors, worst = [], [], [], 0.0
    subject.run(prompts, edits)
    for _ in range(REPEATS):
        # The engine keeps the last prompts' unedited runs, and a sweep must pay for its own.
        subject.runner.clear_captures()
        start = time.perf_counter()
        logits = subject.run(prompts, edits)
        wave.append(time.perf_counter() - start)
        with torch.no_grad():
            start = time.perf_counter()
            _, cache = bridge.run_with_cache(clean)
            captured = time.perf_counter() - start
            start = time.perf_counter()
            theirs = patching.generic_activation_patch(
                bridge,
                corrupted,
                cache,
                lambda out: out[0, -1, pair.answer_id] - out[0, -1, pair.foil_id],
                patching.layer_head_vector_patch_setter,
                "z",
                index_df=cells,
            )
            loop.append(captured + (time.perf_counter() - start) * len(heads) / SAMPLE)
        floors.append(count_multiply_adds(subject, prompts, edits) / measure_gemm())
        found = torch.tensor((logits.answer - logits.foil)[sample, 0])
        worst = max(worst, float((found - torch.as_tensor(theirs).float().flatten()).abs().max()))
    return {
        "sweep.wall_s": statistics.median(wave),
        "sweep.loop_s": statistics.median(loop),
        "sweep.gemm_floor_s": statistics.median(floors),
        "sweep.speedup_vs_transformer_lens": statistics.median(b / a for a, b in zip(wave, loop)),
        "sweep.gemm_floor_ratio": statistics.median(a / f for a, f in zip(wave, floors)),
        "sweep.max_abs_error_logit": worst,
        "sweep.loop_sample": SAMPLE,
        "sweep.heads": len(heads),
    }


def compare_blocks(subject, prompts, edits) -> float:
    """The sweep with blocks run directly over the same one through TransformerLens' blocks, in turn; equal bit for bit."""
    model, ratios = subject.runner.model, []
    for _ in range(REPEATS):
        walls, answers = [], []
        for one in (model, replace(model, direct={})):
            subject.runner.model = one
            subject.runner.clear_captures()
            walls.append(clock(lambda kept=answers: kept.append(subject.run(prompts, edits).answer)))
        assert model.direct
        assert (answers[0] == answers[1]).all()
        ratios.append(walls[0] / walls[1])
    subject.runner.model = model
    return statistics.median(ratios)


def bench_growth(subject, rows, edits) -> dict[str, float]:
    """What a sweep costs as prompts, suffix and layers grow, and what it takes in memory."""
    from audit_core import PromptSet, tokenise

    whole = tokenise(PromptSet("bench", rows), subject.tokenizer)
    many = take(whole, whole.pairs[:MANY])
    singles = []
    for pair in random.Random(0).sample(many.pairs, REPEATS):
        subject.runner.clear_captures()
        one = take(whole, [pair])
        singles.append(clock(lambda one=one: subject.run(one, edits)) / subject.count_work(one, edits))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = read_memory("VmRSS")
    wall = clock(lambda: subject.run(many, edits))
    return {
        "sweep.many_prompts": MANY,
        "sweep.many_wall_s": wall,
        "sweep.prompts_growth": wall / (statistics.median(singles) * subject.count_work(many, edits)),
        "sweep.peak_memory_bytes": read_memory("VmHWM") - before,
        **bench_depth(subject, take(whole, whole.pairs[:1]), edits),
        **bench_suffix(subject, take(whole, whole.pairs[:1])),
    }


def bench_depth(subject, prompts, edits) -> dict[str, float]:
    """Heads of the last third of the layers against all: work falls with the square of the depth."""
    late = [edit for edit in edits if edit.components[0].layer >= 20]
    paces = [clock(lambda e=e: subject.run(prompts, e)) / subject.count_work(prompts, e) for e in (edits, late)]
    return {"sweep.pace_late_layers_vs_all": paces[1] / paces[0]}


def bench_suffix(subject, prompts) -> dict[str, float]:
    """Heads edited at one position alone, late against early: work falls with the positions that can differ."""
    from audit_core import Component, Kind, Replacement, intervene

    last = len(prompts.pairs[0].clean_ids) - 1
    heads = subject.components(Kind.HEAD)
    paces = {}
    for name, at in (("early", 1), ("middle", last // 2), ("last", last)):
        edits = [intervene([Component(h.layer, h.kind, h.index, at)], Replacement.ZERO) for h in heads]
        paces[name] = clock(lambda edits=edits: subject.run(prompts, edits)) / subject.count_work(prompts, edits)
    return {f"sweep.pace_{name}_vs_early_positions": paces[name] / paces["early"] for name in ("middle", "last")}


def bench_sets(subject, rows) -> dict[str, float]:
    """Residual positions and MLPs of one pair; random circuits of one size over many prompts."""
    from audit_core import Kind, PromptSet, Replacement, intervene, mlp, tokenise
    from audit_core.component import resid

    whole = tokenise(PromptSet("bench", rows), subject.tokenizer)
    one = take(whole, whole.pairs[:1])
    n = len(one.pairs[0].clean_ids)
    places = [intervene([resid(layer, at)], Replacement.RESAMPLE) for layer in range(30) for at in range(n)]
    mlps = [intervene([mlp(layer)], Replacement.RESAMPLE) for layer in range(30)]
    draw, heads = random.Random(0), subject.components(Kind.HEAD)
    circuits = [intervene(draw.sample(heads, CIRCUIT_SIZE), Replacement.RESAMPLE) for _ in range(N_CIRCUITS)]
    some = take(whole, whole.pairs[:CIRCUIT_PROMPTS])
    return {
        "residual.cells": len(places),
        "residual.wall_s": clock(lambda: subject.run(one, places)),
        "mlps.wall_s": clock(lambda: subject.run(one, mlps)),
        "circuits.runs": N_CIRCUITS * CIRCUIT_PROMPTS,
        "circuits.wall_s": clock(lambda: subject.run(some, circuits)),
    }


def bench_cancel(subject, rows, edits) -> dict[str, float]:
    """From the wish to stop a long sweep to its end."""
    from audit_core import PromptSet, tokenise
    from audit_core.errors import Cancelled

    prompts = tokenise(PromptSet("bench", rows), subject.tokenizer)
    wish, ended = threading.Event(), []

    def progress(done: int, total: int) -> None:
        if wish.is_set():
            raise Cancelled("bench")

    def work() -> None:
        try:
            subject.run(prompts, edits, on_progress=progress)
        except Cancelled:
            ended.append(time.perf_counter())

    waits = []
    for pause in (1.0, 2.3, 3.1):
        wish.clear()
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(pause)
        asked = time.perf_counter()
        wish.set()
        thread.join()
        waits.append(ended[-1] - asked)
    return {"cancel.longest_s": max(waits)}


def take(prompts, pairs):
    from dataclasses import replace

    return replace(prompts, pairs=tuple(pairs))


def read_memory(field: str) -> int:
    """Bytes, from the process's own status."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith(field)
    )
    return int(line.split()[1]) * 1024
