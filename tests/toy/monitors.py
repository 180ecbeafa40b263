"""Monitors of the planted model `planted-strict`, whose cases begin at a known token."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from audit_core import open_subject
from audit_core.monitors import Monitor, Recipe, fit_monitor, make_planted_texts
from audit_core.monitors.planted import LAYER, MODEL

RECIPE = Recipe(name="planted", layer=LAYER, run_length=50, examples=2)


@cache
def strict() -> Any:
    return open_subject(MODEL)


@cache
def make(case: str, **changes: Any) -> Monitor:
    return fit_monitor(strict(), make_planted_texts(case, 155, 44, seed=0), replace(RECIPE, **changes))
