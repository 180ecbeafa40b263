"""A file's text is UTF-8 by name: where a machine's own encoding is another, nothing is written or read otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.repository.source import find_nodes

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("audit_core", "ui", "pages", "bench", "data")
CODE = [ROOT / "app.py", *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))]
FEWEST = 450
"""Files that must be found: a rule that reads none would always pass."""
POSITION = {"read_text": 0, "write_text": 1, "open": 3, "fdopen": 3, "NamedTemporaryFile": 3, "TemporaryFile": 3}
"""Where the encoding stands when it is not named; of a path's own `open` it is one earlier."""
NOT_FILES = {"POOL", "self", "webbrowser", "tarfile", "zipfile", "Image", "os", "archive", "services"}


def list_unnamed(calls: Iterable[ast.Call]) -> list[str]:
    """Calls that read or write text in whatever encoding the machine has."""
    return [ast.unparse(call) for call in calls if _is_unnamed(call)]


def read_call(line: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call)]


def _is_unnamed(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    named = {word.arg: word.value for word in call.keywords}
    if name in ("Popen", "run", "check_output"):
        return any(word in named for word in ("text", "universal_newlines")) and "encoding" not in named
    if name not in POSITION or "encoding" in named:
        return False
    of = call.func.value if isinstance(call.func, ast.Attribute) else None
    if name == "open" and of is not None and set(ast.unparse(of).split(".")) & NOT_FILES:
        return False
    place = POSITION[name] - (name == "open" and of is not None)
    if len(call.args) > place:
        return False
    if name in ("read_text", "write_text"):
        return True
    at = 0 if name == "open" and of is not None else 1
    mode = named.get("mode", call.args[at] if len(call.args) > at else None)
    if name.endswith("TemporaryFile"):
        mode = named.get("mode", call.args[0] if call.args else ast.Constant("w+b"))
    return not (isinstance(mode, ast.Constant) and "b" in str(mode.value))


def test_every_text_file_is_opened_with_its_encoding() -> None:
    unnamed = {path.relative_to(ROOT).as_posix(): list_unnamed(find_nodes(path, ast.Call)) for path in CODE}
    assert len(unnamed) >= FEWEST
    assert {file: calls for file, calls in unnamed.items() if calls} == {}


@pytest.mark.parametrize(
    "call",
    [
        "path.read_text()", "path.write_text(text)", "open(name)", "open(name, 'w')", "path.open('a')", "path.open()", "os.fdopen(3, 'w')",
        "path.read_text(errors='replace')", "subprocess.run(words, text=True)", "NamedTemporaryFile('w')",
    ],
)  # fmt: skip
def test_each_way_to_leave_it_out_is_found(call: str) -> None:
    assert list_unnamed(read_call(call))


@pytest.mark.parametrize(
    "call",
    [
        "path.read_text('utf-8')", "path.write_text(text, encoding='utf-8')", "open(name, 'rb')", "path.open('wb')", "os.fdopen(3, 'wb')",
        "open(name, encoding='utf-8')", "os.open(name, os.O_RDONLY)", "subprocess.run(words)", "NamedTemporaryFile()", "path.open(mode='xb')",
    ],
)  # fmt: skip
def test_what_names_it_or_holds_bytes_is_left_alone(call: str) -> None:
    assert list_unnamed(read_call(call)) == []
