"""Usage statistics are off however the product is started, whatever the environment says: each way in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAYS = """
import os, sys
from huggingface_hub import constants
print(constants.HF_HUB_DISABLE_TELEMETRY, constants.HF_HUB_DISABLE_IMPLICIT_TOKEN, os.environ["DO_NOT_TRACK"])
"""
STARTS = {
    "the library": "import audit_core",
    "one file of the library": "import audit_core.models.hub",
    "the hub library first": "import huggingface_hub.constants; import audit_core",
    "the command line": "from audit_core.cli import main; main(['models'])",
    "the pages alone": "import ui.flow.model_pool",
    "the bench": "import sys; sys.path.insert(0, 'bench'); import engine, page, sessions, widths; import audit_core",
    "the tests": "import sys; sys.path.insert(0, 'tests'); import conftest",
}
LOUD = {
    "HF_HUB_DISABLE_TELEMETRY": "0", "DO_NOT_TRACK": "0", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0", "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "true",
}  # fmt: skip


def run(program: str, home: Path, *, cwd: Path = ROOT) -> list[str]:
    environment = {**os.environ, **LOUD, "AUDIT_HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("start", STARTS)
def test_the_hub_learns_nothing_about_this_machine(start: str, tmp_path: Path) -> None:
    assert run(STARTS[start] + SAYS, tmp_path)[-1] == "True True 1"


@pytest.mark.parametrize("module", ["app", "ui.shell.auth"])
@pytest.mark.parametrize("place", ["here", "elsewhere"])
def test_no_visitors_browser_sends_usage_statistics(module: str, place: str, tmp_path: Path) -> None:
    """Streamlit reads its configuration from where it is started, and from variables. Nor does the hub learn anything from a server."""
    program = f"import importlib; importlib.import_module('{module}'); from streamlit import config; print(config.get_option('browser.gatherUsageStats')){SAYS}"
    assert run(program, tmp_path, cwd=ROOT if place == "here" else tmp_path)[-2:] == ["False", "True True 1"]


def test_a_request_to_the_hub_names_no_library_and_no_machine(tmp_path: Path) -> None:
    program = "import audit_core; from huggingface_hub.utils import build_hf_headers; print(build_hf_headers(token=None)['user-agent'])"
    said = run(program, tmp_path)[-1]
    assert "torch" not in said
