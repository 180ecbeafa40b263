"""A trained dictionary written to a folder, with its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from audit_core.dictionaries.dictionary import Dictionary
from audit_core.dictionaries.store import ARRAYS, CARD, WEIGHTS
from audit_core.errors import Refused
from audit_core.features.quality import Card


def save_dictionary(dictionary: Dictionary, card: Card, folder: Path) -> None:
    """Write weights and card.

    Raises:
        Refused: the folder holds something already, or the card is of another dictionary.
    """
    if card.sha256 != dictionary.sha256:
        raise Refused("A card of another dictionary.", wanted="its own.", remedy="measure this dictionary's quality.")
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder.name[:60]!r} is not empty.", wanted="a new folder.", remedy="choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: _pack(getattr(dictionary, name)) for name in ARRAYS}
    (folder / WEIGHTS).write_bytes(save(arrays))
    written = {"layer": dictionary.layer, "longest": dictionary.longest, **card.to_json()}
    (folder / CARD).write_text(json.dumps(written, indent=1, allow_nan=True) + "\n", encoding="utf-8")


def _pack(array: NDArray[np.float32]) -> NDArray[Any]:
    """As 2-byte numbers where that loses nothing."""
    half = np.ascontiguousarray(array, np.float16)
    return half if (half.astype(np.float32) == array).all() else np.ascontiguousarray(array, np.float32)
