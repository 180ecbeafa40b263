"""A home in one file, and back: every file with its digest, and the log checked before anything is put in its place."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.keys import has_log_key, load_log_key
from audit_core.store.database.connection import DATABASE, open_copy
from audit_core.store.database.events import read_clock
from audit_core.store.database.key_chain import list_log_keys
from audit_core.store.database.process_lock import is_alive, name_process
from audit_core.store.log.findings import Finding
from audit_core.store.log.snapshot import make_copy
from audit_core.store.log.verification import Verification, verify_log
from audit_core.verifier.strict_json import NotStrictJson, load_strict

SCHEMA, MANIFEST = "assay/home-backup/1", "backup.json"
KEYS = "keys"
_PASSING = {"running", "queue", "snapshots"}
"""Folders that say which processes run: another machine's, by the time somebody restores."""
MAX_FILES, MAX_MANIFEST_BYTES, MAX_TOTAL_BYTES = 200_000, 64 << 20, 256 << 30
_NAME = re.compile(r"[A-Za-z0-9_@=+-][A-Za-z0-9._@=+-]*(/[A-Za-z0-9_@=+-][A-Za-z0-9._@=+-]*){0,7}\Z")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Backup:
    """What a backup holds."""

    made_at: str
    log_id: str
    size: int
    """Events of the log."""
    has_private_keys: bool
    files: Mapping[str, str]
    """SHA-256 of each, by name."""


@dataclass(frozen=True)
class Restored:
    """What a home was restored from, and what is to be known of it."""

    backup: Backup
    old: Path | None
    """Where the home that was there lies now."""
    events_lost: int | None
    """How many events more the same log had in the home that was there; None where that cannot be said."""


