"""How fast the live audit is through the served page, in a browser."""

from __future__ import annotations

import math
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLICKED = ("L20.H0", "L29.H1", "L24.H4", "L22.H7", "L19.H2")
CLICKED_BESIDE = tuple(f"L{layer}.H{layer % 9}" for layer in range(22, 2, -1))
"""Twenty heads that were not asked about before, so that each answer is measured; downwards, as an answer names the first few."""
FEWEST_BESIDE = 10
SWEEP = "/sweep?set=indirect_object&scope=exploratory&kind=head"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def time_until(test, seconds: float = 180.0) -> float:
    start = time.perf_counter()
    while not test():
        if time.perf_counter() - start > seconds:
            raise SystemExit("gave up waiting")
        time.sleep(0.02)
    return time.perf_counter() - start


def find_chromium() -> str:
    """The browser for measuring pages and drawing plots."""
    named = ("chromium-headless-shell", "chromium", "google-chrome")
    found = next((path for name in named if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit("No Chromium: install it to measure the page and to draw the plots.")
    return found


def bench_page() -> dict[str, float]:
    """First paint and readiness of a fresh server, and the time from a click to new numbers."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=90_000)

    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page, port = browser.new_page(viewport={"width": 1500, "height": 1000}), free_port()
        page.set_default_timeout(120_000)
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)], cwd=ROOT,
            env={**os.environ, "AUDIT_HOME": home}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            url, start = f"http://127.0.0.1:{port}", time.perf_counter()
            time_until(lambda: is_up(f"{url}/_stcore/health"))
            up = time.perf_counter() - start
            asked = time.perf_counter()
            page.goto(url)
            expect(page.get_by_role("heading", name="Live audit")).to_be_visible()
            paint = time.perf_counter() - asked
            expect(page.locator(ANSWER)).to_contain_text("Replacing L23.H3 lowers")
            recorded = time.perf_counter() - start
            time_until(lambda: is_up(f"{url}/readyz"))
            ready, ready_cpu = time.perf_counter() - start, count_cpu_s(server.pid)
            # The recorded answer has the same words as the live one.
            expect(page.get_by_text(RECORDED)).to_have_count(0)
            expect(page.locator(ANSWER)).to_contain_text("Replacing L23.H3 lowers")
            first_answer = time.perf_counter() - start
            # The record's map stays, under its badge, until the live one is there.
            expect(page.locator(".st-key-bench-panes p", has_text="recorded")).to_have_count(0)
            expect(page.get_by_role("grid", name="Causal effect by layer and head")).to_be_visible()
            first_maps = time.perf_counter() - start
            time.sleep(3)
            clicks = [time_click(page, head) for head in CLICKED]
            beside = time_beside_a_sweep(browser, page, url)
        finally:
            server.terminate()
            server.wait(20)
            browser.close()
    return {
        "app.server_up_s": up, "app.first_paint_s": paint, "app.recorded_answer_s": recorded,
        "app.ready_with_a_page_open_s": ready, "app.ready_cpu_s": ready_cpu,
        "app.first_live_answer_s": first_answer, "app.first_live_maps_s": first_maps,
        "app.ready_s": time_ready(), "live.latency_s": statistics.median(clicks), "live.latency_max_s": max(clicks),
        "live.latency_beside_a_sweep_s": statistics.median(beside),
        "live.latency_beside_a_sweep_p95_s": statistics.quantiles(beside, n=20)[-1],
    }  # fmt: skip


def time_beside_a_sweep(browser, page, url: str) -> list[float]:
    """Clicks of one person while another sweeps all heads on a set; only clicks answered before it ended."""
    from playwright.sync_api import expect

    other = browser.new_context().new_page()
    other.set_default_timeout(120_000)
    other.goto(url + SWEEP)
    other.get_by_role("button", name=re.compile(r"^.*Sweep heads on \d+ prompts")).click()
    cancel = other.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    clicks = []
    for head in CLICKED_BESIDE:
        took = time_click(page, head)
        if not cancel.is_visible():
            break
        clicks.append(took)
    if len(clicks) < FEWEST_BESIDE:
        raise SystemExit(f"The sweep ended after {len(clicks)} clicks: take a larger set.")
    if cancel.is_visible():
        cancel.click()
    other.context.close()
    return clicks


def count_cpu_s(pid: int) -> float:
    """CPU seconds of a process so far: unlike its wall time, hardly changed by other load; nan where /proc is missing."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.is_file():
        return math.nan
    fields = stat.read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def time_ready() -> float:
    """From the start of a fresh server to a model ready for live work, nobody looking."""
    with tempfile.TemporaryDirectory() as home:
        port, start = free_port(), time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)], cwd=ROOT,
            env={**os.environ, "AUDIT_HOME": home}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            time_until(lambda: is_up(f"http://127.0.0.1:{port}/readyz"))
            return time.perf_counter() - start
        finally:
            server.terminate()
            server.wait(20)


ANSWER = ".st-key-bench-answer p >> nth=0"
"""The sentence; badges follow it."""
RECORDED = "Recorded numbers. The same question is measured live when the model is loaded."
WATCH = """
head => {
    // The map is in a shadow tree, which a selector of the document does not enter.
    const wanted = '[role=grid][aria-label="Causal effect by layer and head"]';
    const find = () => [document, ...[...document.querySelectorAll('*')].map(one => one.shadowRoot)]
        .map(tree => tree?.querySelector(wanted)).find(Boolean);
    const place = JSON.stringify(find().getBoundingClientRect());
    window.seen = new Promise(done => document.addEventListener('click', () => {
        const start = performance.now();
        const look = () => {
            const answer = document.querySelector('.st-key-bench-answer p').textContent;
            if (answer.includes(head)) {
                const moved = JSON.stringify(find().getBoundingClientRect()) !== place;
                done([(performance.now() - start) / 1000, moved]);
            } else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }, {capture: true, once: true}));
}
"""
"""Looks at each frame the browser draws: a test runner's polling would round the time up by up to a second."""


def time_click(page, head: str) -> float:
    """From the click on a cell of the map to the frame whose answer names that head; the map must not move."""
    layer, index = re.fullmatch(r"L(\d+)\.H(\d+)", head).groups()
    grid = page.get_by_role("grid", name="Causal effect by layer and head")
    page.evaluate(WATCH, head)
    grid.get_by_role("gridcell", name=re.compile(rf"^Layer {layer}, head {index}:")).click()
    took, has_moved = page.evaluate("window.seen")
    if has_moved:
        raise SystemExit("The map moved when the answer arrived.")
    time.sleep(3)
    return took
