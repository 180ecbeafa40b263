"""The crosswalk says what was read, counts nothing that nobody checked, and has no word for a duty that is met."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from toy.packs import check, genuine_members, name_failure, seal

from audit_core.data_folder import DATA
from audit_core.errors import Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.words import find_overclaims
from audit_core.home.evidence_counts import list_evidence_counts
from audit_core.references.crosswalk import ClauseCheck, Relation
from audit_core.references.crosswalk_file import SHIPPED_CROSSWALK, load_crosswalk, parse_crosswalk
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event
from audit_core.verifier.schemas_crosswalk import CHECKS, RELATIONS

DATED = sorted(path for folder in ("crosswalk", "governance", "procurement") for path in (DATA / folder).iterdir())


def row(**changes: Any) -> dict[str, Any]:
    return {
        "evidence": "pack", "framework": "law", "version": "1", "clause": "Art. 1", "quote_sha256": None, "relation": "supports",
        "rationale": "because", "checked_at": None, "checked_by": None, "source_url": None, "status": "unverified",
    } | changes  # fmt: skip


READ = {"checked_at": "2026-01-01", "checked_by": "anna"}
TITLE = READ | {"status": "title_only"}
PRIMARY = READ | {"status": "verified", "quote_sha256": "0" * 64, "source_url": "https://law.example/1"}


QUOTE = "Testing shall be carried out."
COPY = {
    "id": "law_copy", "framework": "law", "title": "The law, copied", "file": "law.json", "sha256": "0" * 64, "origin": "o",
    "publisher_url": "https://law.example/1", "note": "n",
}  # fmt: skip
IN_COPY = READ | {
    "status": "read_in_copy", "quote": QUOTE, "quote_sha256": hashlib.sha256(QUOTE.encode()).hexdigest(), "copy": "law_copy", "entry": "1",
    "not_known": None, "second_reader": None,
}  # fmt: skip
SECOND = {"by": "ben", "at": "2026-01-02", "relation": "context for", "note": "the clause asks for more"}


def document(*rows: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(
        {
            "schema": "assay/crosswalk/1", "as_of": "2026-11-21", "notice": "n",
            "frameworks": [{"id": "law", "title": "The law", "note": "n"}, {"id": "norm", "title": "A norm", "note": "n"}],
            "evidence": [{"id": "pack", "title": "A pack"}], "rows": list(rows),
        } | changes
    ).encode()  # fmt: skip


def test_unverified_rows_are_in_no_count_but_their_own() -> None:
    made = parse_crosswalk(
        document(
            row(**PRIMARY),
            row(**TITLE, clause="Art. 2", relation="context for"),
            row(clause="Art. 3"),
            row(clause="Art. 4", relation="partially supports"),
            row(framework="norm"),
        )
    )
    primary, title, law, norm = made.count(made.rows)
    assert dict(primary.by_relation) == {
        "supports": 1,
        "partially supports": 0,
        "context for": 0,
        "does not address": 0,
    }
    assert dict(title.by_relation) == {"supports": 0, "partially supports": 0, "context for": 1, "does not address": 0}
    assert [(one.framework.id, one.status, one.total) for one in (primary, title, law, norm)] == [
        ("law", "verified", 1),
        ("law", "title_only", 1),
        ("law", "unverified", 2),
        ("norm", "unverified", 1),
    ]
    assert law.by_relation == norm.by_relation == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"relation": "satisfies"}, "relation"),
        ({"relation": "Supports"}, "relation"),
        ({"status": "checked"}, "status"),
        ({"colour": "green"}, "colour"),
        ({"quote_sha256": "abc"}, "quote_sha256"),
        ({"source_url": "http://law.example"}, "source_url"),
        ({"source_url": "https://law.example/a b"}, "source_url"),
        ({"rationale": ""}, "rationale"),
        ({"framework": "SR 11-7"}, "framework"),
        ({"framework": "unknown"}, "not described"),
        ({"evidence": "unknown"}, "not described"),
        (TITLE | {"checked_at": "2026-02-30"}, "not a date"),
        (TITLE | {"checked_at": "2027-01-01"}, "not a date up to"),
        (TITLE | {"checked_by": None}, "or neither"),
        ({"checked_by": "anna"}, "or neither"),
        ({"status": "title_only"}, "but no check"),
        (PRIMARY | {"quote_sha256": None}, "lacks quote_sha256"),
        (PRIMARY | {"source_url": None}, "lacks quote_sha256 or source_url"),
    ],
)
def test_a_row_that_says_more_than_was_checked_is_refused(changes: dict[str, Any], said: str) -> None:
    assert parse_crosswalk(document(row()))
    with pytest.raises(Refused, match=re.escape(said)):
        parse_crosswalk(document(row(**changes)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (document(row(), row()), "duplicate"),
        (document(row(), as_of="2026-13-01"), "not a date"),
        (document(row(), schema="assay/crosswalk/3"), "schema"),
        (document(row(), more=1), "more"),
        (document(), "rows"),
        (document(row(), evidence=[{"id": "pack", "title": "t"}] * 2), "described twice"),
        (b'{"schema": "assay/crosswalk/1", "schema": "assay/crosswalk/1"}', "duplicate key"),
        (b"[" * 100, "deep"),
        (b" " * (2 << 20) + b"{}", "more than"),
    ],
)
def test_a_file_that_is_no_crosswalk_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said):
        parse_crosswalk(data)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quote": "Testing may be carried out."}, "not the text of quote_sha256"),
        ({"quote": None, "copy": None, "entry": None}, "lacks the quote"),
        ({"quote": " "}, "a quote of blanks"),
        ({"entry": None}, "quote, copy and entry together"),
        ({"copy": "other_copy"}, "which is not described for law"),
        ({"framework": "norm"}, "which is not described for norm"),
        ({"checked_by": None, "checked_at": None}, "but no check"),
        ({"second_reader": SECOND | {"by": "anna"}}, "a second reader who is the first"),
        ({"second_reader": SECOND | {"at": "2027-01-01"}}, "not a date up to"),
        ({"second_reader": SECOND | {"relation": "satisfies"}}, "relation"),
    ],
)
def test_a_reading_in_a_copy_that_lacks_a_part_is_refused(changes: dict[str, Any], said: str) -> None:
    second_form = {"schema": "assay/crosswalk/2", "copies": [COPY], "acts": []}
    made = parse_crosswalk(document(row(**IN_COPY | {"second_reader": SECOND}), **second_form))
    assert made.rows[0].second_reader is not None
    with pytest.raises(Refused, match=re.escape(said)):
        parse_crosswalk(document(row(**IN_COPY | changes), **second_form))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "read_in_copy"}, "eu_date was read in a copy but lacks the quote"),
        ({"framework": "unknown"}, "eu_date names unknown"),
        ({"date": "2026-02-30"}, "does not exist"),
        ({"copy": "law_copy"}, "quote, copy and entry together"),
    ],
)
def test_an_act_that_says_more_than_was_checked_is_refused(changes: dict[str, Any], said: str) -> None:
    act = {
        "id": "eu_date", "framework": "law", "act": "a", "what": "w", "clauses": [], "date": None, "source": "s", "quote": None, "copy": None,
        "entry": None, "checked_at": None, "checked_by": None, "status": "unverified",
    }  # fmt: skip
    if changes.get("status") == "read_in_copy":
        changes = changes | READ
    form = {"schema": "assay/crosswalk/2", "copies": [COPY]}
    assert parse_crosswalk(document(row(), **form, acts=[act])).acts
    with pytest.raises(Refused, match=re.escape(said)):
        parse_crosswalk(document(row(), **form, acts=[act | changes]))


def test_a_file_of_the_first_form_is_read_and_has_no_field_of_the_second() -> None:
    assert parse_crosswalk(document(row(**TITLE))).copies == ()
    for wrong in (
        document(row(), copies=[]),
        document(row(quote=None)),
        document(row(**READ | {"status": "read_in_copy"})),
    ):
        with pytest.raises(Refused, match="needs the form assay/crosswalk/2"):
            parse_crosswalk(wrong)


def test_the_words_of_library_and_verifier_are_the_same() -> None:
    assert tuple(Relation) == RELATIONS
    assert tuple(ClauseCheck) == CHECKS


def test_no_row_of_the_shipped_file_says_that_a_primary_text_was_read() -> None:
    """No person has; a reader of one changes the row and this number."""
    shipped = load_crosswalk()
    assert Counter(row.status.value for row in shipped.rows) == {
        "read_in_copy": 108,
        "title_only": 38,
        "unverified": 27,
    }
    assert Counter(row.status.value for row in shipped.rows if row.framework in ("eu_ai_act", "nist_ai_rmf")) == {
        "read_in_copy": 98
    }
    assert all(not row.counts for row in shipped.rows if row.framework in ("us_model_risk", "reg_b"))


def test_relations_read_against_a_text_are_the_recorded_ones() -> None:
    shipped = load_crosswalk()
    found = {
        one.framework.id: [n for _, n in one.by_relation]
        for one in shipped.count(shipped.rows)
        if one.status == "read_in_copy"
    }
    assert found == {"eu_ai_act": [1, 9, 29, 20], "nist_ai_rmf": [3, 10, 18, 8], "nist_ai_600_1": [0, 5, 4, 1]}


def test_a_reading_names_its_kind_of_reader_and_leaves_a_place_for_a_second() -> None:
    """A reading by a machine is not a person's, and says so wherever the row goes."""
    read = [row for row in load_crosswalk().rows if row.status is ClauseCheck.COPY]
    assert {row.checked_by for row in read} == {"AI assistant of the authors of Assay (not a person)"}
    assert {row.second_reader for row in read} == {None}


