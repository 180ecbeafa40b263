"""What a pack of answers alone decides, which export its answers are compared with, and what remains when a signature fails."""

from __future__ import annotations

from typing import Any

import pytest
from toy.answers import RUN, tell_answer
from toy.packs import (
    ANNA,
    BEN,
    PACK_ID,
    Event,
    Story,
    approve,
    build_files,
    check,
    genuine_members,
    name_failure,
    seal,
    tell_story,
    write_trust,
    zip_up,
)

from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.documents import read_documents
from audit_core.verifier.prompt_digest import dump_prompt_rows
from audit_core.verifier.semantics import check_semantics
from audit_core.verifier.walk import verify_pack


def tell_answers_alone() -> Story:
    story = tell_story()
    tell_answer(story)
    documents = story.documents
    documents["claims/claims.json"] = []
    documents["pack.json"] |= {"claim_ids": [], "run_ids": []}
    documents["pack.json"]["attempts"] = dict.fromkeys(("total", "completed", "failed", "abandoned"), 0)
    for name in [name for name in documents if name.startswith("runs/")]:
        del documents[name]
    story.events[-1][2]["claims"] = {}
    return story


ALONE = tell_answers_alone()


def test_a_pack_of_answers_alone_is_decided() -> None:
    found = check(seal(build_files(ALONE)))
    assert (name_failure(found), found.exit_code) == ("", 0)
    none = ALONE.copy()
    del none.documents[f"answers/{RUN}.json"]
    none.events[-1][2]["answers"] = []
    assert check(seal(build_files(none))).exit_code == 3


LISTED: dict[str, Any] = {"claims": {}, "answers": [RUN]}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (("pack.refused", PACK_ID, LISTED, True), r"the export was logged with \[\]"),
        (("pack.exported", PACK_ID[:-1] + "Z", LISTED, True), r"the export was logged with \[\]"),
        (("pack.exported", PACK_ID, LISTED | {"answers": [RUN, 1]}, True), "answers that are no list of runs"),
        (("pack.exported", PACK_ID, LISTED | {"answers": {RUN: 1}}, True), "answers that are no list of runs"),
        (None, r"the export was logged with \[\]"),
    ],
)  # fmt: skip
def test_answers_are_those_of_the_export_of_this_pack(event: Event | None, said: str) -> None:
    """A log of no claim need not end with an export, or have any entry, for what is said of claims to agree."""
    story = ALONE.copy()
    check_semantics(read_documents(build_files(story)), build_files(story), PACK_ID)
    story.events[-1] = event or story.events[-1]
    files = build_files(story) | ({"log/entries.jsonl": b""} if event is None else {})
    with pytest.raises(BadPack, match=said):
        check_semantics(read_documents(files), files, PACK_ID)


EXPIRED = write_trust(more={ANNA: 'valid_to = "2026-02-01T00:00:00Z"'})
REVIEWED = approve(genuine_members(), BEN, "reviewer")


def test_a_pack_whose_signer_failed_shows_its_judgement_and_no_decision_that_counts() -> None:
    found = check(REVIEWED, EXPIRED)
    assert (found.exit_code, found.authenticity, found.integrity) == (4, "SIGNER_FAILED", "INTEGRITY_VERIFIED")
    assert found.judgement == check(REVIEWED).judgement == "MEETS_POLICY"
    assert found.documents is not None
    assert found.decisions.detail.startswith("1 in this pack; no signature was checked; ben (reviewer)")
    assert check(REVIEWED).decisions.detail.startswith("1 in this pack, 1 by keys that count; ben (reviewer)")


def test_what_was_not_asked_for_is_named() -> None:
    steps = {step.name: step for step in verify_pack(zip_up(REVIEWED)).steps}
    assert steps["signature"].detail == "no trust file was given: the signer is unknown"
    saved = REVIEWED["log/checkpoint.txt"]
    log = {step.name: step for step in check(REVIEWED, saved=saved).steps}["log"]
    assert log.detail == "14 entries; it continues the saved checkpoint"


def test_a_file_beside_prompts_is_no_prompt() -> None:
    files = {name: data for name, data in REVIEWED.items() if not name.startswith("prompts/")}
    files |= {"prompts/README.txt": b"None are shown."}
    assert check(seal(files)).prompts.detail == "the pack contains no prompts"


def test_rows_are_hashed_with_their_letters_unchanged() -> None:
    assert dump_prompt_rows([{"b": "\u00e9", "a": 1}]) == b'{"a": 1, "b": "\xc3\xa9"}\n'


def test_keys_are_in_the_order_of_their_utf_16_units() -> None:
    """RFC 8785, 3.2.3: U+1F600 is D83D DE00, which comes before U+FB33, though its number is larger."""
    wanted = '{"a":3,"\U0001f600":2,"\ufb33":1}'.encode()
    assert encode_canonical({"\ufb33": 1, "\U0001f600": 2, "a": 3}) == wanted
