"""The trust file says whose signatures count; what is unclear in it is refused, as it would count the wrong ones."""

import base64

import pytest
from toy.packs import ANNA, LOG, LOG_ID, MALLORY, name_log_key, write_trust

from audit_core.verifier.trust import MAX_TRUST_BYTES, BadTrust, name_key, read_trust, show

GOOD = write_trust((ANNA, "preparer"))


def test_a_trust_file_reads() -> None:
    trust = read_trust(
        write_trust(more={ANNA: 'valid_to = "2027-01-01T00:00:00Z"\nrevoked_at = "2026-12-01T00:00:00.5Z"'})
    )
    anna = trust.keys[ANNA.keyid]
    assert (anna.person, anna.roles, anna.public_key) == ("anna", ("preparer",), ANNA.public_key)
    assert anna.valid_to is not None
    assert anna.revoked_at is not None
    assert [(name, [key.public_key for key in keys]) for name, keys in trust.logs.items()] == [
        (LOG_ID, [LOG.public_key])
    ]
    assert name_key(ANNA.public_key) == ANNA.keyid


def test_a_trust_file_may_name_no_one() -> None:
    trust = read_trust(b'schema = "assay/trust/1"')
    assert (trust.keys, trust.logs) == ({}, {})


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"\xff", "not TOML"),
        (b"[", "not TOML"),
        (b"", "wanted schema"),
        (GOOD.replace(b"trust/1", b"trust/2"), "wanted schema"),
        (GOOD + b"[more]\n", "wanted schema"),
        (b'schema = "assay/trust/1"\nkeys = "x"', "not a list of tables"),
        (b'schema = "assay/trust/1"\nkeys = ["x"]', "not a list of tables"),
        (b'schema = "assay/trust/1"\n[keys]\n', "not a list of tables"),
        (GOOD.replace(b'person = "anna"', b'person = "anna"\nrole = "x"'), "unknown field"),
        (GOOD.replace(b'person = "anna"', b'person = ""'), "without a person"),
        (GOOD.replace(b'person = "anna"', b"person = 1"), "not text in quotes"),
        (GOOD.replace(b'person = "anna"\n', b""), "a row without 'person'"),
        (GOOD.replace(b'["preparer"]', b"[]"), "roles are"),
        (GOOD.replace(b'["preparer"]', b'["boss"]'), "roles are"),
        (GOOD.replace(b'["preparer"]', b'"preparer"'), "roles are"),
        (GOOD.replace(b'["preparer"]', b"[[]]"), "unhashable"),
        (GOOD.replace(b'["preparer"]', b"{ preparer = 1 }"), "roles are"),
        (GOOD.replace(b'"2026-01-01T00:00:00Z"', b"2026-01-01T00:00:00Z"), "not text in quotes"),
        (GOOD.replace(b'"2026-01-01T00:00:00Z"', b'"2026-01-01"'), "is not a time"),
        (GOOD.replace(b'valid_from = "2026-01-01T00:00:00Z"', b""), "a row without 'valid_from'"),
        (GOOD.replace(b"sha256:", b"sha512:"), "is not the 32 bytes"),
        (GOOD.replace(base64.b64encode(ANNA.public_key), base64.b64encode(LOG.public_key)), "is not the 32 bytes"),
        (GOOD.replace(base64.b64encode(ANNA.public_key), b"!"), "not base64"),
        (GOOD.replace(b"[[logs]]\n", b"[[logs]]\nmore = \"x\"\n"), "unknown field"),
        (GOOD.replace(base64.b64encode(LOG.public_key), base64.b64encode(ANNA.public_key)), "is not the 32 bytes"),
        (write_trust((ANNA, "preparer"), (ANNA, "reviewer")), "is listed twice"),
        (GOOD + write_trust(log=LOG)[write_trust(log=LOG).index(b"[[logs]]") :], "is listed twice"),
        (GOOD + name_log_key(MALLORY), "two keys without an end"),
        (GOOD + name_log_key(MALLORY, valid_to="2026-13-01T00:00:00Z"), "2026-13-01"),
        (GOOD + name_log_key(MALLORY, until="2026-01-01T00:00:00Z"), "unknown field"),
        (b"#" * (MAX_TRUST_BYTES + 1), "larger than"),
        (b"a = " + b"[" * 5_000, "not TOML"),
    ],
)  # fmt: skip
def test_a_trust_file_that_is_unclear_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(BadTrust, match=match):
        read_trust(data)


def test_a_key_of_another_length_is_refused_though_its_id_is_right() -> None:
    short = ANNA.public_key[:31]
    data = GOOD.replace(ANNA.keyid.encode(), name_key(short).encode())
    data = data.replace(base64.b64encode(ANNA.public_key), base64.b64encode(short))
    with pytest.raises(BadTrust, match="is not the 32 bytes"):
        read_trust(data)


def test_untrusted_names_do_not_steer_a_terminal() -> None:
    assert show("a\x1b[31m\u202eb\u200b\n") == "a\\u001b[31m\\u202eb\\u200b\\u000a"
    assert len(show("x" * 500)) == 120


def test_a_log_may_have_had_several_keys_one_of_them_without_an_end() -> None:
    trust = read_trust(GOOD + name_log_key(MALLORY, valid_from="2026-01-01T00:00:00Z", valid_to="2026-02-01T00:00:00Z"))
    assert [(key.keyid, key.valid_to is None) for key in trust.logs[LOG_ID]] == [
        (LOG.keyid, True),
        (MALLORY.keyid, False),
    ]


def test_one_key_may_have_every_role_and_a_log_an_old_key_that_was_revoked() -> None:
    data = write_trust((ANNA, "preparer"), log=None).replace(b'["preparer"]', b'["preparer", "reviewer", "approver"]')
    data += name_log_key(LOG) + name_log_key(MALLORY, revoked_at="2026-01-01T00:00:00Z")
    found = read_trust(data)
    assert found.keys[ANNA.keyid].roles == ("preparer", "reviewer", "approver")
    assert {one.keyid for one in found.logs[LOG_ID]} == {LOG.keyid, MALLORY.keyid}
