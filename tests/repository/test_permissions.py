"""What writes is called from where it is asked first who asks: no page and no other file of the dashboard goes past that."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from tests.repository.source import find_nodes, name_call, parse

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = [*sorted((ROOT / "ui").rglob("*.py")), *sorted((ROOT / "pages").glob("*.py"))]
FEWEST = 80
"""How many files of the dashboard these rules read at least."""
WRITES = {
    "freeze_claim", "run_confirmatory", "export_pack", "keep_prompts", "load_key", "load_kept_prompts", "record_refusal", "find_refusal", "describe_refusal",
    "freeze_request", "take_pack", "decide", "add_card_claim", "link_card_claim", "declare_incident", "compare_models", "measure_effect_diff", "make_key",
    "save_own_policy", "record_alert", "find_campaign", "plan_campaign", "run_campaign", "retry_failed",
    "train_own", "import_own", "make_baseline",
}  # fmt: skip
"""Public names that write, sign, or read what belongs to one person."""
STORES = {"FindingRegister", "Register", "PersonLog", "Checklists", "RunLog", "FeatureLabels"}
ASKS_FIRST = {"ui/flow/actions.py", "ui/flow/services.py"}
OF_FINDINGS, OF_LABELS, OF_POLICIES, OF_CLAIMS, OF_CAMPAIGNS, OF_MONITORS = (
    "ui/findings/act.py", "ui/features/act.py", "ui/policies/act.py", "ui/claims/act.py", "ui/campaigns/act.py", "ui/monitors/act.py",
)  # fmt: skip
MAKES_KEYS = "ui/flow/signing_key.py"


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_what_writes_is_imported_only_where_it_is_asked_who_asks() -> None:
    found = {
        (name(path), alias.name)
        for path in DASHBOARD
        for node in find_nodes(path, ast.ImportFrom)
        for alias in node.names
        if alias.name in WRITES
    }
    assert ("ui/flow/actions.py", "freeze_claim") in found, "this rule would hold of anything"
    assert len(DASHBOARD) >= FEWEST
    assert {file for file, _ in found} <= {
        *ASKS_FIRST,
        MAKES_KEYS,
        OF_POLICIES,
        OF_CLAIMS,
        OF_CAMPAIGNS,
        OF_MONITORS,
        OF_LABELS,
    }
    assert {alias for file, alias in found if file == MAKES_KEYS} == {"make_key"}


def test_runs_and_jobs_are_begun_only_where_it_is_asked_who_asks() -> None:
    begun = {
        name(path)
        for path in DASHBOARD
        for node in find_nodes(path, ast.Call)
        if name_call(node) in ("auditor.run", "….submit") and ast.unparse(node.func) in ("auditor.run", "jobs().submit", "services.jobs().submit")
    }  # fmt: skip
    assert begun == ASKS_FIRST


def test_stores_are_written_to_only_where_it_is_asked_who_asks() -> None:
    """`Register(home).freeze(…)` on a page would go past everything."""
    found = {
        (name(path), ast.unparse(node.func.value.func), node.func.attr)
        for path in DASHBOARD
        for node in find_nodes(path, ast.Call)
        if isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Call)
        and ast.unparse(node.func.value.func) in STORES
        and not node.func.attr.startswith(("list_", "find", "read_"))
    }
    assert ("ui/flow/actions.py", "PersonLog", "disable") in found, "this rule would hold of anything"
    # The door itself notes who came in, who left, and whom it turned away.
    assert {file for file, _, _ in found} <= {
        *ASKS_FIRST,
        MAKES_KEYS,
        OF_FINDINGS,
        OF_LABELS,
        OF_CLAIMS,
        "ui/shell/auth.py",
    }
    assert {method for file, _, method in found if file == MAKES_KEYS} == {"refuse"}
    assert {method for file, _, method in found if file == "ui/shell/auth.py"} == {"note_sign_in", "refuse", "sign_out"}


def test_every_action_of_the_dashboard_is_tried_by_every_role() -> None:
    """The table in tests/pages/test_signed_in.py has a row for each function that asks."""
    tree = ast.parse((ROOT / "tests/pages/test_signed_in.py").read_text())
    table = next(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ACTIONS"
    )
    assert isinstance(table, ast.Dict)
    rows = {ast.literal_eval(key).split(":")[0] for key in table.keys if key is not None}
    asking = {
        node.name
        for path in (
            *ASKS_FIRST,
            MAKES_KEYS,
            OF_FINDINGS,
            OF_LABELS,
            OF_POLICIES,
            OF_CLAIMS,
            OF_CAMPAIGNS,
            OF_MONITORS,
            "ui/flow/sample.py",
        )
        for node in parse(ROOT / path).body
        if isinstance(node, ast.FunctionDef) and re.search(r"\bauthorize\(|\.disable\(|\.enable\(", ast.unparse(node))
    }
    assert rows == asking - {"authorize"}


def test_the_server_listens_here_and_refuses_forged_requests() -> None:
    config = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["enableCORS"] is True
    assert set(config["server"]["allowedHosts"]) == {"localhost", "127.0.0.1"}
