"""Tables that leave the page: text cannot run as a formula, numbers keep their sign."""

import csv
import io
import tomllib
from pathlib import Path

import pytest

from audit_core.tables import make_table, to_csv


def test_text_that_a_spreadsheet_would_run_is_defused_and_numbers_are_not() -> None:
    table = make_table(("token", "effect"), [("=cmd|' /C calc'!A0", -1.5), ("@x", 2.0), ("+1", 0.0), ("plain", -0.5)])
    lines = to_csv(table).decode().splitlines()
    assert lines[1].startswith("'=cmd")
    assert lines[1].endswith(",-1.5")
    assert lines[2:4] == ["'@x,2.0", "'+1,0.0"]
    assert lines[4] == "plain,-0.5"


FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\u00a0=1",
    "\ufeff=1",
    "＝1",
    "－1",
    "|calc",
    "%0A=1",
)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_or_a_column_of_text_that_opens_like_a_formula_opens_with_an_apostrophe(text: str) -> None:
    table = make_table((text, "effect"), [(text, -1.0)])
    head, row = csv.reader(io.StringIO(to_csv(table).decode(), newline=""))
    assert head[0] == row[0] == "'" + text
    assert row[1] == "-1.0"


def test_text_that_is_no_formula_is_left_as_it_is() -> None:
    for text in ("L9.H6", "a = b", "1-2", " the", "'quoted'", ""):
        assert to_csv(make_table(("x",), [(text,)])).decode().splitlines()[1] == (text or '""')


def test_tables_on_a_page_leave_it_by_the_guarded_door_alone() -> None:
    """The toolbar of a table on a page writes its cells to CSV as they are, in the browser, past `to_csv`."""
    settings = tomllib.loads((Path(__file__).resolve().parents[2] / ".streamlit/config.toml").read_text())
    assert settings["client"]["disableDataExport"] is True
