"""Who may import what, and what a start must not pay for."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import audit_core
from tests.repository.source import find_nodes, name_call, parse

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = sorted((ROOT / "audit_core").rglob("*.py"))
DASHBOARD = [ROOT / "app.py", *sorted((ROOT / "ui").rglob("*.py")), *sorted((ROOT / "pages").glob("*.py"))]

ROOMS = {
    "torch": (
        "audit_core/engine/",
        "audit_core/subjects/",
        "audit_core/estimators/",
        "audit_core/retrievers/",
        "audit_core/features/",
    ),
    "transformers": ("audit_core/engine/", "audit_core/subjects/", "audit_core/estimators/", "audit_core/retrievers/"),
    "transformer_lens": ("audit_core/engine/", "audit_core/subjects/", "audit_core/estimators/"),
    "duckdb": ("audit_core/store/", "audit_core/tools/lookup.py"),
    "pandas": ("audit_core/tables.py",),
    "ray": ("audit_core/campaigns/ray_engine.py",),
    "pyarrow": ("audit_core/prompt_files/", "audit_core/exchange/effect_parquet.py"),
    "streamlit": ("ui/", "pages/", "app.py"),
    "plotly": ("ui/", "pages/"),
}
"""Where each heavy package may be named, inside functions and for type checkers too."""
FEWEST = {"library": 360, "dashboard": 80}
"""How many files these rules read at least: a rule over no files passes anything. Raise them as files are added."""
SLOW_TO_IMPORT = ("torch", "transformers", "transformer_lens")


@cache
def imports(path: Path) -> tuple[str, ...]:
    found: list[str] = []
    for node in find_nodes(path, ast.Import):
        found += (name.name for name in node.names)
    found += (node.module or "" for node in find_nodes(path, ast.ImportFrom) if node.level == 0)
    return tuple(found)


def test_the_rules_read_every_file() -> None:
    assert len(LIBRARY) >= FEWEST["library"]
    assert len(DASHBOARD) >= FEWEST["dashboard"]
    assert ROOT / "ui/flow/actions.py" in DASHBOARD, "files in folders too"


@pytest.mark.parametrize("package", ROOMS)
def test_each_heavy_package_has_its_room(package: str) -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (*LIBRARY, *DASHBOARD)
        if any(name.split(".")[0] == package for name in imports(path))
    }
    assert found, f"nobody imports {package}: this rule would hold of anything"
    assert {name for name in found if not name.startswith(ROOMS[package])} == set()


def test_pages_import_public_names_one_level_deep() -> None:
    """A public package lists its names in `__all__`; a module directly below the library is public as a whole."""
    seen = 0
    for path in DASHBOARD:
        for node in find_nodes(path, ast.ImportFrom):
            if (node.module or "").split(".")[0] == "audit_core":
                module = importlib.import_module(node.module or "")
                assert (node.module or "").count(".") <= 1, f"{path.name} imports {node.module}"
                if hasattr(module, "__path__"):
                    assert {alias.name for alias in node.names} <= set(module.__all__), f"{path.name}: {node.module}"
                seen += 1
    assert seen > 60


def lint(*options: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports_command; sys.argv[0] = 'lint-imports'; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache", *options], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_the_import_contracts_are_kept() -> None:
    done = lint()
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
    assert "Two axes" in done.stdout


def test_a_broken_import_contract_is_found(tmp_path: Path) -> None:
    """The positive control: verdicts do import statistics, so forbidding it must fail."""
    config = tmp_path / "contracts.ini"
    config.write_text(
        "[importlinter]\nroot_package = audit_core\n"
        "[importlinter:contract:1]\nname = impossible\ntype = forbidden\n"
        "source_modules = audit_core.judging.verdict\nforbidden_modules = audit_core.stats\n"
    )
    done = lint("--config", str(config))
    assert done.returncode != 0
    assert "impossible BROKEN" in done.stdout


def loaded_after(code: str) -> set[str]:
    """Top-level packages in `sys.modules` after running some code in a fresh interpreter."""
    program = f"{code}\nimport sys\nsys.stdout.write(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_model_is_loaded_without_importing_a_package_beside_the_first_page() -> None:
    """Two threads, one with a package and one with a module in it, at times get an ImportError; a page imports any of them."""
    program = """
import sys
def list_packages():
    return {name for name, module in sys.modules.items() if name.startswith("audit_core") and hasattr(module, "__path__")}
