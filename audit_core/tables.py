"""The only door to pandas: frozen results to tables that are shown, and to CSV that is safe to open."""

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
"""Openings that a spreadsheet may run: signs, also full-width or after blanks, and breaks that put a sign first in a cell."""
_GREY = "background-color: rgba(125, 133, 144, 0.25)"
"""Lets the text through, on light and on dark."""


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
    """The table with some rows on grey, for a page; what the grey means must stand in the row in words."""
    return table.style.apply(lambda row: [_GREY if shaded[int(str(row.name))] else ""] * len(row), axis=1)


def estimate_cells(estimate: Estimate | None) -> tuple[float | None, float | None, float | None, int | None, str]:
    """Value, low, high, n, unit: how an estimate stands in a table row."""
    if estimate is None:
        return None, None, None, None, ""
    return estimate.value, estimate.low, estimate.high, estimate.n, estimate.unit


def to_csv(table: pd.DataFrame) -> bytes:
    """UTF-8 CSV in which no cell of text, nor the name of a column, can run as a spreadsheet formula."""
    safe = table.copy()
    for column in safe.columns:
        safe[column] = [_defuse(value) for value in safe[column]]
    safe.columns = [_defuse(column) for column in safe.columns]
    # With this line end a lone carriage return is quoted; unquoted it would begin a line, and a cell, of its own.
    return safe.to_csv(index=False, lineterminator="\r\n").encode()


def _defuse(value: object) -> object:
    # Numbers keep their minus sign; only text can carry a formula.
    return "'" + value if isinstance(value, str) and _FORMULA.match(value) else value
