"""How fast the live audit is through the served page, in a browser."""

from __future__ import annotations

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


def bench_page() -> dict[str, float]:
    """First paint and readiness of a fresh server, and the time from a click to new numbers."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=90_000)

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("No Chromium: install it to measure the page.")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
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
            time_until(lambda: is_up(f"{url}/readyz"))
            ready = time.perf_counter() - start
            page.goto(f"{url}/?set=indirect_object&prompt=io-0001&c=L23.H3")
            expect(page.get_by_role("grid", name="Causal effect by layer and head")).to_be_visible()
            expect(page.get_by_role("heading", name="Next token")).to_be_visible()
            time.sleep(3)
            clicks = [time_click(page, expect, head) for head in CLICKED]
        finally:
            server.terminate()
            server.wait(20)
            browser.close()
    return {
        "app.server_up_s": up, "app.first_paint_s": paint, "app.ready_with_a_page_open_s": ready,
        "app.ready_s": time_ready(), "live.latency_s": statistics.median(clicks), "live.latency_max_s": max(clicks),
    }  # fmt: skip


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


WATCH = """
head => {
    const shown = () => [...document.querySelectorAll('[data-testid="stMetric"]')].map(m => m.textContent).join();
    const before = shown();
    window.seen = new Promise(done => document.addEventListener('click', () => {
        const start = performance.now();
        const look = () => {
            const page = document.querySelector('[data-testid="stMain"]').textContent;
            if (page.includes(`On the clean prompt ${head} is replaced`) && shown() !== before)
                done((performance.now() - start) / 1000);
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }, {capture: true, once: true}));
}
"""
"""Looks at each frame the browser draws: a test runner's polling would round the time up by up to a second."""


def time_click(page, expect, head: str) -> float:
    """From the click on "Ablate only this head" to the frame with the sentence and the numbers of that head."""
    layer, index = re.fullmatch(r"L(\d+)\.H(\d+)", head).groups()
    grid = page.get_by_role("grid", name="Causal effect by layer and head")
    grid.get_by_role("gridcell", name=re.compile(rf"^Layer {layer}, head {index}:")).click()
    expect(page.get_by_text(f"Head in focus: {head}")).to_be_visible()
    time.sleep(3)
    page.evaluate(WATCH, head)
    page.get_by_role("button", name="Ablate only this head").click()
    took = page.evaluate("window.seen")
    time.sleep(3)
    return took
