"""One more file is one more audit, metric, estimator or family of subjects, everywhere: planted in a folder of their own, and found by name."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from audit_core import cli
from audit_core.calibration.known_answers import make_example
from audit_core.calibration.samples import calibrate
from audit_core.cli import build_parser
from audit_core.component import Kind
from audit_core.effect import get_metric
from audit_core.home import read_sheet
from audit_core.home.cost import read_costs
from audit_core.home.evidence_counts import list_evidence_counts
from audit_core.home.result_page import render_result
from audit_core.references import Setting, list_capabilities
from audit_core.registry import list_plugins, search_also
from audit_core.request_form import list_form_fields
from audit_core.run import Auditor
from audit_core.store import RunLog, audit_home
from audit_core.subject_family import find_listed, find_planted, list_planted
from audit_core.subjects import PlantedModel
from ui.flow.model_question import match_listed

TESTS = Path(__file__).resolve().parents[1]
LIBRARY = TESTS.parent / "audit_core"
sys.path.insert(0, str(TESTS.parent / "tools"))
from reference import write_page  # noqa: E402

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
    return write_rows(tmp_path, model)


def write_rows(folder: Path, model: PlantedModel | None) -> Path:
    """The prompts of its first task as a file."""
    assert model is not None
    rows = [
        {name: getattr(prompt, name) for name in ("id", "clean", "corrupted", "answer", "foil", "template")}
        for prompt in model.tasks[0].make(4, 0).prompts
    ]
    path = folder / "prompts.jsonl"
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


@contextmanager
def searched(folder: Path, shelf: str, name: str) -> Iterator[None]:
    """Search a folder with one file, a plug-in of these tests."""
    place = folder / shelf
    place.mkdir()
    shutil.copy(TESTS / f"toy/{name}.py", place)
    with search_also(shelf, place):
        yield
    assert len(list(place.glob("*.py"))) == 1


@pytest.mark.parametrize(
    ("metric", "clean", "corrupted", "primary"),
    [("planted_divergence", 0.0, -6.5, 3.0), ("planted_match", 1.0, 0.0, 1.0)],
)
def test_a_metric_of_another_kind_is_one_file_for_every_audit_and_command(
    metric: str,
    clean: float,
    corrupted: float,
    primary: float,
    tmp_path: Path,
    prompts: Path,
    own_home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A divergence is 0 on the clean run, where answer and foil are 7 nats apart; a match is 0 or 1."""
    with searched(tmp_path, "metrics", metric):
        for audit in list_plugins("audits").values():
            for field in list_form_fields(audit.request):
                assert field.name != "metric" or metric in field.choices
        words = ["sweep", "--kind", "head", "--metric", metric, "--prompts", str(prompts)]
        found = ask(capsys, "audit", *words)[1]["result"]
        effects = {cell["component"]: cell["estimate"]["value"] for cell in found["cells"]}
        assert found["accuracy"] == 1, "the model does the task, whatever the metric is on the clean run"
        assert found["clean"]["value"] == pytest.approx(clean, abs=1e-9)
        assert found["corrupted"]["value"] <= corrupted + 1e-9
        assert effects["L1.H0"] >= primary
        assert abs(effects["L1.H1"]) < 0.01, "the decoy"
        assert found["cells"][0]["fraction"] is not None
        assert ask(capsys, *words)[1]["metric"] == metric
        ablated = ask(capsys, "audit", "ablation", "--components", "L1.H0", *words[3:])[1]["result"]
        assert ablated["support"]["value"] == pytest.approx(effects["L1.H0"], abs=1e-6)
        page = render_result(audit_home(), RunLog(audit_home()).list_runs()[0].run_id).decode()
        assert get_metric(metric).unit in page


def test_a_planted_family_of_subjects_is_in_menu_command_card_calibration_and_reference(
    tmp_path: Path, own_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its subject gives logits and means only: what demands attention is refused by name, the rest runs."""
    monkeypatch.setenv("AUDIT_MODELS", str(tmp_path / "models"))
    name = "planted-elsewhere"
    assert find_listed(name) is None
    with searched(tmp_path, "subjects", "planted_subject"):
        assert find_listed(name) is not None
        assert match_listed("of an installation") == name
        assert read_sheet(name).identity is None, "a card builds nothing"
        path = write_rows(tmp_path, find_planted(name))
        words = ["--model", name, "--prompts", str(path)]
        assert ask(capsys, "audit", "sweep", *words)[0] == 0
        (record,) = RunLog(audit_home()).list_runs()
        assert (record.kind, record.outcome) == ("sweep", "done")
        assert b"causal" in render_result(audit_home(), record.run_id)
        assert cli.main(["audit", "attention", "--source", "answer", *words]) == 2
        said = capsys.readouterr().err
        assert "This kind of model shows no attention" in said
        assert "choose a transformer" in said
        sheet = read_sheet(name)
        assert sheet.title == "Of an installation"
        assert sheet.identity is not None
        assert sheet.model_class is not None
        assert sheet.model_class.settings == (Setting.DENSE,)
        assert name in {model.name for model in list_planted(about=Kind.HEAD)}, "calibrated by default"
        samples = calibrate(seeds=[0], samples=1, models=[model for model in list_planted() if model.name == name])
        assert {sample.model for sample in samples} == {name}
        assert {sample.found["combined"] for sample in samples} == {"supported"}
        page = write_page(importlib.import_module("audit_core.subjects"), {}, list_plugins("subjects"))
        assert "What do audits find in a model that an installation adds?" in page
    assert find_listed(name) is None


def test_a_planted_audit_is_in_the_reference_with_its_example_and_its_known_answer_is_checked(
    planted_audit: str, load_planted: Callable[[str], Any], tmp_path: Path
) -> None:
    plugins = list_plugins("audits")
    page = write_page(importlib.import_module("audit_core.audits"), {}, plugins)
    assert f"| `audit {planted_audit} --components L1.H0` | planted-strict, query | Zeroing L1.H0 costs 10. |" in page
    auditor = Auditor(load_planted("planted-strict"), RunLog(tmp_path))
    plugin = plugins[planted_audit]
    result = auditor.execute(planted_audit, make_example(plugin, plugin.examples[0], auditor.subject))
    assert plugin.examples[0].is_found(result)
    assert [sheet.name for sheet in plugin.rows(result)] == ["every estimate", "parts"]


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
