"""Step 7: entries that are not in the log, and logs that do not continue the one somebody saved, are found."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from toy.packs import (
    LOG,
    LOG_ID,
    MALLORY,
    build_files,
    check,
    edit,
    genuine_members,
    lines_to_files,
    name_failure,
    name_log_key,
    prove_growth,
    retell,
    seal,
    tell_story,
    write_checkpoint,
    write_log,
    write_trust,
    zip_up,
)

from audit_core.evidence.canonical import dump_canonical
from audit_core.verifier.log_entry import BadEntry, read_entry
from audit_core.verifier.log_proof import BadCheckpoint
from audit_core.verifier.note import BadNote, read_unsigned
from audit_core.verifier.verification import Verification
from audit_core.verifier.walk import verify_pack

EVENTS = tell_story().events
BODIES = write_log(EVENTS)
SHOWN = [event[3] for event in EVENTS]


def fail(members: dict[str, bytes], match: str, saved: bytes | None = None) -> None:
    found = check(members, saved=saved)
    failures = [part for part in name_failure(found).split("; ") if part.startswith("log: ")]
    assert failures, found.describe()
    assert match in failures[0]
    assert (found.exit_code, found.time) == (4, "UNANCHORED")


def with_log(files: dict[str, bytes]) -> dict[str, bytes]:
    return seal({**genuine_members(), **files})


def change_proofs(change: Callable[[Any], Any]) -> dict[str, bytes]:
    return edit("log/inclusion.json", change)


ENTRY = json.loads(BODIES[0])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"more": 1}, "unknown fields"),
        *(({name: 1}, "wrong type") for name in ("log_id", "ts", "tenant", "actor", "action", "object_id", "prev", "payload")),
        ({"v": 2}, "another version"),
        ({"seq": -1}, "no sequence number"),
        ({"seq": 1.0}, "no sequence number"),
        ({"seq": True}, "no sequence number"),
    ],
)  # fmt: skip
def test_an_entry_has_the_fields_of_an_entry_and_no_others(change: dict[str, Any], match: str) -> None:
    assert read_entry(dump_canonical(ENTRY)) == ENTRY
    with pytest.raises(BadEntry, match=match):
        read_entry(json.dumps({**ENTRY, **change}).encode())


def test_bytes_that_are_no_entry_are_refused() -> None:
    fewer = {name: value for name, value in ENTRY.items() if name != "tenant"}
    for body, match in (
        (json.dumps(fewer).encode(), "missing"),
        (b"[]", "missing"),
        (json.dumps(list(ENTRY)).encode(), "missing"),
        (BODIES[0][:-1], "JSON"),
    ):
        with pytest.raises(BadEntry, match=match):
            read_entry(body)


# Inclusion.


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[2]["proof"].pop(),
        lambda rows: rows[2]["proof"].append("0" * 64),
        lambda rows: rows[2]["proof"].reverse(),
        lambda rows: rows[2].update(proof=rows[3]["proof"]),
        lambda rows: rows[2].update(leaf=rows[3]["leaf"]),
    ],
)
def test_an_entry_whose_proof_does_not_hold_is_not_in_the_log(change: Callable[[Any], Any]) -> None:
    def apply(rows: Any) -> None:
        change(rows)

    fail(change_proofs(apply), "is not in the checkpoint's log")


@pytest.mark.parametrize("number", range(len([one for one in SHOWN if one])))
def test_every_entry_is_compared_with_the_checkpoint(number: int) -> None:
    def change(rows: Any) -> None:
        rows[number]["actor"] = "ben"

    fail(edit("log/entries.jsonl", change), "is not in the checkpoint's log")


def test_entries_and_proofs_are_about_the_same_numbers() -> None:
    def drop(rows: Any) -> None:
        rows.pop(3)

    fail(change_proofs(drop), "different sequence numbers")
    fail(edit("log/entries.jsonl", drop), "different sequence numbers")


def test_entries_are_in_the_order_of_the_log() -> None:
    members = genuine_members()
    lines = members["log/entries.jsonl"].splitlines(keepends=True)
    rows = json.loads(members["log/inclusion.json"])
    swapped = {
        "log/entries.jsonl": b"".join([lines[1], lines[0], *lines[2:]]),
        "log/inclusion.json": dump_canonical([rows[1], rows[0], *rows[2:]]),
    }
    fail(with_log(swapped), "is out of order")
    doubled = {
        "log/entries.jsonl": b"".join([lines[0], *lines]),
        "log/inclusion.json": dump_canonical([rows[0], *rows]),
    }
    fail(with_log(doubled), "is out of order")


def test_an_entry_follows_the_one_it_names() -> None:
    """The tree holds any list of entries; that each names the one before is a second thread."""
    bodies = list(BODIES)
    record = json.loads(bodies[3])
    bodies[3] = dump_canonical({**record, "prev": "9" * 64})
    fail(with_log(lines_to_files(bodies, SHOWN)), "entry 3 does not follow entry 2")


def test_the_last_entry_shown_is_the_last_of_the_checkpoint() -> None:
    longer = [*EVENTS, ("log.verified", LOG_ID, {}, False)]
    fail(with_log(lines_to_files(write_log(longer), [*SHOWN, False])), "do not end where the checkpoint does")
    fail(with_log({"log/entries.jsonl": b"", "log/inclusion.json": b"[]"}), "do not end where the checkpoint does")


def test_the_head_of_the_checkpoint_is_the_hash_of_the_last_entry() -> None:
    note = genuine_members()["log/checkpoint.txt"].decode()
    text = note.split("\n\n")[0] + "\n"
    head = text.splitlines()[3]
    forged = sign(text.replace(head, "9" * 64))
    fail(with_log({"log/checkpoint.txt": forged}), "do not end where the checkpoint does")


def sign(text: str) -> bytes:
    import base64

    from audit_core.verifier.note import hash_note_key

    line = base64.b64encode(hash_note_key(LOG_ID, LOG.public_key) + LOG.sign(text.encode())).decode()
    return f"{text}\n— {LOG_ID} {line}\n".encode()


def test_entries_of_another_log_are_refused() -> None:
    other = "assay/fedcba9876543210"
    files = lines_to_files(write_log(EVENTS, other), SHOWN)
    fail(with_log(files | {"log/checkpoint.txt": write_checkpoint(write_log(EVENTS, other))}), "belongs to another log")


# The checkpoint.


@pytest.mark.parametrize("data", [b"", b"\xff", b"a\nb\n", b"\n\n", LOG_ID.encode()])
def test_a_checkpoint_that_is_none_is_refused(data: bytes) -> None:
    fail(with_log({"log/checkpoint.txt": data}), "log/checkpoint.txt")


def test_a_checkpoint_signed_by_another_key_is_refused() -> None:
    fail(with_log({"log/checkpoint.txt": write_checkpoint(BODIES, MALLORY)}), "no signature of this log's key")


def test_a_changed_checkpoint_is_refused() -> None:
    note = genuine_members()["log/checkpoint.txt"].replace(b"\n14\n", b"\n15\n")
    fail(with_log({"log/checkpoint.txt": note}), "an invalid signature")


def test_what_a_note_says_can_be_read_without_a_key() -> None:
    found = read_unsigned(genuine_members()["log/checkpoint.txt"].decode())
    assert (found.origin, found.size) == (LOG_ID, 14)
    with pytest.raises(BadNote):
        read_unsigned("nothing")


# The saved checkpoint.


def saved(size: int, bodies: list[bytes] = BODIES) -> bytes:
    return write_checkpoint(bodies[:size])


def with_step(size: int, bodies: list[bytes] = BODIES, **said: Any) -> dict[str, bytes]:
    leaves = [hashlib.sha256(b"\0" + body).digest() for body in bodies]
    step = {"from_size": size, "to_size": len(bodies), "proof": [node.hex() for node in prove_growth(size, leaves)]}
    story = tell_story()
    story.documents["log/consistency.json"] = step | said
    return seal(build_files(story))


def judge(found: Verification) -> tuple[int, str, str]:
    return found.exit_code, found.time, found.steps[6].result


@pytest.mark.parametrize("size", range(1, 14))
def test_a_log_that_continues_the_saved_checkpoint_is_anchored(size: int) -> None:
    assert judge(check(with_step(size), saved=saved(size))) == (0, "ANCHORED", "PASSED")


def test_a_checkpoint_of_the_same_size_is_the_same_checkpoint() -> None:
    assert judge(check(genuine_members(), saved=saved(14))) == (0, "ANCHORED", "PASSED")


def other_bodies(size: int) -> list[bytes]:
    """A log that was written again from an entry on, and signed with the log's own key."""
    events = list(EVENTS)
    events[size] = ("log.verified", "other", {}, False)
    return write_log(events)


