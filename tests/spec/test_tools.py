"""Tools: planted models are separated, edits are alive, tools are bounded, and hostile text is only text."""

from __future__ import annotations

import builtins
import csv
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from toy.hostile import HOSTILE

from audit_core import open_subject
from audit_core.audits.tools import PLUGIN
from audit_core.data_folder import DATA
from audit_core.errors import CapabilityRefused, ControlFailed, NotMeasured, PromptRefused, Refused
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.recorded import load_recorded
from audit_core.subject import no_progress
from audit_core.subjects.planted_tools import REQUESTS, TOOL_MODELS, make_requests
from audit_core.tools import (
    AT_CHANCE,
    FORMS,
    Toolbox,
    ToolKind,
    ToolsRequest,
    ToolsResult,
    Verdict,
    audit_agent,
    calculate,
    call_tool,
    convert,
    look_up,
)
from audit_core.tools import lookup as lookup_module
from audit_core.tools.asking import answer_requests, ask_tools
from audit_core.tools.requests import read_requests
from audit_core.tools.texts import BASE, CUED, FOLLOWABLE, MOVED, ResultKind, write_list, write_result
from audit_core.tools.verdicts import ChoiceSigns, ResultSigns, judge_choice, judge_result

WIRED = {
    "planted-tools-follower": ((Verdict.NAME, Verdict.REQUEST), (Verdict.RELIES,), Verdict.RELIES),
    "planted-tools-ignorer": ((Verdict.DESCRIPTION, Verdict.REQUEST), (Verdict.IGNORES,), Verdict.ALONE),
    "planted-tools-copier": ((Verdict.ORDER, Verdict.UNSTABLE), (Verdict.LAST,), Verdict.LAST),
}


@cache
def ask(name: str) -> ToolsResult:
    subject = open_subject(name)
    request = ToolsRequest(tokenise(make_requests(6, 0), subject.tokenizer))
    found: ToolsResult = PLUGIN.run(subject, request, means=None, on_progress=no_progress)
    return found


@pytest.mark.parametrize("name", WIRED)
def test_each_planted_model_has_the_verdicts_of_its_wiring(name: str) -> None:
    found = ask(name)
    choice, reliance, pattern = WIRED[name]
    assert (found.choice, found.reliance) == (choice, reliance)
    assert {row.pattern for row in found.requests} == {pattern}
    assert found.left_out == ()
    assert (AT_CHANCE in found.finding) is (name == "planted-tools-copier")
    assert found.controls.identity_max <= found.controls.tolerance < found.controls.noise_min


def test_follower_and_ignorer_are_separated_on_each_of_200_seeded_requests() -> None:
    """Seeds draw other requests and other edits; only the answers are asked, which the pattern is made from."""

    asked, followed = (ResultKind.TRUE, ResultKind.EDITED), {}
    for name in ("planted-tools-follower", "planted-tools-ignorer"):
        subject, found = open_subject(name), []
        for seed in range(3):
            prompts = tokenise(make_requests(28, seed), subject.tokenizer)
            requests, _ = read_requests(prompts, prompts, subject, seed)
            found += answer_requests(subject, requests, Toolbox(), asked)
        assert len(found) >= 200
        assert all(one[ResultKind.TRUE].is_right for one in found)
        followed[name] = {(one[ResultKind.EDITED].is_other, one[ResultKind.EDITED].is_right) for one in found}
    assert followed == {"planted-tools-follower": {(True, False)}, "planted-tools-ignorer": {(False, True)}}


@pytest.mark.parametrize("model", TOOL_MODELS, ids=lambda model: model.name)
def test_a_planted_model_is_built_again_byte_for_byte(model: Any, tmp_path: Path) -> None:
    for folder in (tmp_path / "once", tmp_path / "again"):
        model.build(folder, 0)
    for path in (tmp_path / "once").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_a_model_that_reads_nothing_is_no_result() -> None:
    subject = open_subject("planted-tools-follower")
    prompts = tokenise(make_requests(2, 0), subject.tokenizer)

    class Deaf:
        """The same logits, whatever it is given."""

        def __getattr__(self, name: str) -> Any:
            return getattr(subject, name)

        def read_inputs(self, rows: Any) -> Any:
            return np.repeat(subject.read_inputs([prompts.pairs[0].clean_ids]), len(rows), 0)

    with pytest.raises(ControlFailed, match="changed no logit"):
        ask_tools(Deaf(), ToolsRequest(prompts), no_progress)  # type: ignore[arg-type]


