"""The schemas of all documents as files, for readers that are not Python; the verifier reads none of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from audit_core.verifier.documents import SCHEMAS

FOLDER = Path(__file__).parent / "schemas"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def render_schemas() -> Mapping[str, bytes]:
    """File name and bytes of each, as they stand in `schemas/` here and in every pack."""
    return {
        f"{name}.schema.json": (json.dumps({"$schema": _DIALECT, "title": name, **schema}, indent=1) + "\n").encode()
        for name, schema in SCHEMAS.items()
    }


def write_schemas(folder: Path = FOLDER) -> None:
    for name, data in render_schemas().items():
        (folder / name).write_bytes(data)
