"""Whoever changes a pack after it was signed, or signs what they may not, is found; every case by exit code and by step."""

import base64
import functools
import json
import time
import warnings
import zipfile
import zlib
from io import BytesIO
from random import Random

import pytest
from toy.packs import (
    ANNA,
    AT,
    BEN,
    CLEO,
    MALLORY,
    ToyKey,
    approve,
    build_files,
    check,
    edit,
    genuine_members,
    name_failure,
    seal,
    tell_story,
    write_trust,
    zip_up,
)

from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.container import make_manifest
from audit_core.evidence.statement import add_signature
from audit_core.verifier.manifest import MANIFEST, PACK_ENVELOPE
from audit_core.verifier.schemas_signed import APPROVAL_PREDICATE_TYPE
from audit_core.verifier.statement import PAYLOAD_TYPE, encode_before_signing
from audit_core.verifier.walk import verify_pack

METRICS = "runs/" + "a" * 32 + "/metrics.json"


def fail(found_in: bytes | dict[str, bytes], step: str, match: str, trust: bytes | None = None) -> None:
    found = check(found_in, trust)
    assert found.exit_code == 4, found.describe()
    failures = name_failure(found)
    assert failures.startswith(f"{step}: "), failures
    assert match in failures


def better(data: bytes) -> bytes:
    return data.replace(b"0.62", b"0.99")


def listed(members: dict[str, bytes]) -> dict[str, bytes]:
    """The manifest made again by whoever changed a file."""
    return {**members, MANIFEST: make_manifest(members)}


def test_the_genuine_pack_passes_every_step_that_can_be_run_offline() -> None:
    found = check(genuine_members())
    assert found.exit_code == 0
    assert [step.result for step in found.steps] == ["PASSED"] * 7 + ["NOT_CHECKED"]
    assert "no third-party time stamp" in found.steps[7].detail
    assert (found.integrity, found.authenticity, found.time) == ("INTEGRITY_VERIFIED", "SIGNER_VERIFIED", "UNANCHORED")
    assert (found.reproduction, found.judgement) == ("DECISION_EQUAL", "MEETS_POLICY")
    assert [(signer.person, signer.role) for signer in found.signers] == [("anna", "preparer")]


# The seventeen cases of the design, in its order.


def test_01_an_edited_file() -> None:
    members = genuine_members()
    fail({**members, METRICS: better(members[METRICS])}, "manifest", "differs from its digest in the manifest")
    found = check({**members, METRICS: better(members[METRICS])})
    assert [step.result for step in found.steps] == ["PASSED", "FAILED"] + ["NOT_CHECKED"] * 6


def test_02_an_edited_file_and_its_line_in_the_manifest() -> None:
    members = genuine_members()
    fail(listed({**members, METRICS: better(members[METRICS])}), "statement", "another manifest")


def test_03_an_edited_pack_signed_by_another_key() -> None:
    """Nobody whom the reader trusts vouches for it: not verified, and its own exit code."""
    forged = seal(build_files(tell_story()) | {"README.txt": b"other"}, MALLORY, person="anna")
    found = check(forged)
    assert (found.exit_code, found.authenticity, found.signers) == (3, "SIGNER_NOT_CHECKED", ())
    assert "not in the trust file" in found.steps[3].detail


def test_03_another_key_under_the_preparers_id() -> None:
    files = build_files(tell_story()) | {"README.txt": b"other"}
    members = seal(files, MALLORY, person="anna")
    members[PACK_ENVELOPE] = members[PACK_ENVELOPE].replace(MALLORY.keyid.encode(), ANNA.keyid.encode())
    fail(members, "signature", "is invalid")
    assert check(members).authenticity == "SIGNER_FAILED"
    assert check(members).integrity == "INTEGRITY_VERIFIED"


def test_04_a_deleted_file() -> None:
    members = genuine_members()
    del members[METRICS]
    fail(members, "manifest", "is in the manifest but not in the pack")


@pytest.mark.parametrize(
    "name", ["extra.txt", "attestations/more.json", "attestations/approval-X.dsse.json", "runs/x/a.json"]
)
def test_05_an_added_file(name: str) -> None:
    fail({**genuine_members(), name: b"{}"}, "manifest", "is not in the manifest")


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/x.txt", "a\\..\\b.txt", "C:evil.txt"])
def test_06_to_09_zip_slip(name: str) -> None:
    data = zip_up({**genuine_members(), "evil_place_holder.txt": b"x"})
    stand_in = b"evil_place_holder.txt"
    raw = (name.removesuffix(".txt").ljust(len(stand_in) - 4, "x") + ".txt").encode()
    fail(data.replace(stand_in, raw), "container", "unsafe member name")


