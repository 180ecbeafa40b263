"""Parts: each ended run as Parquet files that never change, in a folder that any number of installations write and read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import IntegrityError, Refused, StoreRefused
from audit_core.evidence.whole_file import write_new
from audit_core.exchange.effect_parquet import write_parquet, write_row
from audit_core.exchange.effect_table import EffectTable, tabulate_run
from audit_core.store import RunLog
from audit_core.store.log.run_log import RunRecord
from audit_core.store.parts_index import EFFECTS, RUNS, name_effects, name_run

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}", re.ASCII)
_MODE = 0o644
_UNENDED = "abandoned"
"""Outcome of a run without an end. A campaign may still end it, and a part never changes."""


@dataclass(frozen=True)
class Published:
    """Runs of one log in a folder of parts."""

    new: int
    known: int
    """Runs whose parts were there already."""
    without_effects: int
    """Of the new ones: without a result, without an estimate in it, or of another version of their audit."""
    left_out: int
    """Runs without an end."""


def publish_runs(log: RunLog, folder: Path, on_progress: Callable[[int, int], None] = lambda *_: None) -> Published:
    """Write a part for each ended run that has none, so that a publication that was killed can be repeated.

    The run's row is named after its effects: a reader who finds the run finds all of it.

    Raises:
        StoreRefused: the folder cannot be written.
    """
    records = log.list_runs(limit=2**31)[::-1]
    ended = [record for record in records if record.outcome != _UNENDED]
    new = without = 0
    try:
        for name in (RUNS, EFFECTS):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for at, record in enumerate(ended):
            if not _ID.fullmatch(record.run_id):
                raise IntegrityError(f"A run of the log has the id {record.run_id[:80]!a}, which can be no file name.")
            if not (folder / name_run(record.run_id)).exists():
                table = _tabulate(record)
                _write_parts(folder, record, table)
                new, without = new + 1, without + (table is None)
            on_progress(at + 1, len(ended))
    except OSError as error:
        raise StoreRefused(
            f"Parts cannot be written to {folder}: {error.strerror or error}.",
            wanted="a writable folder, which all installations share.", remedy="check the folder and its mounts.",
        ) from error  # fmt: skip
    return Published(new, len(ended) - new, without, len(records) - len(ended))


def _tabulate(record: RunRecord) -> EffectTable | None:
    try:
        return tabulate_run(record)
    except Refused:
        return None


def _write_parts(folder: Path, record: RunRecord, table: EffectTable | None) -> None:
    """Another process may write the same run at the same time: the first one stays."""
    if table is not None:
        effects = folder / name_effects(record.run_id)
        effects.parent.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            write_new(effects, write_parquet(table), mode=_MODE)
    with suppress(FileExistsError):
        write_new(folder / name_run(record.run_id), _write_row(record, table), mode=_MODE)


def _write_row(record: RunRecord, table: EffectTable | None) -> bytes:
    """What a catalogue needs of a run; no actor, no session, no prompt and no detail, which may quote one."""
    identity = json.loads(record.identity)
    texts = {
        "run_id": record.run_id, "started_at": record.started_at, "audit": record.kind, "outcome": record.outcome,
        "reason": record.reason, "model": str(identity.get("model", "")), "model_digest": record.model_digest,
        "prompts": str(identity.get("prompts", "")), "prompts_sha256": record.prompts_sha256, "content_key": record.content_key,
    }  # fmt: skip
    return write_row(texts | {"wall_s": record.wall_s, "n_effects": 0 if table is None else len(table.rows)})
