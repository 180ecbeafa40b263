"""Checkpoints as signed notes: the published example of the format holds, and nothing near a good note passes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from audit_core.evidence.keys import SigningKey, open_log_key
from audit_core.evidence.note import sign_checkpoint
from audit_core.verifier.ed25519 import is_signed_by
from audit_core.verifier.note import BadNote, Checkpoint, hash_note_key, read_checkpoint, read_unsigned

ORIGIN = "assay/0123456789abcdef"
CHECKPOINT = Checkpoint(ORIGIN, 7, bytes(range(32)), "ab" * 32)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return open_log_key(tmp_path_factory.mktemp("home"))


@pytest.fixture
def note(key: SigningKey) -> str:
    return sign_checkpoint(key, CHECKPOINT)


def test_the_published_example_of_the_format_holds() -> None:
    """The key "PeterNeumann" of golang.org/x/mod/sumdb/note: its hash, and its signature over the example's text."""
    name, key_hash, encoded = ["PeterNeumann", "c74f20a3", "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
    public_key = base64.b64decode(encoded)[1:]
    assert hash_note_key(name, public_key).hex() == key_hash
    text = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    signature = base64.b64decode(line)
    assert signature[:4] == hash_note_key(name, public_key)
    assert is_signed_by(public_key, text, signature[4:])


def test_what_is_signed_is_read_back(key: SigningKey, note: str) -> None:
    assert read_checkpoint(note, origin=ORIGIN, public_key=key.public_key) == CHECKPOINT
    assert note.startswith(f"{ORIGIN}\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n{'ab' * 32}\n\n— {ORIGIN} ")


def test_another_keys_signature_is_left_aside(key: SigningKey, note: str, tmp_path: Path) -> None:
    """A witness may sign too; a line of this log's key that does not hold condemns the note."""
    witness = sign_checkpoint(open_log_key(tmp_path), CHECKPOINT).splitlines()[-1]
    assert read_checkpoint(f"{note}{witness}\n", origin=ORIGIN, public_key=key.public_key) == CHECKPOINT
    with pytest.raises(BadNote, match="no signature of this log's key"):
        read_checkpoint(note.replace(note.splitlines()[-1], witness), origin=ORIGIN, public_key=key.public_key)
    wrong = base64.b64encode(hash_note_key(ORIGIN, key.public_key) + bytes(64)).decode()
    with pytest.raises(BadNote, match="invalid signature"):
        read_checkpoint(f"{note}— {ORIGIN} {wrong}\n", origin=ORIGIN, public_key=key.public_key)


def test_any_changed_character_is_refused(key: SigningKey, note: str) -> None:
    """Every position but the name and the blank around the signature, which say only whose line it is."""
    for at, character in enumerate(note):
        changed = note[:at] + chr(ord(character) ^ 1) + note[at + 1 :]
        with pytest.raises(BadNote):
            read_checkpoint(changed, origin=ORIGIN, public_key=key.public_key)


def change(note: str, line: int, text: str) -> str:
    lines = note.split("\n")
    lines[line] = text
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("checkpoint", "says"),
    [
        (Checkpoint("assay/another", 7, bytes(32), "ab" * 32), "of 'assay/another', not of"),
        (Checkpoint(ORIGIN, 7, bytes(31), "ab" * 32), "31 bytes"),
        (Checkpoint(ORIGIN, -7, bytes(32), "ab" * 32), "not origin, size"),
        (Checkpoint(ORIGIN, 10**18, bytes(32), "ab" * 32), "not origin, size"),
        (Checkpoint(ORIGIN, 7, bytes(32), "AB" * 32), "not origin, size"),
        (Checkpoint(ORIGIN, 7, bytes(32), "ab" * 32 + "\nmore"), "not origin, size"),
    ],
)
def test_a_well_signed_note_of_another_shape_is_refused(key: SigningKey, checkpoint: Checkpoint, says: str) -> None:
    note = sign_checkpoint(key, checkpoint).replace("— assay/another", f"— {ORIGIN}")
    with pytest.raises(BadNote, match=says):
        read_checkpoint(note, origin=ORIGIN, public_key=key.public_key)


@pytest.mark.parametrize(
    "text", ["", "\n", "\n\n", "x", "a\n\nb\n", "a\n\n— b c\n", "a\n\n— b AA==\n", "\0\n\n— b AA==\n"]
)
def test_what_is_no_note_is_refused(key: SigningKey, text: str) -> None:
    with pytest.raises(BadNote):
        read_checkpoint(text, origin=ORIGIN, public_key=key.public_key)


def test_a_size_root_or_signature_has_one_spelling(key: SigningKey, note: str) -> None:
    """Base64 of 32 or 68 bytes leaves bits over, which a lax reader would ignore."""
    root, signature = note.split("\n")[2], note.split(" ")[-1].removesuffix("\n")
    for encoded in (root, signature):
        last = encoded.rstrip("=")[-1]
        assert base64.b64decode(encoded.replace(f"{last}=", f"{chr(ord(last) + 1)}=")) == base64.b64decode(encoded)
    loose = signature.replace(signature[-2:], f"{chr(ord(signature[-2]) + 1)}=")
    for changed in (change(note, 1, "07"), change(note, 1, "+7"), note.replace(signature, loose)):
        with pytest.raises(BadNote):
            read_checkpoint(changed, origin=ORIGIN, public_key=key.public_key)
    with pytest.raises(BadNote, match="too long"):
        read_checkpoint(note + "x" * 70_000, origin=ORIGIN, public_key=key.public_key)
    with pytest.raises(BadNote, match="more than"):
        read_checkpoint(note + note.splitlines()[-1].join(["", "\n"]) * 101, origin=ORIGIN, public_key=key.public_key)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("\n\n", "\n", "no signatures below a blank line"),
        ("=\n", "=", "no signatures below a blank line"),
        ("\n\n", "\t\n\n", "control characters"),
        ("\n\n", "\nmore\n\n", "one per line"),
        (f"{ORIGIN}\n7", "\n7", "one per line"),
        ("\n7\n", "\n07\n", "one per line"),
        ("\n7\n", "\n-7\n", "one per line"),
        ("ab" * 32 + "\n", "ab" * 31 + "\n", "one per line"),
    ],
)
def test_a_note_in_another_form_is_refused_before_any_signature_is_looked_at(
    note: str, old: str, new: str, match: str
) -> None:
    assert read_unsigned(note) == CHECKPOINT
    place = note.rindex(old) if old == "=\n" else note.index(old)
    with pytest.raises(BadNote, match=match):
        read_unsigned(note[:place] + new + note[place + len(old) :])
