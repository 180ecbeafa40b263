"""Every audit finds what is planted where its wiring makes the answer known, and gives it as table rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit_core import cli
from audit_core.audit import Audit, Example
from audit_core.calibration.known_answers import check_known_answers, make_example
from audit_core.evidence.kind import Evidence
from audit_core.registry import get_plugin, list_plugins
from audit_core.request_form import explain_unasked, list_form_fields
from audit_core.run import Auditor
from audit_core.store import RunLog
from audit_core.subject_family import find_planted

pytestmark = pytest.mark.usefixtures("short_draws")

AUDITS: dict[str, Audit] = dict(list_plugins("audits"))
EXAMPLES = [(name, at) for name, audit in AUDITS.items() for at in range(len(audit.examples))]


@pytest.fixture(scope="module")
def open_auditor(
    load_planted: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Auditor]:
    log = RunLog(tmp_path_factory.mktemp("log"))
    kept: dict[str, Auditor] = {}
    return lambda name: kept.setdefault(name, Auditor(load_planted(name), log))


def test_every_audit_that_a_form_can_ask_has_an_example_and_no_other_has_one() -> None:
    assert {name for name, audit in AUDITS.items() if audit.examples} == {
        name for name, audit in AUDITS.items() if not explain_unasked(audit.request)
    }


@pytest.mark.parametrize("audit", [name for name, audit in AUDITS.items() if audit.examples])
def test_an_example_answers_questions_of_the_form_and_says_what_to_expect(audit: str) -> None:
    names = {field.name for field in list_form_fields(AUDITS[audit].request)}
    for example in (*AUDITS[audit].examples, *AUDITS[audit].contrasts):
        assert set(example.answers) <= names
        assert example.expects.endswith(".")
        model = find_planted(example.model or AUDITS[audit].planted)
        assert model is not None
        assert example.task in {task.name for task in model.tasks}


@pytest.fixture(autouse=True)
def few_explanations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two methods that the example speaks of and one whose scores add up: the contract of all audits runs every method."""
    few = {name: get_plugin("attributions", name) for name in ("occlusion", "attention", "shapley")}
    monkeypatch.setattr("audit_core.audits.explanations.list_plugins", lambda shelf: few)


@pytest.mark.parametrize(("audit", "at"), EXAMPLES)
def test_the_planted_answer_is_found_and_is_in_the_rows(
    audit: str, at: int, open_auditor: Callable[[str], Auditor]
) -> None:
    plugin, auditor = AUDITS[audit], open_auditor(AUDITS[audit].planted)
    result = auditor.execute(audit, make_example(plugin, plugin.examples[at], auditor.subject))
    assert plugin.examples[at].is_found(result), plugin.examples[at].expects
    sheets = plugin.rows(result)
    assert sheets
    assert len({sheet.name for sheet in sheets}) == len(sheets), "a file each"
    for sheet in sheets:
        assert {len(row) for row in sheet.rows} == {len(sheet.columns)}
        assert all(isinstance(kind, Evidence) for kind in sheet.kinds)


def test_an_answer_that_is_not_found_is_reported(
    open_auditor: Callable[[str], Auditor], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Example({"components": "L1.H1"}, "The decoy carries the answer.", lambda found: found.support.value > 1)
    audit = replace(AUDITS["ablation"], examples=(*AUDITS["ablation"].examples, wrong))
    monkeypatch.setattr("audit_core.calibration.known_answers.list_plugins", lambda _: {"ablation": audit})
    assert [one.is_found for one in check_known_answers(open_auditor)] == [True, False]
    monkeypatch.setattr("audit_core.cli.calibrate.open_subject", lambda name: open_auditor(name).subject)
    assert cli.main(["calibrate", "--audits"]) == 3
    said = capsys.readouterr().out
    assert "MISSED ablation" in said
    assert "1 of 2 known answers were found." in said


def test_tokens_and_edges_are_one_row_each(open_auditor: Callable[[str], Auditor]) -> None:
    """Their results hold tokens and numbers side by side, in two lists."""
    auditor = open_auditor("planted-strict")
    for name in ("edges", "token_gradients"):
        result = auditor.execute(name, make_example(AUDITS[name], AUDITS[name].examples[0], auditor.subject))
        (sheet,) = AUDITS[name].rows(result)
        assert [row[0] for row in sheet.rows] == list(result.tokens)


def test_the_command_writes_the_rows_as_files(
    open_auditor: Callable[[str], Auditor], own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "audit_core.cli.session.open_subject", lambda name, on_progress: open_auditor("planted-strict").subject
    )
    rows = [
        '{"id": "a", "clean": "w01 w02 w03 w04 w01", "corrupted": "w01 w02 w03 w04 w03", "answer": " w02", "foil": " w04"}'
    ]
    (tmp_path / "set.jsonl").write_text("\n".join(rows))
    words = ["--layer", "1", "--head", "0", "--half", "all", "--prompts", str(tmp_path / "set.jsonl")]
    assert cli.main(["audit", "edges", *words, "--csv", str(tmp_path / "tables")]) == 0
    (written,) = (tmp_path / "tables").iterdir()
    assert written.name == "edges_edges.csv"
    assert written.read_text().splitlines()[0] == 'token,"effect, logits"'
