"""One more file is one more audit, metric or estimator, everywhere: planted in a folder of their own, and found by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audit_core import cli
from audit_core.cli import build_parser
from audit_core.home.cost import read_costs
from audit_core.home.evidence_counts import list_evidence_counts
from audit_core.home.result_page import render_result
from audit_core.references import list_capabilities
from audit_core.registry import list_plugins, search_also
from audit_core.request_form import list_form_fields
from audit_core.store import RunLog, audit_home
from audit_core.subjects.planted import find_planted

TESTS = Path(__file__).resolve().parents[1]
LIBRARY = TESTS.parent / "audit_core"
AUDIT = "planted_gap"


def plant(folder: Path, source: Path, name: str, *changes: tuple[str, str]) -> Path:
    """Copy a plug-in under another name; the folder has no other file."""
    text = source.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def planted_audit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("audits")
    shutil.copy(TESTS / "toy/planted_audit.py", folder / f"{AUDIT}.py")
    with search_also("audits", folder):
        yield AUDIT


@pytest.fixture
def prompts(load_planted: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prompt file of planted-induction, which every command opens."""
    model, subject = find_planted("planted-induction"), load_planted("planted-induction")
    assert model is not None
    monkeypatch.setattr("audit_core.cli.session.open_subject", lambda name, on_progress: subject)
    rows = [
        {name: getattr(prompt, name) for name in ("id", "clean", "corrupted", "answer", "foil", "template")}
        for prompt in model.find_task("query").make(4, 0).prompts
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = cli.main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out or "{}")


def test_it_is_gone_when_the_folder_is_no_longer_searched(planted_audit: str) -> None:
    assert planted_audit in list_plugins("audits")
    with search_also("metrics", Path("/nowhere")):
        pass
    assert planted_audit in list_plugins("audits"), "another folder was closed, not this one"


def test_no_planted_audit_is_left_behind() -> None:
    assert AUDIT not in list_plugins("audits")


def test_a_planted_audit_is_a_command_whose_options_are_its_fields(
    planted_audit: str, prompts: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, listed = ask(capsys, "audit")
    row = next(row for row in listed["audits"] if row["audit"] == planted_audit)
    assert (row["fields"], row["not_asked_here"]) == (["components", "times", "metric"], None)
    code, found = ask(
        capsys, "audit", planted_audit, "--components", "L0.H0", "L1.H0", "--times", "2", "--prompts", str(prompts)
    )
    assert code == 0
    assert found["request"] == {"components": ["L0.H0", "L1.H0"], "times": 2, "metric": "logit_difference"}
    assert found["evidence"]["gap"] == "observational"
    assert found["evidence"]["parts"]["effect"] == "causal"
    assert [part["component"] for part in found["result"]["parts"]] == ["L0.H0", "L1.H0"] * 2
    assert set(found["result"]["gap"]) >= {"value", "low", "high", "n", "unit", "level"}


def test_its_run_is_in_the_log_the_export_the_costs_and_the_counts_of_evidence(
    planted_audit: str, prompts: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(capsys, "audit", planted_audit, "--components", "L1.H0", "--prompts", str(prompts))
    (record,) = RunLog(audit_home()).list_runs()
    assert (record.kind, record.outcome) == (planted_audit, "done")
    page = render_result(audit_home(), record.run_id).decode()
    assert "observational" in page
    assert "causal" in page
    counted = {one.item.id: one.count for one in list_evidence_counts(audit_home())}
    assert counted["causal_results"] == 1
    (cost,) = read_costs(audit_home()).kinds
    assert (cost.kind, cost.answers) == (planted_audit, None), "it gives no verdict"
    assert planted_audit in {fit.audit for fit in list_capabilities(()).audits}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--components", "L9.H9"], "L9.H9"),
        (["--components", "nonsense"], "nonsense"),
        ([], "No components"),
        (["--components", "L0.H0", "--times", "many"], "whole number"),
        (["--components", "L0.H0", "--metric", "joy"], "logit_difference"),
        (["--components", "L0.H0", "--prompt", "absent"], "absent"),
    ],
)
def test_what_it_cannot_answer_is_refused_with_what_was_wanted(
    planted_audit: str, words: list[str], reason: str, prompts: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["audit", planted_audit, *words, "--prompts", str(prompts)]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "Wanted" in said or "wanted" in said.lower()
    (record,) = RunLog(audit_home()).list_runs()
    assert (record.kind, record.outcome) == (planted_audit, "refused"), "a refusal is logged as well"


def test_a_planted_metric_is_offered_by_every_audit_and_command_that_takes_one(
    tmp_path: Path, prompts: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    source = LIBRARY / "metrics/logit_difference.py"
    with search_also("metrics", plant(folder, source, "planted_metric", ('"logit_difference"', '"planted_metric"'))):
        for audit in list_plugins("audits").values():
            for field in list_form_fields(audit.request):
                assert field.name != "metric" or "planted_metric" in field.choices
        words = ["sweep", "--kind", "mlp", "--metric", "planted_metric", "--prompts", str(prompts)]
        assert ask(capsys, "audit", *words)[1]["result"]["metric"] == "planted_metric"
        assert ask(capsys, *words)[1]["metric"] == "planted_metric"
    assert len(list(folder.glob("*.py"))) == 1


def test_a_planted_estimator_is_offered_by_the_sweep_and_its_command(
    tmp_path: Path, prompts: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "estimators"
    folder.mkdir()
    source = LIBRARY / "estimators/integrated_gradients.py"
    changes = ('"integrated_gradients"', '"planted_estimator"')
    with search_also("estimators", plant(folder, source, "planted_estimator", changes)):
        (screen,) = [
            field for field in list_form_fields(list_plugins("audits")["sweep"].request) if field.name == "screen"
        ]
        assert "planted_estimator" in screen.choices
        words = ["sweep", "--screen", "planted_estimator", "--prompts", str(prompts)]
        assert build_parser().parse_args(words).screen == "planted_estimator"
        assert ask(capsys, "audit", *words)[1]["result"]["screened"]["method"] == "planted_estimator"
    assert len(list(folder.glob("*.py"))) == 1
