"""The crosswalk says what was read, counts nothing that nobody checked, and has no word for a duty that is met."""

from __future__ import annotations

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
    law, norm = made.count(made.rows)
    assert dict(law.by_relation) == {"supports": 1, "partially supports": 0, "context for": 1, "does not address": 0}
    assert (law.from_primary, law.title_only, law.left_out) == (1, 1, 2)
    assert [number for _, number in norm.by_relation] == [0, 0, 0, 0]
    assert (norm.from_primary, norm.title_only, norm.left_out) == (0, 0, 1)


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
        (document(row(), schema="assay/crosswalk/2"), "schema"),
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


def test_the_words_of_library_and_verifier_are_the_same() -> None:
    assert tuple(Relation) == RELATIONS
    assert tuple(ClauseCheck) == CHECKS


def test_no_row_of_the_shipped_file_says_that_a_primary_text_was_read() -> None:
    """Nobody has; whoever reads one changes the row and this number."""
    shipped = load_crosswalk()
    assert Counter(row.status.value for row in shipped.rows) == {"unverified": 118, "title_only": 38}
    assert all(not row.counts for row in shipped.rows if row.framework in ("eu_ai_act", "nist_ai_rmf", "us_model_risk"))


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


def test_the_two_strongest_rows_are_as_they_were_found() -> None:
    strong = {
        (row.evidence, row.clause)
        for row in load_crosswalk().choose(framework="eu_ai_act")
        if row.relation is Relation.SUPPORTS
    }
    assert strong == {("preregistration", "Art. 9(8)"), ("evidence_pack", "Annex IV 2(g)")}


@pytest.mark.parametrize("path", DATED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_dated_data_says_no_more_than_a_governance_tool_may(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
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