def test_a_log_that_was_written_again_does_not_continue_the_saved_checkpoint() -> None:
    """The attack that no reader of the database alone can find: it is found by whoever kept a checkpoint."""
    fail(genuine_members(), "differs from the saved checkpoint", saved(14, other_bodies(4)))
    fail(with_step(8), "does not continue the saved checkpoint", saved(8, other_bodies(4)))


def test_a_saved_checkpoint_whose_head_alone_differs_is_found() -> None:
    note = genuine_members()["log/checkpoint.txt"].decode()
    text = note.split("\n\n")[0] + "\n"
    fail(genuine_members(), "differs from the saved checkpoint", sign(text.replace(text.splitlines()[3], "9" * 64)))


def test_what_cannot_be_compared_is_undecided_and_says_why() -> None:
    found = check(genuine_members(), saved=saved(5))
    assert judge(found) == (3, "UNANCHORED", "PASSED")
    assert "no consistency proof from 5 entries on" in found.steps[6].detail
    assert judge(check(with_step(6), saved=saved(5))) == (3, "UNANCHORED", "PASSED")
    later = write_log([*EVENTS, ("log.verified", LOG_ID, {}, False)])
    found = check(genuine_members(), saved=write_checkpoint(later))
    assert judge(found) == (3, "UNANCHORED", "PASSED")
    assert "the saved one is later" in found.steps[6].detail


