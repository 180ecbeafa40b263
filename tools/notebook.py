"""Runs a notebook's cells in order and stores their outputs: `make notebook`. No kernel is needed: cells are plain Python."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs/notebooks/first_audit.ipynb"


def run_notebook(path: Path, changes: Mapping[str, str] = MappingProxyType({})) -> list[dict[str, Any]]:
    """Cells with the outputs of this run: what a cell prints, and the value of its last line.

    Args:
        changes: texts of the cells → what is run in their place.

    Raises:
        Exception: whatever a cell raises.
    """
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {"__name__": "__main__"}
    for at, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            for old, new in changes.items():
                source = source.replace(old, new)
            cell |= {"execution_count": at + 1, "outputs": _run_cell(source, names, at + 1)}
    return cells


def _run_cell(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    tree, printed, value = ast.parse(source), io.StringIO(), None
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(printed.getvalue())})
    if value is not None:
        data = {"text/plain": _lines(repr(value))}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = _lines(value._repr_html_())
        outputs.append({"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data})
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    document["cells"] = run_notebook(NOTEBOOK)
    NOTEBOOK.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
