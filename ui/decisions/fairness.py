"""Protected attributes and reasons of a denial, of slots and of features alike."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import make_table
from audit_core.decisions import DRAFT, GroupRow, ReasonRow, ThroughRow
from ui.parts.header import figure_header, plain, show_rows


def show_misses(through: Sequence[ThroughRow], misses: Sequence[str]) -> None:
    """Name the methods that give less than the smallest effect to the attribute that acts most through another slot."""
    proxies = sorted((row for row in through if row.is_proxy), key=lambda row: -abs(row.indirect.value))
    missing = [one.partition(": ")[2] for one in misses if proxies and one.startswith(f"{proxies[0].attribute}: ")]
    if missing:
        st.markdown(
            f"These methods give {plain(proxies[0].attribute)} less than the smallest effect that counts: "
            f"**{plain(', '.join(missing))}**."
        )


def show_through(through: Sequence[ThroughRow], smallest: float, unit: str, key: str, note: str = "") -> None:
    """Show how much of each protected attribute's effect passes through each other slot."""
    figure_header(
        "Protected attributes", "causal observational",
        "direct: the attribute alone changes. Through: another one changes as it differs between the groups in the file.",
    )  # fmt: skip
    st.markdown(
        f"An effect counts beyond ±{smallest:.2f} {plain(unit)}, a tenth of the spread. Intervals are 95 % each, not joint. "
        f"Mediation assumes that nothing else makes the two go together. {plain(note)}"
    )
    names = (
        "attribute", "from", "to", "through", f"indirect, {unit}", "indirect from", "indirect to", f"direct, {unit}",
        f"total, {unit}", "n", "association (V)", "beyond smallest",
    )  # fmt: skip
    rows = [
        (
            row.attribute, row.first, row.second, row.mediator, row.indirect.value, row.indirect.low, row.indirect.high,
            row.direct.value, row.total.value, row.indirect.n, row.association, row.is_proxy,
        )
        for row in sorted(through, key=lambda row: -abs(row.indirect.value))
    ]  # fmt: skip
    show_rows(make_table(names, rows), f"{key}-through")


def show_group_rates(groups: Sequence[GroupRow], key: str, counted: str) -> None:
    """Show how often each group gets a yes."""
    st.markdown("**Rates by group** (observed): said yes, and the same among right answers yes and no.")
    parts = ("yes", "yes from", "yes to")
    rates = [
        (
            row.attribute, row.level, row.n,
            *(
                value
                for one in (row.selected, row.true_positive, row.false_positive)
                for value in ((one.value, one.low, one.high) if one is not None else (None,) * 3)
            ),
        )
        for row in groups
    ]  # fmt: skip
    columns = ["attribute", "group", counted]
    columns += [f"{part}{among}" for among in ("", " if right yes", " if right no") for part in parts]
    show_rows(make_table(tuple(columns), rates), f"{key}-groups")


def show_reasons(reasons: Sequence[ReasonRow], state: str, unit: str) -> None:
    """Show the principal reasons of one denial, as a draft."""
    figure_header(
        "Principal reasons", "causal",
        "each is the rise when this factor alone takes the values of rows with a narrow yes. At most four.",
    )  # fmt: skip
    st.markdown(f"**{plain(DRAFT)}** {plain(state)}")
    for number, one in enumerate(reasons, start=1):
        note = " It carries a protected attribute's effect." if one.is_proxy else ""
        st.markdown(f"{number}. {plain(one.wording)} ({one.effect:+.2f} {plain(unit)}, n = 1).{plain(note)}")