def test_10_a_duplicate_member() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = zip_up([*genuine_members().items(), ("README.txt", b"evil")])
    fail(data, "container", "two members have the same name")


def test_11_names_that_differ_by_case_alone() -> None:
    fail({**genuine_members(), "readme.txt": b"evil"}, "container", "two members have the same name")


def test_12_a_name_in_another_unicode_form() -> None:
    fail({**genuine_members(), "re\u0301port.txt": b"x"}, "container", "unsafe member name")


def test_13_a_symbolic_link() -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in genuine_members().items():
            archive.writestr(name, data)
        link = zipfile.ZipInfo("link.txt")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    fail(buffer.getvalue(), "container", "is a link")


def test_14_a_bomb_of_600_mib() -> None:
    """One compressed block of zeros, 600 times: compressing all of them would cost more than every other case."""
    zeros, blocks = bytes(1 << 20), 600
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    stream = (deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)) * blocks + deflate.flush()
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in genuine_members().items():
            archive.writestr(name, data)
        archive.writestr(zipfile.ZipInfo("z.txt"), stream, zipfile.ZIP_STORED)
        bomb = archive.infolist()[-1]
        local = bomb.header_offset
        bomb.compress_type, bomb.file_size = zipfile.ZIP_DEFLATED, len(zeros) * blocks
        bomb.CRC = functools.reduce(lambda crc, _: zlib.crc32(zeros, crc), range(blocks), 0)
    with buffer.getbuffer() as raw:
        raw[local : local + 30] = bomb.FileHeader()[:30]
    buffer.seek(0)
    with zipfile.ZipFile(buffer) as archive, archive.open("z.txt") as file:
        assert not any(file.read(1 << 16)), "it unpacks"
    began = time.monotonic()
    fail(buffer.getvalue(), "container", "would unpack to")
    assert time.monotonic() - began < 1


def test_15_a_key_twice_in_a_signed_document() -> None:
    members = genuine_members()
    members[PACK_ENVELOPE] = members[PACK_ENVELOPE][:-1] + b',"payloadType":"x"}'
    fail(members, "statement", "duplicate key")


def test_16_the_signature_of_another_genuine_pack() -> None:
    other = seal(build_files(tell_story()) | {"README.txt": b"other"})
    transplanted = {**genuine_members(), PACK_ENVELOPE: other[PACK_ENVELOPE]}
    fail(transplanted, "statement", "another manifest")
    found = check(transplanted)
    assert [step.result for step in found.steps] == [
        "PASSED",
        "PASSED",
        "FAILED",
        "NOT_CHECKED",
        "PASSED",
        "PASSED",
        "PASSED",
        "NOT_CHECKED",
    ]


def test_17_bytes_before_the_archive() -> None:
    fail(b"MZevil" + zip_up(genuine_members()), "container", "bytes before")


# The manifest.


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: text[:-1], "has no line break"),
        (lambda text: text.replace("  ", " ", 1), "is not a digest"),
        (lambda text: text.upper(), "is not a digest"),
        (lambda text: text.splitlines()[0] + "\n" + text, "out of order or repeated"),
        (lambda text: text + text.splitlines()[0] + "\n", "out of order or repeated"),
        (lambda text: "\n".join(reversed(text.splitlines())) + "\n", "out of order or repeated"),
        (lambda text: text + "\n", "is not a digest"),
        (lambda text: text.replace("\n", "\r\n"), "is not a digest"),
        (lambda text: "0" * 64 + "  " + MANIFEST + "\n" + text, "but not in the pack"),
    ],
)  # fmt: skip
def test_a_manifest_with_a_line_it_cannot_have_is_refused(change: object, match: str) -> None:
    members = genuine_members()
    members[MANIFEST] = change(members[MANIFEST].decode()).encode()  # type: ignore[operator]
    fail(members, "manifest", match)


def test_a_pack_without_manifest_or_statement_is_refused() -> None:
    members = genuine_members()
    fail({name: data for name, data in members.items() if name != MANIFEST}, "manifest", f"no {MANIFEST}")
    fail({name: data for name, data in members.items() if name != PACK_ENVELOPE}, "statement", f"no {PACK_ENVELOPE}")


