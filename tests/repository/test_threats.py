"""The table of threats names tests that exist; what configuration alone holds is held here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = re.findall(r"^\| (\d+) \|(.*)\|$", (ROOT / "docs/reference/threats.md").read_text(), re.M)


def test_every_threat_has_its_row() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, 49))


@pytest.mark.parametrize(("number", "row"), ROWS)
def test_every_row_names_tests_that_exist(number: str, row: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", row)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "constraints.txt"])
def test_every_dependency_is_pinned_to_one_version(name: str) -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    pins = [line for line in lines if line and not line.startswith("-r ")]
    assert len(pins) > 5
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9_.\[\]-]+==[A-Za-z0-9_.+]+( *;.*)?", line)] == []


def test_the_server_is_for_this_machine_and_refuses_forged_requests() -> None:
    server = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())["server"]
    assert server["address"] == "127.0.0.1"
    assert server["enableXsrfProtection"] is True
    assert server["enableCORS"] is True
    assert set(server["allowedHosts"]) == {"localhost", "127.0.0.1"}
