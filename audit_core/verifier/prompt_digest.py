"""The digest of prompts, and the half that one belongs to, as the product takes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any


def dump_prompt_rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One row a line, keys sorted, text as it is: the bytes that are hashed."""
    return "".join(json.dumps(dict(row), ensure_ascii=False, sort_keys=True) + "\n" for row in rows).encode()


def is_exploratory_pair(clean: str, corrupted: str) -> bool:
    """Which half a prompt belongs to: decided by the hash of its text, so nobody chooses and nothing drifts."""
    return hashlib.sha256(f"{clean}\0{corrupted}".encode()).digest()[0] % 2 == 0


def hash_prompt_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    return hashlib.sha256(dump_prompt_rows(rows)).hexdigest()


def hash_judged_half(rows: Iterable[Mapping[str, Any]]) -> str:
    """Of the confirmatory half, which claims are judged on."""
    return hash_prompt_rows(row for row in rows if not is_exploratory_pair(row["clean"], row["corrupted"]))
