"""Signing keys: one file per person, readable by its owner only."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from audit_core.errors import Refused
from audit_core.evidence.whole_file import write_new

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption

PASSPHRASE = "ASSAY_KEY_PASSPHRASE"
"""Environment variable with the passphrase that encrypts people's keys; optional."""
LOG_KEY = "log"
"""The audit log's key: signs checkpoints only, unattended and so without a passphrase."""
MAX_KEY_BYTES = 16 << 10
_PEM, _NEXT = ".pem", ".pem.next"
_PERSON = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 signing key; the private key is used for signatures only and is not exposed."""

    person: str
    public_key: bytes
    """32 bytes."""
    _secret: Ed25519PrivateKey = field(repr=False, compare=False)

    @property
    def keyid(self) -> str:
        return name_key(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._secret.sign(message)


def name_key(public_key: bytes) -> str:
    """Return the key id of a raw public key of 32 bytes."""
    return f"sha256:{hashlib.sha256(public_key).hexdigest()}"


def make_key(home: Path, person: str) -> SigningKey:
    """Create a person's key, encrypted if `ASSAY_KEY_PASSPHRASE` is set.

    Raises:
        Refused: an invalid name, or a key that exists already.
    """
    check_new(home, person)
    return _make(home, person)


def check_new(home: Path, person: str) -> None:
    """Check that a person's first key can be created.

    Raises:
        Refused: an invalid name, or a key that exists already.
    """
    if person == LOG_KEY:
        raise Refused(
            f"{LOG_KEY!r} as a person.", wanted="another name.", remedy="the log's key is created with the log."
        )
    if has_key(home, person):
        raise _refuse_second(_find_path(home, person))


def load_key(home: Path, person: str, *, passphrase: str | None = None) -> SigningKey:
    """Load a person's key.

    Args:
        passphrase: as entered by the owner; None reads `ASSAY_KEY_PASSPHRASE`, which all users of a server would share.

    Raises:
        Refused: no such key, readable by others, not an Ed25519 key, or a wrong passphrase.
    """
    if person == LOG_KEY:
        raise Refused(
            f"{LOG_KEY!r} as a person.", wanted="another name.", remedy="the log's key signs checkpoints only."
        )
    return _load(home, person, passphrase=passphrase)


def list_people(home: Path) -> tuple[str, ...]:
    """List the people whose keys are in this data directory, without the log's own key."""
    found = sorted(path.stem for path in (home / "keys").glob("*.pem")) if (home / "keys").is_dir() else []
    return tuple(person for person in found if person != LOG_KEY)


def open_log_key(home: Path) -> SigningKey:
    """Return the log's own key; the first call creates it."""
    return _load(home, LOG_KEY) if has_log_key(home) else _make(home, LOG_KEY)


def has_log_key(home: Path) -> bool:
    return has_key(home, LOG_KEY)


def load_log_key(home: Path) -> SigningKey:
    """Return the log's own key.

    Raises:
        Refused: it is missing, readable by others, or not an Ed25519 key.
    """
    return _load(home, LOG_KEY)


def make_next_key(home: Path, name: str, *, passphrase: str | None = None) -> SigningKey:
    """Create the next key under this name, not yet in use; it replaces a next key that was not taken into use.

    Args:
        passphrase: as entered by the owner; None reads `ASSAY_KEY_PASSPHRASE`.
    """
    _find_path(home, name, _NEXT).unlink(missing_ok=True)
    return _make(home, name, _NEXT, passphrase=passphrase)


def find_next_key(home: Path, name: str, *, passphrase: str | None = None) -> SigningKey | None:
    """Return the next key under this name, if there is one."""
    is_there = os.path.lexists(_find_path(home, name, _NEXT))
    return _load(home, name, _NEXT, passphrase=passphrase) if is_there else None


def take_next_key(home: Path, name: str) -> None:
    """Replace the key of this name by its next key; this deletes the old private key."""
    _find_path(home, name, _NEXT).replace(_find_path(home, name))
    _sync_folder(home)


def has_key(home: Path, person: str) -> bool:
    return os.path.lexists(_find_path(home, person))


