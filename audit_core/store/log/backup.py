"""Back up a data directory to one file, and restore it after checking every digest and the log."""

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
_PASSING = {"running", "queue", "snapshots", "sample", "parts"}
"""Folders that a backup excludes: state of running processes, the unpacked sample, and parts of unfinished runs."""
MAX_FILES, MAX_MANIFEST_BYTES, MAX_TOTAL_BYTES = 200_000, 64 << 20, 256 << 30
_NAME = re.compile(r"[A-Za-z0-9_@=+-][A-Za-z0-9._@=+-]*(/[A-Za-z0-9_@=+-][A-Za-z0-9._@=+-]*){0,7}\Z")
_CHUNK = 1 << 20
_UNCHANGED = "The data directory is unchanged."


@dataclass(frozen=True)
class Backup:
    """Manifest of a backup."""

    made_at: str
    log_id: str
    size: int
    """Number of events in the log."""
    has_private_keys: bool
    files: Mapping[str, str]
    """SHA-256 by file name."""


@dataclass(frozen=True)
class Restored:
    """Result of a restore."""

    backup: Backup
    old: Path | None
    """New place of the previous data directory."""
    events_lost: int | None
    """Number of events that the previous data directory's log had beyond the backup; None where unknown."""


def back_up(home: Path, out: Path, *, with_private_keys: bool) -> Backup:
    """Write a data directory into one new file with mode 0600; other processes can continue to write.

    Args:
        with_private_keys: include private keys; the file then allows signing as the log and as its people.

    Raises:
        Refused: the file exists already, is inside the data directory, or cannot be written.
    """
    home = home.resolve()
    if out.exists() or out.resolve().is_relative_to(home):
        raise Refused(
            f"{out} exists already or is inside the data directory.",
            wanted="a new file elsewhere.",
            remedy="choose another path.",
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
            wanted="a new file on a disk with enough space.",
            remedy="choose another path.",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return found


def restore(file: Path, home: Path, *, old_to: Path | None = None, external: Sequence[str] = ()) -> Restored:
    """Restore a data directory from a backup, completely or not at all.

    Args:
        old_to: new place of the existing data directory; None requires that there is none.
        external: external checkpoints, which the restored log must contain.

    Raises:
        Refused: not a backup, a data directory that exists or is in use, or a path that cannot be written.
        IntegrityError: a file differs from its digest, or the log fails verification.
    """
    home = home.resolve()
    _refuse_used(home, old_to)
    fresh = home.parent / f".assay-{secrets.token_hex(8)}.restore"
    try:
        fresh.mkdir(mode=0o700)
        backup = _unpack(file, fresh)
        _check_log(fresh, backup, external)
        lost = _count_lost(home, backup) if old_to is not None else None
        _swap(home, fresh, old_to)
    except OSError as error:
        raise Refused(
            f"{file} cannot be restored: {error.strerror or error}. {_UNCHANGED}",
            wanted="a readable backup and a writable folder.",
            remedy="check both.",
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Restored(backup, old_to, lost)


def _list_files(home: Path) -> Iterator[str]:
    """Names of the files to back up, except the database and the keys."""
    for folder, folders, names in os.walk(home):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if here != home or name not in _PASSING | {KEYS})
        for name in sorted(names):
            path = here / name
            is_database = here == home and name.startswith(DATABASE)
            if is_database or name.endswith((".part", ".lock")) or not stat.S_ISREG(path.lstat().st_mode):
                continue
            yield path.relative_to(home).as_posix()


def _write(file: IO[bytes], home: Path, copy: Path, found: Backup) -> Backup:
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
        reported = {"schema": SCHEMA, **vars(found), "files": digests}
        archive.writestr(MANIFEST, json.dumps(reported, indent=1, sort_keys=True))
    return Backup(found.made_at, found.log_id, found.size, found.has_private_keys, digests)


def _unpack(file: Path, fresh: Path) -> Backup:
    """Unpack every file below `fresh` and check its digest in the manifest."""
    try:
        with zipfile.ZipFile(file) as archive:
            rows = archive.infolist()
            names = [row.filename for row in rows]
            if len(set(names)) < len(names) or len(names) > MAX_FILES or MANIFEST not in names:
                raise _refuse(file, "it has a duplicate file, too many files, or no manifest")
            if sum(row.file_size for row in rows) > MAX_TOTAL_BYTES:
                raise _refuse(file, "it unpacks to more than the maximum size")
            backup = _read_manifest(file, archive)
            if set(names) != {MANIFEST, *backup.files}:
                raise _refuse(file, "its manifest lists other files than it contains")
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
        raise _refuse(file, f"{row.filename[:80]!a} is not a regular file")
    path = fresh / row.filename
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), row.file_size
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target, archive.open(row) as source:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise _refuse(file, f"{row.filename[:80]!a} is longer than declared")
            digest.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    if digest.hexdigest() != wanted:
        raise IntegrityError(f"{row.filename} in {file.name} does not match its digest. {_UNCHANGED}")


