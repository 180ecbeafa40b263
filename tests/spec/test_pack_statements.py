"""in-toto statements about packs: other tools read ours, and we read theirs; undecided is never passed."""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
from toy.golden import find_pack
from toy.model_signatures import make_key, sign, write_public
from toy.packs import genuine_members, zip_up

from audit_core import cli
from audit_core.errors import IntegrityError, ModelRefused, Refused
from audit_core.evidence.keys import SigningKey
from audit_core.evidence.keys import make_key as make_person_key
from audit_core.exchange.signature_bundle import write_public_key
from audit_core.exchange.statements import TEST_RESULT_TYPE, read_statement_about, write_test_result
from audit_core.verifier.walk import verify_pack


@pytest.fixture
def anna(tmp_path: Path) -> SigningKey:
    return make_person_key(tmp_path, "anna")


@pytest.fixture(scope="module")
def pack() -> bytes:
    return find_pack("planted-strict-1").read_bytes()


def payload_of(envelope: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return found


def test_another_implementation_verifies_ours_and_finds_the_pack_among_the_subjects(
    pack: bytes, anna: SigningKey
) -> None:
    """Read by securesystemslib here. The bindings `in-toto-attestation` 0.9.3 of PyPI took statement and predicate too."""
    import hashlib

    raw = write_test_result(pack, name="a.evidence.zip", key=anna)
    document = json.loads(raw)
    envelope = Envelope.from_dict(deepcopy(document))
    key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(anna.public_key), keyid=anna.keyid)
    assert set(envelope.verify([key], 1)) == {anna.keyid}
    statement = json.loads(envelope.payload)
    assert (statement["_type"], statement["predicateType"]) == ("https://in-toto.io/Statement/v1", TEST_RESULT_TYPE)
    digests = {row["name"]: row["digest"]["sha256"] for row in statement["subject"]}
    assert digests["a.evidence.zip"] == hashlib.sha256(pack).hexdigest()
    assert digests["MANIFEST.sha256"] == verify_pack(pack, None).manifest_sha256


def test_what_does_not_meet_the_policy_is_listed_as_failed_with_its_own_result(pack: bytes, anna: SigningKey) -> None:
    predicate = payload_of(write_test_result(pack, name="a.zip", key=anna))["predicate"]
    found = verify_pack(pack, None).documents
    assert found is not None
    rows = found.parsed["verdict/verdict.json"]["criteria"]
    assert predicate["result"] == "FAILED", "its policy is not met: what is undecided is not passed"
    assert len(predicate["passedTests"]) + len(predicate["failedTests"]) == len(rows)
    assert "C-0001/necessity: INCONCLUSIVE" in predicate["failedTests"]
    assert "warnedTests" not in predicate
    assert [row["name"] for row in predicate["configuration"]] == ["policy/policy.toml", "prereg/prereg.json"]


def test_a_changed_pack_gets_no_statement(anna: SigningKey) -> None:
    members = genuine_members()
    assert payload_of(write_test_result(zip_up(members), name="a.zip", key=anna))["predicateType"] == TEST_RESULT_TYPE
    with pytest.raises(IntegrityError, match=r"a\.zip is incomplete or was changed"):
        write_test_result(zip_up(members | {"README.txt": b"other"}), name="a.zip", key=anna)


def test_a_statement_of_another_tool_with_another_kind_of_key_is_read(pack: bytes, tmp_path: Path) -> None:
    """ECDSA, as cosign signs; about the manifest only, which stays when a decision is added to the pack."""
    key = make_key()
    public = write_public(key, tmp_path / "ci.pem").read_bytes()
    statement = {
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/verification_summary/v1",
        "subject": [{"name": "m", "digest": {"sha256": verify_pack(pack, None).manifest_sha256}}], "predicate": {"verificationResult": "PASSED"},
    }  # fmt: skip
    raw = json.dumps(json.loads(sign(statement, key))["dsseEnvelope"]).encode()
    found = read_statement_about(pack, raw, public, name="s")
    assert (found.about, found.predicate) == (("its manifest",), {"verificationResult": "PASSED"})
    other = json.dumps(
        json.loads(sign(statement | {"subject": [{"digest": {"sha256": "0" * 64}}]}, key))["dsseEnvelope"]
    ).encode()
    assert read_statement_about(pack, other, public, name="s").about == ()


def test_another_key_or_one_changed_byte_is_refused(pack: bytes, anna: SigningKey, tmp_path: Path) -> None:
    raw, public = write_test_result(pack, name="a.zip", key=anna), write_public_key(anna.public_key)
    assert read_statement_about(pack, raw, public, name="s").about == ("the pack's file", "its manifest")
    other = write_public_key(make_person_key(tmp_path, "ben").public_key)
    with pytest.raises(IntegrityError, match="not signed with the given key"):
        read_statement_about(pack, raw, other, name="s")
    document = json.loads(raw)
    text = base64.b64decode(document["payload"]).replace(b'"FAILED"', b'"PASSED"')
    document["payload"] = base64.b64encode(text).decode()
    with pytest.raises(IntegrityError, match="not signed with the given key"):
        read_statement_about(pack, json.dumps(document).encode(), public, name="s")


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{}", b'{"payloadType": "x", "payload": "", "signatures": []}', b"[" * 9000,
        b'{"payloadType": "application/vnd.in-toto+json", "payload": "e30=", "signatures": []}',
        b'{"payloadType": "application/vnd.in-toto+json", "payload": "!", "signatures": [{"sig": ""}]}',
        b'{"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": 1}',
    ],
)  # fmt: skip
def test_a_hostile_envelope_is_refused(raw: bytes, pack: bytes, anna: SigningKey) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_statement_about(pack, raw, write_public_key(anna.public_key), name="s")


@pytest.mark.parametrize(
    "payload", [[], {}, {"_type": "x"}, {"_type": "https://in-toto.io/Statement/v1", "subject": [1]}, None]
)
def test_a_signed_payload_that_is_no_statement_is_refused(payload: Any, pack: bytes, tmp_path: Path) -> None:
    key = make_key()
    raw = json.dumps(json.loads(sign(payload, key))["dsseEnvelope"]).encode()
    with pytest.raises(Refused, match="cannot be read"):
        read_statement_about(pack, raw, write_public(key, tmp_path / "k.pem").read_bytes(), name="s")


def test_a_file_that_is_no_key_is_refused(pack: bytes, anna: SigningKey) -> None:
    with pytest.raises(ModelRefused, match="The key cannot be used"):
        read_statement_about(pack, write_test_result(pack, name="a.zip", key=anna), b"no key", name="s")


def test_the_command_writes_a_statement_that_it_takes_for_this_pack_and_for_no_other(
    own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_home.mkdir(exist_ok=True)
    make_person_key(own_home, "anna")
    pack, out = find_pack("planted-strict-1"), tmp_path / "s.json"
    assert cli.main(["exchange", "statement", str(pack), "--key", "anna", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["statement"]["predicate"]["result"] == "FAILED"
    ask = ["exchange", "check-statement", str(out)]
    public = ["--key", str(out) + ".pub.pem"]
    assert cli.main([*ask, str(pack), *public]) == 0
    assert "about the pack's file and its manifest" in capsys.readouterr().out
    assert cli.main([*ask, str(find_pack("planted-strict-2")), *public]) == 4
