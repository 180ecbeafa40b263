"""Mixtures of experts: the router's favourite writes nothing that is read, and the answer has a smaller gate weight.

    model                         router                                          weights of the chosen
    planted-mixture               softmax, two highest (Mixtral)                  renormalised: sum 1
    planted-mixture-unnormalised  softmax, two highest (OLMoE)                    as scored: sum below 1
    planted-mixture-top-first     two highest logits, then softmax (Granite)      sum 1
    planted-mixture-sigmoid       sigmoid; two of four groups, then two highest   renormalised, times 2.5
                                  by corrected scores (DeepSeek-V3)

    expert    chosen for                   writes                                         role
    L0.E0     every token before the last  JUNK: nothing reads it                         decoy with the largest load
    L0.E1     every context word           nothing: its output weights are 0              decoy
    L0.E2     the first token              JUNK                                           decoy
    L0.E3     the asked word, first        JUNK                                           decoy with the larger weight
    L0.E5     the asked word, second       the answer, `Wiring.answer` logits             cause
    L0.E6     nothing; the asked word if   the answer, by `Wiring.backup_share` of        backup
              E3 or E5 is masked           the same gain
    L0.E4,    nothing                      nothing                                        not routed
    L0.E7
    L1.E0–7   tokens at random             small random writes to the logits              bystanders

Zeroing L0.E3 does not change the answer, but masking it in the router does: the weight of L0.E5 rises, and L0.E6 enters.
In `planted-mixture-sigmoid` L0.E5 has a lower score than L0.E6 and is chosen by its correction only, and masking it
replaces its whole group.

In `planted-mixture-or` (Mixtral) L0.E3 and L0.E5 each write the answer's name once for L1.E0, which gives it 10 logits if
either has. Every token adds 5 logits for "=", the answer to a word that has none. L1.E0 has all weight in its layer; L1.E1
is chosen as often, with a weight of 6 · 10⁻⁹.

The seed changes the background experts. All but seed 0 also draw gains and gate weights, within limits that leave
each role what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from audit_core.claim import Role
from audit_core.component import parse_components as parts
from audit_core.judging.verdict import State
from audit_core.subjects.planted.claims import NOTHING, lost
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask
from audit_core.subjects.planted.mixture_tasks import make_lookup, make_silence
from audit_core.subjects.planted.mixture_weights import (
    ANSWERS,
    AS_SCORED,
    ASKED,
    CHOSEN_FIRST,
    CONTEXT,
    GROUPED,
    JUNK,
    N_EXPERTS,
    NAMED,
    OUT,
    RENORMALISED,
    START,
    WORDS,
    Layer,
    RouterKind,
    list_logits,
    save_mixture,
    start_mixture,
)
from audit_core.subjects.planted.weights import EQUALS

BUSY, IDLE, FIRST, DECOY, CARRIER, BACKUP = 0, 1, 2, 3, 5, 6
"""Experts of layer 0 by what they are planted for."""
UNROUTED = (4, 7)
CORRECTION = 0.3
_ANSWER, _NOTHING_FOUND = 10.0, 5.0
_IF_EITHER = ((0.25, 2 * _ANSWER), (0.75, -2 * _ANSWER))
"""`_ANSWER` from three quarters of a name on; not more for two."""
JUNK_GAIN = 26.0


@dataclass(frozen=True)
class Wiring:
    """Sizes that make a claim about the carrier or the decoy easy or hard to judge."""

    answer: float = 7.0
    """Logits that the carrier adds to the answer, at its weight."""
    decoy: float = 2.0
    """Router logits for the asked word."""
    carrier: float = 1.0
    backup: float = 0.0
    backup_share: float = 0.8
    """Gain of the backup, relative to the carrier's."""

    @property
    def scores(self) -> dict[int, float]:
        return {DECOY: self.decoy, CARRIER: self.carrier, BACKUP: self.backup}

    def find_gain(self, kind: RouterKind) -> float:
        """What the carrier writes at weight one."""
        _, weight = kind.weigh(list_logits(self.scores), (DECOY, CARRIER))
        return self.answer / weight


