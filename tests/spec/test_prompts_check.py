"""`prompts check`: counts, every bad row, the kept rows as a file, and an exit code that says which; `--column` everywhere."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from toy.additive import WordTokenizer

from audit_core.cli import build_parser, main
from audit_core.cli.lazy_parser import LazyParser
from audit_core.prompts.alignment import align_rows
from audit_core.prompts.prompt_set import load_prompts, parse_prompts

GOOD = "".join(f"r{n},the cat {n},the dog {n}, down, up,t\n" for n in range(3))
HEADER = "id,clean,corrupted,answer,foil,template\n"
BAD = "".join(f"b{n},the cat {n},the dog {n},, up,t\n" for n in range(30))


def check(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["prompts", "check", *map(str, arguments)])
    return code, out.getvalue(), err.getvalue()


def write(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_good_rows_exits_with_0_and_counts_them(tmp_path: Path) -> None:
    code, out, _ = check(write(tmp_path, HEADER + GOOD))
    assert code == 0
    assert "read as CSV" in out
    assert "3 rows: 3 kept, 0 set aside, 0 repeats" in out
    assert "3 distinct pairs of prompts, 1 templates" in out


def test_every_bad_row_is_listed_with_its_remedy_and_the_good_ones_are_written(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    code, out, _ = check(write(tmp_path, HEADER + BAD + GOOD + GOOD), "--out", kept)
    assert code == 1
    assert [f"row 'b{n}': answer is missing; give it" in out for n in range(30)] == [True] * 30
    assert "36 rows: 3 kept, 30 set aside (30 missing), 3 repeats" in out
    assert [prompt.id for prompt in load_prompts(kept).prompts] == ["r0", "r1", "r2"]


def test_the_document_holds_what_the_text_says(tmp_path: Path) -> None:
    code, out, _ = check(write(tmp_path, HEADER + BAD + GOOD + "x,y\n"), "--json")
    found = json.loads(out)
    assert code == 1
    assert (found["form"], found["rows"], found["kept"], found["set_aside"]) == (
        "CSV",
        34,
        3,
        {"cells": 1, "missing": 30},
    )
    assert found["bad"][0]["place"] == "line 35"
    assert {row["row"] for row in found["bad"][1:]} == {f"b{n}" for n in range(30)}
    assert all(row["remedy"] for row in found["bad"])


def test_a_row_with_two_faults_is_counted_once(tmp_path: Path) -> None:
    found = json.loads(check(write(tmp_path, HEADER + GOOD + "b,the cat,the dog,,,t\n"), "--json")[1])
    assert (found["rows"], found["set_aside"], len(found["bad"])) == (4, {"missing": 1}, 2)


@pytest.mark.parametrize("text", [HEADER + BAD, HEADER, "", "no header\n1\n"])
def test_nothing_that_can_be_used_exits_with_2_and_writes_nothing(text: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    code, _, err = check(write(tmp_path, text), "--out", kept)
    assert code == 2
    assert err
    assert not kept.exists()


def test_a_file_that_is_there_is_not_written_over_without_being_asked(tmp_path: Path) -> None:
    path, kept = write(tmp_path, HEADER + GOOD), tmp_path / "kept.jsonl"
    kept.write_text("mine")
    code, _, err = check(path, "--out", kept)
    assert (code, kept.read_text()) == (2, "mine")
    assert "--force" in err
    assert check(path, "--out", kept, "--force")[0] == 0
    assert len(load_prompts(kept)) == 3


def test_a_folder_that_is_not_there_for_the_kept_rows_is_refused(tmp_path: Path) -> None:
    code, _, err = check(write(tmp_path, HEADER + GOOD), "--out", tmp_path / "none/kept.jsonl")
    assert code == 2
    assert "cannot be written" in err


def test_columns_are_mapped_and_a_mapping_that_is_none_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER.replace("answer", "label") + GOOD)
    assert check(path)[0] == 2
    assert check(path, "--column", "answer=label")[0] == 0
    for wrong in ("answer", "answer=", "reply=label", "answer=none"):
        code, _, err = check(path, "--column", wrong)
        assert code == 2
        assert "Wanted:" in err
    assert "--column" in check(path, "--column", "answer=label", "--column", "answer=foil")[2]


def test_what_a_terminal_would_obey_is_written_as_numbers(tmp_path: Path) -> None:
    _, out, _ = check(write(tmp_path, HEADER + GOOD + "\x1b[31m,a,b,,y,t\n"))
    assert "\x1b" not in out


def list_commands(parser: LazyParser) -> Iterator[tuple[str, LazyParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                sub.fill()
                yield name, sub
                yield from list_commands(sub)


def test_every_command_that_takes_prompts_takes_columns() -> None:
    taking = {
        name: {option for action in sub._actions for option in action.option_strings}
        for name, sub in list_commands(build_parser())
    }
    asked = {name for name, options in taking.items() if "--prompts" in options}
    assert {"sweep", "test", "prereg", "discover", "circuit", "paths", "attention-tests", "diff", "revalidate"} <= asked
    assert {name for name in asked if "--column" not in taking[name]} == set()


def test_rows_that_a_tokenizer_refuses_are_named_and_the_others_are_kept() -> None:
    text = HEADER + "a,the cat sat,the dog sat, down, up,t\nb,the cat sat on,the dog sat, down, up,t\n"
    found = align_rows(parse_prompts(text.encode(), name="set"), WordTokenizer())
    assert found.kept is not None
    assert [pair.prompt.id for pair in found.kept.pairs] == ["a"]
    assert [(fault.row_id, fault.text[:22]) for fault in found.faults] == [("b", "clean has 5 tokens and")]
