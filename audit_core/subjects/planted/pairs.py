"""Pairs of heads with interactions: AND, OR, and a cancelling pair.

    model                head         attends to            writes                                        role
    all three            L0H0         the previous token    its name, for layer 1 to find                 cause
    planted-and          L1H0, L1H1   the token after the   its name, once each, for the MLP of layer 1,  joint
                                      last occurrence       which gives it 10 logits if both have
    planted-or           L1H0, L1H1   the same              the same; the MLP gives 10 if either has      redundant
    planted-cancelling   L1H0         the same              7 logits for that token                       cause
                         L1H1, L1H2   the same              +5 and −5 logits for that token               cancelled

All other heads are background. In `planted-or` every position adds 5 logits for "=", the answer if there is no match: the
absence task uses it, 5 logits for the answer against 5 for "=". There a resampled head writes nothing, and the other one
suffices. In the query task a resampled head writes the foil: the MLP answers both, and heads that are redundant under
zero and mean account for half the gap under resample.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from audit_core.component import parse_components as parts
from audit_core.judging.verdict import State
from audit_core.subjects.planted.claims import NOTHING, found, list_bystanders, lost
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask
from audit_core.subjects.planted.tasks import make_absence, make_context, make_query
from audit_core.subjects.planted.weights import (
    EQUALS,
    N_TOKENS,
    NAMED,
    OUT,
    WORDS,
    fill_background,
    list_background,
    plant_match,
    plant_previous,
    respond,
    save_model,
    start_model,
)

ANSWER = 10.0
"""Logits of a token that the MLP answers."""
IF_BOTH = ((1.5, 2 * ANSWER),)
"""Nothing for one name, `ANSWER` for two, with a margin for the few percent of a name that a mean leaves."""
IF_EITHER = ((0.25, 2 * ANSWER), (0.75, -2 * ANSWER))
"""`ANSWER` from three quarters of a name on; not more for two."""
NOTHING_FOUND = ANSWER / 2
CARRIER, CANCELLED = 7.0, 5.0

_PAIR = ((0, 0), (1, 0), (1, 1))
_TRIPLE = (*_PAIR, (1, 2))


def build_through_mlp(
    folder: Path, seed: int, *, kinks: Sequence[tuple[float, float]], nothing_found: float = 0.0
) -> None:
    """Two heads write the answer for an MLP, which responds to their sum."""
    model = start_model(2, n_neurons=len(kinks) * N_TOKENS)
    plant_previous(model)
    for index in (0, 1):
        plant_match(model, 1, index, NAMED, 1.0)
    respond(model, 1, NAMED, OUT, kinks)
    model.transformer.wpe.weight[:, OUT + WORDS.index(EQUALS)] = nothing_found
    fill_background(model, list_background(2, _PAIR), seed=seed)
    save_model(model, folder)


def build_cancelling(folder: Path, seed: int) -> None:
    """Three heads write the same token with three gains."""
    model = start_model(2)
    plant_previous(model)
    for index, gain in enumerate((CARRIER, CANCELLED, -CANCELLED)):
        plant_match(model, 1, index, OUT, gain)
    fill_background(model, list_background(2, _TRIPLE), seed=seed)
    save_model(model, folder)


_QUERY_AND_CONTEXT = (PlantedTask("query", make_query), PlantedTask("context", make_context))

AND = PlantedModel(
    "planted-and",
    "Two heads that are both needed",
    "Two heads write the answer for an MLP, which responds only if both do.",
    partial(build_through_mlp, kinks=IF_BOTH),
    _QUERY_AND_CONTEXT,
    (
        PlantedClaim(
            parts("L0.H0"), "context", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=10, mean=10, resample=20)
        ),
        *(
            PlantedClaim(parts(one), "query", PlantedRole.JOINT, State.SUPPORTED, lost(zero=10, mean=10, resample=10))
            for one in ("L1.H0", "L1.H1")
        ),
        PlantedClaim(
            parts("L1.H0 L1.H1"), "query", PlantedRole.JOINT, State.SUPPORTED, lost(zero=10, mean=10, resample=20)
        ),
        *list_bystanders(list_background(2, _PAIR), "query"),
    ),
)

OR = PlantedModel(
    "planted-or",
    "Two heads of which either suffices",
    "Two heads write the answer for an MLP, which responds equally to one or both. With neither, the answer is =.",
    partial(build_through_mlp, kinks=IF_EITHER, nothing_found=NOTHING_FOUND),
    (PlantedTask("absence", make_absence), PlantedTask("query", make_query)),
    (
        PlantedClaim(
            parts("L0.H0"), "absence", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=10, mean=10, resample=10)
        ),
        *(
            PlantedClaim(parts(one), "absence", PlantedRole.REDUNDANT, State.NEGLIGIBLE, NOTHING)
            for one in ("L1.H0", "L1.H1")
        ),
        PlantedClaim(
            parts("L1.H0 L1.H1"),
            "absence",
            PlantedRole.REDUNDANT,
            State.SUPPORTED,
            lost(zero=10, mean=10, resample=10),
        ),
        PlantedClaim(
            parts("L1.H0"),
            "query",
            PlantedRole.REDUNDANT,
            State.INCONCLUSIVE,
            lost(zero=0, mean=0, resample=10),
            by_family=found(zero=State.NEGLIGIBLE, mean=State.NEGLIGIBLE, resample=State.SUPPORTED),
        ),
        PlantedClaim(
            parts("L1.H0 L1.H1"), "query", PlantedRole.REDUNDANT, State.SUPPORTED, lost(zero=10, mean=10, resample=20)
        ),
        *list_bystanders(list_background(2, _PAIR), "query"),
    ),
)

CANCELLING = PlantedModel(
    "planted-cancelling",
    "Two large effects that cancel",
    "In addition to the primary head, one head adds 5 logits to the answer and one subtracts 5.",
    build_cancelling,
    _QUERY_AND_CONTEXT,
    (
        PlantedClaim(parts("L0.H0"), "context", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=7, mean=7, resample=14)),
        PlantedClaim(parts("L1.H0"), "query", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=7, mean=7, resample=14)),
        PlantedClaim(
            parts("L1.H1"), "query", PlantedRole.CANCELLED, State.SUPPORTED, lost(zero=5, mean=5, resample=10)
        ),
        PlantedClaim(
            parts("L1.H2"), "query", PlantedRole.CANCELLED, State.REVERSED, lost(zero=-5, mean=-5, resample=-10)
        ),
        PlantedClaim(parts("L1.H1 L1.H2"), "query", PlantedRole.CANCELLED, State.NEGLIGIBLE, NOTHING),
        *list_bystanders(list_background(2, _TRIPLE), "query"),
    ),
)