def test_what_was_only_quoted_elsewhere_is_unverified() -> None:
    acts = load_crosswalk().acts
    assert {act.status for act in acts if "secondary texts" in act.source} == {ClauseCheck.UNVERIFIED}
    assert {act.status for act in acts if "pinned copy" in act.source} == {ClauseCheck.COPY}
    assert {act.id for act in acts if "2026/1744" in act.act} <= {
        act.id for act in acts if act.status is ClauseCheck.UNVERIFIED
    }


def test_each_new_clause_says_what_is_not_known() -> None:
    shipped = load_crosswalk()
    new = ("Art. 73(1)", "Art. 73(2)", "Art. 73(6)", "Art. 86(1)", "Art. 72(3)", "Art. 21(2)", "12 CFR 1002.9")
    rows = [row for row in shipped.rows if row.clause in new or row.framework == "nist_ai_600_1"]
    assert {row.clause for row in rows} >= set(new)
    assert [row.clause for row in rows if row.not_known is None] == []


def test_acts_bear_only_on_clauses_that_rows_name() -> None:
    shipped = load_crosswalk()
    clauses = {(row.framework, row.clause) for row in shipped.rows}
    assert [act.id for act in shipped.acts if not {(act.framework, one) for one in act.clauses} <= clauses] == []
    amended = next(row for row in shipped.rows if row.clause == "Art. 72(3)")
    assert "eu_2026_1744_art_72" in {act.id for act in shipped.find_acts(amended)}


