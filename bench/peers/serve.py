"""What every library of `make bench-peers` shares: a process of its own that sweeps when asked, and says what it took."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """One pair of prompts and a model's folder; each head's output in the clean run replaces that in the corrupted run."""

    folder: str
    clean: tuple[int, ...]
    corrupted: tuple[int, ...]
    answer: int
    foil: int
    n_layers: int
    n_heads: int
    threads: int


def serve(load: Callable[[Task], Callable[[], list[float]]], packages: tuple[str, ...]) -> None:
    """Load the model, then sweep once for each line `sweep` on standard input, with one JSON line for each.

    Args:
        load: returns the sweep: logit of the answer minus that of the foil at the last token, for each head patched
            alone, in the order of layers and heads. It includes both captures.
        packages: whose versions are stated.
    """
    import torch

    task = Task(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    torch.set_num_threads(task.threads)
    sweep = load(task)
    _answer({"versions": {name: version(name) for name in packages}, "threads": torch.get_num_threads()})
    for line in sys.stdin:
        if line.strip() == "sweep":
            _answer(_measure(sweep))


def _measure(sweep: Callable[[], list[float]]) -> dict[str, Any]:
    # 5 resets the highest resident size of this process to the present one.
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before, start, spent = _read_memory("VmRSS"), time.perf_counter(), time.process_time()
    values = sweep()
    wall, cpu, peak = time.perf_counter() - start, time.process_time() - spent, _read_memory("VmHWM")
    return {"wall_s": wall, "cpu_s": cpu, "peak_bytes": peak, "rise_bytes": peak - before, "values": values}


def _read_memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return int(line.split()[1]) * 1024


def _answer(found: dict[str, Any]) -> None:
    print("\x1e" + json.dumps(found), flush=True)
