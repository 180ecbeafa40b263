"""Heads with conditional effects: a mode, a gate, a dose, or suppression of an earlier prediction.

    model                 head    attends to                         writes                               role
    all four              L0H0    the previous token                 its name, for layer 1 to find        cause
    planted-modes         L0H1    the first word, A or B             FLAG for A, FLAG_B for B             gate
                          L1H0    the token after the last           10 logits for that token             conditional
                                  occurrence, if FLAG is set
                          L1H1    the same, if FLAG_B is set         10 logits for that token             conditional
    planted-gate          L0H1    the beginning of the sequence      FLAG, always                         gate
                          L1H0    as in planted-modes                10 logits for that token             cause
    planted-dose          L1H0    the token after the last           its name, once, for the MLP of       cause
                                  occurrence                         layer 1, which answers by RESPONSE
    planted-suppression   L1H0    the token after the last           10 logits for that token             cause
                                  occurrence
                          L2H0    the position of the token          −4 logits for that token             negative
                                  predicted so far (reads OUT)

All other heads are background. The default position of a gated head scores 60, far above a match at 30; a whole flag
lowers it to 15. Half a flag, from a mean over two modes, does not open the gate. Resampling does not detect a gate,
because both prompts of a pair have the same mode. Without L1H0 the suppressing head has nothing to suppress: 10 logits
less from one and 4 more from the other give an effect of 6.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from audit_core.component import parse_components as parts
from audit_core.judging.verdict import State
from audit_core.subjects.planted.claims import NOTHING, found, list_bystanders, lost
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask
from audit_core.subjects.planted.tasks import make_context, make_mode, make_query
from audit_core.subjects.planted.weights import (
    BOS,
    FLAG,
    FLAG_B,
    N_TOKENS,
    NAMED,
    OUT,
    A,
    B,
    Head,
    fill_background,
    list_background,
    plant_match,
    plant_previous,
    respond,
    save_model,
    start_model,
)

ANSWER, SUPPRESSION = 10.0, -4.0
"""Logits."""
CLOSED, OPENING = 60.0, -45.0
"""Score of a gated head's default position, and what a flag adds to it."""
RESPONSE = ((0.5, 20.0), (1.25, -20.0))
"""Thresholds and weights: nothing up to half a dose, 10 logits at the whole, 15 from five quarters on."""

_GATED = ((0, 0), (0, 1), (1, 0))
MODE_HEADS = (*_GATED, (1, 1))
_DOSE = ((0, 0), (1, 0))
_SUPPRESSION = (*_DOSE, (2, 0))


def build_modes(folder: Path, seed: int) -> None:
    """One head for prompts that begin with A, one for those with B."""
    model = start_model(2)
    plant_previous(model)
    mode = Head(model, 0, 1)
    mode.attend_to_position(1)
    for index, (letter, flag) in enumerate(((A, FLAG), (B, FLAG_B))):
        mode.write(letter, flag, 1)
        plant_match(model, 1, index, OUT, ANSWER, rest=CLOSED, flags={flag: OPENING})
    fill_background(model, list_background(2, MODE_HEADS), seed=seed)
    save_model(model, folder)


def build_gate(folder: Path, seed: int) -> None:
    """A head with a constant output, and one that is inactive without it."""
    model = start_model(2)
    plant_previous(model)
    gate = Head(model, 0, 1)
    gate.attend_to_position(0)
    gate.write(BOS, FLAG, 1)
    plant_match(model, 1, 0, OUT, ANSWER, rest=CLOSED, flags={FLAG: OPENING})
    fill_background(model, list_background(2, _GATED), seed=seed)
    save_model(model, folder)


def build_dose(folder: Path, seed: int) -> None:
    """A head whose effect is not proportional to its output."""
    model = start_model(2, n_neurons=len(RESPONSE) * N_TOKENS)
    plant_previous(model)
    plant_match(model, 1, 0, NAMED, 1.0)
    respond(model, 1, NAMED, OUT, RESPONSE)
    fill_background(model, list_background(2, _DOSE), seed=seed)
    save_model(model, folder)


def build_suppression(folder: Path, seed: int) -> None:
    """A head that acts against the current prediction."""
    model = start_model(3)
    plant_previous(model)
    plant_match(model, 1, 0, OUT, ANSWER)
    suppressor = Head(model, 2, 0)
    suppressor.attend_to_predicted(ANSWER)
    suppressor.copy_token(OUT, SUPPRESSION)
    fill_background(model, list_background(3, _SUPPRESSION), seed=seed)
    save_model(model, folder)


