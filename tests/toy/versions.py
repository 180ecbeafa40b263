"""A second version of a model folder: the first, copied, with something in it changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

Tensors = dict[str, np.ndarray]


def copy_model(source: Path, target: Path, change: Callable[[Tensors], None] | None = None) -> Path:
    """The folder, byte for byte but for what `change` does to its tensors."""
    shutil.copytree(source, target)
    if change is not None:
        tensors = {name: array.copy() for name, array in load_file(target / "model.safetensors").items()}
        change(tensors)
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def silence_head(layer: int, index: int, *, d_head: int = 32) -> Callable[[Tensors], None]:
    """Take a head's output away in a GPT-2, whose output matrix holds heads one below the other."""

    def change(tensors: Tensors) -> None:
        tensors[f"transformer.h.{layer}.attn.c_proj.weight"][index * d_head : (index + 1) * d_head] = 0

    return change


def edit_json(path: Path, **fields: Any) -> None:
    """Set keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
