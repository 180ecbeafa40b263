"""The record `assay.json` of a converted model folder about its origin."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from audit_core.errors import ModelRefused
from audit_core.models.cache import hash_file
from audit_core.models.folder import read_json
from audit_core.models.known import KnownModel

FILE_NAME = "assay.json"


@dataclass(frozen=True)
class Provenance:
    """Origin of a converted folder."""

    title: str
    requirement: str
    wheel_sha256: str
    quantisation: str
    source_tensors: dict[str, int]
    """Number of tensors in the source by GGML type."""
    dtype: str
    licence: str
    files: dict[str, str]
    """SHA-256 of every other file in the folder, by name."""


def write_provenance(folder: Path, known: KnownModel, source_tensors: dict[str, int]) -> None:
    """Hash every file in `folder` and write the record there."""
    record = Provenance(
        title=known.title,
        requirement=known.requirement,
        wheel_sha256=known.wheel_sha256,
        quantisation=known.quantisation,
        source_tensors=source_tensors,
        dtype="float32",
        licence=known.licence,
        files={},
    )
    rewrite_provenance(folder, record, known.title)


def rewrite_provenance(folder: Path, record: Provenance, title: str) -> None:
    """Write the record of an edited copy: origin as in `record`, with another title and the digests of the files in `folder`."""
    files = {path.name: hash_file(path) for path in sorted(folder.iterdir())}
    text = json.dumps(asdict(replace(record, title=title, files=files)), indent=1, sort_keys=True) + "\n"
    (folder / FILE_NAME).write_text(text, encoding="utf-8")


def read_provenance(folder: Path) -> Provenance | None:
    """Return the folder's record, or None if it was not converted by Assay.

    Raises:
        ModelRefused: the record has an unknown format.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return None
    content = read_json(path)
    kinds = {name: dict if name in ("source_tensors", "files") else str for name in Provenance.__annotations__}
    if {name: type(value) for name, value in content.items()} != kinds:
        raise ModelRefused(
            f"{path} has the entries {sorted(content)}, or entries of another type.",
            wanted=f"the entries {sorted(kinds)} as Assay writes them.",
            remedy=f"fetch the model again, or delete {path.name} to load the folder without its origin.",
        )
    return Provenance(**content)
