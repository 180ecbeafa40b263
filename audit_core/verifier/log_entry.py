"""One entry of an audit log: its bytes as stored, the hash that the next entry names, and its leaf in the tree."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from audit_core.verifier.strict_json import NotStrictJson, load_strict

GENESIS = "0" * 64
"""What the first entry of a log names as the one before it."""
ENTRY_FIELDS = ("v", "log_id", "seq", "ts", "tenant", "actor", "action", "object_id", "payload", "prev")
ENTRY_VERSION = 1
_ENTRY_DOMAIN = b"audit-entry-v1\0"


class BadEntry(ValueError):
    """The bytes are no entry of an audit log."""


def hash_entry(body: bytes) -> str:
    """Hexadecimal; the prefix keeps an entry from being taken for a node or leaf of the tree, or for anything signed."""
    return hashlib.sha256(_ENTRY_DOMAIN + body).hexdigest()


def read_entry(body: bytes) -> Mapping[str, Any]:
    """The record that the bytes hold.

    Raises:
        BadEntry: not one unambiguous JSON object with exactly the fields of an entry.
    """
    try:
        record = load_strict(body)
    except NotStrictJson as error:
        raise BadEntry(str(error)) from error
    if not isinstance(record, dict) or set(record) != set(ENTRY_FIELDS):
        raise BadEntry("not the fields of an entry")
    texts = ("log_id", "ts", "tenant", "actor", "action", "object_id", "prev")
    if not all(isinstance(record[name], str) for name in texts) or not isinstance(record["payload"], dict):
        raise BadEntry("a field of another type")
    if record["v"] != ENTRY_VERSION or type(record["seq"]) is not int or record["seq"] < 0:
        raise BadEntry("another version, or no sequence number")
    return record
