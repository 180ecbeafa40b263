"""A trained dictionary written to a folder, with its card."""

from __future__ import annotations

from pathlib import Path

from audit_core.dictionaries.dictionary import Dictionary
from audit_core.dictionaries.store import write_dictionary
from audit_core.errors import Refused
from audit_core.features.quality import Card


def save_dictionary(dictionary: Dictionary, card: Card, folder: Path) -> None:
    """Write weights and card.

    Raises:
        Refused: the folder holds something already, or the card is of another dictionary.
    """
    if card.sha256 != dictionary.sha256:
        raise Refused("A card of another dictionary.", wanted="its own.", remedy="measure this dictionary's quality.")
    write_dictionary(dictionary, card.to_json(), folder)
