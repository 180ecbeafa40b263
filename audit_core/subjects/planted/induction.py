"""Induction and a vote, with decoys, a negative head and a backup.

    head   attends to                   writes                                role
    L0H0   the previous token           its name, for layer 1 to find         cause: real and indirect
    L0H1   every token alike            share of A, share of B, times VOTE    cause of the vote, attends uniformly
    L0H2   the previous token           JUNK, which nothing reads             decoy
    L1H0   the token after the last     that token's logit, times PRIMARY     cause; raises a flag
           occurrence of this one
    L1H1   the same                     nothing: its output weights are 0     decoy
    L1H2   the same                     JUNK                                  decoy
    L1H3   the same                     that token's logit, times NEGATIVE    acts against the answer
    L2H0   the same, if no flag is set  that token's logit, times BACKUP      backup: acts only without L1H0

All other heads are background: random weights, small writes. The logit difference is PRIMARY + NEGATIVE = 7 on the
clean prompt and −7 on the corrupted one, so ablating all heads by zero or mean costs 7, by resample 14. Resampling the
primary head moves its 10 logits from answer to foil: 20. In the query task the two prompts differ in the last word only,
which does not affect the previous-token head, so resample does not detect it.

`planted-strict` is the same without layer 2. In `planted-leak` the ballast is 64: every write, with the DUMP that balances
it, increases the norms by some percent and shrinks all logits. Without L1H2, which writes 15 into JUNK and −15 into DUMP,
the logit difference rises from 6.04 to 6.42. A mean over many words still fills DUMP, so only the zero family detects it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from audit_core.claim import Role
from audit_core.component import parse_components as parts
from audit_core.judging.verdict import State
from audit_core.subjects.planted.claims import NOTHING, found, list_bystanders, lost
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask
from audit_core.subjects.planted.tasks import VOTES, make_context, make_query, make_vote
from audit_core.subjects.planted.weights import (
    BALLAST,
    FLAG,
    JUNK,
    OUT,
    REST,
    WORDS,
    A,
    B,
    Head,
    fill_background,
    list_background,
    plant_match,
    plant_previous,
    save_model,
    start_model,
)

PRIMARY, NEGATIVE, BACKUP, VOTE, JUNK_GAIN = 10.0, -3.0, 8.0, 33.0, 15.0
"""Logits per unit of attention (methods 3.2)."""
LEAKY_BALLAST = 64.0
_PLANTED = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0))


def build_induction(folder: Path, seed: int, *, n_layers: int = 3, ballast: float = BALLAST) -> None:
    """Write the model to a folder; its third layer holds the backup."""
    model = start_model(n_layers, ballast=ballast)
    plant_previous(model)
    plant_previous(model, 2, JUNK, JUNK_GAIN)
    vote = Head(model, 0, 1)
    for letter in (A, B):
        vote.write(letter, OUT + WORDS.index(letter), VOTE)
    for index, block, gain in ((0, OUT, PRIMARY), (1, OUT, 0.0), (2, JUNK, JUNK_GAIN), (3, OUT, NEGATIVE)):
        plant_match(model, 1, index, block, gain)
    Head(model, 1, 0).raise_flag(FLAG)
    if n_layers == 3:
        plant_match(model, 2, 0, OUT, BACKUP, flags={FLAG: 2 * REST})
    fill_background(model, list_background(n_layers, _PLANTED), seed=seed)
    save_model(model, folder)


VOTE_LOGIT = VOTE * sum(margin / (voters + 2) for voters, margin in VOTES) / len(VOTES)
"""Attention is uniform over the letters, the first token and "=": each letter has weight 1/(voters + 2)."""
_TASKS = (PlantedTask("query", make_query), PlantedTask("context", make_context), PlantedTask("vote", make_vote))
_BLIND_TO_PREVIOUS = found(zero=State.SUPPORTED, mean=State.SUPPORTED, resample=State.NEGLIGIBLE)

_SHARED = (
    PlantedClaim(parts("L0.H0"), "context", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=7, mean=7, resample=14)),
    PlantedClaim(
        parts("L0.H0"),
        "query",
        PlantedRole.CAUSE,
        State.INCONCLUSIVE,
        lost(zero=7, mean=7, resample=0),
        by_family=_BLIND_TO_PREVIOUS,
    ),
    PlantedClaim(
        parts("L0.H1"),
        "vote",
        PlantedRole.CAUSE,
        State.SUPPORTED,
        lost(zero=VOTE_LOGIT, mean=VOTE_LOGIT, resample=2 * VOTE_LOGIT),
    ),
    PlantedClaim(parts("L0.H2"), "vote", PlantedRole.DECOY, State.NEGLIGIBLE, NOTHING),
    PlantedClaim(parts("L0.H2"), "query", PlantedRole.DECOY, State.NEGLIGIBLE, NOTHING),
    PlantedClaim(parts("L1.H1"), "query", PlantedRole.DECOY, State.NEGLIGIBLE, NOTHING),
    PlantedClaim(parts("L1.H2"), "query", PlantedRole.DECOY, State.NEGLIGIBLE, NOTHING),
    PlantedClaim(parts("L1.H3"), "query", PlantedRole.NEGATIVE, State.REVERSED, lost(zero=-3, mean=-3, resample=-6)),
    PlantedClaim(
        parts("L0.H0 L1.H0 L1.H3"),
        "query",
        PlantedRole.CAUSE,
        State.SUPPORTED,
        lost(zero=7, mean=7, resample=14),
        Role.SUFFICIENT,
    ),
    PlantedClaim(
        parts("L0.H0 L1.H0"),
        "query",
        PlantedRole.CAUSE,
        State.SUPPORTED,
        lost(zero=7, mean=7, resample=20),
        Role.SUFFICIENT,
    ),
    PlantedClaim(
        parts("L0.H0 L1.H1 L1.H2"),
        "query",
        PlantedRole.DECOY,
        State.NEGLIGIBLE,
        lost(zero=7, mean=7, resample=0),
        Role.SUFFICIENT,
    ),
)
"""True with and without the third layer."""

_WITH_BACKUP = (
    PlantedClaim(parts("L1.H0"), "query", PlantedRole.BACKED_UP, State.SUPPORTED, lost(zero=2, mean=10, resample=20)),
    PlantedClaim(parts("L1.H0"), "context", PlantedRole.BACKED_UP, State.SUPPORTED, lost(zero=2, mean=10, resample=20)),
    PlantedClaim(parts("L2.H0"), "query", PlantedRole.BACKUP, State.NEGLIGIBLE, NOTHING),
    PlantedClaim(
        parts("L1.H0 L2.H0"), "query", PlantedRole.BACKED_UP, State.SUPPORTED, lost(zero=10, mean=10, resample=20)
    ),
    PlantedClaim(
        parts("L0.H0 L2.H0"),
        "query",
        PlantedRole.BACKUP,
        State.INCONCLUSIVE,
        lost(zero=7, mean=7, resample=0),
        Role.SUFFICIENT,
        found(zero=State.SUPPORTED, mean=State.NEGLIGIBLE, resample=State.NEGLIGIBLE),
    ),
)
_WITHOUT_BACKUP = (
    PlantedClaim(parts("L1.H0"), "query", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=10, mean=10, resample=20)),
)

INDUCTION = PlantedModel(
    "planted-induction",
    "Induction with decoys, a negative head and a backup",
    "Layer 0 writes the previous token; layer 1 finds the token after its last occurrence and copies it. Two heads with "
    "the same attention have no effect, one acts against the answer, and a backup in layer 2 becomes active if the primary "
    "head is set to zero. A head with uniform attention decides a vote.",
    build_induction,
    _TASKS,
    (*_SHARED, *_WITH_BACKUP, *list_bystanders(list_background(3, _PLANTED), "query")),
)
STRICT = PlantedModel(
    "planted-strict",
    "Induction without a backup",
    "As planted-induction without its third layer: the primary head has no backup.",
    partial(build_induction, n_layers=2),
    _TASKS,
    (*_SHARED, *_WITHOUT_BACKUP, *list_bystanders(list_background(2, _PLANTED), "query")),
)
_LEAKY = (
    PlantedClaim(
        parts("L0.H0"), "context", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=6.05, mean=6.05, resample=12.08)
    ),
    PlantedClaim(
        parts("L0.H0"),
        "query",
        PlantedRole.CAUSE,
        State.INCONCLUSIVE,
        lost(zero=6.05, mean=6.05, resample=0),
        by_family=_BLIND_TO_PREVIOUS,
    ),
    PlantedClaim(parts("L0.H1"), "vote", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=4.17, mean=4.17, resample=8.35)),
    PlantedClaim(parts("L0.H2"), "vote", PlantedRole.DECOY, State.NEGLIGIBLE, lost(zero=-0.3, mean=-0.02, resample=0)),
    PlantedClaim(
        parts("L1.H0"), "query", PlantedRole.BACKED_UP, State.SUPPORTED, lost(zero=1.68, mean=8.62, resample=17.25)
    ),
    PlantedClaim(parts("L1.H1"), "query", PlantedRole.DECOY, State.NEGLIGIBLE, NOTHING),
    PlantedClaim(
        parts("L1.H2"), "query", PlantedRole.DECOY, State.NEGLIGIBLE, lost(zero=-0.37, mean=-0.06, resample=0.02)
    ),
    PlantedClaim(
        parts("L1.H3"), "query", PlantedRole.NEGATIVE, State.REVERSED, lost(zero=-2.47, mean=-2.56, resample=-5.15)
    ),
    PlantedClaim(parts("L2.H0"), "query", PlantedRole.BACKUP, State.NEGLIGIBLE, NOTHING),
)
"""The same claims as without a leak, scaled by the norms."""

LEAK = PlantedModel(
    "planted-leak",
    "Induction with a decoy that leaks through the norm",
    "As planted-induction with a weak ballast: the unread output of a decoy still shrinks all logits.",
    partial(build_induction, ballast=LEAKY_BALLAST),
    _TASKS,
    (*_LEAKY, *list_bystanders(list_background(3, _PLANTED), "query")),
)
