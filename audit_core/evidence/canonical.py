"""Canonical JSON (RFC 8785): the bytes of a document that are hashed and signed."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

import rfc8785

from audit_core.errors import Refused


def dump_canonical(value: Any) -> bytes:
    """Return canonical JSON bytes: sorted keys, shortest numbers, strings in Unicode normal form C.

    Raises:
        Refused: NaN, infinity, an integer of 2^53 or more (write it as text), or a value that JSON does not support.
    """
    try:
        return rfc8785.dumps(_normalise(value))
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise Refused(
            f"A document without a canonical form: {str(error)[:200]}",
            wanted="text, booleans, finite numbers, integers below 2^53, lists and objects.",
            remedy="write large integers as text, and leave out values that were not measured.",
        ) from error


def hash_document(value: Any) -> str:
    """Return the SHA-256 of the canonical bytes, hexadecimal."""
    return hashlib.sha256(dump_canonical(value)).hexdigest()


def _normalise(value: Any) -> Any:
    """Normalise all strings: RFC 8785 does not, so two encodings of "é" would give two digests."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {_normalise(key): _normalise(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_normalise(inner) for inner in value]
    return value
