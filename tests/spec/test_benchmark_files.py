"""Benchmark files in six formats: items as published, hostile files refused with row and remedy, and written answers compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit_core.benchmarks import MatchRule, read_benchmark, read_benchmark_file
from audit_core.benchmarks.exact_match import is_match
from audit_core.benchmarks.item import MAX_CHARACTERS, MAX_FILE_BYTES, MAX_ROWS
from audit_core.errors import Refused


def write_lines(*rows: object) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


GSM8K = write_lines({"question": "Two and two?", "answer": "2+2=<<2+2=4>>4\n#### 4"})
MATH = write_lines({"problem": "Half of 1?", "solution": "It is $\\boxed{\\frac{1}{2}}$.", "type": "Algebra"})
BBH = json.dumps(
    {"canary": "x", "examples": [{"input": "Pick.\nOptions:\n(A) red\n(B) blue", "target": "(B)"}]}
).encode()
MMLU = b'"Which, of these?",one,two,three,four,C\nAnother?,1,2,3,4,A\n'
MMLU_MIRROR = b"question,A,B,C,D,answer\nWhich?,one,two,three,four,2\n"
ARC = write_lines(
    {
        "id": "Q1", "question": {"stem": "Why?", "choices": [{"text": "yes", "label": "A"}, {"text": "no", "label": "B"}]},
        "answerKey": "B",
    }
)  # fmt: skip
ARC_FLAT = write_lines(
    {"id": "Q1", "question": "Why?", "choices": {"text": ["yes", "no"], "label": ["1", "2"]}, "answerKey": "2"}
)
ARC_INSTRUCTION = json.dumps(
    [
        {
            "instruction": "Please choose the correct answer to the question: Why?\n\nAnswer1: yes Answer2: no\n\n"
            "Answer format: answer1/answer2", "answer": "answer2",
        }
    ]
).encode()  # fmt: skip
DROP = write_lines(
    {"context": "Passage: Ann won.\nQuestion: Who won?\nAnswer:", "completion": " Ann", "ref_text": "Ann|Ann B."}
)


@pytest.mark.parametrize(
    ("raw", "form", "question", "options", "right", "references"),
    [
        (GSM8K, "gsm8k", "Two and two?", (), 0, ("4",)),
        (MATH, "competition_math", "Half of 1?", (), 0, ("\\frac{1}{2}",)),
        (BBH, "bbh", "Pick.\nOptions:\n(A) red\n(B) blue", ("(A)", "(B)"), 1, ()),
        (MMLU, "mmlu", "Which, of these?", ("one", "two", "three", "four"), 2, ()),
        (MMLU_MIRROR, "mmlu", "Which?", ("one", "two", "three", "four"), 2, ()),
        (ARC, "arc", "Why?", ("yes", "no"), 1, ()),
        (ARC_FLAT, "arc", "Why?", ("yes", "no"), 1, ()),
        (ARC_INSTRUCTION, "arc", "Why?", ("yes", "no"), 1, ()),
        (DROP, "drop", "Who won?", (), 0, ("Ann", "Ann B.")),
    ],
)
def test_each_published_form_is_found_and_read(
    raw: bytes, form: str, question: str, options: tuple[str, ...], right: int, references: tuple[str, ...]
) -> None:
    found = read_benchmark(raw, name="mine_test.csv")
    item = found.items[0]
    assert (found.format, item.question, item.options, item.right, item.references) == (
        form, question, options, right, references,
    )  # fmt: skip


def test_a_task_with_few_answers_is_a_choice_and_one_with_many_is_written() -> None:
    few = [{"input": f"Is {n} odd?", "target": "yes" if n % 2 else "no"} for n in range(12)]
    many = [{"input": f"What is {n} + 1?", "target": str(n + 1)} for n in range(12)]
    assert read_benchmark(json.dumps(few).encode(), name="a.json").items[1].options == ("no", "yes")
    assert read_benchmark(json.dumps(many).encode(), name="a.json").items[1].references == ("2",)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"x" * (MAX_FILE_BYTES + 1), "bytes"),
        (b"PK\x03\x04\xff\xfe", "not UTF-8"),
        (b"  \n", "is empty"),
        (b"[" * 100_000, "no list of rows"),
        (b'{"question": "Q?", "answer": "#### 1"}\n{broken', "line 2"),
        (b'"unclosed,a,b,c,d,A', "not CSV"),
        (b"a,b\n", "none of the known formats"),
        (write_lines({"question": "Q?", "answer": "#### "}), "no answer"),
        (write_lines({"question": "x" * (MAX_CHARACTERS + 1), "answer": "#### 1"}), "characters"),
        (b"Q?,a,a,b,c,A\n", "the same option twice"),
        (b"Q?,a,b,c,d,E\n", "names no option"),
        (("Q?,a,b,c,d,A\n" * (MAX_ROWS + 1)).encode(), "rows"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_file_is_refused_with_what_is_wrong_and_what_to_do(raw: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        read_benchmark(raw, name="mine")
    assert refused.value.remedy


def test_a_bad_row_is_left_out_and_named() -> None:
    found = read_benchmark(MMLU + b"Broken?,1,2\nAnother?,1,2,3,4,A\n", name="mine.csv")
    assert len(found.items) == 2
    assert [str(fault).split(":")[0] for fault in found.faults] == ["line 3", "line 4"]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_benchmark_file(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("written", "reference", "rule", "is_right"),
    [
        (" $1,080 a year", "1080", MatchRule.NUMBER, True),
        (" 18.0", "18", MatchRule.NUMBER, True),
        (" none", "18", MatchRule.NUMBER, False),
        (" 180", "18", MatchRule.NUMBER, False),
        (" The Pakistanis.", "pakistanis", MatchRule.TEXT, True),
        ("", "", MatchRule.TEXT, False),
        (" $\\dfrac{1}{2}$", "\\frac{1}{2}", MatchRule.FORMULA, True),
        (" \\boxed{7}", "7", MatchRule.FORMULA, True),
        (" " + "9" * 5000, "9", MatchRule.NUMBER, False),
    ],
)
def test_written_answers_are_compared_after_normalisation(
    written: str, reference: str, rule: MatchRule, is_right: bool
) -> None:
    assert is_match(written, [reference], rule) is is_right
