"""ONNX files of users, checked and kept in the cache of models under their digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from audit_core.errors import ModelRefused
from audit_core.models import model_cache
from audit_core.models.identity import ONNX_FILE
from audit_core.models.onnx_file import MAX_BYTES, check_onnx

MODEL_TYPE = "onnx-table"
MOST_KEPT = 200
_NAME = re.compile(r"onnx-[0-9a-f]{64}")
_CONFIG = json.dumps({"model_type": MODEL_TYPE}) + "\n"


def read_bounded(path: Path) -> bytes:
    """Bytes of a file; one byte more than allowed where it is larger, which the check then refuses."""
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def keep_onnx(raw: bytes) -> str:
    """Check an ONNX file and keep it; gives the name that it opens by.

    Raises:
        ModelRefused: it may not be opened, or too many are kept.
    """
    check_onnx(raw)
    name = f"onnx-{hashlib.sha256(raw).hexdigest()}"
    place = model_cache() / "tabular"
    if find_kept(name) is None and place.is_dir() and len(list(place.iterdir())) >= MOST_KEPT:
        raise ModelRefused(
            f"{MOST_KEPT} kept ONNX files.", wanted="room for another.", remedy=f"delete some of {place}."
        )  # fmt: skip
    folder = place / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in ((ONNX_FILE, raw), ("config.json", _CONFIG.encode())):
        part = folder / f".{file}.{os.getpid()}"
        part.write_bytes(content)
        part.replace(folder / file)
    return name


def is_kept_name(name: str) -> bool:
    """Whether a name is one that `keep_onnx` gives."""
    return _NAME.fullmatch(name) is not None


def find_kept(name: str) -> Path | None:
    """Folder of a kept file; None if there is none of this name."""
    folder = model_cache() / "tabular" / name if is_kept_name(name) else None
    return folder if folder is not None and (folder / ONNX_FILE).is_file() else None