def test_a_proof_to_another_size_is_refused_even_if_none_was_asked_for() -> None:
    fail(with_step(5, to_size=13), "another size than the checkpoint's")


def test_a_saved_checkpoint_of_another_log_is_refused() -> None:
    other = "assay/fedcba9876543210"
    bodies = write_log(EVENTS, other)
    for key in (LOG, MALLORY):
        fail(genuine_members(), "the saved checkpoint is of", write_checkpoint(bodies, key, other))


@pytest.mark.parametrize("data", [b"nothing", b"\xff", write_checkpoint(BODIES, MALLORY)])
def test_a_saved_checkpoint_that_is_none_is_the_readers_mistake(data: bytes) -> None:
    with pytest.raises(BadCheckpoint):
        check(genuine_members(), saved=data)


def test_without_a_trusted_log_key_nothing_is_anchored() -> None:
    found = check(genuine_members(), write_trust(log=None), saved=saved(14))
    assert judge(found) == (3, "UNANCHORED", "NOT_CHECKED")
    assert "not in the trust file" in found.steps[6].detail
    assert verify_pack(zip_up(genuine_members()), saved=saved(14)).time == "UNANCHORED"


def test_a_pack_that_is_not_whole_is_anchored_by_nothing() -> None:
    false = edit("verdict/verdict.json", lambda verdict: verdict.update(overall="INCONCLUSIVE"))
    found = check(false, saved=saved(14))
    assert (found.exit_code, found.steps[6].result, found.time) == (4, "PASSED", "UNANCHORED")


def test_proofs_are_checked_without_a_trust_file_too() -> None:
    def change(rows: Any) -> None:
        rows[0]["actor"] = "ben"

    assert verify_pack(zip_up(edit("log/entries.jsonl", change))).exit_code == 4


def test_events_that_are_no_business_of_the_pack_stay_out_of_it() -> None:
    """Proofs show an entry to be in the log without showing the others."""
    shown = genuine_members()["log/entries.jsonl"]
    assert b"half.opened" not in shown
    assert len(shown.splitlines()) == 11
    assert check(retell(lambda story: story.events.insert(5, ("log.verified", LOG_ID, {}, False)))).exit_code == 0


# Keys of the log that followed each other. The log's last event is of 10:13.

OLD = MALLORY
"""Here the log's key until it was followed by another."""


def trust_log(*rows: bytes) -> bytes:
    return write_trust(log=None) + b"".join(rows)


def at(minute: int) -> str:
    return f"2026-11-21T10:{minute:02d}:00.000000Z"


def signed_by(key: Any) -> dict[str, bytes]:
    return with_log({"log/checkpoint.txt": write_checkpoint(BODIES, key)})


def test_a_pack_from_before_and_one_from_after_the_logs_key_was_rotated_both_verify() -> None:
    before = trust_log(name_log_key(OLD, valid_from=at(0), valid_to=at(13)), name_log_key(LOG, valid_from=at(13)))
    assert judge(check(signed_by(OLD), before))[::2] == (0, "PASSED")
    assert judge(check(signed_by(LOG), before))[::2] == (0, "PASSED")


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (name_log_key(LOG, valid_to=at(12)), "after the key that signed its checkpoint was replaced"),
        (name_log_key(LOG, revoked_at=at(13)), "after the key that signed its checkpoint was revoked"),
        (name_log_key(LOG, valid_from=at(14)), "before the key that signed its checkpoint"),
    ],
)
def test_a_log_key_signs_nothing_outside_its_time(row: bytes, match: str) -> None:
    found = check(genuine_members(), trust_log(row))
    assert (found.exit_code, found.steps[6].result) == (4, "FAILED")
    assert match in found.steps[6].detail


def test_a_checkpoint_of_a_log_key_that_was_revoked_later_is_not_checked() -> None:
    revoked = trust_log(name_log_key(LOG, revoked_at=at(14)))
    found = check(genuine_members(), revoked, saved=saved(14))
    assert judge(found) == (3, "UNANCHORED", "NOT_CHECKED")
    assert "was revoked later" in found.steps[6].detail


def test_a_saved_checkpoint_may_be_of_the_key_before() -> None:
    both = trust_log(name_log_key(OLD, valid_to=at(5)), name_log_key(LOG, valid_from=at(5)))
    held = write_checkpoint(BODIES[:6], OLD)
    assert judge(check(with_step(6), both, saved=held)) == (0, "ANCHORED", "PASSED")
    with pytest.raises(BadCheckpoint):
        check(with_step(6), saved=held)


def test_a_signature_of_a_known_key_that_does_not_hold_condemns_a_note_with_a_good_one() -> None:
    note = write_checkpoint(BODIES, LOG)
    false = write_checkpoint(BODIES[:13], OLD).decode().splitlines()[-1]
    both = trust_log(name_log_key(OLD, valid_to=at(13)), name_log_key(LOG))
    found = check(with_log({"log/checkpoint.txt": note + f"{false}\n".encode()}), both)
    assert (found.exit_code, "an invalid signature" in found.steps[6].detail) == (4, True)