def back_up(home: Path, out: Path, *, with_private_keys: bool) -> Backup:
    """Write everything of a home into one new file, readable by its owner alone, while others go on writing.

    Args:
        with_private_keys: whether the file can sign: who has it could sign as the log and as its people.

    Raises:
        Refused: the file is there already, lies in the home, or cannot be written.
    """
    home = home.resolve()
    if out.exists() or out.resolve().is_relative_to(home):
        raise Refused(
            f"{out} is there already or lies in the home.", wanted="a new file elsewhere.", remedy="choose another."
        )
    part = out.with_name(f".assay-{secrets.token_hex(8)}.part")
    try:
        with make_copy(home, (KEYS,) if with_private_keys else ()) as copy:
            log_id, size = _read_log(copy / DATABASE)
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w+b") as file:
                found = _write(file, home, copy, Backup(read_clock(), log_id, size, with_private_keys, {}))
                file.flush()
                os.fsync(file.fileno())
        os.link(part, out)
    except OSError as error:
        raise Refused(
            f"{out} cannot be written: {error.strerror or error}. No backup was made.",
            wanted="a new file on a disk with room for the home.",
            remedy="choose another place.",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return found


def restore(file: Path, home: Path, *, old_to: Path | None = None, held: Sequence[str] = ()) -> Restored:
    """Put a backup in a home's place, whole or not at all.

    Args:
        old_to: where the home that is there now goes; None: there must be none.
        held: checkpoints that were handed out, which the restored log must agree with and reach.

    Raises:
        Refused: no backup, a home that is there or in use, or a place that cannot be written.
        IntegrityError: a file is not what the backup says, or the log is not what was written.
    """
    home = home.resolve()
    _refuse_used(home, old_to)
    fresh = home.parent / f".assay-{secrets.token_hex(8)}.restore"
    try:
        fresh.mkdir(mode=0o700)
        backup = _unpack(file, fresh)
        _check_log(fresh, backup, held)
        lost = _count_lost(home, backup) if old_to is not None else None
        _swap(home, fresh, old_to)
    except OSError as error:
        raise Refused(
            f"{file} cannot be restored: {error.strerror or error}. The home is as it was.",
            wanted="a backup that can be read, and a folder that can be written.",
            remedy="check both.",
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Restored(backup, old_to, lost)


def _list_files(home: Path) -> Iterator[str]:
    """Names of what belongs into a backup, beside the database and the keys."""
    for folder, folders, names in os.walk(home):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if here != home or name not in _PASSING | {KEYS})
        for name in sorted(names):
            path = here / name
            is_database = here == home and name.startswith(DATABASE)
            if is_database or name.endswith((".part", ".lock")) or not stat.S_ISREG(path.lstat().st_mode):
                continue
            yield path.relative_to(home).as_posix()


def _write(file: IO[bytes], home: Path, copy: Path, said: Backup) -> Backup:
    digests: dict[str, str] = {}
    places = [(copy, path.relative_to(copy).as_posix()) for path in sorted(copy.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for root, name in (*places, *((home, name) for name in _list_files(home))):
            _check_name(name)
            digest = hashlib.sha256()
            with (root / name).open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
            digests[name] = digest.hexdigest()
        reported = {"schema": SCHEMA, **vars(said), "files": digests}
        archive.writestr(MANIFEST, json.dumps(reported, indent=1, sort_keys=True))
    return Backup(said.made_at, said.log_id, said.size, said.has_private_keys, digests)


def _unpack(file: Path, fresh: Path) -> Backup:
    """Every file below `fresh`, with the digest that the manifest names; nothing is written anywhere else."""
    try:
        with zipfile.ZipFile(file) as archive:
            rows = archive.infolist()
            names = [row.filename for row in rows]
            if len(set(names)) < len(names) or len(names) > MAX_FILES or MANIFEST not in names:
                raise _refuse(file, "it lists a file twice, too many, or no manifest")
            if sum(row.file_size for row in rows) > MAX_TOTAL_BYTES:
                raise _refuse(file, "it unpacks to more than any home holds")
            backup = _read_manifest(file, archive)
            if set(names) != {MANIFEST, *backup.files}:
                raise _refuse(file, "its manifest names other files than are there")
            for row in rows:
                if row.filename != MANIFEST:
                    _unpack_one(file, archive, row, fresh, backup.files[row.filename])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise _refuse(file, str(error)[:120]) from error
    return backup


def _unpack_one(file: Path, archive: zipfile.ZipFile, row: zipfile.ZipInfo, fresh: Path, wanted: str) -> None:
    _check_name(row.filename)
    kind = stat.S_IFMT(row.external_attr >> 16)
    if row.is_dir() or kind not in (0, stat.S_IFREG):
        raise _refuse(file, f"{row.filename[:80]!a} is no plain file")
    path = fresh / row.filename
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), row.file_size
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target, archive.open(row) as source:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise _refuse(file, f"{row.filename[:80]!a} is longer than it says")
            digest.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    if digest.hexdigest() != wanted:
        raise IntegrityError(f"{row.filename} in {file.name} is not what its digest says. The home is as it was.")


def _read_manifest(file: Path, archive: zipfile.ZipFile) -> Backup:
    if archive.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
        raise _refuse(file, "its manifest is too large")
    try:
        said: Any = load_strict(archive.read(MANIFEST))
    except NotStrictJson as error:
        raise _refuse(file, str(error)) from error
    fields = {"made_at": str, "log_id": str, "size": int, "has_private_keys": bool, "files": dict}
    if not isinstance(said, dict) or said.pop("schema", None) != SCHEMA or set(said) != set(fields):
        raise _refuse(file, f"its manifest is not of {SCHEMA}")
    if not all(type(said[name]) is kind for name, kind in fields.items()) or DATABASE not in said["files"]:
        raise _refuse(file, "its manifest lacks the database, or has a field of another type")
    for name, digest in said["files"].items():
        _check_name(name)
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise _refuse(file, f"{name[:80]!a} has no digest")
    if said["has_private_keys"] != any(name.startswith(f"{KEYS}/") for name in said["files"]):
        raise _refuse(file, "its manifest is wrong about private keys")
    return Backup(**said)


def _check_name(name: str) -> None:
    top = name.split("/")[0]
    if not _NAME.match(name) or len(name) > 400 or top in _PASSING or (top.startswith(DATABASE) and name != DATABASE):
        raise Refused(
            f"{name[:80]!a} as a file of a home.",
            wanted="names of letters, digits and . _ @ = + -, no link and no place outside.",
            remedy="a backup of `home backup`; a file of yours in the home has to lie elsewhere.",
        )


def _refuse(file: Path, why: str) -> Refused:
    return Refused(
        f"{file.name} is no backup of a home: {why}. The home is as it was.",
        wanted="a file that `home backup` wrote.",
        remedy="look for another copy.",
    )


def _read_log(database: Path) -> tuple[str, int]:
    with open_copy(database) as connection:
        found = verify_log(connection)
    return found.log_id, found.size


def _check_log(fresh: Path, backup: Backup, held: Sequence[str]) -> None:
    with open_copy(fresh / DATABASE) as connection:
        chain = list_log_keys(connection)
        if not chain:
            raise IntegrityError("The log in the backup names no key of its own. The home is as it was.")
        key = load_log_key(fresh).public_key if has_log_key(fresh) else chain[-1].public_key
        found: Verification = verify_log(connection, public_key=key, held=held, is_own=has_log_key(fresh))
    if found.findings or (found.log_id, found.size) != (backup.log_id, backup.size):
        raise IntegrityError(
            f"The log in the backup is not what was written: {_name(found.findings)} The home is as it was."
        )


def _name(findings: Sequence[Finding]) -> str:
    return "; ".join(one.text for one in findings[:3]) + "." if findings else "its manifest is of another log."


def _refuse_used(home: Path, old_to: Path | None) -> None:
    if not home.exists() or not any(home.iterdir()):
        return
    if old_to is None or old_to.exists() or old_to.resolve().is_relative_to(home):
        raise Refused(
            f"{home} is not empty{'' if old_to is None else f', and {old_to} is there already or lies in it'}.",
            wanted="an empty home, or a new place for the one that is there.",
            remedy="--old-to DIR moves it there first; nothing is deleted.",
        )
    own, running = name_process(home), home / "running"
    if any(path.stem != own and is_alive(home, path.stem) for path in running.glob("*.lock")):
        raise Refused(
            f"{home} is in use by another process.",
            wanted="nobody at work in it.",
            remedy="stop the server, and restore again.",
        )


def _count_lost(home: Path, backup: Backup) -> int | None:
    if not (home / DATABASE).is_file():
        return None
    with make_copy(home, ()) as copy, open_copy(copy / DATABASE) as connection:
        found = connection.execute("SELECT log_id, count(*) FROM audit_event GROUP BY log_id").fetchall()
    sizes = dict(found)
    return max(0, int(sizes[backup.log_id]) - backup.size) if backup.log_id in sizes else None


def _swap(home: Path, fresh: Path, old_to: Path | None) -> None:
    """Two renames; if the second fails the first is taken back."""
    is_there = home.exists() and any(home.iterdir())
    if is_there and old_to is not None:
        home.rename(old_to)
    try:
        fresh.rename(home)
    except OSError:
        if is_there and old_to is not None:
            old_to.rename(home)
        raise
