"""`dashboard` starts Streamlit on the shipped pages, or says what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from audit_core.cli import build_parser, dashboard, main, parser

ROOT = Path(__file__).resolve().parents[2]


def test_it_serves_the_pages_with_the_options_that_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(subprocess, "call", lambda command: calls.append(command) or 7)
    assert main(["dashboard", "--", "--server.port", "8600"]) == 7
    wanted = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", "8600"]
    assert calls == [wanted]


@pytest.mark.parametrize("package", ["streamlit", "plotly", "authlib"])
def test_without_a_package_of_the_extra_it_says_how_to_get_it(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dashboard, "find_spec", lambda name: None if name == package else SimpleNamespace())
    monkeypatch.setattr(subprocess, "call", lambda _: pytest.fail("it was started"))
    assert main(["dashboard"]) == 2
    assert f"without {package}." in (said := capsys.readouterr().err)
    assert "pip install '.[dashboard]'" in said


def test_without_its_pages_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dashboard, "APP", tmp_path / "app.py")
    assert main(["dashboard"]) == 2
    assert "without app.py." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("started", "program"),
    [("/bin/assay", "assay"), ("assay.exe", "assay"), ("/x/audit_core/__main__.py", "python -m audit_core")],
)
def test_help_names_the_program_that_was_started(started: str, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser.sys, "argv", [started])
    assert build_parser().prog == program