def destroy_key(home: Path, person: str) -> None:
    """Delete a key's file and that of its next key; backups are not affected."""
    for ending in (_PEM, _NEXT):
        _find_path(home, person, ending).unlink(missing_ok=True)
    _sync_folder(home)


def _sync_folder(home: Path) -> None:
    if os.name != "posix" or not (home / "keys").is_dir():
        return
    descriptor = os.open(home / "keys", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _find_path(home: Path, person: str, ending: str = _PEM) -> Path:
    if not _PERSON.fullmatch(person):
        raise Refused(
            f"{person[:80]!r} as a key name.",
            wanted="up to 64 of a-z, 0-9, dot, hyphen and underscore, starting with a letter or digit.",
            remedy="use a short name, such as the part of your address before the @.",
        )
    return home / "keys" / f"{person}{ending}"


def _make(home: Path, person: str, ending: str = _PEM, *, passphrase: str | None = None) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat

    path = _find_path(home, person, ending)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    secret = Ed25519PrivateKey.generate()
    try:
        write_new(
            path, secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _protect(person, passphrase)), mode=0o600
        )
    except FileExistsError:
        raise _refuse_second(path) from None
    return SigningKey(person, secret.public_key().public_bytes_raw(), secret)


def _refuse_second(path: Path) -> Refused:
    return Refused(
        f"{path.name} exists already.",
        wanted="a person without a key.",
        remedy="use the existing key; replacing it would leave its signatures without a signer.",
    )


def _read_passphrase(person: str) -> bytes:
    return b"" if person == LOG_KEY else os.environ.get(PASSPHRASE, "").encode()


def _choose_passphrase(person: str, typed: str | None) -> bytes | None:
    return (_read_passphrase(person) if typed is None else typed.encode()) or None


def _protect(person: str, typed: str | None) -> KeySerializationEncryption:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption

    chosen = _choose_passphrase(person, typed)
    return BestAvailableEncryption(chosen) if chosen else NoEncryption()


def _load(home: Path, person: str, ending: str = _PEM, *, passphrase: str | None = None) -> SigningKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = _find_path(home, person, ending)
    try:
        # Key file and passphrase are not bound to local variables: tracebacks may show those.
        secret = load_pem_private_key(_read_private(path), password=_choose_passphrase(person, passphrase))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused(
            f"{path.name} cannot be read as a key.",
            wanted=f"an Ed25519 key in PEM; {PASSPHRASE} set to its passphrase, or unset if it has none.",
            remedy=f"set or clear {PASSPHRASE}, or restore the file from a copy.",
        ) from None
    if not isinstance(secret, Ed25519PrivateKey):
        raise Refused(f"{path.name} is not an Ed25519 key.", wanted="an Ed25519 key.", remedy="create a key here.")
    return SigningKey(person, secret.public_key().public_bytes_raw(), secret)


def _check_folder(folder: Path) -> None:
    """Require a private folder: a user with write access could swap keys or restore old ones."""
    mode = stat.S_IMODE(folder.stat().st_mode) if os.name == "posix" and folder.is_dir() else 0
    if mode & 0o022:
        raise Refused(
            f"Other users can write to the key folder (mode {mode:04o}).",
            wanted="a folder that you own, with mode 0700.",
            remedy="chmod 700 it, and compare `keys trust` with the trust file that you distributed.",
        )


def _read_private(path: Path) -> bytes:
    """Read a regular file that only its owner can read; checks the open file, so that it cannot be swapped in between."""
    _check_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise Refused(
            f"{path.name} cannot be opened: {error.strerror}.",
            wanted="a key file, not a link to one.",
            remedy="restore it from a copy; a person may also create a new key, a log may not.",
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode) or (
            os.name == "posix" and (stat.S_IMODE(seen.st_mode) & 0o077 or seen.st_uid not in (os.geteuid(), 0))
        ):
            raise Refused(
                f"{path.name} is readable by others (mode {stat.S_IMODE(seen.st_mode):04o}) or is not yours.",
                wanted="a regular file that you own, with mode 0600.",
                remedy="chmod 600 it if no one else can have read it; otherwise create a new key and revoke this one.",
            )
        return file.read(MAX_KEY_BYTES)