def test_the_shipped_file_has_every_item_and_a_rescinded_text_is_no_label() -> None:
    shipped = load_crosswalk()
    assert {row.evidence for row in shipped.rows} == {item.id for item in shipped.evidence}
    assert {row.framework for row in shipped.rows} == {one.id for one in shipped.frameworks}
    labels = [one.title for one in shipped.frameworks] + [row.version + row.clause for row in shipped.rows]
    assert not [label for label in labels if "11-7" in label]
    assert {row.relation for row in shipped.choose(framework="us_model_risk")} == {
        Relation.CONTEXT_FOR,
        Relation.DOES_NOT_ADDRESS,
    }


def test_the_strongest_rows_are_as_they_were_found() -> None:
    strong = {
        (row.evidence, row.clause) for row in load_crosswalk().rows if row.relation is Relation.SUPPORTS and row.quote
    }
    assert strong == {
        ("evidence_pack", "Annex IV 2(g)"),
        ("preregistration", "MEASURE 2.1"),
        ("run_manifest", "MEASURE 2.1"),
        ("test_of_the_test", "MEASURE 2.13"),
    }


@pytest.mark.parametrize("path", DATED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_dated_data_says_no_more_than_a_governance_tool_may(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path == SHIPPED_CROSSWALK:
        # A quote is the law's own wording and is shown as a quote.
        text = re.sub(r'^ +"quote": ".*",$', "", text, flags=re.MULTILINE)
    assert find_overclaims(text) == []
    assert not re.search(r"\bsatisf(y|ies|ied)\b", text)
    assert find_overclaims(text + " The system is compliant."), "or the check reads nothing"


def test_a_pack_may_hold_a_crosswalk_and_none_that_says_a_duty_is_met() -> None:
    shipped = json.loads(SHIPPED_CROSSWALK.read_bytes())
    name = "crosswalk/crosswalk.json"
    assert name_failure(check(seal({**genuine_members(), name: dump_canonical(shipped)}))) == ""
    shipped["rows"][0]["relation"] = "satisfies"
    failed = check(seal({**genuine_members(), name: dump_canonical(shipped)}))
    assert failed.exit_code == 4
    assert "rows[0].relation" in name_failure(failed)


def test_what_a_home_holds_is_counted_from_its_log(own_home: Path) -> None:
    own_home.mkdir()
    with open_database(own_home) as connection:
        for number, (action, payload) in enumerate(
            [
                (Action.CLAIM_REGISTERED, {}),
                (Action.RUN_STARTED, {"kind": "transfer"}),
                (Action.RUN_STARTED, {"kind": "stability"}),
                (Action.GATE_DECIDED, {}),
            ]
        ):
            append_event(connection, actor="a", action=action, object_id=str(number), payload=payload)
        for run, outcome in (("1", "done"), ("2", "failed")):
            append_event(
                connection, actor="a", action=Action.RUN_ENDED, object_id=run, payload={"outcome": outcome, "reason": ""}
            )  # fmt: skip
    held = {one.item.id: one for one in list_evidence_counts(own_home)}
    assert held["claims_register"].count == 1
    assert held["stability_transfer"].count == 1, "a run that failed holds no result"
    assert held["run_manifest"].count == 2
    assert held["policy_gate"].count == 1
    assert held["evidence_pack"].count == 0
    assert held["audit_log"].count == 7
    assert (held["offline_check"].count, held["not_covered"].place) == (None, "")
    assert [one.item.id for one in list_evidence_counts(own_home)] == [item.id for item in load_crosswalk().evidence]
    assert all(one.place for one in held.values() if one.item.id != "not_covered")
