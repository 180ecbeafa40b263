"""A filled checklist: unanswered is no answer, links exist, versions stay, and files cannot run."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from audit_core.errors import IntegrityError, Refused
from audit_core.references.procurement import (
    SHIPPED_CHECKLIST,
    Answer,
    AnswerWord,
    FilledChecklist,
    complete_answers,
    count_answers,
    load_checklist,
    parse_checklist,
)
from audit_core.references.procurement_export import describe_count, dump_filled, write_filled_csv, write_filled_html
from audit_core.store import ChecklistDraft, Checklists
from audit_core.store.database.connection import DATABASE, open_database
from audit_core.store.database.events import Action, list_events

HOSTILE = "<script>alert(1)</script>\u202e=cmd()"


@pytest.fixture
def kept(own_home: Path) -> Checklists:
    own_home.mkdir()
    with open_database(own_home) as connection:
        connection.execute("INSERT INTO claim VALUES ('C-0001', 't', 'anna', 'd', 'm', 'p')")
    return Checklists(own_home)


def save(kept: Checklists, *answers: Answer, by: str = "anna", about: str = "ACME", on: int = 0) -> FilledChecklist:
    return kept.save(load_checklist(), ChecklistDraft(about, answers, "Q-0001" if on else "", on), by=by)


def count_rows(kept: Checklists) -> tuple[int, int]:
    with open_database(kept.home) as connection:
        rows = connection.execute("SELECT count(*) FROM checklist").fetchall()
        return rows[0][0], len(list_events(connection, action=Action.CHECKLIST_SAVED))


def test_the_shipped_list_has_the_items_of_its_source_by_section() -> None:
    assert [(section.id, len(section.items)) for section in load_checklist().sections] == [
        ("disclosures", 4), ("interventions", 3), ("evaluation", 4), ("documentation", 3),
    ]  # fmt: skip
    assert all(item.question.endswith("?") and item.good and item.where for item in load_checklist().items)


def test_unanswered_is_neither_yes_nor_no(kept: Checklists) -> None:
    made = save(kept, Answer("patching", AnswerWord.YES), Answer("routing", AnswerWord.NO))
    counts = count_answers(made.answers)
    assert dict(counts.by_word) == {"yes": 1, "no": 1, "partly": 0, "not applicable": 0, "unanswered": 12}
    assert counts.total == len(load_checklist().items)
    assert counts.unlinked_yes == 1
    assert describe_count(counts).startswith("Of 14 questions: 1 yes, 1 no, 0 partly, 0 not applicable, 12 unanswered.")
    blank = made.find("transfer")
    assert blank is not None
    assert (blank.answer, blank.by, blank.at) == (AnswerWord.UNANSWERED, "", "")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([Answer("no-such-item", AnswerWord.YES)], "no-such-item"),
        ([Answer("routing", AnswerWord.YES), Answer("routing", AnswerWord.NO)], "Two answers"),
        ([Answer("routing", AnswerWord.NOT_APPLICABLE, "  ")], "without a reason"),
        ([Answer("routing", AnswerWord.YES, "x" * 4001)], "4,001 characters"),
        ([Answer("routing", AnswerWord.YES, claims=("C-1",))], "C-1"),
        ([Answer("routing", AnswerWord.YES, claims=("C-0001\n",))], "the link"),
        ([Answer("routing", AnswerWord.YES, packs=("AB" * 32,))], "the link"),
        ([Answer("routing", AnswerWord.YES, packs=("ab" * 32,) * 51)], "51 links"),
    ],
)
def test_an_answer_that_is_none_is_refused(answers: list[Answer], said: str) -> None:
    with pytest.raises(Refused, match=said):
        complete_answers(load_checklist(), answers)


def test_a_claim_that_is_not_registered_here_is_refused_and_nothing_is_saved(kept: Checklists) -> None:
    with pytest.raises(Refused, match="C-0002, which is not in this register"):
        save(kept, Answer("patching", AnswerWord.YES, claims=("C-0001", "C-0002")))
    assert count_rows(kept) == (0, 0)
    save(kept, Answer("patching", AnswerWord.YES, claims=("C-0001",)))
    assert count_rows(kept) == (1, 1)


@pytest.mark.parametrize(("about", "by"), [("", "anna"), ("ACME", " "), ("x" * 201, "anna"), ("ACME", "x" * 81)])
def test_a_checklist_without_names_is_refused(kept: Checklists, about: str, by: str) -> None:
    with pytest.raises(Refused, match="characters for"):
        save(kept, about=about, by=by)
    assert count_rows(kept) == (0, 0)


def test_an_answer_keeps_who_gave_it_until_it_changes(kept: Checklists) -> None:
    first = save(kept, Answer("patching", AnswerWord.NO), Answer("routing", AnswerWord.YES))
    second = save(
        kept, Answer("patching", AnswerWord.NO), Answer("routing", AnswerWord.UNANSWERED), Answer("reports", AnswerWord.YES),
        by="ben", on=1,
    )  # fmt: skip
    by = {answer.item_id: answer.by for answer in second.answers}
    assert (by["patching"], by["routing"], by["reports"], by["transfer"]) == ("anna", "ben", "ben", "")
    assert second.find("patching") == first.find("patching")
    assert kept.find("Q-0001") == (first, second)
    assert kept.list_latest() == (second,)


def test_two_checklists_have_ids_of_their_own(kept: Checklists) -> None:
    assert [save(kept, about=name).checklist_id for name in ("ACME", "Other")] == ["Q-0001", "Q-0002"]
    with pytest.raises(Refused, match="No checklist"):
        kept.find("Q-0003")


def test_a_person_who_did_not_see_the_last_version_is_refused(kept: Checklists) -> None:
    save(kept)
    save(kept, Answer("patching", AnswerWord.NO), by="ben", on=1)
    with pytest.raises(Refused, match="saved by ben; yours is based on 1"):
        save(kept, Answer("patching", AnswerWord.YES), on=1)
    with pytest.raises(Refused, match="No answer changed"):
        save(kept, Answer("patching", AnswerWord.NO), on=2)
    assert count_rows(kept) == (2, 2)


def test_the_event_names_the_digest_of_the_row_and_no_words(kept: Checklists) -> None:
    made = save(kept, Answer("patching", AnswerWord.YES, "a secret sentence", ("C-0001",)))
    with open_database(kept.home) as connection:
        (event,) = list_events(connection, action=Action.CHECKLIST_SAVED)
        ((body,),) = connection.execute("SELECT body FROM checklist").fetchall()
    assert event.payload["digest"] == made.digest == hashlib.sha256(body.encode()).hexdigest()
    assert (event.actor, event.object_id, event.payload["version"], event.payload["claim_ids"]) == ("anna", "Q-0001", 1, ["C-0001"])  # fmt: skip
    assert "secret" not in event.body


def test_a_save_whose_event_is_refused_is_not_made(kept: Checklists, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Refused("no event", wanted="one.", remedy="none.")

    monkeypatch.setattr("audit_core.store.desk.checklist.append_event", refuse)
    with pytest.raises(Refused, match="no event"):
        save(kept)
    assert count_rows(kept) == (0, 0)


@pytest.mark.parametrize("statement", ["DELETE FROM checklist", "UPDATE checklist SET body = ''", "TRUNCATE checklist"])
def test_rows_are_neither_changed_nor_taken_away_by_accident(kept: Checklists, statement: str) -> None:
    save(kept)
    with pytest.raises(duckdb.Error, match="append-only"), open_database(kept.home) as connection:
        connection.execute(statement)
    assert count_rows(kept) == (1, 1)


@pytest.mark.parametrize(
    "attack",
    [
        lambda c: c.execute("UPDATE checklist SET body = replace(body, 'ACME', 'NONE') WHERE version = 1"),
        lambda c: c.execute("DELETE FROM checklist WHERE version = 2"),
        lambda c: c.execute("DELETE FROM checklist"),
        lambda c: c.execute("INSERT INTO checklist SELECT checklist_id, 3, digest, body FROM checklist WHERE version = 2"),
        lambda c: c.execute("UPDATE checklist SET body = '{' WHERE version = 1"),
    ],
)  # fmt: skip
def test_a_row_changed_taken_or_put_in_by_hand_is_found_by_the_log(
    kept: Checklists, attack: Callable[[duckdb.DuckDBPyConnection], object]
) -> None:
    save(kept)
    save(kept, Answer("patching", AnswerWord.NO), on=1)
    with duckdb.connect(str(kept.home / DATABASE)) as raw:
        raw.execute("DROP TRIGGER checklist_kept ON checklist")
        raw.execute("DROP TRIGGER checklist_fixed ON checklist")
        attack(raw)
    with pytest.raises(IntegrityError, match="differ from the"):
        kept.find("Q-0001")
    with pytest.raises(IntegrityError, match="differ from the"):
        kept.list_latest()


def test_the_table_to_take_away_cannot_run_and_has_every_question(kept: Checklists) -> None:
    made = save(kept, Answer("patching", AnswerWord.YES, "=HYPERLINK(1)", ("C-0001",)), about="@acme", by="-anna")
    rows = list(csv.DictReader(io.StringIO(write_filled_csv(made).decode())))
    assert [row["item"] for row in rows] == [item.id for item in load_checklist().items]
    reported = next(row for row in rows if row["item"] == "patching")
    assert (reported["in words"], reported["by"], reported["claims"]) == ("'=HYPERLINK(1)", "'-anna", "C-0001")
    assert {row["answer"] for row in rows if row["item"] != "patching"} == {"unanswered"}


def test_the_page_to_take_away_escapes_what_people_wrote_and_has_no_script(kept: Checklists) -> None:
    made = save(kept, Answer("patching", AnswerWord.YES, HOSTILE, packs=("ab" * 32,)), about=HOSTILE, by=HOSTILE[:60])
    page = write_filled_html(made).decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "⟨U+202E⟩" in page
    assert "default-src 'none'" in page
    assert made.digest in page
    assert "ab" * 32 in page
    assert "Legal assessment not performed" in page
    assert all(item.question in page for item in load_checklist().items)
    assert len(re.findall(r"<td>unanswered</td>", page)) == 13


def test_the_json_to_take_away_is_the_saved_version_with_its_digest(kept: Checklists) -> None:
    made = save(kept, Answer("patching", AnswerWord.PARTLY, "é"))
    reported = json.loads(dump_filled(made))
    assert reported.pop("digest") == made.digest
    assert reported == made.to_json()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["sections"][1]["items"][0].update(id="routing"), "routing is listed twice"),
        (lambda d: d["sections"][0]["items"][0].update(links=["telepathy"]), "links"),
        (lambda d: d["sections"][0]["items"][0].pop("good"), "good"),
        (lambda d: d.update(score=1), "score"),
    ],
)
def test_a_list_that_is_none_is_refused(change: Callable[[dict], object], said: str) -> None:
    document = json.loads(SHIPPED_CHECKLIST.read_bytes())
    change(document)
    with pytest.raises(Refused, match=said):
        parse_checklist(json.dumps(document).encode())
