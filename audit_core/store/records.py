"""How many records of a person's own a data directory holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action

_COUNT = """
SELECT (SELECT count(*) FROM claim), (SELECT count(*) FROM desk_pack), (SELECT count(*) FROM card_claim),
    (SELECT count(*) FROM audit_event WHERE action <> ?)
"""


@dataclass(frozen=True)
class RecordCounts:
    """Claims, packs and sentences of model cards, and every event after the log's own key."""

    claims: int
    packs: int
    sentences: int
    events: int

    @property
    def has_records(self) -> bool:
        """Whether there is anything to review; runs on the Explore pages alone are nothing to review."""
        return bool(self.claims or self.packs or self.sentences)


def count_records(home: Path) -> RecordCounts:
    """Count the records of a data directory."""
    with open_database(home) as connection:
        row = connection.execute(_COUNT, [Action.KEY_MADE.value]).fetchone()
    assert row is not None
    return RecordCounts(*(int(number) for number in row))
