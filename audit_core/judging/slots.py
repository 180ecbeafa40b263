"""Tokens sent to experts: what random experts are matched on, and whether a claim can be tested at all; no evidence of an effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audit_core.capability import ROUTING
from audit_core.component import Component, Kind
from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Subject, TokenRouting


def count_slots(subject: Subject, prompts: TokenisedPrompts) -> Mapping[Component, int]:
    """Tokens sent to each expert on the clean runs of these prompts.

    Raises:
        CapabilityRefused: the model has no accessible experts.
    """
    return add_slots(subject.components(Kind.EXPERT), ROUTING.of(subject).read_routing(prompts))


def add_slots(experts: Sequence[Component], routings: Sequence[TokenRouting]) -> dict[Component, int]:
    """Tokens sent to each expert, over prompts and positions."""
    slots = dict.fromkeys(experts, 0)
    for routing in routings:
        for layer, index in zip(routing.layers, routing.index, strict=True):
            for expert in index.ravel().tolist():
                slots[Component(layer, Kind.EXPERT, expert)] += 1
    return slots


def find_slots(
    subject: Subject, prompts: TokenisedPrompts, components: Sequence[Component]
) -> Mapping[Component, int] | None:
    """`count_slots` for a set that contains experts; None for a set without.

    Raises:
        NotMeasured: no token is sent to any of its experts, so that their effect would be zero by construction.
    """
    experts = [part for part in components if part.kind is Kind.EXPERT]
    if not experts:
        return None
    slots = count_slots(subject, prompts)
    if not any(slots[expert] for expert in experts if expert in slots):
        n_tokens = sum(len(pair.clean_ids) for pair in prompts.pairs)
        names = ", ".join(map(str, experts[:5]))
        raise NotMeasured("not_routed", f"the router sends 0 of {n_tokens:,} tokens of these prompts to {names}.")
    return slots
