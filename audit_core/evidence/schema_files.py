"""Schemas of all documents as JSON files, for programs other than the verifier, which does not read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from audit_core.verifier.documents import SCHEMAS

FOLDER = Path(__file__).parent / "schemas"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@cache
def render_schemas() -> Mapping[str, bytes]:
    """Return file name and bytes of each schema, as in `schemas/` here and in every pack."""
    return {
        f"{name}.schema.json": (json.dumps({"$schema": _DIALECT, "title": name, **schema}, indent=1) + "\n").encode()
        for name, schema in SCHEMAS.items()
    }


def write_schemas(folder: Path = FOLDER) -> None:
    for name, data in render_schemas().items():
        (folder / name).write_bytes(data)
