"""`make bench`: measures, prints a table, and writes `bench/results.json` and the table in `docs/performance.md`.

Every figure is of one run on one machine; machines are noisy, so compare ratios and not seconds between runs.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

START, END = "<!-- figures of the last run -->", "<!-- end of figures -->"


def main() -> None:
    from bounds import judge
    from engine import REPEATS, bench_engine
    from growth import measure_growth, write_growth
    from page import bench_page
    from streamed import bench_streamed
    from widths import bench_widths

    load = os.getloadavg()[0]
    results = bench_page() | bench_engine() | bench_streamed() | bench_widths()
    import torch

    environment = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "other load at the start (processes that wanted a core)": round(load, 1),
        "repeats": REPEATS,
    }
    text = json.dumps({"figures": results, "environment": environment}, indent=1) + "\n"
    (ROOT / "bench/results.json").write_text(text, encoding="utf-8")
    judged = judge(results)
    rows = [
        f"| `{name}` | {value:.4g} | {' | '.join(judged.get(name, ('–', '–')))} |" for name, value in results.items()
    ]
    about = ", ".join(f"{name} {value}" for name, value in environment.items())
    page = ROOT / "docs/performance.md"
    before, rest = page.read_text(encoding="utf-8").split(START)
    table = "\n".join([START, "", f"{about}.", "", "| figure | value | bound | |", "|---|---|---|---|", *rows, "", END])
    page.write_text(before + table + rest.split(END)[1], encoding="utf-8")
    print("\n".join(rows))
    write_growth(measure_growth())


if __name__ == "__main__":
    main()
