"""Runs of plain inputs: the logits of some tokens after each, without an edit inside the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import DOCUMENTS
from audit_core.errors import NotMeasured
from audit_core.prompts.answers import Tokens
from audit_core.subject import Subject


def read_values(
    subject: Subject, rows: Sequence[Tokens], values: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits of some tokens after each input, shape (row, token), and the most probable token, shape (row,).

    Raises:
        NotMeasured: the model produced NaN.
    """
    logits = DOCUMENTS.of(subject).read_inputs(rows)
    if not np.isfinite(logits).all():
        raise NotMeasured("control_failed", "the model produced NaN.")
    return logits[:, list(values)].astype(np.float64), logits.argmax(axis=1)
