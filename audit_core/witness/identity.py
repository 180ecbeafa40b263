"""A witness's name and key, created together with the folder of its state."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.keys import SigningKey, load_key, make_key
from audit_core.evidence.whole_file import write_new
from audit_core.verifier.cosignature import is_witness_name, write_vkey

_IDENTITY, _KEY = "witness.json", "witness"
_MAX_IDENTITY_BYTES = 4 << 10


@dataclass(frozen=True)
class WitnessIdentity:
    """Name and key of a witness."""

    name: str
    key: SigningKey

    @property
    def vkey(self) -> str:
        """The public key as readers list it."""
        return write_vkey(self.name, self.key.public_key)


def make_identity(folder: Path, name: str) -> WitnessIdentity:
    """Create a witness: its folder, its key and an empty state.

    State and key are created together, so that a witness never starts again with its old key and without its memory.

    Args:
        name: a URL without scheme, such as `witness.example.org/w1`; it need not be reachable.

    Raises:
        Refused: an invalid name, a folder that cannot be written, or that has a witness already.
    """
    if not is_witness_name(name):
        raise Refused(
            f"{name[:80]!a} as a witness's name.",
            wanted="1 to 200 printable ASCII characters without space and plus.",
            remedy="use a URL without scheme, such as witness.example.org/w1.",
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = make_key(folder, _KEY)
        identity = {"name": name, "keyid": key.keyid}
        write_new(folder / _IDENTITY, json.dumps(identity).encode() + b"\n", mode=0o600)
    except OSError as error:
        raise Refused(
            f"{folder} cannot hold a witness: {error.strerror}.",
            wanted="a new folder.",
            remedy="choose another folder.",
        ) from error
    return WitnessIdentity(name, key)


def open_identity(folder: Path) -> WitnessIdentity:
    """Open a witness's name and key.

    Raises:
        Refused: no witness in this folder, or a key that cannot be read.
        IntegrityError: name and key do not belong together.
    """
    try:
        with (folder / _IDENTITY).open("rb") as file:
            found = json.loads(file.read(_MAX_IDENTITY_BYTES))
        name, keyid = str(found["name"]), str(found["keyid"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"{folder} holds no witness.", wanted="a folder that `witness key` created.", remedy="create it first."
        ) from error
    key = load_key(folder, _KEY)
    if key.keyid != keyid or not is_witness_name(name):
        raise IntegrityError(f"Name and key in {folder} do not belong together: restore both from one backup.")
    return WitnessIdentity(name, key)
