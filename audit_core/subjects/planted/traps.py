"""Traps for the verdict rule: effects outside the distribution, an effect in one template of nine, and padded sets.

    model             head         attends to            writes                                        role
    all four          L0H0         the previous token    its name, for layer 1 to find                 cause
    planted-artefact  L1H0         the token after the   10 logits for that token                      cause
                                   last occurrence
                      L1H1         the same              1 logit for that token, and its name          artefact
                      L1H2         the same              minus its name                                artefact
    planted-unseen    L1H0         the same              11 logits for that token                      cause
                      L1H1         the same              2 logits for that token, and its name         artefact
                      L1H2         the same              minus its name                                artefact
                      L1H3         the same              its name in another place                     cause
    planted-rare      as planted-modes, with the first word A in one template of nine                  rare
    planted-padded    L1H0         the same              10 logits for that token                      cause

In `planted-artefact` the names of L1H1 and L1H2 cancel on every text. If L1H1 is resampled, its name is left over, and the
MLP of layer 1 adds 20 logits for it: an input that no text makes. Then the head seems to carry the whole gap, and without
it only 1 of 11 logits is lost. Without L1H2 the MLP adds 20 logits to the answer, by every ablation: the families agree on a
head that does nothing on any text, and only the check of ranges finds it.

In `planted-unseen` the MLP takes 10 logits from a token whose name is left over below zero. Without L1H1 that happens by every
ablation: the families agree on 0.35 to 0.6 of the gap for a head that carries 0.10 on every text. The MLP also adds 7 logits
for the name that L1H3 writes, on every text: L1H3 carries 0.35 as truly as L1H1 does not, through neurons of the same layer.

In `planted-rare` a mean over nine templates holds enough of B's flag to open its gate always, so a mean-ablated L0H1 costs
nothing.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from audit_core.claim import Role
from audit_core.component import parse_components as parts
from audit_core.intervention import Replacement
from audit_core.judging.verdict import State
from audit_core.prompts.prompt_set import PromptSet
from audit_core.subjects.planted.claims import found, list_bystanders, lost
from audit_core.subjects.planted.conditional import MODE_HEADS, build_modes
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask
from audit_core.subjects.planted.tasks import make_context, make_mode, make_query
from audit_core.subjects.planted.weights import (
    JUNK,
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

ANSWER, SMALL = 10.0, 1.0
"""Logits."""
LEFT_OVER = ((0.5, 40.0),)
"""Nothing up to half a name, 20 logits for a whole one."""
DIRECT, THROUGH_MLP, OWN, UNSEEN = 11.0, 7.0, 2.0, 10.0
"""Of `planted-unseen`, in logits: by L1H0, by L1H3 and the MLP, by L1H1 on every text, and by the MLP where a name is left over."""
NAME_KINK = 0.5
RARE_TEMPLATES = 9
_ARTEFACT = ((0, 0), (1, 0), (1, 1), (1, 2))
_CARRIER = ((0, 0), (1, 0))
_UNSEEN = ((0, 0), (1, 0), (1, 1), (1, 2), (1, 3))


def build_artefact(folder: Path, seed: int) -> None:
    """Two heads whose outputs cancel on every text, and an MLP that responds if they do not."""
    model = start_model(2, n_neurons=N_TOKENS)
    plant_previous(model)
    plant_match(model, 1, 0, OUT, ANSWER)
    plant_match(model, 1, 1, NAMED, 1.0)
    Head(model, 1, 1).copy_token(OUT, SMALL)
    plant_match(model, 1, 2, NAMED, -1.0)
    respond(model, 1, NAMED, OUT, LEFT_OVER)
    fill_background(model, list_background(2, _ARTEFACT), seed=seed)
    save_model(model, folder)


def build_unseen(folder: Path, seed: int) -> None:
    """As `build_artefact`, with an MLP that takes from the answer by every ablation; and a head that acts through it on every text."""
    model = start_model(2, n_neurons=2 * N_TOKENS)
    plant_previous(model)
    plant_match(model, 1, 0, OUT, DIRECT)
    plant_match(model, 1, 1, NAMED, 1.0)
    Head(model, 1, 1).copy_token(OUT, OWN)
    plant_match(model, 1, 2, NAMED, -1.0)
    plant_match(model, 1, 3, JUNK, 1.0)
    respond(model, 1, NAMED, OUT, ((NAME_KINK, -UNSEEN / NAME_KINK),), sign=-1.0)
    respond(model, 1, JUNK, OUT, ((NAME_KINK, THROUGH_MLP / NAME_KINK),), after=1)
    fill_background(model, list_background(2, _UNSEEN), seed=seed)
    save_model(model, folder)


def build_padded(folder: Path, seed: int) -> None:
    """One head carries the answer; the others are background."""
    model = start_model(2)
    plant_previous(model)
    plant_match(model, 1, 0, OUT, ANSWER)
    fill_background(model, list_background(2, _CARRIER), seed=seed)
    save_model(model, folder)


def make_rare(n_per_template: int, seed: int) -> PromptSet:
    """`make_mode` with B in eight templates and A in one."""
    both = make_mode(n_per_template, seed, modes=(A, B)).prompts
    first = next(prompt.template for prompt in both if prompt.clean.startswith(f"{A} "))
    kept = tuple(prompt for prompt in both if prompt.clean.startswith(f"{B} ") or prompt.template == first)
    return PromptSet("mode-rare", kept)


_QUERY, _CONTEXT = PlantedTask("query", make_query), PlantedTask("context", make_context)

ARTEFACT = PlantedModel(
    "planted-artefact",
    "A head that seems to act only when it is replaced",
    "One head carries the answer. The outputs of two others cancel on every text. If one of them is resampled they do not, "
    "and an MLP responds to an input that it never has otherwise.",
    build_artefact,
    (_QUERY, _CONTEXT),
    (
        PlantedClaim(
            parts("L0.H0"), "context", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=11, mean=11, resample=22)
        ),
        PlantedClaim(parts("L1.H0"), "query", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=10, mean=10, resample=20)),
        PlantedClaim(
            parts("L1.H1"),
            "query",
            PlantedRole.ARTEFACT,
            State.INCONCLUSIVE,
            lost(zero=1, mean=1, resample=22),
            by_family=found(zero=State.NEGLIGIBLE, mean=State.NEGLIGIBLE, resample=State.SUPPORTED),
        ),
        PlantedClaim(
            parts("L1.H2"),
            "query",
            PlantedRole.ARTEFACT,
            State.REVERSED,
            lost(zero=-20, mean=-18.3, resample=-20),
            in_range=State.INCONCLUSIVE,
        ),
        *list_bystanders(list_background(2, _ARTEFACT), "query"),
    ),
)

UNSEEN_INPUT = PlantedModel(
    "planted-unseen",
    "A head that seems to act under every ablation",
    "Three heads carry the answer, one of them a tenth of it. Whatever replaces that one leaves an input that no text makes, and "
    "an MLP takes half of the answer away. Another head carries as much through the same MLP on every text.",
    build_unseen,
    (_QUERY, _CONTEXT),
    (
        PlantedClaim(
            parts("L0.H0"), "context", PlantedRole.CAUSE, State.SUPPORTED, lost(zero=20, mean=20, resample=40)
        ),
        PlantedClaim(
            parts("L1.H0"),
            "query",
            PlantedRole.CAUSE,
            State.SUPPORTED,
            lost(zero=DIRECT, mean=DIRECT, resample=2 * DIRECT),
        ),
        PlantedClaim(
            parts("L1.H3"),
            "query",
            PlantedRole.CAUSE,
            State.SUPPORTED,
            lost(zero=THROUGH_MLP, mean=THROUGH_MLP, resample=2 * THROUGH_MLP),
        ),
        PlantedClaim(
            parts("L1.H1"),
            "query",
            PlantedRole.ARTEFACT,
            State.SUPPORTED,
            # What is left over from a mean depends on how often each word is an answer.
            MappingProxyType({Replacement.ZERO: OWN + UNSEEN, Replacement.RESAMPLE: 2 * OWN + UNSEEN}),
            in_range=State.INCONCLUSIVE,
        ),
        *list_bystanders((*list_background(2, _UNSEEN), (1, 2)), "query"),
    ),
)

RARE = PlantedModel(
    "planted-rare",
    "A head that acts in one template of nine",
    "The first word is A in one template of nine and B in the others. One head carries the answer after A, another after B.",
    build_modes,
    (PlantedTask("mode-rare", make_rare),),
    (
        PlantedClaim(
            parts("L0.H0"),
            "mode-rare",
            PlantedRole.CAUSE,
            State.INCONCLUSIVE,
            lost(zero=10, mean=10, resample=0),
            by_family=found(zero=State.SUPPORTED, mean=State.SUPPORTED, resample=State.NEGLIGIBLE),
        ),
        PlantedClaim(
            parts("L0.H1"),
            "mode-rare",
            PlantedRole.GATE,
            State.INCONCLUSIVE,
            lost(zero=10, mean=0, resample=0),
            by_family=found(zero=State.SUPPORTED, mean=State.NEGLIGIBLE, resample=State.NEGLIGIBLE),
        ),
        PlantedClaim(
            parts("L1.H0"),
            "mode-rare",
            PlantedRole.RARE,
            State.INCONCLUSIVE,
            lost(zero=10 / RARE_TEMPLATES, mean=10 / RARE_TEMPLATES, resample=20 / RARE_TEMPLATES),
        ),
        PlantedClaim(
            parts("L1.H1"),
            "mode-rare",
            PlantedRole.CONDITIONAL,
            State.SUPPORTED,
            lost(zero=80 / RARE_TEMPLATES, mean=80 / RARE_TEMPLATES, resample=160 / RARE_TEMPLATES),
        ),
        *list_bystanders(list_background(2, MODE_HEADS), "mode-rare"),
    ),
)

_CARRIED = lost(zero=10, mean=10, resample=20)
PADDED = PlantedModel(
    "planted-padded",
    "One head that carries the answer, in sets with idle ones",
    "One head carries the answer. Claims add idle heads to it.",
    build_padded,
    (_QUERY, _CONTEXT),
    (
        PlantedClaim(parts("L0.H0"), "context", PlantedRole.CAUSE, State.SUPPORTED, _CARRIED),
        PlantedClaim(parts("L1.H0"), "query", PlantedRole.CAUSE, State.SUPPORTED, _CARRIED),
        PlantedClaim(parts("L1.H0 L1.H1"), "query", PlantedRole.PADDED, State.SUPPORTED, _CARRIED),
        PlantedClaim(parts("L0.H1 L0.H2 L1.H0 L1.H1"), "query", PlantedRole.PADDED, State.SUPPORTED, _CARRIED),
        PlantedClaim(
            parts("L0.H0 L0.H1 L1.H0"), "context", PlantedRole.PADDED, State.SUPPORTED, _CARRIED, Role.SUFFICIENT
        ),
        *list_bystanders(list_background(2, _CARRIER), "query"),
    ),
)
TRAPS = (ARTEFACT, UNSEEN_INPUT, RARE, PADDED)
