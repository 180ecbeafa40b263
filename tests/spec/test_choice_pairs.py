"""Pairs on the choice of a tool: a sweep over them finds the heads that are wired to choose, and no others."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from audit_core import open_subject
from audit_core.audits.sweep import PLUGIN, SweepRequest
from audit_core.cli import main
from audit_core.data_folder import DATA
from audit_core.errors import PromptRefused
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import load_prompts
from audit_core.subject import no_progress
from audit_core.subjects.planted_tools import make_requests
from audit_core.tools import Factor, Toolbox, write_pairs
from audit_core.tools.toolbox import KINDS, call_tool
from audit_core.tools.wordings import list_wordings

_REQUESTS = [(one.id, one.clean[len("Request: ") : -len("\nTool:")]) for one in make_requests(4, 0).prompts]
CARRIED = {
    ("planted-tools-follower", Factor.REQUEST): {"L1.H0"},
    ("planted-tools-ignorer", Factor.REQUEST): {"L1.H0", "L2.H0"},
    # Descriptions differ in length, so that the name before a word, which L0.H0 writes, moves with them.
    ("planted-tools-ignorer", Factor.DESCRIPTIONS): {"L0.H0", "L2.H0"},
    ("planted-tools-copier", Factor.REQUEST): set(),
}
"""Model and factor → heads whose output differs between the two sides, by the wiring in `planted_tools`."""


@cache
def write(model: str, factor: Factor) -> Any:
    subject = open_subject(model)
    return subject, write_pairs(_REQUESTS, "planted", subject, factor=factor)


@pytest.mark.parametrize(("model", "factor"), CARRIED)
def test_a_sweep_over_the_pairs_finds_the_wired_heads_alone(model: str, factor: Factor) -> None:
    subject, found = write(model, factor)
    assert len(found.prompts) == len(_REQUESTS)
    assert found.left_out == ()
    prompts = tokenise(found.prompts, subject.tokenizer)
    swept = PLUGIN.run(subject, SweepRequest(prompts, prompts), means=None, on_progress=no_progress)
    moved = {cell.component for cell in swept.cells if abs(cell.estimate.value) > 1}
    assert moved == CARRIED[model, factor]
    # A model that takes the first of the list does not do the task, and no fraction of it is carried by anything.
    assert bool(swept.no_fraction) is (model == "planted-tools-copier")
    assert (swept.accuracy == 1) is (model != "planted-tools-copier")


def test_both_sides_ask_for_different_tools_of_one_list() -> None:
    _, found = write("planted-tools-follower", Factor.REQUEST)
    names = dict(zip(Toolbox().names, KINDS, strict=True))
    for one in found.prompts.prompts:
        lists, requests = zip(*(text.split("\nRequest: ") for text in (one.clean, one.corrupted)), strict=True)
        assert lists[0] == lists[1]
        for request, name in zip(requests, (one.answer, one.foil), strict=True):
            assert call_tool(request.removesuffix("\nTool:")).kind is names[name.strip()]
    assert {one.template for one in found.prompts.prompts} == {"as audited"}, "it knows no other words"
    assert len({one.clean.split("\nRequest")[0] for one in found.prompts.prompts}) == 3, "orders take turns"


def test_no_trial_request_of_the_wordings_is_shipped() -> None:
    """Wordings were chosen on these; a shipped one among them would have chosen its own form."""
    with (DATA / "tools" / "requests.csv").open() as stream:
        shipped = {row["request"] for row in csv.DictReader(stream)}
    trial = (
        "How many centimetres are 7 metres?", "How many minutes are 9 hours?", "Change 35 yards into feet.",
        "Change 6 pounds into ounces.", "How many inches are 81 feet?", "What is the capital of Norway?",
        "Name the currency of Japan.", "What is the language of Brazil?", "Name the capital of Egypt.",
        "What is the currency of India?",
    )  # fmt: skip
    assert not shipped & set(trial)
    assert len({one.name for one in list_wordings()}) == len(list_wordings()) == 8


def test_a_command_writes_the_pairs_as_a_prompt_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "mine.csv", tmp_path / "pairs.jsonl"
    file.write_text("id,request\n" + "".join(f"{row},{text}\n" for row, text in [*_REQUESTS, ("x", "Sing.")]))
    words = ["prompts", "tools", "--model", "planted-tools-follower", "--file", str(file), "--out", str(out), "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["pairs"], said["left_out"]) == (len(_REQUESTS), {"no tool can answer it": 1})
    assert load_prompts(out).sha256 == said["sha256"]


@pytest.mark.parametrize(
    ("rows", "names"),
    [([("a", "Sing.")], None), ([("a", "How much is 10 plus 24?")], None), (_REQUESTS, ("add", "add-up", "search"))],
)
def test_what_gives_no_pair_is_refused(rows: Any, names: Any) -> None:
    toolbox = None if names is None else Toolbox(names)
    with pytest.raises(PromptRefused):
        write_pairs(rows, "bad", open_subject("planted-tools-follower"), factor=Factor.REQUEST, toolbox=toolbox)


def test_a_side_of_another_length_does_not_fit() -> None:
    from audit_core import open_subject
    from audit_core.tools.choice_pairs import _Writer
    from audit_core.tools.requests import encode

    subject = open_subject("planted-tools-follower")
    writer, text = _Writer(subject, Factor.REQUEST, Toolbox()), "How much is 10 plus 24?"
    ids = encode(text, subject)
    assert writer._fits(text, ids)
    assert not writer._fits(f"{text} {text}", ids)
