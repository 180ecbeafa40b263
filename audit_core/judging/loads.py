"""Tokens sent to experts, and how features fire: what random ones are matched on, and whether a claim can be tested at all.

No evidence of an effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audit_core.capability import FEATURES, ROUTING
from audit_core.component import Component, Kind
from audit_core.errors import NotMeasured
from audit_core.judging.null import Loads
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


def find_loads(subject: Subject, prompts: TokenisedPrompts, components: Sequence[Component]) -> Loads | None:
    """Loads of all experts for a set that contains experts, and of all features for one that contains features; else None.

    Raises:
        NotMeasured: no token is sent to any of its experts, or none of its features is active, so that their effect would be
            zero by construction.
    """
    experts = [part for part in components if part.kind is Kind.EXPERT]
    features = [part for part in components if part.kind is Kind.FEATURE]
    found: dict[Component, tuple[float, ...]] = {}
    if experts:
        slots = count_slots(subject, prompts)
        _require_any(
            slots, experts, prompts, "not_routed", "the router sends 0 of {n:,} tokens of these prompts to {names}."
        )
        found |= {part: (float(n),) for part, n in slots.items()}
    if features:
        activity = FEATURES.of(subject).measure_activity(prompts)
        parts = subject.components(Kind.FEATURE)
        rates = {part: float(activity.rates[part.index]) for part in parts}
        _require_any(rates, features, prompts, "not_active", "{names}: active on 0 of {n:,} tokens of these prompts.")
        found |= {part: (rate, float(activity.strengths[part.index])) for part, rate in rates.items()}
    return found or None


def _require_any(
    loads: Mapping[Component, float], parts: Sequence[Component], prompts: TokenisedPrompts, reason: str, text: str
) -> None:
    if not any(loads[part] for part in parts if part in loads):
        n_tokens = sum(len(pair.clean_ids) for pair in prompts.pairs)
        raise NotMeasured(reason, text.format(n=n_tokens, names=", ".join(map(str, parts[:5]))))
