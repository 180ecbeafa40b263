"""Digest of a prompt set, and the split (exploratory or confirmatory) of each prompt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def dump_prompt_rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the bytes that are hashed: one row per line, sorted keys, unchanged text."""
    return "".join(json.dumps(dict(row), ensure_ascii=False, sort_keys=True) + "\n" for row in rows).encode()


def is_exploratory_pair(clean: str, corrupted: str) -> bool:
    """Return whether a prompt belongs to the exploratory split; its text's hash decides, so no person can choose."""
    return hashlib.sha256(f"{clean}\0{corrupted}".encode()).digest()[0] % 2 == 0


def hash_prompt_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    return hashlib.sha256(dump_prompt_rows(rows)).hexdigest()


def hash_judged_half(rows: Sequence[Mapping[str, Any]], explored: Sequence[bool] | None = None) -> str:
    """Return the digest of the confirmatory split, which claims are judged on.

    Args:
        explored: which rows are exploratory in a set that is divided by template; the hash of their texts decides if not given.
    """
    if explored is None:
        explored = [is_exploratory_pair(row["clean"], row["corrupted"]) for row in rows]
    return hash_prompt_rows(row for row, flag in zip(rows, explored, strict=True) if not flag)
