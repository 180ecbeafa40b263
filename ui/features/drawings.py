"""Figures of features: how well a label holds in one, what zeroing does in the other, never in one figure."""

from __future__ import annotations

import plotly.graph_objects as go

from audit_core import Estimate
from audit_core.features import FeaturesResult
from ui.parts.figures import interval_rows


def draw_labels(found: FeaturesResult) -> go.Figure:
    """AUROC of each feature's label, and of a random direction."""
    return interval_rows(
        [row.component for row in found.rows],
        [
            ("feature", "circle", [row.auroc for row in found.rows]),
            ("random direction", "circle-open", [row.random_auroc for row in found.rows]),
        ],
        unit="AUROC", lines=((0.5, "chance"), (found.least_auroc, "needed")), is_effect=False,
    )  # fmt: skip


def draw_effects(found: FeaturesResult) -> go.Figure:
    """Share of the lead lost when a feature is zero or its mean, and the most that a matched feature does."""
    largest = [
        None if row.largest_matched is None else Estimate(row.largest_matched, None, None, found.n, found.unit, None)
        for row in found.rows
    ]
    return interval_rows(
        [row.component for row in found.rows],
        [
            ("set to zero", "diamond", [row.zeroed for row in found.rows]),
            ("set to its mean", "square-open", [row.mean_set for row in found.rows]),
            ("largest of the matched features", "x", largest),
        ],
        unit="Share of the lead lost", lines=((found.delta, "δ"), (-found.delta, "−δ")), is_effect=True,
    )  # fmt: skip
