"""The code digest of a frozen claim covers what computes, and of that what it says: not comments, pages and commands."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toy.planted import make_induction

import audit_core
from audit_core.audits.confirmation import ConfirmationRequest
from audit_core.claim import Claim
from audit_core.component import head
from audit_core.evidence import source
from audit_core.evidence.source import EXEMPT, digest_syntax, hash_library, hash_source, is_exempt, read_computing
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import take_split
from audit_core.registry import PLUGIN_FOLDERS, get_plugin, list_plugins
from audit_core.run import Actor, Auditor
from audit_core.store import RunLog
from audit_core.subjects.transformer import TransformerSubject

LIBRARY = Path(audit_core.__file__).parent
AUDIT = '''"""An audit."""

from audit_core.stats import estimate

LEVEL = 0.95
"""Of an interval."""


class Audit:
    """Asks."""

    level: float = LEVEL

    def run(self, values):
        """Estimates."""
        # As the source has it.
        return estimate(values) * 2
'''
SMALL = {
    "__init__.py": "from audit_core.stats import estimate",
    "__main__.py": "from audit_core.cli import main",
    "confirm.py": "from audit_core.store import keep\nfrom audit_core.errors import Refused\n",
    "run.py": "def run(audit):\n    from audit_core.models.tensors import read\n    return audit.run(read())\n",
    "errors.py": "class Refused(Exception): ...\n",
    "stats/__init__.py": "from audit_core.stats.mean import estimate, other\n",
    "stats/mean.py": "def estimate(values):\n    return sum(values) / 8\n",
    "models/__init__.py": "",
    "models/tensors.py": "import audit_core.bits\n",
    "bits.py": "WIDTH = 8\n",
    "audits/__init__.py": "",
    "audits/one.py": AUDIT,
    "store/__init__.py": "from audit_core.packing import pack\nkeep = pack\n",
    "packing.py": "pack = 1\n",
    "cli/__init__.py": "from audit_core.run import run\n",
    "views/__init__.py": "",
    "views/wide/__init__.py": "from audit_core.views.wide.inner import PLUGIN\n",
    "views/wide/inner.py": "PLUGIN = 1\n",
}
"""A library with an audit in it, what it computes with, a store and a command."""
COMPUTING = {
    "confirm", "run", "stats.mean", "models.tensors", "bits", "audits.one", "views.wide", "views.wide.inner",
}  # fmt: skip


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "audit_core"
    for name, text in SMALL.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def change(library: Path, name: str, before: str, after: str) -> str:
    """Digest after a change of one file."""
    path = library / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return hash_library(library)


def test_what_the_entries_import_is_covered_and_nothing_else(library: Path) -> None:
    """Through packages that pass a name on, inside functions and from folders of plug-ins, but not through what is exempt."""
    assert {name for name, _ in read_computing(library)} == COMPUTING


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("audits/one.py", "# As the source has it.", "# As another source has it."),
        ("audits/one.py", "        # As the source has it.\n", ""),
        ("audits/one.py", '"""An audit."""', '"""One question."""'),
        ("audits/one.py", '    """Asks."""\n', ""),
        ("audits/one.py", '"""Of an interval."""', '"""Level of an interval."""'),
        ("audits/one.py", '"""Estimates."""', '"""Estimates.\n\n        Args:\n            values: some."""'),
        ("audits/one.py", "LEVEL = 0.95", "\n\nLEVEL  =  0.950"),
        ("audits/one.py", "estimate(values) * 2", "(\n            estimate(values)\n            * 2\n        )"),
        ("cli/__init__.py", "run", "walk"),
        ("__main__.py", "main", "start"),
        ("__init__.py", "estimate", "estimate as guess"),
        ("stats/__init__.py", ", other", ""),
        ("store/__init__.py", "keep = pack", "keep = None"),
        ("packing.py", "1", "2"),
        ("errors.py", "...", "text = 'no'"),
    ],
)
def test_what_computes_nothing_leaves_the_digest_alone(library: Path, name: str, before: str, after: str) -> None:
    digest = hash_library(library)
    assert change(library, name, before, after) == digest


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("audits/one.py", "0.95", "0.99"),
        ("audits/one.py", "* 2", "* 2.0"),
        ("audits/one.py", "* 2", "/ 2"),
        ("audits/one.py", "level: float", "level: int"),
        ("audits/one.py", "        return", "        values = [*values]\n        return"),
        ("audits/one.py", "import estimate", "import estimate as guess"),
        ("stats/mean.py", "8", "9"),
        ("stats/mean.py", "values", "numbers"),
        ("bits.py", "8", "16"),
        ("run.py", "read()", "read() or []"),
        ("views/wide/inner.py", "1", "2"),
    ],
)
def test_a_changed_number_or_statement_of_what_computes_changes_the_digest(
    library: Path, name: str, before: str, after: str
) -> None:
    digest = hash_library(library)
    assert change(library, name, before, after) != digest


def test_a_moved_or_added_module_changes_the_digest(library: Path) -> None:
    digest = hash_library(library)
    (library / "audits" / "two.py").write_text("PLUGIN = 2\n")
    added = hash_library(library)
    (library / "audits" / "two.py").rename(library / "audits" / "three.py")
    assert len({digest, added, hash_library(library)}) == 3


def test_files_that_are_no_code_and_their_line_ends_change_nothing(library: Path) -> None:
    digest = hash_library(library)
    (library / "audits" / "notes.md").write_text("notes")
    path = library / "audits" / "one.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert hash_library(library) == digest


@pytest.fixture(scope="module")
def computing() -> dict[str, ast.Module]:
    return dict(read_computing(LIBRARY))


def test_the_digest_is_computed_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hash_source()
    assert digest == hash_library(LIBRARY)
    monkeypatch.setattr(source, "hash_library", lambda library: "another")
    assert hash_source() == digest


def test_no_layout_and_no_comment_of_the_library_is_in_its_digest(computing: dict[str, ast.Module]) -> None:
    """What Python writes of a tree has other line ends, quotes and brackets, and no comment."""
    for name in sorted(computing)[::5]:
        assert digest_syntax(ast.parse(ast.unparse(computing[name]))) == digest_syntax(computing[name]), name


def test_every_plugin_of_every_folder_is_covered(computing: dict[str, ast.Module]) -> None:
    plugins = {f"{shelf}.{key}" for shelf in PLUGIN_FOLDERS for key in list_plugins(shelf)}
    assert len(plugins) > 30
    assert plugins <= set(computing)


def test_what_runs_while_a_claim_is_judged_is_covered(
    computing: dict[str, ast.Module], planted: TransformerSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen from outside the imports: every file of the library of which a function was called."""
    prompts = make_induction(24, change="query", n_templates=4)
    judged, explored = (tokenise(take_split(prompts, exploratory=half), planted.tokenizer) for half in (False, True))
    request = ConfirmationRequest(judged, Claim("needed", (head(1, 0),)), explored, ("recomposition", "stability"))
    plugin = type(get_plugin("audits", "confirmation"))
    run, called = plugin.run, set[str]()

    def run_watched(*args: Any, **named: Any) -> Any:
        sys.setprofile(lambda frame, event, arg: called.add(frame.f_code.co_filename) if event == "call" else None)
        try:
            return run(*args, **named)
        finally:
            sys.setprofile(None)

    monkeypatch.setattr(plugin, "run", run_watched)
    Auditor(planted, RunLog(tmp_path)).run("confirmation", request, actor=Actor("me", "s"))
    files = [Path(name).relative_to(LIBRARY) for name in called if name.startswith(f"{LIBRARY}/")]
    names = {".".join(file.with_suffix("").parts) for file in files}
    assert len(names) > 40
    # An `__init__` runs when its package is imported; refusals and digests of prompts are values by which nothing is counted.
    left_out = {name for name in names - set(computing) if not name.endswith("__init__")}
    assert left_out <= {"errors", "verifier.prompt_digest"}


def list_left_out() -> Iterator[Path]:
    """Files of exempt modules and packages."""
    for name in EXEMPT:
        path = LIBRARY.joinpath(*name.split("."))
        yield from path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]


def test_what_is_exempt_calculates_with_no_arrays() -> None:
    """So that a module that computes is not exempt by being moved into such a package."""
    libraries = ("import numpy", "from numpy", "import torch", "from torch", "import scipy", "from scipy")
    found = {
        file.relative_to(LIBRARY).as_posix()
        for file in list_left_out()
        if any(line.strip().startswith(libraries) for line in file.read_text().splitlines())
    }
    assert found <= {"evidence/environment.py"}, "which reads their versions"


def test_every_exemption_has_a_reason_and_exists(
    computing: dict[str, ast.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(file.is_file() for file in list_left_out())
    assert all(EXEMPT.values())
    assert not [name for name in computing if is_exempt(name)]
    monkeypatch.setattr(source, "EXEMPT", {})
    reached = {name for name, _ in read_computing(LIBRARY)}
    unused = {name for name in EXEMPT if not any(f"{one}.".startswith(f"{name}.") for one in reached)}
    assert not unused, "the entries do not import these: they need no exemption"