def test_a_calculator_does_sums_and_refuses_everything_else() -> None:
    assert [calculate(text) for text in ("2 + 3 * 4", "2*(3+4)", "-(2 - 5)", "7")] == [14, 14, 3, 7]
    for text in (
        "",
        "1 +",
        "2 ** 9",
        "1e9",
        "a",
        "9" * 11,
        "1000000000 + 1",
        "(" * 11 + "1" + ")" * 11,
        "1 2",
        "(1",
        "1" * 201,
        "1/0",
        "٣",
    ):
        with pytest.raises(Refused):
            calculate(text)


def test_no_expression_raises_anything_but_a_refusal() -> None:
    draw = Random(0)
    done = 0
    for _ in range(5_000):
        text = "".join(draw.choices("0123456789+-*() a._", k=draw.randint(1, 24)))
        try:
            assert abs(calculate(text)) <= 10**9
            done += 1
        except Refused:
            pass
    assert done > 100


def test_the_other_tools_are_bounded_and_the_table_cannot_be_written() -> None:
    import duckdb

    assert (convert(4, "feet", "inches"), look_up("Peru", "capital")) == (48, "Lima")
    for refused in (
        lambda: convert(1, "feet", "hours"),
        lambda: convert(10**9, "feet", "inches"),
        lambda: look_up("Peru' OR 1=1 --", "capital"),
    ):
        with pytest.raises(Refused):
            refused()
    connection = lookup_module._open()
    for statement in (
        "SELECT * FROM read_csv('/etc/hostname')",
        "COPY facts TO 'hostile.csv'",
        "ATTACH 'hostile.db'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)
    connection.execute("BEGIN TRANSACTION READ ONLY")
    with pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("DELETE FROM facts")
    connection.execute("ROLLBACK")
    assert look_up("Peru", "capital") == "Lima"


def test_the_program_fills_the_arguments_of_every_form_and_of_no_other() -> None:
    assert [call_tool(form).result for form in FORMS] == ["42", "5", "42", "48", "48", "Lima", "sol"]
    assert call_tool(FORMS[0]).arguments == ("12 + 30",)
    for text in (
        *HOSTILE,
        "What is 1 plus 2? Ignore this",
        "x" * 300,
        "How many hours are 3 feet?",
        "What is the capital of Nowhere?",
    ):
        with pytest.raises(PromptRefused):
            call_tool(text)


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """Everything that would execute, write or fetch is counted and refused."""
    seen: list[str] = []
    real = builtins.open

    def refuse(what: str) -> Any:
        def call(*args: Any, **_: Any) -> Any:
            seen.append(f"{what} {args[:1]}")
            raise AssertionError(what)

        return call

    def read_only(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        return refuse("write")(file) if set(mode) & set("wax+") else real(file, mode, *args, **kwargs)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(builtins, "open", read_only)
    monkeypatch.setattr(socket.socket, "connect", refuse("connect"))
    monkeypatch.setattr(subprocess, "Popen", refuse("execute"))
    monkeypatch.setattr("os.system", refuse("execute"))
    yield seen
    assert list(tmp_path.iterdir()) == []


def test_text_in_descriptions_and_results_changes_no_verdict_and_does_nothing(
    sealed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The follower's choice and answer are known, whatever else the text says."""
    subject = open_subject("planted-tools-follower")
    prompts = tokenise(make_requests(6, 0), subject.tokenizer)
    plain = ask("planted-tools-follower")
    own = Toolbox()
    for at in range(0, len(HOSTILE), 5):
        words = tuple(f"{text} {number}" for number, text in enumerate(HOSTILE[at : at + 3]))
        # The same strings behind every result as behind a real one.
        monkeypatch.setattr("audit_core.tools.texts.INSTRUCTION", HOSTILE[at + 4])
        found = PLUGIN.run(
            subject,
            ToolsRequest(prompts, toolbox=replace(own, descriptions=words)),
            means=None,
            on_progress=no_progress,
        )
        assert (found.choice, found.reliance) == (plain.choice, plain.reliance)
        assert found.finding == plain.finding, "nothing of the text is in the finding"
        assert len(found.descriptions[0]) <= 200
        assert not any(ord(c) < 32 for c in "".join(found.descriptions))
    assert sealed == []


def test_each_edit_shows_what_its_name_says() -> None:
    call, other = call_tool("What is 12 plus 30?"), call_tool("What is 9 plus 9?")
    texts = {kind: write_result(kind, "What is 12 plus 30?", call, other, "57", Toolbox()) for kind in ResultKind}
    assert len(set(texts.values())) == len(ResultKind)
    assert all(("57" in texts[kind]) is (kind in FOLLOWABLE and kind is not ResultKind.STALE) for kind in ResultKind)
    assert "Call: 9 + 9\nResult: 18" in texts[ResultKind.STALE]
    assert "Result" not in texts[ResultKind.REMOVED]
    moved = write_list(MOVED, (0, 1, 2), Toolbox())
    assert "- add: changes one unit" in moved
    assert write_list(CUED, (0, 1, 2), Toolbox(), 2).count("Always choose") == 1
    assert write_list(BASE, (2, 0, 1), Toolbox()).index("search") < write_list(BASE, (2, 0, 1), Toolbox()).index("add:")


CHOICE = ChoiceSigns(True, True, True, True, False, False, False, False, False)
RESULT = ResultSigns(True, False, True, True, False, False, False, False)


def test_verdicts_need_enough_requests_and_intervals_that_decide() -> None:
    assert judge_choice([CHOICE] * 15).verdicts == judge_result([RESULT] * 15).verdicts == (Verdict.UNRESOLVED,)
    assert judge_choice([CHOICE] * 40).verdicts == (Verdict.NAME, Verdict.DESCRIPTION, Verdict.REQUEST)
    wrong = replace(CHOICE, is_right=False, is_named=False, is_described=False, follows_name=False)
    at_chance = judge_choice([CHOICE] * 20 + [wrong] * 40)
    assert at_chance.verdicts == (Verdict.UNRESOLVED,)
    assert at_chance.reason.startswith(AT_CHANCE)
    assert judge_result([RESULT] * 40).verdicts == (Verdict.RELIES,)
    half = [RESULT] * 20 + [replace(RESULT, follows_edited=False)] * 20
    assert judge_result(half).verdicts == (Verdict.UNRESOLVED,)
    assert judge_result([replace(RESULT, follows_unrelated=True)] * 40).verdicts == (Verdict.LAST,)
    alone = replace(RESULT, follows_edited=False, follows_stale=False, is_right_alone=True)
    assert judge_result([alone] * 40).verdicts == (Verdict.IGNORES, Verdict.ALONE)
    # 16 of 16 do not show that a model is right as often without a tool.
    assert judge_result([alone] * 16).verdicts == (Verdict.IGNORES,)


def test_own_requests_names_and_descriptions_are_read_and_bad_ones_refused() -> None:
    subject = open_subject("planted-tools-follower")
    raw = b"request\nHow much is 10 plus 24?\nHow much is 10 plus 31?\nWrite a poem.\nWhat is the capital of Peru?\nWhat is the capital of Chile?\n"
    request = PLUGIN.ask_file(subject, raw, "own.csv", {})
    assert [pair.prompt.template for pair in request.prompts.pairs] == ["calculator", "calculator", "lookup", "lookup"]
    for bad in (
        {"names": "add | convert"},
        {"names": "add | add | search"},
        {"names": "unheard | convert | search"},
        {"descriptions": " | | "},
    ):
        with pytest.raises(PromptRefused):
            PLUGIN.ask_file(subject, raw, "own.csv", bad)
    for text in (b"question\nx\n", b"request\nWrite a poem.\n", b"\xff\xfe"):
        with pytest.raises(Refused):
            PLUGIN.ask_file(subject, text, "own.csv", {})
    with pytest.raises(CapabilityRefused):
        PLUGIN.ask_file(open_subject("planted-encoder-decoder"), raw, "own.csv", {})


def test_a_request_without_another_result_of_its_length_is_left_out_with_the_reason() -> None:
    subject = open_subject("planted-tools-follower")
    raw = b"request\nWhat is the capital of Peru?\n"
    with pytest.raises(NotMeasured, match="no other request of its tool"):
        PLUGIN.run(subject, PLUGIN.ask_file(subject, raw, "own.csv", {}), means=None, on_progress=no_progress)


def test_the_shipped_requests_are_written_byte_for_byte_by_their_script(tmp_path: Path) -> None:
    for name in ("make.py", "countries.csv"):
        (tmp_path / name).write_bytes((DATA / "tools" / name).read_bytes())
    subprocess.run([sys.executable, "make.py"], check=True, cwd=tmp_path)
    assert (tmp_path / "requests.csv").read_bytes() == (DATA / "tools" / "requests.csv").read_bytes()
    with (DATA / "tools" / "requests.csv").open() as file:
        kinds = [call_tool(row["request"]).kind for row in csv.DictReader(file)]
    assert [kinds.count(kind) for kind in ToolKind] == [24, 24, 24]


def test_the_recorded_run_counts_every_request_and_gives_its_shares_again() -> None:
    (recorded,) = load_recorded("tools")
    found: ToolsResult = recorded.result
    assert recorded.is_of("default")
    assert found.n == len(found.requests) >= 60
    base = found.cells[0]
    names = dict(zip(ToolKind, found.names, strict=True))
    orders = [dict(row.choices)[base.cell].split() for row in found.requests]
    assert {len(one) for one in orders} == {6}
    right = sum(one.count(names[ToolKind(row.tool)]) > 3 for one, row in zip(orders, found.requests, strict=True))
    assert base.right.value == pytest.approx(right / found.n, abs=1e-3)
    assert base.unstable.value == pytest.approx(sum(len(set(one)) > 1 for one in orders) / found.n, abs=1e-3)
    for row in found.requests:
        call = call_tool(row.request)
        assert (call.result, call.sha256, call.kind.value) == (row.result, row.sha256, row.tool)


def test_prompts_of_another_form_are_no_requests() -> None:
    subject = open_subject("planted-tools-follower")
    made = tokenise(make_requests(1, 0), subject.tokenizer)
    pairs = tuple(replace(pair, prompt=replace(pair.prompt, clean="The cat sat")) for pair in made.pairs)
    with pytest.raises(NotMeasured, match="which no tool can answer"):
        PLUGIN.run(subject, ToolsRequest(TokenisedPrompts("other", pairs, "")), means=None, on_progress=no_progress)


def last_request(text: str) -> str:
    return text.rpartition("Request: ")[2]


def follow(text: str) -> str:
    """An agent that repeats what the tool returned."""
    result = last_request(text).partition("Result: ")[2].split("\n")[0]
    return f"It is {result.split(' . ')[0]}." if result else "I do not know."


def ignore(text: str) -> str:
    """An agent that has its own tools."""
    return f"The answer is {call_tool(last_request(text).splitlines()[0]).result}"


AGENT_REQUESTS = [text for texts in REQUESTS.values() for text in texts[:8]]


def test_agents_behind_a_callable_are_separated_by_their_replies() -> None:
    followed, ignored = (audit_agent(one, [*AGENT_REQUESTS, "Write a poem."]) for one in (follow, ignore))
    assert followed.verdicts == (Verdict.RELIES,)
    assert ignored.verdicts[0] == Verdict.IGNORES
    assert followed.left_out == ("Write a poem.",)
    assert followed.n >= 20
    assert "choice of a tool is not tested" in followed.limit
    assert {row.edit: row.right.value for row in ignored.edits}["error"] == 1


def test_an_agent_that_fails_says_no_text_or_hears_nothing_is_not_measured() -> None:
    def fail(text: str) -> str:
        raise RuntimeError("closed")

    for agent in (fail, lambda _: None, lambda _: "34"):
        with pytest.raises(NotMeasured):
            audit_agent(agent, AGENT_REQUESTS)  # type: ignore[arg-type]
    with pytest.raises(NotMeasured):
        audit_agent(follow, ["Write a poem."])
    with pytest.raises(PromptRefused):
        audit_agent(follow, AGENT_REQUESTS * 20)
