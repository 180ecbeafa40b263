"""Building blocks of the schemas of all documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit_core.verifier.clock import TIME_PATTERN

Schema = Mapping[str, Any]


def record(fields: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of an object with exactly these fields."""
    return {
        "type": "object",
        "required": list(fields),
        "properties": {**fields, **(optional or {})},
        "additionalProperties": False,
    }


def list_of(item: Schema, least: int = 0, most: int | None = None) -> Schema:
    limits = ({"minItems": least} if least else {}) | ({} if most is None else {"maxItems": most})
    return {"type": "array", "items": item, **limits}


def table_of(item: Schema) -> Schema:
    """Return the schema of an object whose keys are ids or names."""
    return {"type": "object", "additionalProperties": item}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def matching(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


ANYTHING: Schema = {}
TEXT: Schema = {"type": "string"}
WORDS: Schema = {"type": "string", "minLength": 1}
TRUTH: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
POSITIVE: Schema = {"type": "integer", "minimum": 1}
AMOUNT: Schema = {"type": "number", "minimum": 0}
SHA256: Schema = matching("^[0-9a-f]{64}$")
GIT_COMMIT: Schema = matching("^[0-9a-f]{40}$")
SPLIT_SALT: Schema = matching("^[0-9a-f]{16}$")
"""The last part of the id of a log."""
KEY_ID: Schema = matching("^sha256:[0-9a-f]{64}$")
TIME: Schema = matching(TIME_PATTERN)
DATE: Schema = matching("^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
ULID: Schema = matching("^[0-9A-HJKMNP-TV-Z]{26}$")
CLAIM_ID: Schema = matching("^C-[0-9]{4,9}$")
ID: Schema = matching("^[0-9A-Za-z][0-9A-Za-z._-]{0,79}$")
UNIT: Schema = WORDS