def _read_manifest(file: Path, archive: zipfile.ZipFile) -> Backup:
    if archive.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
        raise _refuse(file, "its manifest is too large")
    try:
        manifest: Any = load_strict(archive.read(MANIFEST))
    except NotStrictJson as error:
        raise _refuse(file, str(error)) from error
    fields = {"made_at": str, "log_id": str, "size": int, "has_private_keys": bool, "files": dict}
    if not isinstance(manifest, dict) or manifest.pop("schema", None) != SCHEMA or set(manifest) != set(fields):
        raise _refuse(file, f"its manifest does not have schema {SCHEMA}")
    if not all(type(manifest[name]) is kind for name, kind in fields.items()) or DATABASE not in manifest["files"]:
        raise _refuse(file, "its manifest lacks the database, or has a field of a wrong type")
    for name, digest in manifest["files"].items():
        _check_name(name)
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise _refuse(file, f"{name[:80]!a} has no digest")
    if manifest["has_private_keys"] != any(name.startswith(f"{KEYS}/") for name in manifest["files"]):
        raise _refuse(file, "its manifest is wrong about private keys")
    return Backup(**manifest)


def _check_name(name: str) -> None:
    top = name.split("/")[0]
    if not _NAME.match(name) or len(name) > 400 or top in _PASSING or (top.startswith(DATABASE) and name != DATABASE):
        raise Refused(
            f"{name[:80]!a} is not a valid file name of a data directory.",
            wanted="names of letters, digits and . _ @ = + -, without links or paths outside.",
            remedy="use a file that `home backup` wrote; move your own files out of the data directory.",
        )


def _refuse(file: Path, why: str) -> Refused:
    return Refused(
        f"{file.name} is not a backup of a data directory: {why}. {_UNCHANGED}",
        wanted="a file that `home backup` wrote.",
        remedy="use another copy.",
    )


def _read_log(database: Path) -> tuple[str, int]:
    with open_copy(database) as connection:
        found = verify_log(connection)
    return found.log_id, found.size


def _check_log(fresh: Path, backup: Backup, external: Sequence[str]) -> None:
    with open_copy(fresh / DATABASE) as connection:
        chain = list_log_keys(connection)
        if not chain:
            raise IntegrityError(f"The log in the backup has no key of its own. {_UNCHANGED}")
        key = load_log_key(fresh).public_key if has_log_key(fresh) else chain[-1].public_key
        found: Verification = verify_log(connection, public_key=key, external=external, is_own=has_log_key(fresh))
    if found.findings or (found.log_id, found.size) != (backup.log_id, backup.size):
        raise IntegrityError(f"The log in the backup fails verification: {_name(found.findings)} {_UNCHANGED}")


def _name(findings: Sequence[Finding]) -> str:
    return "; ".join(one.text for one in findings[:3]) + "." if findings else "its manifest belongs to another log."


def _refuse_used(home: Path, old_to: Path | None) -> None:
    if not home.exists() or not any(home.iterdir()):
        return
    if old_to is None or old_to.exists() or old_to.resolve().is_relative_to(home):
        raise Refused(
            f"{home} is not empty{'' if old_to is None else f', and {old_to} exists already or is inside it'}.",
            wanted="an empty data directory, or a new place for the existing one.",
            remedy="--old-to DIR moves it there first; nothing is deleted.",
        )
    own, running = name_process(home), home / "running"
    if any(path.stem != own and is_alive(home, path.stem) for path in running.glob("*.lock")):
        raise Refused(
            f"{home} is in use by another process.",
            wanted="a data directory that no process uses.",
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
    """Replace the data directory by two renames; if the second fails, the first is undone."""
    is_there = home.exists() and any(home.iterdir())
    if is_there and old_to is not None:
        home.rename(old_to)
    try:
        fresh.rename(home)
    except OSError:
        if is_there and old_to is not None:
            old_to.rename(home)
        raise