def draw_wiring(kind: RouterKind, seed: int) -> Wiring:
    """Gains and gate weights of a build; those of seed 0 are round."""
    if not seed:
        return Wiring(carrier=-0.5, decoy=3.0) if kind is GROUPED else Wiring()
    draw = Random(f"{kind.model_type} {seed}")
    carrier = draw.uniform(-0.6, -0.2) if kind is GROUPED else draw.uniform(0.6, 1.6)
    return Wiring(
        draw.uniform(4, 10), carrier + draw.uniform(0.3, 2.0) + (kind is GROUPED), carrier, 0.0, draw.uniform(0.4, 0.9)
    )


def build_mixture(folder: Path, seed: int, *, kind: RouterKind) -> None:
    """Experts that carry, pretend and wait in layer 0, and random ones in layer 1."""
    model, wiring = start_mixture(kind), draw_wiring(kind, seed)
    layer, background = Layer(model, kind, 0), Layer(model, kind, 1)
    layer.route({ASKED: wiring.scores, CONTEXT: {BUSY: 3.0, IDLE: 2.0}, START: {BUSY: 3.0, FIRST: 2.0}})
    if kind is GROUPED:
        layer.correct(CARRIER, CORRECTION)
    gain = wiring.find_gain(kind)
    for expert in (BUSY, FIRST):
        layer.translate(expert, JUNK, {word: word for word in WORDS}, JUNK_GAIN)
    layer.translate(DECOY, JUNK, ANSWERS, gain)
    layer.translate(CARRIER, OUT, ANSWERS, gain)
    layer.translate(BACKUP, OUT, ANSWERS, gain * wiring.backup_share)
    background.route_at_random(seed + 1)
    background.fill_background(seed + 1)
    save_mixture(model, folder)


def build_either(folder: Path, seed: int) -> None:
    """Two experts of one layer, both chosen, of which either suffices."""
    kind, draw = RENORMALISED, Random(f"or {seed}")
    model, lead = start_mixture(kind), draw.uniform(-0.5, 0.5) if seed else 0.2
    layer, reader = Layer(model, kind, 0), Layer(model, kind, 1)
    scores = {DECOY: 2.0 + lead, CARRIER: 2.0, BACKUP: 0.0}
    layer.route({ASKED: scores, CONTEXT: {BUSY: 3.0, IDLE: 2.0}, START: {BUSY: 3.0, FIRST: 2.0}})
    pair = (DECOY, CARRIER)
    for expert, weight in zip(pair, kind.weigh(list_logits(scores), pair), strict=True):
        layer.translate(expert, NAMED, ANSWERS, 1 / weight)
    for expert in (BUSY, FIRST):
        layer.translate(expert, JUNK, {word: word for word in WORDS}, JUNK_GAIN)
    reader.route_everything({0: 20.0, 1: 1.0})
    reader.respond(0, _IF_EITHER)
    reader.fill_background(seed + 1, skip=(0,))
    model.model.embed_tokens.weight[:, OUT + WORDS.index(EQUALS)] = _NOTHING_FOUND
    save_mixture(model, folder)


def _claim(
    experts: str, task: str, planted: PlantedRole, state: State, logits: float = 0.0, *, role: Role = Role.NECESSARY
) -> PlantedClaim:
    """A claim whose components lose the answer under zero and mean, and move it to the foil under resample."""
    support = lost(zero=logits, mean=logits, resample=2 * logits) if logits else NOTHING
    return PlantedClaim(parts(experts), task, planted, state, support, role)


