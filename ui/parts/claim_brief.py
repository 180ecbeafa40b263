"""A claim on one screen: verdict in one sentence, intervals against δ, for, against, and what was not tested."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import Estimate
from audit_core.evidence import READING, SHOWN, UNTESTED_SHOWN, Brief, Line, spell
from ui.parts import figures
from ui.parts.header import plain

ICONS = {
    "supported": ":material/check_circle:",
    "negligible": ":material/remove_circle:",
    "reversed": ":material/swap_horizontal_circle:",
    "inconclusive": ":material/help:",
}
HEIGHT = 200


def show_state(brief: Brief) -> None:
    """Show the state of the verdict in words and icon."""
    st.subheader(f"{ICONS.get(brief.state, ':material/pending:')} {plain(brief.word.text)}", anchor=False)


def show_brief(brief: Brief, place: str, *, others: str = "below") -> None:
    """Show the verdict's sentence, the figure, the strongest points, and what was not tested.

    Args:
        place: key suffix, if the page shows several.
        others: where the remaining points are.
    """
    st.markdown(f"**{plain(spell(brief.sentence))}**")
    figure, pro, contra = st.columns([5, 4, 4])
    with figure:
        _show_figure(brief, place)
    _show_side(pro, ":material/add_circle: For", brief.speaks_for, others)
    _show_side(contra, ":material/do_not_disturb_on: Against", brief.speaks_against, others)
    shown = " ".join(_end(spell(one)) for one in brief.untested[:UNTESTED_SHOWN])
    more = len(brief.untested) - UNTESTED_SHOWN
    st.markdown(f"**:material/help_center: Not tested:** {plain(shown)}" + (f" And {more} more, {plain(others)}." if more > 0 else ""))  # fmt: skip


def show_all_points(brief: Brief) -> None:
    """Show every point on each side, and everything that was not tested."""
    for column, title, points in zip(
        st.columns(3),
        ("For", "Against", "Not tested"),
        (brief.speaks_for, brief.speaks_against, brief.untested),
        strict=True,
    ):
        with column.container(border=True):
            st.markdown(f"**{title} ({len(points)})**")
            st.markdown("".join(f"- {plain(spell(one))}\n" for one in points) or "None recorded.")


def _end(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _show_figure(brief: Brief, place: str) -> None:
    found = brief.measured
    known = [
        (name, Estimate(q.value, q.low, q.high, q.n or 0, q.unit, q.level, q.templates))
        for name, q in found.families
        if q.value is not None
    ]
    if not known or found.delta is None:
        st.info("No interval yet: no run of this claim was measured.", icon=":material/info:")
        return
    with st.container(horizontal=True, gap="small"):
        st.markdown("**Effect by ablation**")
        st.badge("causal", icon=":material/science:", color="violet")
    drawn = figures.verdict_figure(known, delta=found.delta, null=found.draws, primary=found.decides)
    figures.show(
        drawn.update_layout(height=HEIGHT), key=f"brief-figure{place}",
        alt="Interval of each ablation against plus and minus delta, and the effects of random sets. The tables below have the numbers.",
    )  # fmt: skip
    st.markdown(f"**How to read this:** {plain(READING)}")


def _show_side(column: object, title: str, points: Sequence[Line], others: str) -> None:
    with column.container(border=True):  # type: ignore[attr-defined]
        st.markdown(f"**{title}**")
        st.markdown("".join(f"- {plain(spell(one))}\n" for one in points[:SHOWN]) or "None recorded.")
        if len(points) > SHOWN:
            st.markdown(f"And {len(points) - SHOWN} more, {plain(others)}.")
