"""Times a tabular model, for predictions of how long its audits take."""

from __future__ import annotations

import time

import numpy as np

from audit_core.subject import Tables

ROWS = 20_000


def time_rows(subject: Tables) -> float:
    """Seconds of a row."""
    rows = np.zeros((ROWS, subject.n_features))
    subject.read_rows(rows)
    start = time.monotonic()
    subject.read_rows(rows)
    return (time.monotonic() - start) / ROWS
