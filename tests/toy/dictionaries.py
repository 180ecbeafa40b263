"""A dictionary that rebuilds everything, and activations made from a dictionary that is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audit_core.dictionaries.planted import WIDTH
from audit_core.features import Dictionary


def write_basis() -> Dictionary:
    """Both signs of every dimension: rebuilds every activation exactly."""
    both = np.concatenate([np.eye(WIDTH), -np.eye(WIDTH)]).astype(np.float32)
    nothing = np.zeros(len(both), np.float32)
    return Dictionary(1, both, nothing, nothing.copy(), both.copy(), np.zeros(WIDTH, np.float32))


def draw_activations(n: int = 6000, *, features: int = 36, width: int = 24) -> tuple[NDArray, NDArray]:
    """Activations, shape (token, width), of a known dictionary, shape (feature, width), of which two are active on average."""
    draw = np.random.default_rng(5)
    known = draw.normal(size=(features, width))
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    values = (draw.random((n, features)) < 2 / features) * draw.uniform(1, 2, (n, features))
    return (values @ known + 0.3).astype(np.float32), known
