"""How the time of a sweep of all heads grows with prompts, width and depth, beside that of its multiply-adds; and with length.

`python bench/growth.py` measures, writes `bench/growth.json`, the plots and the table of docs/performance.md; `make bench` runs it too.
The curve of length is the record of `bench/lengths.py`.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD, LENGTHS = ROOT / "bench/growth.json", ROOT / "bench/lengths.json"
PAGE, PLOT = ROOT / "docs/performance.md", ROOT / "docs/growth.svg"
BEGIN, END = "<!-- growth of the last run -->\n", "<!-- end of growth -->\n"
PAIRS = (1, 2, 5, 10, 20, 40)
DEPTHS = (2, 4, 8, 16, 32)
NARROW, LAYERS = 256, 8
REPEATS, REPEATED_BELOW_S = 3, 5.0
"""Short sweeps are repeated, and their median is taken."""
CURVES = {
    "pairs": "prompt pairs (default model)",
    "width": f"width (random weights, {LAYERS} layers)",
    "depth": f"layers (random weights, width {NARROW})",
}


def measure_growth() -> dict[str, list[dict[str, float]]]:
    """Per curve, points with `at`, CPU seconds of the sweep on one thread, and of its multiply-adds in large squares."""
    import torch
    from engine import take
    from widths import WIDTHS, build

    from audit_core import PromptSet, load_prompt_set, open_subject, tokenise

    threads, rows = torch.get_num_threads(), load_prompt_set("indirect_object").prompts
    torch.set_num_threads(1)
    try:
        subject = open_subject("default")
        whole = tokenise(PromptSet("bench", rows), subject.tokenizer)
        found = {"pairs": [{"at": n, **_time(subject, take(whole, whole.pairs[:n]))} for n in PAIRS]}
        del subject
        for curve, sizes in (("width", [(w, LAYERS) for w in WIDTHS]), ("depth", [(NARROW, d) for d in DEPTHS])):
            found[curve] = []
            for width, layers in sizes:
                subject = build(width, layers)
                one = tokenise(PromptSet("bench", rows[:1]), subject.tokenizer)
                found[curve].append({"at": width if curve == "width" else layers, **_time(subject, one)})
    finally:
        torch.set_num_threads(threads)
    return found


def _time(subject, prompts) -> dict[str, float]:
    from engine import clock_cpu, count_multiply_adds, measure_gemm

    from audit_core import Kind, Replacement, intervene

    edits = [intervene([part], Replacement.RESAMPLE) for part in subject.components(Kind.HEAD)]

    def sweep() -> None:
        subject.runner.clear_captures()
        subject.run(prompts, edits)

    floor = count_multiply_adds(subject, prompts, edits) / measure_gemm(clock_cpu)
    if floor < 1.0:
        # The first run of a shape makes its buffers.
        sweep()
    times = [clock_cpu(sweep)]
    while times[0] < REPEATED_BELOW_S and len(times) < REPEATS:
        times.append(clock_cpu(sweep))
    return {"heads": len(edits), "cpu_s": statistics.median(times), "floor_s": floor}


def write_growth(found: dict[str, list[dict[str, float]]]) -> None:
    """The record, the plots and the table; each figure of a plot is in a table of the page."""
    RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    _draw(found)
    rows = [
        f"| {CURVES[curve]} | {point['at']:,} | {point['heads']} | {point['cpu_s']:.3g} | {point['floor_s']:.3g} | "
        f"{point['cpu_s'] / point['floor_s']:.2f} × |"
        for curve in CURVES
        for point in found[curve]
    ]
    head = "| grows | to | heads | sweep, CPU s | its multiply-adds in large squares, CPU s | ratio |\n|---|---|---|---|---|---|\n"
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(
        before + BEGIN + "\n" + head + "\n".join(rows) + "\n\n" + END + rest.split(END)[1], encoding="utf-8"
    )


def _draw(found: dict[str, list[dict[str, float]]]) -> None:
    from page import find_chromium
    from playwright.sync_api import sync_playwright
    from plotly.graph_objects import Scatter
    from plotly.subplots import make_subplots

    lengths = json.loads(LENGTHS.read_text(encoding="utf-8"))
    figure = make_subplots(2, 2, subplot_titles=[*CURVES.values(), "tokens of a prompt"], vertical_spacing=0.16)
    for number, curve in enumerate(CURVES):
        place = {"row": number // 2 + 1, "col": number % 2 + 1}
        at = [point["at"] for point in found[curve]]
        for name, key, look in (
            ("sweep of all heads", "cpu_s", {"marker": {"symbol": "circle", "size": 8}, "line": {"color": "#1f5fa8"}}),
            ("its multiply-adds in large squares", "floor_s", {"marker": {"symbol": "x", "size": 7}, "line": {"color": "#666666", "dash": "dot"}}),
        ):  # fmt: skip
            line = Scatter(x=at, y=[point[key] for point in found[curve]], name=name, showlegend=not number, **look)
            figure.add_trace(line, **place)
        figure.update_xaxes(tickvals=at, **place)
    for model, title, symbol, dash in (
        ("default", "some heads and MLPs, default model", "square", "solid"),
        ("256", "the same, random weights", "diamond", "dash"),
    ):
        points = sorted(
            (int(name.split()[1]), one["sweep_cpu_s"]) for name, one in lengths.items() if name.startswith(f"{model} ")
        )
        figure.add_trace(
            Scatter(
                x=[at for at, _ in points], y=[value for _, value in points], name=title,
                marker={"symbol": symbol, "size": 8}, line={"color": "#8a4b08", "dash": dash},
            ), row=2, col=2,
        )  # fmt: skip
    figure.update_xaxes(tickvals=[at for at, _ in points], row=2, col=2)
    figure.update_xaxes(type="log", tickformat=",")
    figure.update_yaxes(type="log", dtick=1, title="CPU s")
    figure.update_layout(
        template="plotly_white",
        width=900,
        height=680,
        legend={"orientation": "h", "y": -0.08},
        margin={"t": 40, "r": 20},
        font={"size": 12},
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content(figure.to_html(include_plotlyjs=True, div_id="plot"))
        page.wait_for_function("document.querySelectorAll('#plot .subplot').length == 4")
        text = page.evaluate("Plotly.toImage('plot', {format: 'svg', width: 900, height: 680})")
        browser.close()
    from urllib.parse import unquote

    PLOT.write_text(unquote(text.partition(",")[2]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import sys

    sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
    write_growth(json.loads(RECORD.read_text(encoding="utf-8")) if "--draw" in sys.argv else measure_growth())
