"""Signing keys: kept from other readers, never shown, and never written over."""

from __future__ import annotations

import dataclasses
import io
import logging
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from audit_core.errors import Refused
from audit_core.evidence.keys import (
    PASSPHRASE,
    SigningKey,
    find_next_key,
    has_log_key,
    load_key,
    load_log_key,
    make_key,
    make_next_key,
    name_key,
    open_log_key,
)
from audit_core.verifier.ed25519 import is_signed_by

CANARY = "correct horse battery staple"


def secret_of(path: Path, passphrase: bytes | None = None) -> bytes:
    key = load_pem_private_key(path.read_bytes(), passphrase)
    return key.private_bytes_raw()  # type: ignore[union-attr]


def test_a_key_is_made_once_read_back_and_signs(tmp_path: Path) -> None:
    made, loaded = make_key(tmp_path, "ada"), load_key(tmp_path, "ada")
    assert made == loaded
    assert made.keyid == name_key(made.public_key)
    assert made.keyid.startswith("sha256:")
    assert is_signed_by(made.public_key, b"text", loaded.sign(b"text"))
    before = (tmp_path / "keys/ada.pem").read_bytes()
    with pytest.raises(Refused, match="exists already"):
        make_key(tmp_path, "ada")
    assert (tmp_path / "keys/ada.pem").read_bytes() == before
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["ada.pem"]


def test_a_key_is_born_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """In a process whose mask would let everyone read new files."""
    code = (
        "import os, sys; from pathlib import Path; os.umask(0)\n"
        "from audit_core.evidence.keys import make_key, open_log_key\n"
        "make_key(Path(sys.argv[1]), 'ada'); open_log_key(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
    assert [(tmp_path / "keys" / name).stat().st_mode & 0o777 for name in ("ada.pem", "log.pem", ".")] == [
        0o600,
        0o600,
        0o700,
    ]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    make_key(tmp_path, "ada")
    open_log_key(tmp_path)
    for name in ("ada", "log"):
        (tmp_path / f"keys/{name}.pem").chmod(mode)
    for load in (lambda: load_key(tmp_path, "ada"), lambda: load_log_key(tmp_path), lambda: open_log_key(tmp_path)):
        with pytest.raises(Refused, match=f"{mode:04o}"):
            load()


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_folder_of_keys_that_others_can_write_is_refused(mode: int, tmp_path: Path) -> None:
    """They could put one key in another's place, or an old one back."""
    make_key(tmp_path, "ada")
    open_log_key(tmp_path)
    (tmp_path / "keys").chmod(mode)
    for load in (lambda: load_key(tmp_path, "ada"), lambda: load_log_key(tmp_path)):
        with pytest.raises(Refused, match=f"can write to the key folder .mode {mode:04o}"):
            load()
    (tmp_path / "keys").chmod(0o755)
    assert load_key(tmp_path, "ada").person == "ada"


def test_a_next_key_is_kept_as_the_one_before_and_only_one_lies_there(tmp_path: Path) -> None:
    make_key(tmp_path, "ada")
    assert find_next_key(tmp_path, "ada") is None
    first, second = make_next_key(tmp_path, "ada"), make_next_key(tmp_path, "ada")
    assert first != second == find_next_key(tmp_path, "ada")
    path = tmp_path / "keys/ada.pem.next"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(Refused, match="0644"):
        find_next_key(tmp_path, "ada")


def test_a_link_to_a_key_is_refused(tmp_path: Path) -> None:
    make_key(tmp_path, "ada")
    (tmp_path / "keys/bob.pem").symlink_to(tmp_path / "keys/ada.pem")
    with pytest.raises(Refused, match=r"bob\.pem cannot be opened"):
        load_key(tmp_path, "bob")
    os.mkfifo(tmp_path / "keys/pipe.pem", 0o600)
    with pytest.raises(Refused, match="regular file"):
        load_key(tmp_path, "pipe")


@pytest.mark.parametrize("person", ["", "../ada", "a/b", "Ada", ".ada", "a\0b", "ada.pem/..", "a" * 65, "ädä", "ada\n"])
def test_a_name_that_is_no_file_name_is_refused(person: str, tmp_path: Path) -> None:
    for use in (make_key, load_key):
        with pytest.raises(Refused, match="as a key name"):
            use(tmp_path / "home", person)
    assert not (tmp_path / "home").exists()


def test_no_person_is_named_as_the_log(tmp_path: Path) -> None:
    open_log_key(tmp_path)
    for use in (make_key, load_key):
        with pytest.raises(Refused, match="as a person"):
            use(tmp_path, "log")


def test_a_passphrase_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSPHRASE, CANARY)
    made = make_key(tmp_path, "ada")
    assert b"ENCRYPTED" in (tmp_path / "keys/ada.pem").read_bytes()
    assert load_key(tmp_path, "ada") == made
    for other in ("another", ""):
        monkeypatch.setenv(PASSPHRASE, other)
        with pytest.raises(Refused, match="cannot be read as a key"):
            load_key(tmp_path, "ada")


def test_the_logs_key_needs_no_passphrase_as_no_person_is_there_to_give_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not has_log_key(tmp_path)
    monkeypatch.setenv(PASSPHRASE, CANARY)
    made = open_log_key(tmp_path)
    monkeypatch.delenv(PASSPHRASE)
    assert open_log_key(tmp_path) == load_log_key(tmp_path) == made


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    make_key(tmp_path, "ada")
    path = tmp_path / "keys/ada.pem"
    rsa = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data, says in ((b"", "cannot be read"), (b"-----BEGIN", "cannot be read"), (rsa, "not an Ed25519 key")):
        path.write_bytes(data)
        with pytest.raises(Refused, match=says):
            load_key(tmp_path, "ada")
    with pytest.raises(Refused, match="cannot be opened"):
        load_key(tmp_path, "bob")


def shown(key: SigningKey) -> str:
    """All that a program might write of a key without meaning to."""
    stream = io.StringIO()
    logging.getLogger("keys").addHandler(logging.StreamHandler(stream))
    logging.getLogger("keys").warning("%s %r", key, vars(key))
    texts = [repr(key), str(key), f"{key}", stream.getvalue(), repr(dataclasses.asdict(key))]
    with pytest.raises(TypeError) as caught:
        pickle.dumps(key)
    return "".join([*texts, str(caught.value)])


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    key = make_key(tmp_path, "ada")
    secret = secret_of(tmp_path / "keys/ada.pem")
    text = shown(key)
    assert "SigningKey(person='ada'" in text
    assert secret.hex() not in text
    assert repr(secret)[2:-1] not in text


def test_a_failure_shows_neither_key_nor_passphrase_even_with_local_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(tmp_path, "ada")
    path = tmp_path / "keys/ada.pem"
    body = path.read_text().splitlines()[1]
    monkeypatch.setenv(PASSPHRASE, CANARY)
    for mode in (0o600, 0o644):
        path.chmod(mode)
        try:
            load_key(tmp_path, "ada")
        except Refused as error:
            seen = traceback.TracebackException.from_exception(error, capture_locals=True)
            frames = [frame for frame in seen.stack if "evidence" in frame.filename]
            text = f"{error}" + repr([frame.locals for frame in frames])
        assert "person" in text, "the control: local variables of our own frames are in it"
        assert body not in text
        assert CANARY not in text
