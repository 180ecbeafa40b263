"""Time stamps of RFC 3161: what a token says of a pack, and what is refused.

The token in tests/data/time_stamp was made with `openssl ts` over the statement of a golden pack, by an authority whose root
certificate lies beside it and whose keys were deleted.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from toy.golden import FOLDER, ROOT, find_pack

from audit_core.cli import main
from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.container import open_pack, write_pack
from audit_core.exchange import time_stamp
from audit_core.exchange.time_stamp import check_token
from audit_core.verifier.manifest import PACK_ENVELOPE
from audit_core.verifier.walk import TIME_TOKEN

STAMPED = find_pack("planted-strict-1")
DATA = ROOT / "tests/data/time_stamp"
TOKEN, CERTIFICATES = (DATA / "planted-strict-1.tsr").read_bytes(), (DATA / "ca.pem").read_bytes()
STATEMENT = open_pack(STAMPED)[PACK_ENVELOPE]


def make_other_root() -> bytes:
    """A root certificate with the same name and another key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    own, key = x509.load_pem_x509_certificate(CERTIFICATES), ec.generate_private_key(ec.SECP256R1())
    built = (
        x509.CertificateBuilder(own.subject, own.subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_token_says_when_the_statement_existed_by_whose_clock() -> None:
    found = check_token(STATEMENT, TOKEN, CERTIFICATES)
    assert found.at == "2026-11-30T09:38:44+00:00"
    assert found.accuracy_s == 1.0
    assert found.authority == "CN=Example time stamps,O=Example"
    assert found.token_sha256 == hashlib.sha256(TOKEN).hexdigest()


@pytest.mark.parametrize(
    ("data", "certificates", "why"),
    [(STATEMENT + b" ", CERTIFICATES, "Mismatch"), (STATEMENT, make_other_root(), "does not hold")],
    ids=["other bytes", "another root of the same name"],
)
def test_a_token_of_other_bytes_or_of_an_untrusted_authority_is_refused(
    data: bytes, certificates: bytes, why: str
) -> None:
    with pytest.raises(IntegrityError, match=why):
        check_token(data, TOKEN, certificates)


def test_no_changed_token_says_anything_else() -> None:
    """A few bytes lie outside the signature; what the check reads is inside."""
    draw, true, refused = random.Random(0), check_token(STATEMENT, TOKEN, CERTIFICATES), 0
    for _ in range(600):
        changed = bytearray(TOKEN)
        changed[draw.randrange(len(TOKEN))] ^= 1 << draw.randrange(8)
        try:
            found = check_token(STATEMENT, bytes(changed), CERTIFICATES)
        except IntegrityError:
            refused += 1
        else:
            assert vars(found) | {"token_sha256": ""} == vars(true) | {"token_sha256": ""}
    assert refused > 580


@pytest.mark.parametrize("token", [b"", b"0", TOKEN[:-1], TOKEN * 60], ids=["empty", "one byte", "cut", "too long"])
def test_what_is_no_token_is_refused(token: bytes) -> None:
    with pytest.raises(IntegrityError, match="time stamp"):
        check_token(STATEMENT, token, CERTIFICATES)


def test_unreadable_certificates_and_a_missing_package_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="PEM"):
        check_token(STATEMENT, TOKEN, b"no certificate")

    def fail(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(time_stamp, "import_module", fail)
    with pytest.raises(Refused, match="timestamps"):
        check_token(STATEMENT, TOKEN, CERTIFICATES)


def test_from_the_request_to_a_pack_that_carries_the_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack, asked = Path(shutil.copy(STAMPED, tmp_path / "p.zip")), tmp_path / "p.tsq"
    trusted = ["--certificates", str(DATA / "ca.pem"), "--json"]
    assert main(["timestamp", "check", str(pack), *trusted]) == 3, "without a token nothing is said of the time"
    assert main(["timestamp", "request", str(pack), "--out", str(asked), "--json"]) == 0
    assert hashlib.sha256(STATEMENT).digest() in asked.read_bytes()
    capsys.readouterr()

    assert main(["timestamp", "add", str(pack), str(DATA / "planted-strict-1.tsr"), *trusted]) == 0
    assert main(["timestamp", "check", str(pack), *trusted]) == 0
    put, checked = map(json.loads, capsys.readouterr().out.splitlines())
    assert put == checked
    assert checked["time_stamp"]["at"] == "2026-11-30T09:38:44+00:00"
    assert open_pack(pack) == {**open_pack(STAMPED), TIME_TOKEN: TOKEN}
    assert main(["verify", str(pack), "--trust", str(FOLDER / "trust.toml")]) == 0
    assert "timestamp check" in capsys.readouterr().out, "the verifier names the command"
    assert main(["timestamp", "add", str(pack), str(DATA / "planted-strict-1.tsr"), *trusted]) == 2


def test_a_pack_that_was_altered_or_has_another_statement_is_refused(tmp_path: Path) -> None:
    members, pack = dict(open_pack(STAMPED)), tmp_path / "p.zip"
    command = ["timestamp", "check", str(pack), "--certificates", str(DATA / "ca.pem")]
    write_pack(pack, {**members, TIME_TOKEN: TOKEN, "README.txt": b"changed"})
    assert main(command) == 4
    other = open_pack(find_pack("planted-strict-2"))
    write_pack(pack, {**other, TIME_TOKEN: TOKEN})
    assert main(command) == 4
