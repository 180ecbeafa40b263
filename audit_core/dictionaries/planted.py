"""A sparse dictionary written by hand for the planted model `planted-strict`, whose features are known."""

from __future__ import annotations

import numpy as np

from audit_core.dictionaries.dictionary import Dictionary

WIDTH, MATCHED = 192, 44
USED, DECOY = 0, 1
ANSWER, LAST, EQUALS = (118, 119), (150, 151), 29
"""Dimensions of the residual stream: logits of A and B; the last letter, which nothing reads; the token "="."""
_APART = 100.0


def write_planted() -> Dictionary:
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
