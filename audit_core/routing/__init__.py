"""Routing of tokens to experts, as observed; nothing here measures an effect."""

from audit_core.routing.statistics import (
    LayerRouting,
    RoutedToken,
    count_pairs,
    measure_layers,
    read_norms,
    read_slots,
    read_weights,
    trace_prompt,
)

__all__ = [
    "LayerRouting",
    "RoutedToken",
    "count_pairs",
    "measure_layers",
    "read_norms",
    "read_slots",
    "read_weights",
    "trace_prompt",
]
