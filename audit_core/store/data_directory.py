"""The data directory: location, and files stored under their digest (prompt sets, policies)."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from audit_core.data_folder import locate_home
from audit_core.errors import IntegrityError, PromptRefused, StoreRefused
from audit_core.evidence.whole_file import write_whole
from audit_core.prompts.prompt_set import PromptSet, divide_by_template, dump_jsonl, parse_rows

_KEY = re.compile(r"own-[0-9a-f]{24}(-[0-9a-f]{16})?")


def audit_home() -> Path:
    """Path of the data directory: `AUDIT_HOME`, else the user's data folder; created if missing.

    Raises:
        StoreRefused: the folder cannot be created.
    """
    home = locate_home()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreRefused(
            f"{home} cannot be created: {error.strerror}.",
            wanted="a writable folder.",
            remedy="set AUDIT_HOME to one.",
        ) from error
    return home


def keep_prompts(prompts: PromptSet, *, owner: str = "", home: Path | None = None) -> str:
    """Store a typed or uploaded set under its hash and return its id, so that links and history contain no text.

    Args:
        owner: digest of the only person who may read it; empty to allow every person with the id.
        home: data directory; the one of this installation unless given.
    """
    key = _name_prompts(prompts)
    _keep(_find_prompts(owner, home) / f"{key}.jsonl", dump_jsonl(prompts.prompts).encode())
    return key


def keep_policy(text: bytes, *, home: Path | None = None) -> None:
    """Store a policy under its digest, so that packs can include it even if the original file is gone.

    Args:
        home: data directory; the one of this installation unless given.
    """
    _keep((home or audit_home()) / "policies" / f"{hashlib.sha256(text).hexdigest()}.toml", text)


def _keep(path: Path, data: bytes) -> None:
    """Write a content-addressed file where it is missing or has other content."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != data:
            write_whole(path, data, mode=0o600)
    except OSError as error:
        raise StoreRefused(
            f"{path.name} cannot be stored: {error.strerror}.",
            wanted="a writable data directory.",
            remedy="check the disk, or set AUDIT_HOME to another folder.",
        ) from error


def _name_prompts(prompts: PromptSet) -> str:
    """An id that ends in a salt is of a set that is divided by template; without one, the texts of each prompt decide."""
    digest = prompts.sha256[:24]
    return f"own-{digest}-{prompts.split_salt}" if prompts.split_salt else f"own-{digest}"


def load_kept_policy(sha256: str, *, home: Path | None = None) -> bytes:
    """Read a stored policy by its digest.

    Args:
        home: data directory; the one of this installation unless given.

    Raises:
        StoreRefused: no policy with that digest is stored.
        IntegrityError: the file was changed.
    """
    path = (home or audit_home()) / "policies" / f"{sha256}.toml"
    if not re.fullmatch(r"[0-9a-f]{64}", sha256) or not path.is_file():
        raise StoreRefused(
            f"No policy {sha256[:12]!r} here.",
            wanted="a policy that a claim was frozen under.",
            remedy="freeze a claim under it.",
        )
    text = path.read_bytes()
    if hashlib.sha256(text).hexdigest() != sha256:
        raise IntegrityError(f"Policy {sha256[:12]}… was changed on disk after it was frozen.")
    return text


def _find_prompts(owner: str, home: Path | None = None) -> Path:
    folder = (home or audit_home()) / "prompts"
    if not owner:
        return folder
    if not re.fullmatch(r"[0-9a-f]{32}", owner):
        raise PromptRefused(
            "The owner of the prompts is invalid.", wanted="a person's digest.", remedy="sign in again."
        )
    return folder / f"of-{owner}"


def load_kept_prompts(key: str, *, owner: str = "", home: Path | None = None) -> PromptSet:
    """Read a stored prompt set by its id.

    Args:
        owner: digest of the current person, to find only their sets; empty for sets without owner.
        home: data directory; the one of this installation unless given.

    Raises:
        PromptRefused: no set with that id is stored.
        IntegrityError: the file was changed.
    """
    path = _find_prompts(owner, home) / f"{key}.jsonl"
    if not _KEY.fullmatch(key) or not path.is_file():
        raise PromptRefused(
            f"No prompts {key[:40]!r} here.", wanted="the id of a stored set.", remedy="type or upload them again."
        )
    # A set stored by an earlier version may contain repeats: its digest covers all rows, and a run excludes them.
    prompts = parse_rows(path.read_bytes(), name=path.stem)
    if salt := key.partition("-")[2].partition("-")[2]:
        prompts = divide_by_template(prompts, salt)
    if _name_prompts(prompts) != key:
        raise IntegrityError(f"Prompts {key} were changed on disk after they were stored.")
    return prompts
