"""Signing keys, one file a person: made, kept readable by their owner alone, and never shown."""

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
"""Environment variable; a person's key is encrypted with it where it is set."""
LOG_KEY = "log"
"""Not a person: signs checkpoints of the log, unattended and so without a passphrase, and nothing else."""
MAX_KEY_BYTES = 16 << 10
_PEM, _NEXT = ".pem", ".pem.next"
_PERSON = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 key; the secret half has no way out of it but signatures."""

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
    """The key id of 32 raw bytes."""
    return f"sha256:{hashlib.sha256(public_key).hexdigest()}"


def make_key(home: Path, person: str) -> SigningKey:
    """Make a person's key, encrypted where `ASSAY_KEY_PASSPHRASE` is set.

    Raises:
        Refused: a name that is no file name, or a key that is there already.
    """
    check_new(home, person)
    return _make(home, person)


def check_new(home: Path, person: str) -> None:
    """That a person's first key can be made.

    Raises:
        Refused: a name that is no file name, or a key that is there already.
    """
    if person == LOG_KEY:
        raise Refused(f"{LOG_KEY!r} as a person.", wanted="another name.", remedy="the log's key is made with the log.")
    if has_key(home, person):
        raise _refuse_second(_find_path(home, person))


def load_key(home: Path, person: str, *, passphrase: str | None = None) -> SigningKey:
    """Read a person's key.

    Args:
        passphrase: as its owner typed it just now; None takes it from `ASSAY_KEY_PASSPHRASE`, which on a server would be everybody's.

    Raises:
        Refused: no such key, readable by others, not an Ed25519 key, or another passphrase.
    """
    if person == LOG_KEY:
        raise Refused(
            f"{LOG_KEY!r} as a person.", wanted="another name.", remedy="the log's key signs checkpoints only."
        )
    return _load(home, person, passphrase=passphrase)


def list_people(home: Path) -> tuple[str, ...]:
    """Whose keys this home holds; the log's own is nobody's."""
    found = sorted(path.stem for path in (home / "keys").glob("*.pem")) if (home / "keys").is_dir() else []
    return tuple(person for person in found if person != LOG_KEY)


def open_log_key(home: Path) -> SigningKey:
    """The log's own key, made at the first call."""
    return _load(home, LOG_KEY) if has_log_key(home) else _make(home, LOG_KEY)


def has_log_key(home: Path) -> bool:
    return has_key(home, LOG_KEY)


def load_log_key(home: Path) -> SigningKey:
    """The log's own key.

    Raises:
        Refused: it is missing, readable by others, or no Ed25519 key.
    """
    return _load(home, LOG_KEY)


def make_next_key(home: Path, name: str) -> SigningKey:
    """A key that lies beside the one of that name and is not yet in use; one that never came into use gives way to it."""
    _find_path(home, name, _NEXT).unlink(missing_ok=True)
    return _make(home, name, _NEXT)


def find_next_key(home: Path, name: str) -> SigningKey | None:
    """The key that lies beside the one of that name, if there is one."""
    return _load(home, name, _NEXT) if os.path.lexists(_find_path(home, name, _NEXT)) else None


def take_next_key(home: Path, name: str) -> None:
    """Put the next key in the place of the one of that name, whose secret half is gone with that."""
    _find_path(home, name, _NEXT).replace(_find_path(home, name))
    _sync_folder(home)


def has_key(home: Path, person: str) -> bool:
    return os.path.lexists(_find_path(home, person))


def destroy_key(home: Path, person: str) -> None:
    """Remove a key's file, and one that lies beside it; what backups hold is not reached."""
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
            f"{person[:80]!r} as the name of a key.",
            wanted="up to 64 of a-z, 0-9, dot, hyphen and underscore, a letter or digit first.",
            remedy="take a short name, such as the part of your address before the @.",
        )
    return home / "keys" / f"{person}{ending}"


def _make(home: Path, person: str, ending: str = _PEM) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat

    path = _find_path(home, person, ending)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    secret = Ed25519PrivateKey.generate()
    try:
        write_new(path, secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _protect(person)), mode=0o600)
    except FileExistsError:
        raise _refuse_second(path) from None
    return SigningKey(person, secret.public_key().public_bytes_raw(), secret)


def _refuse_second(path: Path) -> Refused:
    return Refused(
        f"{path.name} is there already.",
        wanted="a person without a key.",
        remedy="use that key; a new one would leave what the old one signed without its signer.",
    )


def _read_passphrase(person: str) -> bytes:
    return b"" if person == LOG_KEY else os.environ.get(PASSPHRASE, "").encode()


def _choose_passphrase(person: str, typed: str | None) -> bytes | None:
    return (_read_passphrase(person) if typed is None else typed.encode()) or None


def _protect(person: str) -> KeySerializationEncryption:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption

    return BestAvailableEncryption(_read_passphrase(person)) if _read_passphrase(person) else NoEncryption()


def _load(home: Path, person: str, ending: str = _PEM, *, passphrase: str | None = None) -> SigningKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = _find_path(home, person, ending)
    try:
        # Neither file nor chosen passphrase is given a name: a traceback that shows local variables would show them.
        secret = load_pem_private_key(_read_private(path), password=_choose_passphrase(person, passphrase))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused(
            f"{path.name} cannot be read as a key.",
            wanted=f"an Ed25519 key in PEM, and in {PASSPHRASE} its passphrase if it has one, and none if it has none.",
            remedy=f"set or clear {PASSPHRASE}, or restore the file from a copy.",
        ) from None
    if not isinstance(secret, Ed25519PrivateKey):
        raise Refused(f"{path.name} is a key of another kind.", wanted="Ed25519.", remedy="make a key here.")
    return SigningKey(person, secret.public_key().public_bytes_raw(), secret)


def _check_folder(folder: Path) -> None:
    """Whoever may write the folder could put one key in another's place, or an old one back."""
    mode = stat.S_IMODE(folder.stat().st_mode) if os.name == "posix" and folder.is_dir() else 0
    if mode & 0o022:
        raise Refused(
            f"The folder of keys can be written by others (mode {mode:04o}).",
            wanted="a folder of your own with mode 0700.",
            remedy="chmod 700 it, and compare `keys trust` with what you gave away.",
        )


def _read_private(path: Path) -> bytes:
    """The file, if it is a plain one that nobody but its owner can read; asked of the open file, so that it cannot be swapped."""
    _check_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise Refused(
            f"{path.name} cannot be opened: {error.strerror}.",
            wanted="a key file, not a link to one.",
            remedy="restore it from a copy; a person, not a log, may also make a new one.",
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode) or (
            os.name == "posix" and (stat.S_IMODE(seen.st_mode) & 0o077 or seen.st_uid not in (os.geteuid(), 0))
        ):
            raise Refused(
                f"{path.name} can be read by others (mode {stat.S_IMODE(seen.st_mode):04o}) or is not yours.",
                wanted="a plain file of your own with mode 0600.",
                remedy="chmod 600 it if nobody can have read it; else make a new key and revoke this one.",
            )
        return file.read(MAX_KEY_BYTES)
