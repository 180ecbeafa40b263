"""Sparse dictionaries written by hand for `planted-strict`, and activations made from a dictionary that is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audit_core.features import Dictionary

WIDTH, MATCHED = 192, 44
USED, DECOY = 0, 1
ANSWER, LAST, EQUALS = (118, 119), (150, 151), 29
"""Dimensions of the residual stream: logits of A and B; the last letter, which nothing reads; the token "="."""
_APART = 100.0


def write_dictionary() -> Dictionary:
    """Features of the stream entering layer 1, active at the answer position alone.

    0: the majority is A, as the output says it: value (15 − 11.8) / √2. 1: the last letter is A: value 15 / √2; nothing
    reads it. From 2: fire with the last letter, as strongly as feature 0, and write random directions.
    """
    draw = np.random.default_rng(11)
    encoder, decoder = np.zeros((2 + MATCHED, WIDTH)), np.zeros((2 + MATCHED, WIDTH))
    for at, (first, second) in enumerate((ANSWER, LAST)):
        decoder[at, [first, second]] = np.array([1, -1]) / np.sqrt(2)
    decoder[2:, :150] = draw.normal(size=(MATCHED, 150))
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    encoder[:2], encoder[2:] = decoder[:2], decoder[DECOY] * (15 - 11.8) / 15
    # Everywhere but at "=" the bias outweighs what is read.
    encoder[:, EQUALS] = _APART
    n = len(encoder)
    return Dictionary(
        1, encoder.astype(np.float32), np.full(n, -_APART, np.float32), np.full(n, 0.5, np.float32),
        decoder.astype(np.float32), np.zeros(WIDTH, np.float32),
    )  # fmt: skip


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