# The envelope and the statement in it.


def envelope(
    statement: object, key: ToyKey = ANNA, payload_type: str = PAYLOAD_TYPE, signed_type: str | None = None
) -> bytes:
    payload = statement if isinstance(statement, bytes) else dump_canonical(statement)
    signature = key.sign(encode_before_signing(payload, signed_type or payload_type))
    return dump_canonical(
        {
            "payloadType": payload_type,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key.keyid, "sig": base64.b64encode(signature).decode()}],
        }
    )


def statement() -> dict[str, object]:
    document = json.loads(genuine_members()[PACK_ENVELOPE])
    return dict(json.loads(base64.b64decode(document["payload"])))


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("_type", "https://in-toto.io/Statement/v0.1", "_type"),
        ("predicateType", APPROVAL_PREDICATE_TYPE, "predicateType"),
        ("subject", [], "subject has 0 items"),
        ("subject", "twice", "subject has 2 items"),
        ("subject", "renamed", "another manifest"),
        ("extra", 1, "that is not described"),
        ("predicate", {}, "predicate lacks"),
        ("at", "2026-13-01T00:00:00Z", "month"),
        ("at", "yesterday", "predicate.at"),
        ("role", "reviewer", "predicate.role"),
    ],
)
def test_a_statement_of_another_form_is_refused(field: str, value: object, match: str) -> None:
    said = statement()
    if field in ("at", "role"):
        said["predicate"] = {**said["predicate"], field: value}  # type: ignore[dict-item]
    elif value == "twice":
        said["subject"] = [*said["subject"], *said["subject"]]  # type: ignore[misc]
    elif value == "renamed":
        said["subject"] = [{**said["subject"][0], "name": "pack.json"}]  # type: ignore[index]
    else:
        said[field] = value
    fail({**genuine_members(), PACK_ENVELOPE: envelope(said)}, "statement", match)


def test_another_payload_type_is_refused_even_where_its_signature_holds() -> None:
    fail(
        {**genuine_members(), PACK_ENVELOPE: envelope(statement(), payload_type="text/plain")},
        "statement",
        "has payload type",
    )


def test_a_signature_over_another_type_or_over_the_bare_payload_does_not_hold() -> None:
    """DSSE signs type and lengths with the payload: else one signed thing could pass for another."""
    fail(
        {**genuine_members(), PACK_ENVELOPE: envelope(statement(), signed_type="text/plain")},
        "signature",
        "is invalid",
    )
    bare = json.loads(envelope(statement()))
    bare["signatures"][0]["sig"] = base64.b64encode(ANNA.sign(base64.b64decode(bare["payload"]))).decode()
    fail({**genuine_members(), PACK_ENVELOPE: dump_canonical(bare)}, "signature", "is invalid")


def test_a_payload_or_envelope_that_is_not_canonical_is_refused() -> None:
    members = genuine_members()
    spaced = json.dumps(statement()).encode()
    fail({**members, PACK_ENVELOPE: envelope(spaced)}, "statement", "not in canonical form")
    loose = json.dumps(json.loads(members[PACK_ENVELOPE]), indent=1).encode()
    fail({**members, PACK_ENVELOPE: loose}, "statement", "not in canonical form")


def test_base64_with_a_second_spelling_is_refused() -> None:
    document = json.loads(genuine_members()[PACK_ENVELOPE])
    good = document["signatures"][0]["sig"]
    assert good.endswith("==")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    document["signatures"][0]["sig"] = good[:-3] + letters[letters.index(good[-3]) + 1] + "=="
    fail({**genuine_members(), PACK_ENVELOPE: dump_canonical(document)}, "statement", "in a non-canonical encoding")
    document["signatures"][0]["sig"] = good[:-1]
    fail({**genuine_members(), PACK_ENVELOPE: dump_canonical(document)}, "statement", "not base64")


def test_no_signature_two_by_one_key_and_a_huge_envelope_are_refused() -> None:
    members = genuine_members()
    document = json.loads(members[PACK_ENVELOPE])
    fail({**members, PACK_ENVELOPE: dump_canonical({**document, "signatures": []})}, "statement", "0 items")
    twice = {**document, "signatures": document["signatures"] * 2}
    fail({**members, PACK_ENVELOPE: dump_canonical(twice)}, "statement", "twice with the same key")
    fail({**members, PACK_ENVELOPE: Random(0).randbytes(1 << 20) + members[PACK_ENVELOPE]}, "statement", "larger than")


