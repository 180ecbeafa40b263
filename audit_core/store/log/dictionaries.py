"""Dictionaries that were added to the data directory, in the audit log."""

from __future__ import annotations

from pathlib import Path

from audit_core.dictionaries.shelf import DictionaryEntry
from audit_core.governance.approval import name_person
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event


def note_dictionary(home: Path, entry: DictionaryEntry, *, by: str) -> None:
    """Log a dictionary by its digest, with its origin and the digest of its model's weights."""
    with open_database(home) as connection:
        append_event(
            connection, actor=name_person(by), action=Action.DICTIONARY_ADDED, object_id=entry.sha256,
            payload={
                "name": entry.name, "origin": entry.origin.value, "layer": entry.layer,
                "weights_sha256": entry.weights_sha256,
            },
        )  # fmt: skip
