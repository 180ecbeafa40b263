"""`test` on the command line: one claim, a report of several, and an instrument that is dead."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit_core import cli
from audit_core.component import Kind
from audit_core.store import RunLog
from audit_core.subjects.planted import find_planted

Load = Callable[[str], Any]
CLAIM = 'name = "a claim"\ncomponents = ["{part}"]\nuniverse = "heads+mlps"\n'


@pytest.fixture
def ask(
    load_planted: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Claims about components of planted-strict, tested by the command; returns its exit code and its JSON."""
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    monkeypatch.setattr("audit_core.cli.session.open_subject", lambda name, on_progress: subject)
    rows = [
        {
            "id": p.id,
            "clean": p.clean,
            "corrupted": p.corrupted,
            "answer": p.answer,
            "foil": p.foil,
            "template": p.template,
        }
        for p in model.find_task("query").make(4, 0).prompts
    ]
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("\n".join(map(json.dumps, rows)))

    def run(*parts: str) -> tuple[int, dict[str, Any]]:
        files = [tmp_path / f"{part}.toml" for part in parts]
        for file, part in zip(files, parts):
            file.write_text(CLAIM.format(part=part))
        code = cli.main(["test", *map(str, files), "--prompts", str(prompts), "--half", "all", "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_a_claim_comes_with_all_that_could_speak_against_it(ask: Callable[..., Any]) -> None:
    code, found = ask("L1.H0")
    assert (code, found["state"]) == (0, "supported")
    assert found["null"]["draws"] == 199
    assert found["null"]["p"] <= 0.05
    assert found["self_repair"]["direct"]["value"] == pytest.approx(10, abs=0.05)
    assert found["mediation"]["total"]["unit"] == "logits"
    assert set(found["families"]) == {"resample", "mean", "zero"}


def test_too_few_prompts_are_inconclusive_with_exit_code_3(ask: Callable[..., Any], tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("\n".join(prompts.read_text().splitlines()[:2]))
    code, found = ask("L1.H0")
    assert (code, found["state"], found["reason"]) == (3, "inconclusive", "low_power")


def test_claims_of_one_report_must_each_beat_chance_in_all_of_it(ask: Callable[..., Any]) -> None:
    """Holm over two claims: each of the two verdicts is the same among ten."""
    code, report = ask("L1.H0", "L1.H1")
    found, decoy = report["claims"]
    assert (code, found["state"], decoy["state"]) == (0, "supported", "negligible")
    assert (found["holds_among"], decoy["holds_among"]) == (10, 10)
    assert found["report"] == {"claims": 2, "stands": True}
    assert decoy["null"]["draws"] == 0, "chance could only take support away, and there is none"


@pytest.mark.parametrize("kind, part", [(Kind.HEAD, "L1.H0"), (Kind.MLP, "L1.MLP")])
def test_a_dead_hook_ends_as_a_failed_control_and_gives_no_number(
    kind: Kind, part: str, ask: Callable[..., Any], load_planted: Load, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = load_planted("planted-strict").runner.model.points[kind, 1]
    with monkeypatch.context() as patch:
        patch.setattr(point, "add_hook", _ignored(point.add_hook))
        code, found = ask(part)
    assert (code, found["state"], found["reason"]) == (3, "inconclusive", "control_failed")
    assert found["families"] == {}
    assert '"value"' not in json.dumps(found)
    (row,) = RunLog(own_home).export()
    assert (row["outcome"], row["reason"]) == ("not_measured", "control_failed")
    assert ask(part)[1]["reason"] != "control_failed", "once the hook lives the claim is tested again"


def _ignored(original: Callable[..., Any]) -> Callable[..., Any]:
    """The hook is called and what it returns is thrown away: the silent no-op."""

    def add(hook: Callable[..., Any], **options: Any) -> Any:
        def drop(value: Any, hook: Any, wrapped: Callable[..., Any] = hook) -> None:
            wrapped(value, hook=hook)

        return original(drop, **options)

    return add


def test_text_says_what_json_says_for_every_role_and_state(
    load_planted: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ask: Any
) -> None:
    """A cause, a decoy, a negative head, a set that suffices and one that does not: a person can read each."""
    prompts, claim = tmp_path / "prompts.jsonl", tmp_path / "claim.toml"
    for parts, role, state in (
        (["L1.H0"], "necessary", "SUPPORTED"),
        (["L1.H1"], "necessary", "NEGLIGIBLE"),
        (["L1.H3"], "necessary", "REVERSED"),
        (["L0.H0", "L1.H0", "L1.H3"], "sufficient", "SUPPORTED"),
        (["L0.H0", "L1.H1", "L1.H2"], "sufficient", "NEGLIGIBLE"),
    ):
        claim.write_text(f'name = "a claim"\ncomponents = {json.dumps(parts)}\nrole = "{role}"\n')
        assert cli.main(["test", str(claim), "--prompts", str(prompts), "--half", "all"]) == 0
        reported = capsys.readouterr().out
        assert reported.startswith(f"{state}: ")
        assert ("baseline  p = " in reported) or ("baseline  not drawn: " in reported)
        assert "resample" in reported


def test_more_claims_than_draws_can_carry_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ask: Any
) -> None:
    claim = tmp_path / "claim.toml"
    claim.write_text(CLAIM.format(part="L1.H0"))
    code = cli.main(["test", *[str(claim)] * 11, "--prompts", str(tmp_path / "prompts.jsonl")])
    assert code == 2
    assert "at most 10" in capsys.readouterr().err


def test_discovery_proposes_from_the_exploratory_split_and_says_what_it_misses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ask: Any
) -> None:
    prompts = str(tmp_path / "prompts.jsonl")
    assert cli.main(["discover", "--prompts", prompts, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["components"][0], found["is_measured"], found["method"]) == ("L1.H0", True, "exact")
    assert cli.main(["discover", "--prompts", prompts, "--method", "attribution_patching"]) == 0
    reported = capsys.readouterr().out
    assert "not measured" in reported
    assert "It misses: " in reported
    assert cli.main(["discover", "--prompts", prompts, "--half", "all"]) == 2
