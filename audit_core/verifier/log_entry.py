"""Audit log entries: stored bytes, hash chain, and leaf of the Merkle tree."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from audit_core.verifier.strict_json import NotStrictJson, load_strict

GENESIS = "0" * 64
"""Previous hash of the first entry of a log."""
ENTRY_FIELDS = ("v", "log_id", "seq", "ts", "tenant", "actor", "action", "object_id", "payload", "prev")
ENTRY_VERSION = 1
_ENTRY_DOMAIN = b"audit-entry-v1\0"


class BadEntry(ValueError):
    """The bytes are not an entry of an audit log."""


def hash_entry(body: bytes) -> str:
    """Return the entry's hash, hexadecimal; the prefix separates it from tree nodes, leaves and signed data."""
    return hashlib.sha256(_ENTRY_DOMAIN + body).hexdigest()


def read_entry(body: bytes) -> Mapping[str, Any]:
    """Parse an entry.

    Raises:
        BadEntry: not an unambiguous JSON object with exactly the fields of an entry.
    """
    try:
        record = load_strict(body)
    except NotStrictJson as error:
        raise BadEntry(str(error)) from error
    if not isinstance(record, dict) or set(record) != set(ENTRY_FIELDS):
        raise BadEntry("missing or unknown fields")
    texts = ("log_id", "ts", "tenant", "actor", "action", "object_id", "prev")
    if not all(isinstance(record[name], str) for name in texts) or not isinstance(record["payload"], dict):
        raise BadEntry("a field of the wrong type")
    if record["v"] != ENTRY_VERSION or type(record["seq"]) is not int or record["seq"] < 0:
        raise BadEntry("another version, or no sequence number")
    return record
