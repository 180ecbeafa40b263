"""A result from the log is read back by today's classes, so a change of their shape must raise `RESULT_VERSION`."""

from __future__ import annotations

import hashlib
import json

from pydantic import TypeAdapter

from audit_core.registry import list_plugins
from audit_core.run import RESULT_VERSION

SHAPES = {
    1: "bbeec248cac35632",
    2: "e5bf8b3685c81e71",
    3: "e8fc1cd0a93af040",
    4: "7e42ad8a7722e1ed",
    5: "4c6fda064be60190",
    6: "f04ce5bb22e63b1c",
    7: "b3acc98acbca7876",
    8: "93f40b23c057ffb9",
}
"""Version → digest of the shape of all results. To change a result: raise the version, and add its digest here."""


def digest_shapes() -> str:
    audits = list_plugins("audits")
    shapes = {key: _bare(TypeAdapter(audits[key].result).json_schema()) for key in audits}
    return hashlib.sha256(json.dumps(shapes, sort_keys=True).encode()).hexdigest()[:16]


def _bare(schema: object) -> object:
    """The schema without its prose: a docstring may change."""
    if isinstance(schema, dict):
        return {key: _bare(value) for key, value in schema.items() if key != "description"}
    return [_bare(value) for value in schema] if isinstance(schema, list) else schema


def test_results_of_one_version_have_one_shape() -> None:
    """Else an old log would give a new page a result that it cannot read."""
    assert SHAPES[RESULT_VERSION] == digest_shapes()
