"""The answer sentence of the circuit page: what the circuit alone keeps, and what is lost without it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import Component, Estimate, Replacement
from audit_core.claim import Universe
from ui.circuit.known import Known, KnownAnswers
from ui.flow.choice import UNIVERSES
from ui.parts.header import plain

_READING = (
    "The effect is the gap between the whole model and the model with everything replaced, in the metric's unit. "
    "Above 100 %, components that act against the answer remain."
)
_NAMED = 3
"""Circuits of at most this many components are named in the sentence."""


def show_sentence(
    known: KnownAnswers, components: Sequence[Component], universe: Universe, replacement: Replacement
) -> None:
    """Show what is known, with unit, interval and n; or that nothing is measured."""
    with st.container(key="circuit-answer", gap="xxsmall"):
        found = known.find("recomposition") or known.find("circuit")
        if found is None:
            st.markdown("**Not measured: this circuit with this ablation on these prompts.** Answer it quickly below.")
            return
        kept, lost = _read(found)
        st.markdown(f"**{plain(describe(components, kept, lost))}**", help=_READING)
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.badge("causal", icon=":material/science:", color="violet")
            found.add_badges()
            st.markdown(
                f"95 % interval · n = **{kept.n}** in {kept.templates or kept.n} templates · "
                f"replaced: {plain(UNIVERSES[universe.value])}, {plain(replacement.value)}"
            )


def describe(components: Sequence[Component], kept: Estimate, lost: Estimate) -> str:
    """Two sentences: what the circuit alone keeps, and what its replacement costs."""
    count = len(components)
    named = ", ".join(map(str, components)) if count <= _NAMED else f"these {count} components"
    return (
        f"Keeping only {named} keeps {format_share(kept)} of the effect. "
        f"Replacing {'it' if count == 1 else 'them'} loses {format_share(lost)}."
    )


def format_share(estimate: Estimate) -> str:
    """`86 % [76, 99]`: a fraction of the gap in per cent, with its interval."""
    value, *ends = (
        f"{round(100 * number) + 0:d}" for number in (estimate.value, estimate.low, estimate.high) if number is not None
    )
    return f"{value} %" + (f" [{', '.join(ends)}]" if len(ends) == 2 else " (no interval)")


def _read(found: Known) -> tuple[Estimate, Estimate]:
    """Kept alone and lost without, of a recomposition or of a completeness check."""
    result = found.result
    if hasattr(result, "lost_together"):
        return result.kept.estimate, result.lost_together.estimate
    return result.sufficiency.estimate, result.necessity.estimate
