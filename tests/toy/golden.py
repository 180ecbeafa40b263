"""The packs that ship in `data/packs/`, with what must come of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data/packs"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text())


def find_pack(name: str) -> Path:
    return FOLDER / f"{name}.evidence.zip"


def list_packs(model: str) -> list[str]:
    """Names of the packs on the default model, or of those on others."""
    return [name for name, wanted in EXPECTED.items() if (wanted["model"] == "default") == (model == "default")]
