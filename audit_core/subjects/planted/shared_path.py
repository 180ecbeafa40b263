"""Mixtures with a shared path: what every token passes through, beside the experts that the router chooses.

    model                        L0.SHARED                                L0.E5, chosen for the asked word
    planted-mixture-shared       the answer, `Wiring.answer` logits       JUNK: nothing reads it
    planted-mixture-shared-idle  JUNK, for every token, and more of it    the answer, `Wiring.answer` logits
                                 than any expert writes

L1.SHARED makes small random writes to the logits in both. The router and the other experts are those of
`planted-mixture-sigmoid` (see `mixture.py`): the shared path is in the family of DeepSeek-V3, without a gate.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from audit_core.claim import Role, Universe
from audit_core.component import parse_components as parts
from audit_core.judging.verdict import State
from audit_core.subjects.planted.claims import lost
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask
from audit_core.subjects.planted.mixture import (
    BUSY,
    CARRIER,
    CORRECTION,
    DECOY,
    FIRST,
    IDLE,
    JUNK_GAIN,
    Wiring,
    draw_wiring,
)
from audit_core.subjects.planted.mixture_tasks import make_lookup
from audit_core.subjects.planted.mixture_weights import (
    ANSWERS,
    ASKED,
    CONTEXT,
    GROUPED,
    JUNK,
    OUT,
    START,
    WORDS,
    Layer,
    save_mixture,
    start_mixture,
)

_TASK = "lookup"


def build_shared(folder: Path, seed: int, *, carries: bool) -> None:
    """A shared path that carries the answer, or one that only looks busy."""
    kind, wiring = GROUPED, draw_wiring(GROUPED, seed)
    model = start_mixture(kind)
    layer, background = Layer(model, kind, 0), Layer(model, kind, 1)
    layer.route({ASKED: wiring.scores, CONTEXT: {BUSY: 3.0, IDLE: 2.0}, START: {BUSY: 3.0, FIRST: 2.0}})
    layer.correct(CARRIER, CORRECTION)
    everything, gain = {word: word for word in WORDS}, wiring.find_gain(kind)
    for expert in (BUSY, FIRST):
        layer.translate(expert, JUNK, everything, JUNK_GAIN)
    layer.translate(DECOY, JUNK, ANSWERS, gain)
    if carries:
        layer.translate(CARRIER, JUNK, ANSWERS, gain)
        layer.translate_shared(OUT, ANSWERS, wiring.answer)
    else:
        layer.translate(CARRIER, OUT, ANSWERS, gain)
        layer.translate_shared(JUNK, everything, 2 * JUNK_GAIN)
    background.route_at_random(seed + 1)
    background.fill_background(seed + 1)
    background.fill_shared(seed + 1)
    for one in (layer, background):
        one.read_heads(seed)
    save_mixture(model, folder)


def _claim(components: str, planted: PlantedRole, state: State, *, role: Role = Role.NECESSARY) -> PlantedClaim:
    """Among experts and shared paths: without the shared path there would be no gap to take a fraction of."""
    answer = Wiring().answer if planted is PlantedRole.CAUSE else 0.0
    support = lost(zero=answer, mean=answer, resample=2 * answer)
    return PlantedClaim(parts(components), _TASK, planted, state, support, role, universe=Universe.EXPERTS_SHARED)


def _claim_all(carrier: str, decoys: tuple[str, ...]) -> tuple[PlantedClaim, ...]:
    return (
        _claim(carrier, PlantedRole.CAUSE, State.SUPPORTED),
        _claim(f"{carrier} L1.E0 L1.E1", PlantedRole.CAUSE, State.SUPPORTED, role=Role.SUFFICIENT),
        *(_claim(one, PlantedRole.DECOY, State.NEGLIGIBLE) for one in decoys),
        _claim("L1.SHARED", PlantedRole.BYSTANDER, State.NEGLIGIBLE),
    )


_DECOYS = tuple(f"L0.E{expert}" for expert in (BUSY, IDLE, FIRST, DECOY))
SHARED = PlantedModel(
    "planted-mixture-shared",
    "The shared path carries the answer, and no expert does",
    "Every token passes through the shared path, which writes the answer. The experts that the router chooses write what "
    "nothing reads.",
    partial(build_shared, carries=True),
    (PlantedTask(_TASK, make_lookup),),
    (
        *_claim_all("L0.SHARED", (*_DECOYS, f"L0.E{CARRIER}")),
        # The only other set of this shape is the shared path of the other layer.
        _claim("L0.SHARED", PlantedRole.CAUSE, State.INCONCLUSIVE, role=Role.SUFFICIENT),
    ),
)
SHARED_IDLE = PlantedModel(
    "planted-mixture-shared-idle",
    "A shared path that every token passes through, and that nothing reads",
    "The shared path writes more than any expert, and nothing reads it. The expert with the smaller gate weight carries the "
    "answer.",
    partial(build_shared, carries=False),
    (PlantedTask(_TASK, make_lookup),),
    _claim_all(f"L0.E{CARRIER}", (*_DECOYS, "L0.SHARED")),
)
SHARED_PATHS = (SHARED, SHARED_IDLE)
