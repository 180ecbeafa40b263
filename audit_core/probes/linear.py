"""Linear probes: logistic regression on activations, held-out accuracy, control labels, and the length of an online code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Folds = NDArray[np.int64]
PENALTY = 1.0
"""Of half the squared weights, on features of unit variance, against the summed log loss: the default of scikit-learn."""
FEWEST_WORDS = 8
"""Words below which none can be held out and no control labels be drawn: two words have four labellings."""
_TEMPLATE_FOLDS, _WORD_FOLDS = 4, 3


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear classifier of activations."""

    weights: Array
    """Shape (d_model,)."""
    bias: float

    def score(self, x: Array) -> Array:
        """Log-odds of the second label; (text, d_model) → (text,)."""
        return x @ self.weights + self.bias


def fit_probe(x: Array, y: Flags) -> Probe:
    """Logistic regression with an L2 penalty.

    Args:
        x: activations, shape (text, d_model).
        y: whether each text has the second label, shape (text,); both labels occur.

    Source: Alain and Bengio 2016, arXiv:1610.01644.
    """
    # Imported here: it takes a sixth of the time of every command to load.
    from scipy.optimize import minimize

    mean, scale = x.mean(0), x.std(0)
    # A feature without variance says nothing; divided by its rounding error it would say anything.
    scale = np.where(scale > 1e-6 * max(float(np.abs(x).max()), 1e-12), scale, np.inf)
    features = (x - mean) / scale
    # Weights are in the span of the texts, so n coordinates are enough, whatever the width of the model.
    left, sizes, right = np.linalg.svd(features, full_matrices=False)
    rows, sign = left * sizes, np.where(y, 1.0, -1.0)

    def loss(theta: Array) -> tuple[float, Array]:
        margin = sign * (rows @ theta[:-1] + theta[-1])
        pull = -sign * expit(-margin)
        value = np.logaddexp(0, -margin).sum() + PENALTY / 2 * theta[:-1] @ theta[:-1]
        return float(value), np.append(rows.T @ pull + PENALTY * theta[:-1], pull.sum())

    found = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = (found[:-1] @ right) / scale
    return Probe(weights, float(found[-1] - weights @ mean))


def deal_folds(names: Sequence[str], most: int, *, seed: int) -> Folds:
    """Fold of each text, so that all texts of one name (a template, a word) are in one fold; shape (text,)."""
    distinct, member = np.unique(np.asarray(names), return_inverse=True)
    order = np.random.default_rng(seed).permutation(distinct.size)
    fold: Folds = order[member] % min(most, distinct.size)
    return fold


def deal_templates(templates: Sequence[str], *, seed: int) -> Folds:
    """Fold of each text by its template."""
    return deal_folds(templates, _TEMPLATE_FOLDS, seed=seed)


def deal_words(words: Sequence[str], *, seed: int) -> Folds | None:
    """Fold of each text by its word; None with too few words to hold any out."""
    return None if len(set(words)) < FEWEST_WORDS else deal_folds(words, _WORD_FOLDS, seed=seed + 1)


def check_held_out(x: Array, y: Flags, templates: Folds, words: Folds | None) -> Flags:
    """Whether a probe is right on each text, trained on texts of other templates and, with folds of words, of other words.

    Args:
        templates, words: fold of each text, shape (text,).

    Returns:
        Shape (text,).
    """
    right = np.zeros(len(y), bool)
    for fold in np.unique(templates):
        for word in [None] if words is None else np.unique(words):
            held = templates == fold
            train = ~held
            if words is not None:
                held, train = held & (words == word), train & (words != word)
            if not held.any():
                continue
            if np.unique(y[train]).size < 2:
                # One label alone teaches nothing but itself.
                right[held] = y[held] == (bool(y[train][0]) if train.any() else False)
                continue
            right[held] = (fit_probe(x[train], y[train]).score(x[held]) > 0) == y[held]
    return right


def draw_labels(words: Sequence[str], *, seed: int) -> Flags:
    """Control labels: one of two at random for each word, in equal number; shape (text,).

    Source: Hewitt and Liang 2019, arXiv:1909.03368 (control tasks).
    """
    distinct, member = np.unique(np.asarray(words), return_inverse=True)
    dealt = np.arange(distinct.size) % 2 == 0
    labels: Flags = np.random.default_rng(seed).permutation(dealt)[member]
    return labels


def measure_code(x: Array, y: Flags, templates: Sequence[str], *, seed: int) -> float:
    """Compression by an online code: bits without a model per bit with one; 1 is no compression.

    The first templates are sent at one bit a label. Each later block is sent with the probe trained on all before it; every
    block has as many templates as all before it together.

    Source: Voita and Titov 2020, arXiv:2003.12298 (online code).
    """
    order = np.random.default_rng(seed).permutation(np.unique(np.asarray(templates)))
    rank = {name: at for at, name in enumerate(order)}
    place = np.array([rank[name] for name in templates])
    sent, bits = 1, float((place < 1).sum())
    while sent < len(order):
        known, block = place < sent, (place >= sent) & (place < 2 * sent)
        if np.unique(y[known]).size < 2:
            bits += float(block.sum())
        else:
            margin = np.where(y[block], 1, -1) * fit_probe(x[known], y[known]).score(x[block])
            bits += float(np.logaddexp(0, -margin).sum() / np.log(2))
        sent *= 2
    return len(y) / bits
