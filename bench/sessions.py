"""Twenty people at once, each in a browser profile of their own, for five minutes: errors, cross-talk, memory of the server.

python bench/sessions.py [--sessions 20] [--seconds 300]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from audit_core.store import note_opened  # noqa: E402
from bench.page import free_port, is_up, time_until  # noqa: E402

WALK = ("Overview", "Model cards", "Review desk", "Changes", "Audit log", "Calibration", "Crosswalk", "Procurement", "Claims", "Live audit")  # fmt: skip
"""Titles in the menu, in the order in which they are visited; on Claims each session types its own word."""
LISTED_ON = {"Changes": "Model cards", "Audit log": "Model cards", "Procurement": "Crosswalk"}
"""Pages that the menu lists on pages of their group alone, each with one that is always listed."""
SEEN = (
    "() => document.body.innerText + [...document.querySelectorAll('input, textarea')].map(one => one.value).join(' ')"
)
WAIT_MS = 60_000


@dataclass
class Tally:
    """What all sessions saw together."""

    errors: list[str] = field(default_factory=list)
    crosstalk: list[str] = field(default_factory=list)
    steps_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Session:
    """One person."""

    page: Any
    canary: str
    tally: Tally

    async def enter(self, url: str) -> None:
        """The first page; one person after another, as all browsers are on the machine that serves them."""
        from playwright.async_api import Error

        try:
            await self.page.goto(f"{url}/?model=planted-or")
            await self._settle("Live audit")
        except Error as error:
            await self._fail(error)

    async def walk(self, until: float, first: int) -> None:
        """Page after page by the menu, until the time is over; the sessions begin at different pages."""
        from playwright.async_api import Error

        try:
            at = first
            while time.monotonic() < until:
                start = time.monotonic()
                title = WALK[at % len(WALK)]
                link = self.page.locator("[data-testid=stSidebarNav]").get_by_role("link", name=title)
                if not await link.count():
                    await self._open(LISTED_ON[title])
                await self._open(title)
                self.tally.steps_s.append(time.monotonic() - start)
                if title == "Claims":
                    await self._type()
                await self._read_attention(title)
                at += 1
        except Error as error:
            await self._fail(error)

    async def _fail(self, error: Exception) -> None:
        shown = await self.page.evaluate("() => document.body.innerText")
        state = await self.page.locator("[data-testid=stApp]").get_attribute("data-test-connection-state")
        said = str(error).splitlines()[0]
        self.tally.errors.append(f"{self.canary}: {said} {state}, {self.page.url}: {shown[-300:]!r}")

    async def _open(self, title: str) -> None:
        await self.page.locator("[data-testid=stSidebarNav]").get_by_role("link", name=title).click()
        await self._settle(title)

    async def _settle(self, title: str) -> None:
        await self.page.get_by_role("heading", name=title, level=1, exact=True).wait_for()
        await self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        for shown in await self.page.locator("[data-testid=stException]").all_inner_texts():
            self.tally.errors.append(f"{self.canary}: on {title}: {shown[:200]!r}")

    async def _type(self) -> None:
        box = self.page.get_by_label("Owner").first
        await box.fill(self.canary)
        await box.press("Tab")
        await self._settle("Claims")
        if await box.input_value() != self.canary:
            self.tally.crosstalk.append(f"{self.canary} typed, {await box.input_value()!r} found")

    async def _read_attention(self, title: str) -> None:
        others = set(re.findall(r"canary-\d+-", await self.page.evaluate(SEEN))) - {self.canary}
        if others:
            self.tally.crosstalk.append(f"{self.canary} sees {sorted(others)} on {title}")


async def visit(url: str, sessions: int, seconds: float, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """All sessions at once; what they saw, and the server's memory."""
    from playwright.async_api import async_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("No Chromium: install it to open sessions.")
    tally, memory = Tally(), {"at_start": read_rss_mb(process.pid)}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        opened = []
        for number in range(sessions):
            page = await (await browser.new_context()).new_page()
            page.set_default_timeout(WAIT_MS)
            page.on("pageerror", lambda error: tally.errors.append(f"in a page: {error}"))
            opened.append(Session(page, f"canary-{number}-", tally))
        for session in opened:
            await session.enter(url)
        before, until = read_cpu_s(process.pid), time.monotonic() + seconds
        walks = [session.walk(until, number) for number, session in enumerate(opened)]
        half = asyncio.create_task(_read_later(process.pid, seconds / 2))
        await asyncio.gather(*walks)
        memory |= {"at_half": await half, "at_end": read_rss_mb(process.pid)}
        cpu_s = read_cpu_s(process.pid) - before
        await browser.close()
    steps = sorted(tally.steps_s)
    return {
        "sessions": sessions, "seconds": seconds, "pages_opened": len(steps),
        "server_cpu_s": round(cpu_s, 1), "median_s": statistics.median(steps) if steps else None, "slowest_s": steps[-1] if steps else None,
        "errors": tally.errors, "crosstalk": tally.crosstalk, "rss_mb": memory,
    }  # fmt: skip


async def _read_later(pid: int, wait_s: float) -> float:
    await asyncio.sleep(wait_s)
    return read_rss_mb(pid)


def read_cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has had, on Linux: fields 14 and 15 of its status, in ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_rss_mb(pid: int) -> float:
    """Resident memory of a process, on Linux."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit("No VmRSS: this reads memory on Linux only.")
    return round(int(found[1]) / 1024, 1)


def main() -> int:
    """Serve a home of its own, send the sessions, print what was found; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        log, port = Path(home) / "server.log", free_port()
        # A link to a model that was never loaded would wait for a button.
        note_opened(Path(home), "planted-or")
        # The default model is not asked for: a folder that is not there spares its loading.
        environment = {**os.environ, "AUDIT_HOME": home, "AUDIT_DEFAULT_MODEL": f"{home}/none"}
        with log.open("wb") as out:
            server = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)], cwd=ROOT,
                env=environment, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            time_until(lambda: is_up(f"{url}/_stcore/health"))
            found = asyncio.run(visit(url, asked.sessions, asked.seconds, server))
        finally:
            server.terminate()
            server.wait(20)
        said = log.read_text(encoding="utf-8", errors="replace")
        found |= {"tracebacks": said.count("Traceback"), "log_ends": said.splitlines()[-40:]}
    print(json.dumps(found, indent=1))
    return 1 if found["errors"] or found["crosstalk"] or found["tracebacks"] else 0


if __name__ == "__main__":
    sys.exit(main())
