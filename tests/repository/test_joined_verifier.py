"""`verify_pack.py` is what the joiner makes of audit_core/verifier, and what it is made of can be joined."""

import ast
from pathlib import Path

import pytest

from audit_core import verifier
from audit_core.errors import IntegrityError
from audit_core.evidence import join_verifier as joiner
from audit_core.evidence.join_verifier import join_modules

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "audit_core/verifier").glob("*.py"))


def test_the_committed_file_is_what_the_joiner_makes() -> None:
    """It is generated, so that it alone is exempt from the limit of lines and from ruff."""
    assert (ROOT / "verify_pack.py").read_text() == join_modules(), "run: python -m audit_core verifier"


def test_every_definition_of_the_folder_is_in_the_joined_file_once() -> None:
    joined = ast.parse(join_modules())
    names = [node.name for node in joined.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    wanted = {
        node.name
        for path in SOURCES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    assert len(names) == len(set(names))
    assert set(names) == wanted
    assert len(wanted) > 100


def test_the_joined_file_imports_the_standard_library_alone() -> None:
    import sys

    found = set()
    for node in ast.walk(ast.parse(join_modules())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    assert found <= sys.stdlib_module_names
    assert (
        found & {"socket", "urllib", "http", "subprocess", "os", "ctypes", "pickle", "tempfile", "shutil", "zipfile"}
        == set()
    )


def test_nothing_in_it_runs_text_or_opens_anything_to_write() -> None:
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(join_modules())) if isinstance(node, ast.Call)]
    assert not {"eval", "exec", "compile", "__import__", "open"} & set(calls)
    modes = [
        ast.unparse(node.args[0])
        for node in ast.walk(ast.parse(join_modules()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".open")
    ]
    assert modes
    assert set(modes) == {"'rb'"}
    assert not [call for call in calls if call.endswith(("write_bytes", "write_text", "extractall", "mkdir", "unlink"))]


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"a.py": "X = 1\n", "b.py": "X = 2\n"}, "X is defined in"),
        ({"a.py": "def f():\n    pass\n", "b.py": "f: int = 2\n"}, "f is defined in"),
        ({"a.py": "import json as j\n"}, "under an alias"),
        ({"a.py": "from audit_core.verifier.b import B\nA = 1\n", "b.py": "from audit_core.verifier.a import A\nB = 1\n"}, "imports itself"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_joined_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], match: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(f'"""A module."""\n\n{text}')
    monkeypatch.setattr(verifier, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(IntegrityError, match=match):
        joiner.join_modules()
