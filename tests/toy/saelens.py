"""A folder in the format of SAELens, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save


def write_saelens(folder: Path, *, d_model: int = 6, **changed: Any) -> Path:
    draw, folder = np.random.default_rng(0), folder / "sae"
    folder.mkdir()
    arrays = {
        "W_enc": draw.normal(size=(d_model, 10)), "b_enc": draw.normal(size=10), "W_dec": 3 * draw.normal(size=(10, d_model)),
        "b_dec": draw.normal(size=d_model), "threshold": draw.random(10),
    }  # fmt: skip
    (folder / "sae_weights.safetensors").write_bytes(save({k: v.astype(np.float32) for k, v in arrays.items()}))
    config = {"architecture": "jumprelu", "hook_name": "blocks.1.hook_resid_post", "apply_b_dec_to_input": True}
    (folder / "cfg.json").write_text(json.dumps({**config, **changed}))
    return folder
