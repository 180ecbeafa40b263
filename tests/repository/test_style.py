"""What the house asks of every file, and a machine can see."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.repository.source import find_nodes, name_call, parse, read

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = sorted((ROOT / "audit_core").rglob("*.py"))
CODE = [*LIBRARY, ROOT / "app.py", *sorted((ROOT / "ui").rglob("*.py")), *sorted((ROOT / "pages").glob("*.py"))]
MODULE_LINES, PAGE_LINES, APP_LINES = 400, 130, 30
"""Around 300 lines is a module, 400 where it is one story; a page is around 120 lines and app.py around 20."""
COMMENT_SHARE = 0.12
FEWEST = 440
"""Files that must be found: a rule that reads none would always pass."""
NO_ROOM = {"utils", "helpers", "common", "misc"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def trees(paths: list[Path]) -> Iterator[tuple[str, ast.Module]]:
    return ((name(path), parse(path)) for path in paths)


def test_a_file_is_no_longer_than_it_can_be_read() -> None:
    limits = {ROOT / "pages": PAGE_LINES, ROOT: APP_LINES}
    lengths = [(len(read(path).splitlines()), limits.get(path.parent, MODULE_LINES), path) for path in CODE]
    assert [f"{name(path)}: {lines} lines, at most {limit}" for lines, limit, path in lengths if lines > limit] == []


def test_a_module_says_what_it_is() -> None:
    first_lines = {file: (ast.get_docstring(tree) or "").partition("\n")[0].rstrip() for file, tree in trees(CODE)}
    assert len(first_lines) == len(CODE) >= FEWEST
    assert [file for file, line in first_lines.items() if not line.endswith((".", ":"))] == []


def test_no_error_is_swallowed_whole() -> None:
    """`except Exception` and `except:` hide defects. BaseException may be caught where it is logged and shown."""
    handlers = [(name(path), node) for path in CODE for node in find_nodes(path, ast.ExceptHandler)]
    found = [file for file, node in handlers if node.type is None or ast.unparse(node.type) == "Exception"]
    # A callable from outside may raise any error; each becomes a refusal that names it.
    assert found == ["audit_core/tools/agents.py"]
    wide = {file for file, node in handlers if node.type is not None and "BaseException" in ast.unparse(node.type)}
    assert wide <= {
        "audit_core/__main__.py",
        "audit_core/jobs.py",
        "audit_core/run.py",
        "ui/flow/model_pool.py",
        # tokenizers raises bare exceptions and panics for files from outside; all of them are refusals.
        "audit_core/engine/faults.py",
    }


def test_the_library_prints_nothing() -> None:
    """Results and messages are the caller's to show; the command line writes to its streams by name."""
    found = [
        (name(path), node.lineno)
        for path in CODE
        for node in find_nodes(path, ast.Call)
        if name_call(node) in ("print", "pprint", "warnings.warn", "logging.info")
    ]
    assert found == []


def test_no_public_function_bears_its_modules_name() -> None:
    """The import of one would hide the other."""
    found = [
        f"{file}:{node.name}"
        for file, tree in trees(LIBRARY)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == Path(file).stem
    ]
    assert found == []


def test_every_dataclass_is_frozen() -> None:
    decorators = [
        (name(path), node.name, ast.unparse(decorator))
        for path in LIBRARY
        for node in find_nodes(path, ast.ClassDef)
        for decorator in node.decorator_list
        if "dataclass" in ast.unparse(decorator)
    ]
    assert len(decorators) > 20
    assert [found for found in decorators if "frozen=True" not in found[2]] == []


def test_no_file_is_a_drawer_for_anything() -> None:
    assert [name(path) for path in CODE if path.stem in NO_ROOM] == []


def test_nothing_is_left_to_do_in_comments_and_comments_are_few() -> None:
    lines = [line.strip() for path in CODE for line in read(path).splitlines()]
    comments = [line for line in lines if line.startswith("#")]
    assert [line for line in comments if "TODO" in line or "FIXME" in line] == []
    assert len(comments) / len(lines) < COMMENT_SHARE


def test_randomness_enters_by_a_seed() -> None:
    """A generator made without one would make a number that nobody can compute again."""
    by_global_state = ("np.random.rand", "np.random.choice", "random.random", "random.choice")
    found = [
        (name(path), node.lineno)
        for path in LIBRARY
        for node in find_nodes(path, ast.Call)
        if (name_call(node).endswith("default_rng") and not node.args) or name_call(node).startswith(by_global_state)
    ]
    assert found == []
