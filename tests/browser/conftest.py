"""The served app with a home of its own, and a browser: a missing browser is a loud skip here and a failure in CI."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audit_core.sample import remove_sample
from audit_core.store import note_opened
from audit_core.subjects import list_planted
from tests.browser.signed_in import House, open_house

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# The shell has the same engine without the parts of a browser with windows: a page costs a third less CPU in it.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in BROWSERS if (found := shutil.which(name))), None)
# Pages live for seconds: what V8's optimising compiler gains in that time is less than what it costs.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--js-flags=--no-opt",
]  # fmt: skip

KEPT_BY_A_PAGE = "cookies,local_storage,indexeddb,service_workers"


@dataclass(frozen=True)
class Server:
    """A running app."""

    url: str
    started: float
    """Monotonic seconds at which the process was started."""
    home: Path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _wait(url: str, seconds: float, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + seconds
    while not _is_up(url):
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}")
        if time.monotonic() > deadline:
            pytest.fail(f"{url} did not answer within {seconds} s")
        time.sleep(0.1)


@contextmanager
def _run(command: list[str], log: Path, url: str, **environment: str) -> Iterator[float]:
    """A process until the block ends, once its address answers; yields the second at which it was started."""
    with log.open("wb") as file:
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _wait(url, 60, process)
            yield started
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def _serve(home: Path, *options: str, port: int | None = None, **environment: str) -> Iterator[Server]:
    """The app with a home of its own, in which the planted models were opened before: links to them open at once."""
    for model in list_planted():
        note_opened(home, model.name)
    # Tests of the sample bring it back: `restore_sample`.
    remove_sample(home)
    port = port or _free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["-m", "streamlit", "run", "app.py", "--server.port", str(port), *options]
    # Threads that wait for work sleep: spinning, they would take the core from the tests beside these.
    environment = {"OMP_WAIT_POLICY": "passive", **environment}
    with _run(command, home / "server.log", f"{url}/_stcore/health", AUDIT_HOME=str(home), **environment) as started:
        yield Server(url, started, home)


PROCESSES = SimpleNamespace(free_port=_free_port, run=_run, serve=_serve)
"""What starts a server, and a provider for it."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for a whole run: groups of tests that a scheduler loses would start one, and load a model, on each worker."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    started = tmp_path_factory.getbasetemp().parent / "server-started"
    if is_worker:
        # All workers of a run have the same parent folder.
        assert not started.exists(), (
            "the tests of the server are on two workers: see the scheduler in tests/conftest.py"
        )
        started.touch()
    with _serve(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="session")
def ready(server: Server) -> Server:
    """The server once its model is loaded."""
    deadline = time.monotonic() + 180
    while not _is_up(f"{server.url}/readyz"):
        assert time.monotonic() < deadline, "the model was not ready within 180 s"
        time.sleep(0.2)
    return server


_OPENED = ExitStack()
"""Browser, its profile and the house, until the last of the browser tests that follow each other has ended."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """While Playwright is on, its event loop runs in this thread, and no other test can run one: it ends before those begin."""
    try:
        return (yield)
    finally:
        if nextitem is None or HERE not in nextitem.path.parents:
            _OPENED.close()
            for opened in (_launch, _list_free, _open_house):
                opened.cache_clear()


@cache
def _launch() -> Any:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=90_000)
    browser = _OPENED.enter_context(sync_playwright()).chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    _OPENED.callback(browser.close)
    return browser


@cache
def _list_free() -> list[Any]:
    """Profiles that no test uses: each keeps its cache of the app's scripts, and nothing of the person before."""
    return []


@contextmanager
def _lend_profile() -> Iterator[Any]:
    """A browser profile in which nothing is left but the cache: fetching and compiling the scripts is a third of what a page costs."""
    free = _list_free()
    if not free:
        free.append(_launch().new_context(viewport={"width": 1500, "height": 1000}, accept_downloads=True))
        _OPENED.callback(free[-1].close)
    profile, addresses = free.pop(), set[str]()

    def follow(page: Any) -> None:
        page.on("framenavigated", lambda frame: addresses.add(frame.url))

    profile.on("page", follow)
    yield profile
    profile.remove_listener("page", follow)
    _forget_person(profile, {"/".join(url.split("/")[:3]) for url in addresses if url.startswith("http")})
    free.append(profile)


def _forget_person(profile: Any, origins: set[str]) -> None:
    for page in profile.pages[1:]:
        page.close()
    for page in profile.pages:
        devtools = profile.new_cdp_session(page)
        for origin in origins:
            devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": KEPT_BY_A_PAGE})
        page.close()
    profile.clear_cookies()
    profile.clear_permissions()


@pytest.fixture(scope="module")
def chromium() -> Any:
    """A browser, one for all files that follow each other."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("No Chromium. CI must install one: every browser test would be skipped.")
        warnings.warn("NO BROWSER TEST WAS RUN: install chromium to run them.", stacklevel=1)
        pytest.skip("no chromium on this machine")
    return _launch()


@cache
def _open_house(homes: Callable[[], Path]) -> House:
    (home := homes()).mkdir()
    return _OPENED.enter_context(open_house(PROCESSES, home))


@pytest.fixture(scope="module")
def house(homes: Callable[[], Path]) -> House:
    """One for all files in which people sign in: a server costs more than most of their tests."""
    return _open_house(homes)


@pytest.fixture(scope="module")
def lend_profile(chromium: Any) -> Any:
    """To open pages as another person: `with lend_profile() as context: …`, each as if in a browser of their own."""
    return _lend_profile


@pytest.fixture
def context(lend_profile: Any) -> Iterator[Any]:
    with lend_profile() as profile:
        yield profile


@pytest.fixture
def page(context: Any) -> Any:
    page = context.new_page()
    page.set_default_timeout(150_000)
    return page


@pytest.fixture
def visit(lend_profile: Any) -> Iterator[Callable[[], Any]]:
    """A page of another person each time it is called."""
    with ExitStack() as stack:

        def open_page() -> Any:
            page = stack.enter_context(lend_profile()).new_page()
            page.set_default_timeout(150_000)
            return page

        yield open_page