# Who signed.


def test_without_a_trust_file_nothing_is_said_of_the_signer() -> None:
    found = verify_pack(zip_up(genuine_members()))
    assert (found.exit_code, found.authenticity) == (3, "SIGNER_NOT_CHECKED")
    assert found.steps[3].result == "NOT_CHECKED"


def test_a_changed_pack_fails_without_a_trust_file_too() -> None:
    members = genuine_members()
    assert verify_pack(zip_up({**members, METRICS: better(members[METRICS])})).exit_code == 4


def test_a_trusted_key_in_another_role_signs_no_pack() -> None:
    fail(seal(build_files(tell_story()), BEN), "signature", "not trusted for that")


def test_a_trusted_key_speaks_for_its_own_person_alone() -> None:
    fail(seal(build_files(tell_story()), ANNA, person="ben"), "signature", "not trusted for that")


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ('valid_to = "2026-11-21T11:00:00Z"', "had expired"),
        ('revoked_at = "2026-11-21T11:59:59Z"', "was revoked"),
        (f'revoked_at = "{AT}"', "was revoked"),
    ],
)
def test_an_expired_or_revoked_key_signs_nothing(row: str, match: str) -> None:
    fail(genuine_members(), "signature", match, write_trust(more={ANNA: row}))


def test_a_key_that_was_followed_by_another_later_still_signed() -> None:
    assert check(genuine_members(), write_trust(more={ANNA: 'valid_to = "2026-11-21T12:00:00Z"'})).exit_code == 0


def test_a_key_that_was_revoked_later_attests_nothing_as_its_date_is_its_own_word() -> None:
    """Whoever stole it can date back; nothing is found broken, and nobody is known to have signed."""
    found = check(genuine_members(), write_trust(more={ANNA: 'revoked_at = "2026-11-22T00:00:00Z"'}))
    assert (found.exit_code, found.authenticity, found.steps[3].result) == (3, "SIGNER_NOT_CHECKED", "NOT_CHECKED")
    assert (
        found.steps[3].detail
        == "signed by a key of anna that was revoked later: only its own date precedes the revocation"
    )
    assert found.signers == ()


def test_an_approval_by_a_key_that_was_revoked_later_is_not_counted() -> None:
    found = check(
        approve(genuine_members(), BEN, "reviewer"),
        write_trust((ANNA, "preparer"), (BEN, "reviewer"), more={BEN: 'revoked_at = "2026-11-22T00:00:00Z"'}),
    )
    assert (found.exit_code, [signer.person for signer in found.signers]) == (0, ["anna"])
    assert "by a key of ben that was revoked later" in found.steps[3].detail


def test_a_key_is_not_valid_before_its_time() -> None:
    fail(seal(build_files(tell_story()), at="2025-12-31T23:59:59Z"), "signature", "before the key")


def test_a_signature_dated_back_is_as_young_as_the_log_it_covers() -> None:
    """A thief signs with a revoked key and an old date; the log in the pack has events from after the revocation."""
    revoked = write_trust(more={ANNA: 'revoked_at = "2026-11-21T10:05:00Z"'})
    fail(seal(build_files(tell_story()), at="2026-11-21T09:00:00Z"), "signature", "was revoked", revoked)


def test_a_second_signature_must_hold_if_its_key_is_known_and_is_passed_over_if_not() -> None:
    members = genuine_members()
    both = {**members, PACK_ENVELOPE: add_signature(members[PACK_ENVELOPE], MALLORY)}
    assert check(both).exit_code == 0
    broken = json.loads(add_signature(members[PACK_ENVELOPE], BEN))
    broken["signatures"][1]["sig"] = broken["signatures"][0]["sig"]
    fail({**members, PACK_ENVELOPE: dump_canonical(broken)}, "signature", "is invalid")


# Who approved.


def test_approvals_by_other_persons_are_counted() -> None:
    members = approve(approve(genuine_members(), BEN, "reviewer"), CLEO, "approver", decision="approve_with_conditions")
    found = check(members)
    assert found.exit_code == 0
    assert [(row.person, row.role, row.decision) for row in found.signers] == [
        ("anna", "preparer", None), ("cleo", "approver", "approve_with_conditions"), ("ben", "reviewer", "approve"),
    ]  # fmt: skip


