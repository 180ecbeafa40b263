"""Fixtures of all tests: a home of its own for each, and small models built once."""

from __future__ import annotations

import gc
import itertools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import audit_core  # noqa: F401  before any test imports a model library: it turns their usage statistics off

# The same examples at every run, on however slow a machine: what fails here fails everywhere.
settings.register_profile("assay", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("assay")


ROOT = Path(__file__).resolve().parents[1]
MEMORY_DISK = Path("/dev/shm")
POOL = 6 * 1024**3
"""Bytes that must be free in memory before temporary files are put there: a whole run writes about two gigabytes."""
_OWN = f"assay-tests-{os.getpid()}-"


def pytest_configure(config: pytest.Config) -> None:
    """Temporary files go into memory where there is room: thousands of commits are synced, and a disk takes its time for each."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if is_worker or "TMPDIR" in os.environ or config.option.basetemp or not _has_room():
        return
    for left in MEMORY_DISK.glob("assay-tests-*-*"):
        if not Path(f"/proc/{left.name.split('-')[2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix=_OWN, dir=MEMORY_DISK)


def _has_room() -> bool:
    if not (sys.platform == "linux" and os.access(MEMORY_DISK, os.W_OK)):
        return False
    available = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    return available is not None and min(int(available[1]) * 1024, shutil.disk_usage(MEMORY_DISK).free) > POOL


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Libraries and nine thousand tests stay to the end: each search for garbage would go through them, a twentieth of all time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        # What tests make is freed without these searches, but for small cycles; the usual thresholds suit processes that end in seconds.
        gc.set_threshold(2_000, 20, 100)
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A worker a core: models run on one thread each, and another would collect and build all fixtures once more. At most five, for the memory."""
    return min(os.cpu_count() or 1, 5)


HEAVY = (
    "server", "default_subject", "test_killed_processes", "test_planted_models", "test_models_hub",
    "house", "test_audits", "test_confirmation",
    "test_examples", "test_prompt_cards", "test_tools", "test_pack_fuzz", "test_wavefront", "test_models_default",
    "test_loading_beside_running", "test_encoder_decoder", "test_documents", "test_paths", "test_dead_hook_on_the_page", "test_models_fetch", "test_telemetry",
    "test_log_attacks", "test_balance", "test_repair", "test_report_pdf", "test_signed_in", "test_claims_page",
    "test_link_never_acts", "test_measurable", "test_power", "test_golden_packs", "test_withheld_prompts",
    "test_output", "test_audit_log", "test_revalidation", "test_faithfulness", "test_overview_page",
    "test_logs_under_attack", "test_key_changes", "test_encoder_decoder_edits", "test_probes", "test_usual_range", "test_rationale",
    "test_explanations", "test_experts", "test_robustness", "test_report_in_the_browser", "test_sample_on_the_pages", "test_desk_page",
    "test_circuit_page", "test_closed_models", "test_disclosure",
)  # fmt: skip
"""Groups that take longest: begun first, so that no worker is left with one of them while the others have nothing to do. Those with
a browser are apart, because three servers and three browsers at once would make each other wait."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Heavy groups first."""
    rank = {group: at for at, group in enumerate(HEAVY)}
    items.sort(key=lambda item: rank.get(_name_group(item.nodeid), len(HEAVY)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Send each group to one worker. The groups of xdist itself are lost on this pytest: it no longer reads the id that marks them."""
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _name_group(nodeid)

    return GroupScheduling(config, log)


def _name_group(nodeid: str) -> str:
    """A file is a group, as its tests share what they build; files that use a shared fixture are one."""
    path = nodeid.partition("::")[0]
    # Its tests are long and share nothing.
    return nodeid if path.endswith("test_pack_fuzz.py") else _name_file_group(path)


@cache
def _name_file_group(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.startswith("tests/browser/") and (shared := re.search(r"\b(server|ready|house)\b: (Server|House)\b", text)):
        return "house" if shared[2] == "House" else "server"
    if path.startswith("tests/repository/") and "tests.repository.source" in text:
        return "source"
    return "default_subject" if path.startswith("tests/slow/") and "default_subject" in text else Path(path).stem


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What failed is left to be read, until the next run begins."""
    if exitstatus == 0 and Path(tempfile.gettempdir()).name.startswith(_OWN):
        shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """A place for a home at each call; nothing is there yet."""
    folder, count = tmp_path_factory.mktemp("homes"), itertools.count()
    return lambda: folder / str(next(count))


@pytest.fixture(autouse=True)
def own_home(homes: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the log of whoever runs it."""
    home = homes()
    monkeypatch.setenv("AUDIT_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def share_of_the_machine() -> None:
    """One thread a worker: small products are slower on two, and threads that wait for a core take it from other workers."""
    if "torch" in sys.modules:
        # Imported, not taken from the table: a page's thread may be half way through importing it.
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def load_family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The subject of a family with random weights, built and loaded at the first call."""
    from toy.models import build_random, load

    return cache(lambda family: load(build_random(family, tmp_path_factory.mktemp(family))))


@pytest.fixture(scope="module")
def short_draws() -> Iterator[None]:
    """All 199 draws of each verdict, each on one prompt: what is planted stands far from chance, and draws cost most of a verdict."""
    from audit_core.judging.trial import measure_null_draws

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audit_core.judging.trial.measure_null_draws", partial(measure_null_draws, most=1))
        yield


@pytest.fixture(scope="session")
def default_subject() -> Any:
    """The default model, loaded once."""
    import torch

    from audit_core import open_subject

    torch.set_num_threads(1)
    return open_subject("default")


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The subject whose weights are set by hand."""
    from toy.models import load
    from toy.planted import build_planted

    return load(build_planted(tmp_path_factory.mktemp("planted")))


@pytest.fixture(scope="session")
def load_planted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The subject of a planted model, built and loaded at the first call."""
    from toy.models import load

    from audit_core.subjects.planted import find_planted

    def build(name: str) -> Any:
        model, folder = find_planted(name), tmp_path_factory.mktemp(name)
        assert model is not None
        model.build(folder, 0)
        return load(folder)

    return cache(build)
