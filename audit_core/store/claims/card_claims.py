"""Model card sentences about how a model works, and the registered claims that test them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import ClaimRefused
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event, read_clock

MAX_TEXT = 600
_INSERT = "INSERT INTO card_claim VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_LINK = "INSERT INTO card_claim_link VALUES (?, ?, ?, ?, ?)"
_ROWS = "SELECT number, model, text, card_sha256, added_at, added_by FROM card_claim ORDER BY number"
_LINKS = "SELECT card_claim, claim_id FROM card_claim_link ORDER BY number"
_COUNT = "SELECT count(*) FROM card_claim"
_COUNT_LINKS = "SELECT count(*) FROM card_claim_link"
_HAS_CLAIM = "SELECT count(*) FROM claim WHERE claim_id = ?"


@dataclass(frozen=True)
class CardClaim:
    """One sentence of a card."""

    number: int
    model: str
    """Name that opens the model."""
    text: str
    card_sha256: str
    """Digest of the card; empty for a typed sentence."""
    added_at: str
    added_by: str
    claim_ids: tuple[str, ...]
    """Registered claims that test the sentence."""


def add_card_claim(home: Path, model: str, text: str, *, card_sha256: str, by: str) -> int:
    """Store a sentence and return its number; the log contains only its digest."""
    text = " ".join(text.split())
    if not text or len(text) > MAX_TEXT:
        raise ClaimRefused(f"A sentence of {len(text)} characters.", wanted=f"1 to {MAX_TEXT}.", remedy="shorten it.")
    with open_database(home) as connection:
        row = connection.execute(_COUNT).fetchone()
        number = 1 + (int(row[0]) if row else 0)
        connection.execute(_INSERT, [number, model, text, card_sha256, read_clock(), by])
        reported = {"model": model, "card_sha256": card_sha256}
        append_event(connection, actor=by, action=Action.CARD_CLAIM_ADDED, object_id=f"card-{number}", payload=reported)
    return number


def link_card_claim(home: Path, number: int, claim_id: str, *, by: str) -> None:
    """Link a registered claim that tests this sentence; the link is logged with the person's name.

    Raises:
        ClaimRefused: no such sentence, or no such claim.
    """
    with open_database(home) as connection:
        known = connection.execute(_HAS_CLAIM, [claim_id]).fetchone()
        count = connection.execute(_COUNT).fetchone()
        if not known or not known[0] or not count or not 1 <= number <= count[0]:
            raise ClaimRefused(
                f"Sentence {number} and claim {claim_id[:40]!r}.",
                wanted="both in this data directory.",
                remedy="choose from the lists.",
            )
        row = connection.execute(_COUNT_LINKS).fetchone()
        link = 1 + (int(row[0]) if row else 0)
        connection.execute(_INSERT_LINK, [link, number, claim_id, read_clock(), by])
        reported = {"claim_id": claim_id}
        append_event(
            connection, actor=by, action=Action.CARD_CLAIM_LINKED, object_id=f"card-{number}", payload=reported
        )


def list_card_claims(home: Path) -> tuple[CardClaim, ...]:
    """Every sentence, oldest first."""
    with open_database(home) as connection:
        links = connection.execute(_LINKS).fetchall()
        rows = connection.execute(_ROWS).fetchall()
    return tuple(
        CardClaim(
            number, model, text, sha256, at, by, tuple(dict.fromkeys(one for card, one in links if card == number))
        )
        for number, model, text, sha256, at, by in rows
    )
