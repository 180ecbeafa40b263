"""What writes is called from where it is asked first who asks: no page and no other file of the dashboard goes past that."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = [*sorted((ROOT / "ui").glob("*.py")), *sorted((ROOT / "pages").glob("*.py"))]
WRITES = {
    "freeze_claim", "run_confirmatory", "export_pack", "keep_prompts", "load_key", "load_kept_prompts", "record_refusal", "find_refusal", "tell_refusal",
}  # fmt: skip
"""Public names that write, sign, or read what belongs to one person."""
ASKS_FIRST = {"ui/deeds.py", "ui/services.py"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_what_writes_is_imported_only_where_it_is_asked_who_asks() -> None:
    found = {
        (name(path), alias.name)
        for path in DASHBOARD
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in WRITES
    }
    assert ("ui/deeds.py", "freeze_claim") in found, "this rule would hold of anything"
    assert {file for file, _ in found} <= ASKS_FIRST


def test_runs_and_jobs_are_begun_only_where_it_is_asked_who_asks() -> None:
    begun = {
        name(path)
        for path in DASHBOARD
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("auditor.run", "jobs().submit", "services.jobs().submit")
    }  # fmt: skip
    assert begun == ASKS_FIRST


def test_the_server_listens_here_and_refuses_forged_requests() -> None:
    config = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["enableCORS"] is True
    assert set(config["server"]["allowedHosts"]) == {"localhost", "127.0.0.1"}