def test_an_approval_of_another_pack_is_refused() -> None:
    other = approve(seal(build_files(tell_story()) | {"README.txt": b"other"}), BEN, "reviewer")
    name = "attestations/approval-reviewer-0.dsse.json"
    fail({**genuine_members(), name: other[name]}, "statement", "another manifest")


def test_an_approval_in_a_role_its_key_is_not_trusted_for_is_refused() -> None:
    fail(approve(genuine_members(), BEN, "approver"), "signature", "not trusted for that")
    fail(approve(genuine_members(), BEN, "reviewer", person="cleo"), "signature", "not trusted for that")


def test_an_approval_by_an_unknown_key_is_not_counted() -> None:
    found = check(approve(genuine_members(), MALLORY, "reviewer"))
    assert (found.exit_code, [row.person for row in found.signers]) == (0, ["anna"])
    assert "not counted" in found.steps[3].detail


def test_approvals_have_a_largest_number() -> None:
    members = genuine_members()
    envelope = approve(members, BEN, "reviewer")["attestations/approval-reviewer-0.dsse.json"]
    many = {f"attestations/approval-{number}.dsse.json": envelope for number in range(51)}
    fail({**members, **many}, "statement", "51 approvals; at most 50")


def test_a_changed_approval_is_refused() -> None:
    members = approve(genuine_members(), BEN, "reviewer", decision="reject")
    name = "attestations/approval-reviewer-0.dsse.json"
    document = json.loads(members[name])
    payload = base64.b64decode(document["payload"]).replace(b'"reject"', b'"approve"')
    document["payload"] = base64.b64encode(payload).decode()
    fail({**members, name: dump_canonical(document)}, "signature", "is invalid")


@pytest.mark.parametrize(
    ("role", "match"), [("reviewer", "as preparer and as reviewer"), ("approver", "as preparer and as approver")]
)
def test_the_preparer_reviews_and_approves_nothing(role: str, match: str) -> None:
    """One person with two keys, spelled in two ways, is one person."""
    second = ToyKey(" ANNA")
    trust = write_trust((ANNA, "preparer"), (second, role))
    fail(approve(genuine_members(), second, role), "signature", match, trust)


def test_the_reviewer_approves_nothing() -> None:
    trust = write_trust((ANNA, "preparer"), (BEN, "reviewer"), (ToyKey("Ben"), "approver"))
    members = approve(approve(genuine_members(), BEN, "reviewer"), ToyKey("Ben"), "approver")
    fail(members, "signature", "as reviewer and as approver", trust)


def test_a_preparers_statement_is_no_approval_nor_the_reverse() -> None:
    members = genuine_members()
    name = "attestations/approval-reviewer-1.dsse.json"
    fail({**members, name: members[PACK_ENVELOPE]}, "statement", "predicateType")
    approval = approve(members, BEN, "reviewer")["attestations/approval-reviewer-0.dsse.json"]
    fail({**members, PACK_ENVELOPE: approval}, "statement", "predicateType")


def test_an_approval_without_a_time_in_the_calendar_is_refused() -> None:
    fail(approve(genuine_members(), BEN, "reviewer", expires_at="2026-02-30T00:00:00Z"), "statement", "day")


def test_the_pack_that_is_signed_is_the_pack_that_the_header_names() -> None:
    members = seal(build_files(tell_story()), pack_id="01JD5ZK3M8Q4V7W9X2Y6T0R1SZ")
    fail(members, "semantics", "the signature is for pack")


def test_a_false_verdict_signed_by_the_preparer_fails() -> None:
    """Threat 20: the verdict is computed again from metrics, policy and log, whoever vouches for it."""

    def lie(verdict: dict[str, object]) -> None:
        verdict["overall"] = "INCONCLUSIVE"

    fail(edit("verdict/verdict.json", lie), "semantics", "overall INCONCLUSIVE, computed MEETS")


def test_a_log_key_of_another_home_is_no_log_key() -> None:
    fail(genuine_members(), "log", "checkpoint.txt", write_trust(log=MALLORY))
    found = check(genuine_members(), write_trust(log=None))
    assert (found.exit_code, found.steps[6].result, found.authenticity) == (3, "NOT_CHECKED", "SIGNER_VERIFIED")


def test_a_pack_whose_log_shows_nothing_is_refused_and_its_signer_is_still_named() -> None:
    """Without an entry there is no last event: the signer's own date is then the only one."""
    found = check(edit("log/entries.jsonl", lambda rows: []))
    assert (found.exit_code, found.steps[3].result) == (4, "PASSED")
