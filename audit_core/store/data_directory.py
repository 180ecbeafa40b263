"""The folder that holds the run log and the prompts that people brought."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from audit_core.errors import IntegrityError, PromptRefused, StoreRefused
from audit_core.evidence.whole_file import write_whole
from audit_core.prompts.prompt_set import PromptSet, dump_jsonl, parse_rows


def audit_home() -> Path:
    """`AUDIT_HOME`, else the user's data folder; made if missing.

    Raises:
        StoreRefused: the folder cannot be made.
    """
    import platformdirs

    home = Path(os.environ.get("AUDIT_HOME") or platformdirs.user_data_dir("assay", appauthor=False))
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreRefused(
            f"{home} cannot be made: {error.strerror}.", wanted="a writable folder.", remedy="set AUDIT_HOME to one."
        ) from error
    return home


def keep_prompts(prompts: PromptSet, *, owner: str = "") -> str:
    """Store a typed or uploaded set under its hash, so that links and history hold ids and never text; returns the id.

    Args:
        owner: digest of the only person who may read it back; empty where everybody may who has the id.
    """
    key = _name_prompts(prompts)
    _keep(_find_prompts(owner) / f"{key}.jsonl", dump_jsonl(prompts.prompts).encode())
    return key


def keep_policy(text: bytes) -> None:
    """Store a policy under its digest: a claim frozen under it is packed with it, whatever becomes of the file."""
    _keep(audit_home() / "policies" / f"{hashlib.sha256(text).hexdigest()}.toml", text)


def _keep(path: Path, data: bytes) -> None:
    """A file that is named by what it holds is written where it is missing or holds something else."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != data:
            write_whole(path, data, mode=0o600)
    except OSError as error:
        raise StoreRefused(
            f"{path.name} cannot be kept: {error.strerror}.",
            wanted="a home that can be written.",
            remedy="check the disk, or set AUDIT_HOME to another folder.",
        ) from error


def _name_prompts(prompts: PromptSet) -> str:
    return f"own-{prompts.sha256[:24]}"


def load_kept_policy(sha256: str) -> bytes:
    """Read a policy back by its digest.

    Raises:
        StoreRefused: none of that digest is kept here.
        IntegrityError: the file was changed.
    """
    path = audit_home() / "policies" / f"{sha256}.toml"
    if not re.fullmatch(r"[0-9a-f]{64}", sha256) or not path.is_file():
        raise StoreRefused(
            f"No policy {sha256[:12]!r} here.", wanted="one that a claim was frozen under.", remedy="freeze under it."
        )
    text = path.read_bytes()
    if hashlib.sha256(text).hexdigest() != sha256:
        raise IntegrityError(f"Policy {sha256[:12]}… is not what was frozen; it was changed on disk.")
    return text


def _find_prompts(owner: str) -> Path:
    folder = audit_home() / "prompts"
    if not owner:
        return folder
    if not re.fullmatch(r"[0-9a-f]{32}", owner):
        raise PromptRefused("Prompts of no person.", wanted="a person's digest.", remedy="sign in again.")
    return folder / f"of-{owner}"


def load_kept_prompts(key: str, *, owner: str = "") -> PromptSet:
    """Read a set back by its id.

    Args:
        owner: digest of the person who asks; theirs alone are looked through. Empty: those that belong to nobody.

    Raises:
        PromptRefused: no set of that id is kept here.
        IntegrityError: the file was changed.
    """
    path = _find_prompts(owner) / f"{key}.jsonl"
    if not re.fullmatch(r"own-[0-9a-f]{24}", key) or not path.is_file():
        raise PromptRefused(
            f"No prompts {key[:40]!r} here.", wanted="an id kept on this machine.", remedy="type or upload them again."
        )
    # A set kept by an earlier version may hold repeats: its digest is of all rows, and they are set aside when it is run.
    prompts = parse_rows(path.read_bytes(), name=path.stem)
    if _name_prompts(prompts) != key:
        raise IntegrityError(f"Prompts {key} are not what was kept; the file was changed on disk.")
    return prompts
