"""What a monitor costs: passes over the same texts with and without it, timed in pairs."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit_core.activations import StreamChange
from audit_core.capability import ACTIVATIONS
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.monitors.monitor import Monitor
from audit_core.monitors.texts import MonitorText
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio
from audit_core.stats.estimates import MIN_PROMPTS, Estimate
from audit_core.subject import Floats, Subject

MAX_TEXTS, REPEATS = 60, 3
"""Of a text's passes of one kind the fastest counts: what else runs on the machine only makes one slower."""
_UNIT = "ms per token"


@dataclass(frozen=True)
class Overhead:
    """Time that a monitor adds to a token, on the machine that is named."""

    extra: Estimate
    """A pass with the monitor minus one without it, text by text, in milliseconds per token."""
    without: Estimate
    """The pass without it, same unit."""
    share: Estimate
    """The first over the second."""
    machine: str


def measure_overhead(subject: Subject, monitor: Monitor, texts: Sequence[MonitorText]) -> Overhead:
    """Time passes with a hook in which the monitor scores every token, and the same passes without it.

    One text a pass, as in a stream; the two take turns, and so does which of them is first. The hook also hands the activation on, which a
    monitor need not do: what is measured is at least its cost. The output-only baselines are not in it.

    Raises:
        NotMeasured: fewer than 20 texts.
        ControlFailed: the monitor did not score every token of a pass.
    """
    used = texts[:MAX_TEXTS]
    if len(used) < MIN_PROMPTS:
        raise NotMeasured("low_power", f"the cost needs {MIN_PROMPTS} texts, and there are {len(used)}.")
    read, layer, scored = ACTIVATIONS.of(subject), monitor.recipe.layer, 0

    def score(stream: Floats) -> Floats:
        nonlocal scored
        scored += len(monitor.signal.score(stream))
        return stream

    def run(ids: tuple[int, ...], change: StreamChange | None) -> float:
        start = time.perf_counter()
        read.measure_losses([ids], layer, change)
        return 1_000 * (time.perf_counter() - start) / len(ids)

    for change in (None, score):
        run(used[0].ids, change)
    times, scored = np.empty((len(used), REPEATS, 2)), 0
    for at, text in enumerate(used):
        for repeat in range(REPEATS):
            for kind in (0, 1) if repeat % 2 else (1, 0):
                times[at, repeat, kind] = run(text.ids, score if kind else None)
    if scored != REPEATS * sum(len(text.ids) - 1 for text in used):
        raise ControlFailed(f"The monitor scored {scored:,} tokens of the timed passes, not every one.")
    without, with_it = times.min(1).T
    clusters, seed = [text.group or text.id for text in used], monitor.recipe.seed
    return Overhead(
        bootstrap_mean(with_it - without, clusters, unit=_UNIT, seed=seed),
        bootstrap_mean(without, clusters, unit=_UNIT, seed=seed),
        bootstrap_ratio(with_it - without, without, clusters, unit="of the pass", seed=seed),
        f"{platform.machine()}, {os.cpu_count()} cores",
    )
