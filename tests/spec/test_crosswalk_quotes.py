"""Each quote of the crosswalk is literally in its clause of the pinned copy, where the folder of public texts is present."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from audit_core.references.crosswalk import ClauseCheck, CrosswalkRow, TextCopy
from audit_core.references.crosswalk_file import load_crosswalk

TEXTS = Path(os.environ.get("PUBLIC_DATA", Path(__file__).resolve().parents[3] / "shared/data")) / "law"
SHIPPED = load_crosswalk()
needs_texts = pytest.mark.skipif(
    not TEXTS.is_dir(),
    reason=f"quotes are NOT compared with the texts: {TEXTS} is missing (set PUBLIC_DATA to the folder of public data)",
)
KEYS = {
    "eu_ai_act_articles": ("article", "content"),
    "eu_ai_act_annexes": ("annex", "content"),
    "nist_ai_rmf_subcategories": ("subcategory_id", "description"),
    "nist_ai_600_1_actions": ("action_id", "suggested_action"),
}
LEAST = 20
"""Characters of the shortest quote that still says which clause it is from."""


def read_entries(copy: TextCopy) -> Mapping[str, str]:
    """Text of each entry of a copy: an article, an annex, a subcategory, or a section under a heading."""
    text = (TEXTS / copy.file).read_text(encoding="utf-8")
    if copy.id in KEYS:
        key, content = KEYS[copy.id]
        return {str(row[key]): row[content] for row in json.loads(text)}
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    after = re.search(r"MANAGE 1\.1:(.*?)MANAGE 1\.2:", text, re.DOTALL)
    assert after is not None
    return sections | {"MANAGE 1.1": after[1]}


def cut_clause(text: str, clause: str) -> str:
    """Return the paragraph and point that `Art. 13(3)(b)(ii)` or `Annex IV 2(g)` names, within its article or annex."""
    number = re.sub(r"^(Art\. \d+|Annex [IVX]+)", "", clause).strip()
    for mark in re.findall(r"^\d+|\([^)]+\)", number):
        bare = mark.strip("()")
        if bare.isdigit():
            start, end = f"{bare}. ", f" {int(bare) + 1}. "
        elif re.fullmatch("[ivx]+", bare):
            start, end = f"({bare}) ", r" \((?:[ivx]+|[a-z])\) "
        else:
            start, end = f"({bare}) ", f" \\({chr(ord(bare) + 1)}\\) "
        at = re.search(rf"(?:^|(?<= )){re.escape(start)}", text)
        assert at is not None, f"{clause}: {mark} is not in the copy"
        text = re.split(end if end.startswith(r" \(") else re.escape(end), text[at.end() :], maxsplit=1)[0]
    return text


READ = [row for row in SHIPPED.rows if row.quote is not None]


@needs_texts
@pytest.mark.parametrize("copy", SHIPPED.copies, ids=lambda copy: copy.id)
def test_the_texts_are_the_pinned_ones(copy: TextCopy) -> None:
    assert hashlib.sha256((TEXTS / copy.file).read_bytes()).hexdigest() == copy.sha256


@needs_texts
@pytest.mark.parametrize("row", READ, ids=lambda row: f"{row.evidence}-{row.clause}")
def test_each_quote_is_literally_in_the_clause_that_its_row_names(row: CrosswalkRow) -> None:
    copy = SHIPPED.find_copy(row)
    assert copy is not None
    assert row.quote is not None
    assert row.entry is not None
    text = read_entries(copy)[row.entry]
    if row.framework == "eu_ai_act":
        assert re.match(rf"(?:Art\.|Annex) {row.entry}\b", row.clause)
        # A quote that begins before its point and includes the point's mark is in the paragraph.
        last = row.clause[row.clause.rindex("(") :] if "(" in row.clause else "\n"
        clause = row.clause.removesuffix(last) if last in row.quote else row.clause
        assert row.quote in cut_clause(text, clause)
    else:
        assert row.entry == row.clause
        assert row.quote in text


@needs_texts
def test_each_quote_of_an_act_is_literally_in_its_entry() -> None:
    quoted = [act for act in SHIPPED.acts if act.quote is not None]
    assert quoted
    copies = {copy.id: read_entries(copy) for copy in SHIPPED.copies}
    assert [act.id for act in quoted if act.quote not in copies[str(act.copy)][str(act.entry)]] == []


@needs_texts
def test_a_quote_with_one_changed_sign_is_not_found() -> None:
    """Or the comparison reads nothing: the publication has a dash where the copy has a hyphen."""
    row = next(row for row in READ if row.quote is not None and " - " in row.quote)
    copy = SHIPPED.find_copy(row)
    assert copy is not None
    assert row.quote is not None
    assert row.quote.replace(" - ", " – ") not in read_entries(copy)[str(row.entry)]


@needs_texts
def test_a_quote_of_another_paragraph_is_not_found() -> None:
    articles = read_entries(next(copy for copy in SHIPPED.copies if copy.id == "eu_ai_act_articles"))
    quote = next(row.quote for row in READ if row.clause == "Art. 9(8)")
    assert quote is not None
    assert [n for n in range(1, 11) if quote in cut_clause(articles["9"], f"Art. 9({n})")] == [8]
    points = [
        n
        for n in ("i", "ii", "iii", "iv", "vii")
        if "explain its output" in cut_clause(articles["13"], f"Art. 13(3)(b)({n})")
    ]
    assert points == ["iv"]


def test_without_the_texts_each_quote_at_least_has_its_digest_and_a_copy() -> None:
    """This does not show that a quote is in the text; only the tests above do."""
    for row in READ:
        assert row.quote is not None
        assert len(row.quote) >= LEAST
        assert hashlib.sha256(row.quote.encode()).hexdigest() == row.quote_sha256
        assert SHIPPED.find_copy(row) is not None
    assert {row.status for row in READ} == {ClauseCheck.COPY}


def test_no_more_of_a_text_ships_than_short_quotes() -> None:
    assert max(len(row.quote or "") for row in SHIPPED.rows) <= 300
