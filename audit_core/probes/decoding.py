"""What probes decode at one site: accuracy on held-out templates and words, control labels, code length."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from audit_core.probes.linear import Array, Folds, check_held_out, deal_words, draw_labels, measure_code
from audit_core.probes.texts import LabelledTexts
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate

CONTROLS = 5
"""Random labellings that the control accuracy is averaged over."""
UNIT = "of the texts"


@dataclass(frozen=True)
class SiteDecoding:
    """What probes decode at one site."""

    accuracy: Estimate
    seen_words: Estimate | None
    control: Estimate | None
    selectivity: Estimate | None
    compression: float


def decode_site(x: Array, texts: LabelledTexts, folds: Folds, *, seed: int) -> SiteDecoding:
    """Probes at one site.

    Args:
        x: activations, shape (text, d_model).
        folds: fold of each text by its template, shape (text,).
    """

    def average(values: Array) -> Estimate:
        found = bootstrap_mean(values, texts.templates, unit=UNIT, seed=seed)
        low, high = found.low, found.high
        # A share cannot leave 0 to 1, though the interval of a mean can.
        return found if low is None or high is None else replace(found, low=max(low, 0.0), high=min(high, 1.0))

    words = deal_words(texts.words, seed=seed)
    right = check_held_out(x, texts.is_second, folds, words).astype(float)
    code = measure_code(x, texts.is_second, texts.templates, seed=seed)
    if words is None:
        return SiteDecoding(average(right), None, None, None, code)
    seen = check_held_out(x, texts.is_second, folds, None).astype(float)
    control = np.mean(
        [
            check_held_out(x, draw_labels(texts.words, seed=seed + 1 + at), folds, None).astype(float)
            for at in range(CONTROLS)
        ],
        axis=0,
    )
    more = bootstrap_mean(seen - control, texts.templates, unit="more of the texts", seed=seed)
    return SiteDecoding(average(right), average(seen), average(control), more, code)
