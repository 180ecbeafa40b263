"""What README and notebook show of the library runs on the default model, and ends as they say."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from audit_core import opened_model
from audit_core.component import Component, Kind
from audit_core.judging.trial import measure_null_draws

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from notebook import NOTEBOOK, run_notebook  # noqa: E402

pytestmark = pytest.mark.slow


FEWER = {"most=24": "most=4"}
"""Every prompt costs seconds."""
DRAWS_ON = 1
"""Prompts of each of the 199 draws, which are nearly all of what a verdict costs."""
FIRST_LAYER = 22
"""Heads below are no rows of these sweeps: each pass through all later layers costs tenths of a second. That every head of this
model is swept is a test of the command line."""


@pytest.fixture(scope="module")
def one_home(homes: Callable[[], Path]) -> Path:
    """Shared, so that the notebook takes what the snippet measured from the run log."""
    return homes()


@pytest.fixture(autouse=True)
def loaded(default_subject: Any, one_home: Path, few_texts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model that other tests have loaded."""
    monkeypatch.setattr("audit_core.judging.trial.measure_null_draws", partial(measure_null_draws, most=DRAWS_ON))
    components = default_subject.components

    def list_late(kind: Kind) -> tuple[Component, ...]:
        return tuple(part for part in components(kind) if kind is not Kind.HEAD or part.layer >= FIRST_LAYER)

    monkeypatch.setattr(default_subject, "components", list_late)
    monkeypatch.setattr(opened_model, "open_subject", lambda name, **_: default_subject)
    monkeypatch.setenv("AUDIT_HOME", str(one_home))


def test_the_snippet_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    assert len(snippet.splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
    (text, fewer), *_ = FEWER.items()
    assert text in snippet
    exec(compile(snippet.replace(text, fewer), "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "L23.H3" in printed
    assert "too few for a verdict" in printed, "four prompts are"
    assert (tmp_path / "effects.html").stat().st_size > 1000


def test_every_cell_of_the_notebook_runs_and_has_a_stored_output() -> None:
    stored = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(cell["outputs"] for cell in stored if cell["cell_type"] == "code")
    cells = run_notebook(NOTEBOOK, FEWER)
    assert [bool(cell.get("outputs")) for cell in cells] == [bool(cell.get("outputs")) for cell in stored]
