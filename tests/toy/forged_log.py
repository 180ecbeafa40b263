"""What somebody does to a log who may write its file: everything but sign with a key that is not theirs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.keys import SigningKey, load_log_key
from audit_core.evidence.note import sign_checkpoint
from audit_core.store import Action, append_event, make_checkpoint, open_database
from audit_core.verifier.log_entry import GENESIS, hash_entry
from audit_core.verifier.merkle import compute_root, hash_leaf
from audit_core.verifier.note import Checkpoint

COLUMNS = ("log_id", "seq", "ts", "tenant", "actor", "action", "object_id", "body", "prev", "entry", "leaf")
PROJECTED = ("log_id", "seq", "ts", "tenant", "actor", "action", "object_id", "prev")

Row = dict[str, Any]


@dataclass
class Forged:
    """A log in a forger's hands."""

    rows: list[Row]
    checkpoints: list[Row]
    key: SigningKey
    """The log's own; to be used only by attacks that say it was stolen."""

    def edit(self, at: int, **changes: Any) -> None:
        """Change the payload; the hashes stay as they are."""
        record = json.loads(self.rows[at]["body"])
        record["payload"].update(changes)
        self.rows[at]["body"] = dump_canonical(record).decode()

    def insert(self, at: int, action: str, **payload: Any) -> None:
        """An event that nobody wrote, in the form of the one before it; `relink` makes it one of the chain."""
        row = dict(self.rows[at - 1])
        record = json.loads(row["body"]) | {"action": action, "payload": payload}
        self.rows.insert(at, row | {"body": dump_canonical(record).decode()})

    def rehash(self, at: int) -> None:
        body = self.rows[at]["body"].encode()
        self.rows[at] |= {"entry": hash_entry(body), "leaf": hash_leaf(body).hex()}

    def relink(self) -> None:
        """Make all of it one good chain again: numbers, times in order, links, hashes."""
        prev, times = GENESIS, sorted(row["ts"] for row in self.rows)
        for at, row in enumerate(self.rows):
            record = json.loads(row["body"]) | {"seq": at, "prev": prev, "ts": times[at]}
            row["body"] = dump_canonical(record).decode()
            row |= {name: record[name] for name in PROJECTED}
            self.rehash(at)
            prev = row["entry"]

    def sign(self, key: SigningKey, *others: SigningKey, at: int | None = None) -> None:
        """Checkpoints anew, of the sizes that there were, or one alone."""
        for row in self.checkpoints:
            if at not in (None, row["size"]):
                continue
            leaves = [bytes.fromhex(one["leaf"]) for one in self.rows[: row["size"]]]
            head = self.rows[row["size"] - 1]["entry"]
            note = sign_checkpoint(key, Checkpoint(row["log_id"], row["size"], compute_root(leaves), head), *others)
            row |= {"root": compute_root(leaves).hex(), "head": head, "note": note}

    def forget_checkpoints(self, *, beyond: int) -> None:
        self.checkpoints = [row for row in self.checkpoints if row["size"] <= beyond]


@contextmanager
def forge(home: Path) -> Iterator[Forged]:
    """The log to be changed, written back as it is left; append-only triggers are dropped first and made again after."""
    with duckdb.connect(str(home / "runs.duckdb")) as raw:
        names = ("log_id", "size", "root", "head", "note")
        rows = raw.execute("SELECT * FROM audit_event ORDER BY seq").fetchall()
        notes = raw.execute("SELECT * FROM audit_checkpoint ORDER BY size").fetchall()
        forged = Forged(
            [dict(zip(COLUMNS, row, strict=True)) for row in rows],
            [dict(zip(names, row, strict=True)) for row in notes],
            load_log_key(home),
        )
        yield forged
        triggers = raw.execute("SELECT trigger_name, table_name, sql FROM duckdb_triggers()").fetchall()
        for name, table, _ in triggers:
            raw.execute(f"DROP TRIGGER {name} ON {table}")
        raw.execute("DELETE FROM audit_event; DELETE FROM audit_checkpoint")
        insert(raw, "audit_event", [[row[name] for name in COLUMNS] for row in forged.rows])
        insert(raw, "audit_checkpoint", [[row[name] for name in names] for row in forged.checkpoints])
        for _, _, statement in triggers:
            raw.execute(statement)


def insert(raw: duckdb.DuckDBPyConnection, table: str, rows: list[list[Any]], chunk: int = 500) -> None:
    for start in range(0, len(rows), chunk):
        part = rows[start : start + chunk]
        marks = f"({', '.join('?' * len(part[0]))})"
        values = [cell for row in part for cell in row]
        raw.execute(f"INSERT INTO {table} VALUES {', '.join([marks] * len(part))}", values)


def write_events(home: Path, count: int, *, action: Action = Action.CLAIM_REGISTERED, start: int = 0) -> None:
    with open_database(home) as connection:
        for n in range(start, start + count):
            append_event(
                connection,
                actor=f"person {n % 5}",
                action=action,
                object_id=f"C-{n:04}",
                payload={"value": 0.8 + n / 1000},
            )


def sign_now(home: Path) -> str:
    with open_database(home) as connection:
        return make_checkpoint(connection, home).note


def copy_home(home: Path, to: Path) -> Path:
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("running"))
    return to