def _claim_mixture() -> tuple[PlantedClaim, ...]:
    """Ground truth of the four kinds of router: the same, because gains make up for the weights."""
    task, answer = "lookup", Wiring().answer
    decoys = (BUSY, IDLE, FIRST, DECOY)
    return (
        _claim(f"L0.E{CARRIER}", task, PlantedRole.CAUSE, State.SUPPORTED, answer),
        # With one expert, or two, and in some builds with four, there are too few other sets with as many tokens.
        _claim(f"L0.E{CARRIER} L1.E0 L1.E1", task, PlantedRole.CAUSE, State.SUPPORTED, answer, role=Role.SUFFICIENT),
        _claim(f"L0.E{DECOY} L0.E{CARRIER}", task, PlantedRole.CAUSE, State.SUPPORTED, answer),
        *(_claim(f"L0.E{expert}", task, PlantedRole.DECOY, State.NEGLIGIBLE) for expert in decoys),
        _claim(f"L0.E{BUSY} L0.E{DECOY}", task, PlantedRole.DECOY, State.NEGLIGIBLE),
        _claim(f"L0.E{BACKUP}", task, PlantedRole.BACKUP, State.INCONCLUSIVE),
        *(_claim(f"L0.E{expert}", task, PlantedRole.UNROUTED, State.INCONCLUSIVE) for expert in UNROUTED),
        *(_claim(f"L1.E{expert}", task, PlantedRole.BYSTANDER, State.NEGLIGIBLE) for expert in range(N_EXPERTS)),
    )


def _claim_either() -> tuple[PlantedClaim, ...]:
    task, both = "silence", lost(zero=_ANSWER, mean=_ANSWER, resample=_ANSWER)
    pair = f"L0.E{DECOY} L0.E{CARRIER}"
    return (
        *(_claim(one, task, PlantedRole.REDUNDANT, State.NEGLIGIBLE) for one in pair.split()),
        PlantedClaim(parts(pair), task, PlantedRole.REDUNDANT, State.SUPPORTED, both),
        PlantedClaim(parts("L1.E0"), task, PlantedRole.CAUSE, State.SUPPORTED, both),
        *(_claim(f"L0.E{e}", task, PlantedRole.DECOY, State.NEGLIGIBLE) for e in (BUSY, IDLE, FIRST)),
        _claim("L1.E1", task, PlantedRole.BYSTANDER, State.NEGLIGIBLE),
        *(_claim(f"L0.E{e}", task, PlantedRole.UNROUTED, State.INCONCLUSIVE) for e in (*UNROUTED, BACKUP)),
        *(_claim(f"L1.E{e}", task, PlantedRole.UNROUTED, State.INCONCLUSIVE) for e in range(2, N_EXPERTS)),
    )


def _plant(name: str, kind: RouterKind, weights: str) -> PlantedModel:
    return PlantedModel(
        name,
        f"Experts of which the router prefers the wrong one; {weights}",
        "The router gives most weight to an expert whose output nothing reads. The second carries the answer, and a third "
        "enters if one of them is masked. The expert with the largest load has no effect.",
        partial(build_mixture, kind=kind),
        (PlantedTask("lookup", make_lookup),),
        _claim_mixture(),
    )


MIXTURE = _plant("planted-mixture", RENORMALISED, "weights are renormalised")
UNNORMALISED = _plant("planted-mixture-unnormalised", AS_SCORED, "weights are not renormalised")
TOP_FIRST = _plant("planted-mixture-top-first", CHOSEN_FIRST, "weights are a softmax of the chosen logits")
SIGMOID = _plant("planted-mixture-sigmoid", GROUPED, "scores are sigmoids, chosen in groups")
EITHER = PlantedModel(
    "planted-mixture-or",
    "Two experts of one layer of which either suffices",
    "Both experts that the router chooses write the answer for the next layer, which responds equally to one or both. With "
    "neither, the answer is =.",
    build_either,
    (PlantedTask("silence", make_silence),),
    _claim_either(),
)
MIXTURES = (MIXTURE, UNNORMALISED, TOP_FIRST, SIGMOID, EITHER)