_QUERY_AND_CONTEXT = (PlantedTask("query", make_query), PlantedTask("context", make_context))
_CARRIED = lost(zero=10, mean=10, resample=20)
_HALF = lost(zero=5, mean=5, resample=10)
_UNSEEN_BY_RESAMPLE = found(zero=State.SUPPORTED, mean=State.SUPPORTED, resample=State.NEGLIGIBLE)
_SEEN_BY_ZERO = found(zero=State.SUPPORTED, mean=State.NEGLIGIBLE, resample=State.NEGLIGIBLE)


def _previous(task: str, logits: float) -> PlantedClaim:
    return PlantedClaim(
        parts("L0.H0"),
        task,
        PlantedRole.CAUSE,
        State.SUPPORTED,
        lost(zero=logits, mean=logits, resample=2 * logits),
    )


MODES = PlantedModel(
    "planted-modes",
    "Different heads for different templates",
    "The first word is A or B. One head carries the answer after A, another after B, and a third signals the mode.",
    build_modes,
    (
        PlantedTask("mode-A-B", partial(make_mode, modes=(A, B))),
        PlantedTask("mode-A", partial(make_mode, modes=(A,))),
        PlantedTask("mode-B", partial(make_mode, modes=(B,))),
    ),
    (
        PlantedClaim(
            parts("L0.H0"),
            "mode-A-B",
            PlantedRole.CAUSE,
            State.INCONCLUSIVE,
            lost(zero=10, mean=10, resample=0),
            by_family=_UNSEEN_BY_RESAMPLE,
        ),
        PlantedClaim(
            parts("L0.H1"),
            "mode-A-B",
            PlantedRole.GATE,
            State.INCONCLUSIVE,
            lost(zero=10, mean=10, resample=0),
            by_family=_UNSEEN_BY_RESAMPLE,
        ),
        *(
            PlantedClaim(parts(one), task, PlantedRole.CONDITIONAL, state, support)
            for one, task, state, support in (
                ("L1.H0", "mode-A-B", State.SUPPORTED, _HALF),
                ("L1.H1", "mode-A-B", State.SUPPORTED, _HALF),
                ("L1.H0", "mode-A", State.SUPPORTED, _CARRIED),
                ("L1.H0", "mode-B", State.NEGLIGIBLE, NOTHING),
                ("L1.H1", "mode-A", State.NEGLIGIBLE, NOTHING),
                ("L1.H1", "mode-B", State.SUPPORTED, _CARRIED),
                ("L1.H0 L1.H1", "mode-A-B", State.SUPPORTED, _CARRIED),
            )
        ),
        *list_bystanders(list_background(2, MODE_HEADS), "mode-A-B"),
    ),
)

GATE = PlantedModel(
    "planted-gate",
    "A head that supplies a constant",
    "One head carries the answer, but only if another has written a flag, which it always does.",
    build_gate,
    _QUERY_AND_CONTEXT,
    (
        _previous("context", ANSWER),
        PlantedClaim(
            parts("L0.H1"),
            "query",
            PlantedRole.GATE,
            State.INCONCLUSIVE,
            lost(zero=10, mean=0, resample=0),
            by_family=_SEEN_BY_ZERO,
        ),
        PlantedClaim(parts("L1.H0"), "query", PlantedRole.CAUSE, State.SUPPORTED, _CARRIED),
        *list_bystanders(list_background(2, _GATED), "query"),
    ),
)

DOSE = PlantedModel(
    "planted-dose",
    "A head whose effect is not proportional to its dose",
    "One head writes the answer for an MLP, which responds only above half of the head's output.",
    build_dose,
    _QUERY_AND_CONTEXT,
    (
        _previous("context", ANSWER),
        PlantedClaim(parts("L1.H0"), "query", PlantedRole.CAUSE, State.SUPPORTED, _CARRIED),
        *list_bystanders(list_background(2, _DOSE), "query"),
    ),
)

SUPPRESSED = PlantedModel(
    "planted-suppression",
    "A head that acts against the current prediction",
    "One head carries the answer; in layer 2 another attends to the predicted token and subtracts 4 logits from it.",
    build_suppression,
    _QUERY_AND_CONTEXT,
    (
        _previous("context", ANSWER + SUPPRESSION),
        PlantedClaim(parts("L1.H0"), "query", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=6, mean=6, resample=12)),
        PlantedClaim(
            parts("L2.H0"), "query", PlantedRole.NEGATIVE, State.REVERSED, lost(zero=-4, mean=-4, resample=-8)
        ),
        PlantedClaim(
            parts("L1.H0 L2.H0"), "query", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=6, mean=6, resample=12)
        ),
        *list_bystanders(list_background(3, _SUPPRESSION), "query"),
    ),
)