import asyncio, app
app.POOL.open = lambda name: None
async def start():
    async with app.lifespan(app.app):
        pass
asyncio.run(start())
before = list_packages()
assert "torch" not in sys.modules
from audit_core import open_subject
open_subject("planted-induction")
open_subject("t5-tiny")
sys.stdout.write(" ".join([str(len(before)), *(list_packages() - before)]))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    count, *later = done.stdout.split()
    assert int(count) > 40
    assert later == []


def test_importing_the_library_leaves_heavy_packages_out() -> None:
    loaded = loaded_after("import audit_core, audit_core.cli")
    assert "numpy" in loaded
    assert loaded & {*SLOW_TO_IMPORT, "duckdb", "pandas", "streamlit", "plotly"} == set()


def test_a_program_pays_for_the_modules_that_it_takes_alone() -> None:
    """A program that checks a pack, or looks for a model's folder, waits for no array library and no table of audits."""
    for module in ("verifier.walk", "models", "errors"):
        assert loaded_after(f"import audit_core.{module}") & {"numpy", "scipy", "pydantic", "cryptography"} == set()


def test_every_public_name_is_found_in_the_module_that_type_checkers_see() -> None:
    tree = ast.parse((ROOT / "audit_core/__init__.py").read_text())
    (seen,) = [node for node in tree.body if isinstance(node, ast.If)]
    stated = {name.name: node.module for node in seen.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert set(stated) == set(audit_core.__all__) <= set(dir(audit_core))
    for name, module in stated.items():
        assert getattr(audit_core, name) is getattr(importlib.import_module(module or ""), name), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = audit_core.nothing


def test_finding_every_plugin_leaves_torch_out() -> None:
    loaded = loaded_after("from audit_core.registry import *\nfor shelf in PLUGIN_FOLDERS: list_plugins(shelf)")
    assert loaded & set(SLOW_TO_IMPORT) == set()


def test_the_dashboard_starts_without_torch() -> None:
    """`ui.shell.main` runs the page it is given, so of it, of the pages and of app.py the import lines alone are run."""
    modules = [
        f"import {'.'.join(path.relative_to(ROOT).with_suffix('').parts)}"
        for path in (ROOT / "ui").rglob("*.py")
        if path.stem not in ("main", "__init__")
    ]
    lines = [
        ast.unparse(node)
        for path in (ROOT / "app.py", ROOT / "ui/shell/main.py", *(ROOT / "pages").glob("*.py"))
        for node in parse(path).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert len(modules) > 45
    assert len(lines) > 60
    loaded = loaded_after("\n".join([*modules, *lines]))
    assert "streamlit" in loaded
    assert loaded & set(SLOW_TO_IMPORT) == set()


def test_every_module_of_the_library_has_its_place_in_the_layers() -> None:
    """A module that no layer names may import whatever it likes, and be imported from anywhere."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    placed = {name.strip() for row in table["layers"] for name in row.split(":")}
    there = {f"audit_core.{path.stem}" for path in (ROOT / "audit_core").glob("*.py")} - {"audit_core.__init__"}
    there |= {f"audit_core.{path.parent.name}" for path in (ROOT / "audit_core").glob("*/__init__.py")}
    assert there - placed == set()


def test_figures_begin_where_pandas_is_imported_whole() -> None:
    """Plotly fails on a pandas that another thread, such as one that loads a model, has imported only halfway."""
    calls = [
        (path.relative_to(ROOT).as_posix(), node.lineno)
        for folder in ("ui", "pages")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in find_nodes(path, ast.Call)
        if name_call(node) in ("go.Figure", "Figure")
    ]
    assert [path for path, _ in calls] == ["ui/parts/figures.py"], calls


def test_a_new_figure_waits_for_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.parts import figures

    waited: list[bool] = []
    monkeypatch.setattr(figures, "import_pandas", lambda: waited.append(True))
    figures.new_figure()
    assert waited == [True]


@pytest.mark.parametrize("chosen", ["", "ACTIVE"])
def test_threads_sleep_while_they_wait_unless_another_way_was_chosen(chosen: str) -> None:
    """Read by the threads' library when torch is imported, so it must be set before."""
    code = "import os, sys, audit_core; e = os.environ; print(e['OMP_WAIT_POLICY'], e['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    own = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    own |= {"OMP_WAIT_POLICY": chosen} if chosen else {}
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=own, capture_output=True, text=True, check=True)
    assert found.stdout.split() == [chosen or "PASSIVE", "2000", "False"]
