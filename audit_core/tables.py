"""Converts results to pandas tables for display, and to CSV that is safe to open; the only module that imports pandas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from audit_core.component import Component
from audit_core.stats.estimates import Estimate

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

_FORMULA = re.compile(r"[\s\ufeff]*[=+\-@＝＋－＠|%]|[\t\r\n]")
"""Text beginnings that a spreadsheet may run as a formula: signs (also full-width or after blanks) and line breaks before one."""
_GREY = "background-color: rgba(125, 133, 144, 0.25)"
"""Keeps the text readable on light and dark themes."""


def import_pandas() -> None:
    """Import pandas whole; before a figure is drawn while another thread imports the libraries of a model.

    Plotly uses the pandas that it finds imported, and fails on one that is imported halfway.
    """
    import pandas  # noqa: F401


def make_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> pd.DataFrame:
    """Rows of plain values as a data frame."""
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(columns))


def make_grid(components: Sequence[Component], values: Mapping[str, float]) -> pd.DataFrame:
    """One column a layer, one row an index in it; what has no index, such as an MLP, is row 0. Without a value: NaN."""
    table = make_table(
        ("layer", "index", "value"), [(part.layer, part.index or 0, values.get(str(part))) for part in components]
    )
    return table.pivot(index="index", columns="layer", values="value")


def shade_rows(table: pd.DataFrame, shaded: Sequence[bool]) -> Styler:
    """The table with some rows in grey; the row must also contain the meaning in words."""
    return table.style.apply(lambda row: [_GREY if shaded[int(str(row.name))] else ""] * len(row), axis=1)


def estimate_cells(estimate: Estimate | None) -> tuple[float | None, float | None, float | None, int | None, str]:
    """Cells of an estimate in a table row: value, low, high, n, unit."""
    if estimate is None:
        return None, None, None, None, ""
    return estimate.value, estimate.low, estimate.high, estimate.n, estimate.unit


def to_csv(table: pd.DataFrame) -> bytes:
    """UTF-8 CSV with text cells and column names escaped against spreadsheet formulas."""
    safe = table.copy()
    for column in safe.columns:
        safe[column] = [_defuse(value) for value in safe[column]]
    safe.columns = [_defuse(column) for column in safe.columns]
    # This line end makes the writer quote a single carriage return, which would otherwise begin a new row.
    return safe.to_csv(index=False, lineterminator="\r\n").encode()


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may run a text as a formula."""
    return _FORMULA.match(text) is not None


def _defuse(value: object) -> object:
    # Numbers keep their minus sign; only text can contain a formula.
    return "'" + value if isinstance(value, str) and is_formula(value) else value
