"""Concepts of a decision: each slot's last level against its first, as a direction at the last position of the prompt."""

from __future__ import annotations

import numpy as np

from audit_core.controls import NOISE_FACTOR
from audit_core.decisions.fairness import DELTA
from audit_core.decisions.slots import Row
from audit_core.decisions.table import SubjectDecider, ask_rows
from audit_core.engine.last_position import LastPosition, explain_no_states
from audit_core.prompts.prompt_set import TokenPair
from audit_core.vision.directions import (
    LEAST,
    Answer,
    Floats,
    Site,
    Tried,
    decide,
    divide_rows,
    subtract_means,
    try_direction,
)
from audit_core.vision.results import ConceptRow

ASKED = 60
"""Applicants, spread over the file."""
MOST_LAYERS = 3
UNIT = "of the spread over applicants"


def choose_layers(n_layers: int) -> tuple[int, ...]:
    """Layers whose input is read, and last the end of the model: thirds of its depth. The first layer has read nothing yet."""
    return tuple(sorted({max(1, round(part * n_layers / MOST_LAYERS)) for part in range(1, MOST_LAYERS + 1)}))


def count_runs(decider: object, n_rows: int, n_slots: int) -> int:
    """Prompts that `measure_slot_concepts` runs."""
    return 2 * min(ASKED, n_rows) * n_slots if isinstance(decider, SubjectDecider) else 0


def measure_slot_concepts(
    decider: object, rows: tuple[Row, ...], spread: float, *, seed: int
) -> tuple[tuple[ConceptRow, ...], str]:
    """Every slot at every chosen layer, and why there are none; empty if there are.

    Args:
        spread: standard deviation of the preference over applicants, which effects are fractions of; in logits.

    Raises:
        ControlFailed: states written back unchanged change a preference.
    """
    if not isinstance(decider, SubjectDecider):
        return (), "an estimator has no layers."
    picks = np.unique(np.linspace(0, len(rows) - 1, min(ASKED, len(rows))).round().astype(int))
    if len(picks) < 2 * LEAST:
        return (), f"fewer than {2 * LEAST} applicants."
    if why := explain_no_states(decider.subject):
        return (), why
    chosen = [rows[at] for at in picks]
    tried: list[Tried] = []
    for at, slot in enumerate(decider.task.slots):
        last = len(slot.levels) - 1
        sides = [_ask(decider, [(*row[:at], level, *row[at + 1 :]) for row in chosen]) for level in (0, last)]
        name = f"{slot.name}: {slot.levels[last]} against {slot.levels[0]}"
        tried += _try_slot(decider, name, sides, spread, seed + at)
    return decide(tried, DELTA), ""


def _ask(decider: SubjectDecider, rows: list[Row]) -> list[TokenPair]:
    return list(ask_rows(decider.task, rows, decider.subject).pairs)


def _try_slot(
    decider: SubjectDecider, name: str, sides: list[list[TokenPair]], spread: float, seed: int
) -> list[Tried]:
    """One slot at every layer."""
    runner = decider.subject.runner  # type: ignore[attr-defined]
    held = np.flatnonzero(divide_rows(len(sides[0]))[1])
    without, having = (LastPosition(runner, side) for side in sides)
    tried = LastPosition(runner, [sides[0][at] for at in held])
    # What is before the last position is that of the applicant with the concept, where the concept is taken from.
    with_it = LastPosition(runner, [sides[1][at] for at in held])
    n_layers = runner.model.n_layers
    direct = tried.finish(tried.read(n_layers), n_layers)
    found = []
    for layer in choose_layers(n_layers):
        site = Site(
            name, layer, without.read(layer).astype(float), having.read(layer).astype(float),
            tried.differentiate(layer).astype(float), _follow(tried, layer), direct, np.full(len(held), spread), UNIT,
            NOISE_FACTOR * decider.tolerance, "of the applicants", subtract_means, _follow(with_it, layer),
        )  # fmt: skip
        found.append(try_direction(site, np.random.default_rng([seed, layer]), seed=seed))
    return found


def _follow(states: LastPosition, layer: int) -> Answer:
    def answer(asked: Floats) -> Floats:
        found: Floats = states.finish(asked, layer).astype(float)
        return found

    return answer
