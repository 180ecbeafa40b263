"""A circuit from a file: a list of components, or an attribution graph, of which the page shows what it names and what not."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError, Component, Kind, Subject, format_components, make_table
from audit_core.circuits import read_components
from audit_core.exchange import CandidateCircuit, NotMapped, count_reasons, looks_like_graph, map_graph, read_graph
from ui.parts.header import BADGES, counted, plain, show_rows

_MOST_MB = 32
_WHOLE = (Kind.HEAD, Kind.MLP)


def ask_file(subject: Subject) -> None:
    """Show the uploader, and for a graph its mapping; the button puts the components into the row of controls."""
    upload = st.file_uploader(
        'A circuit from JSON: ["L23.H3"], {"components": [...]}, or an attribution graph in Neuronpedia\'s schema',
        type=["json"], max_upload_size=_MOST_MB, key="circuit-file",
    )  # fmt: skip
    if upload is None:
        return
    raw = upload.getvalue()
    try:
        parts = _ask_graph(raw, subject) if looks_like_graph(raw) else read_components(raw.decode("utf-8", "replace"))
    except AuditError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if parts and st.button("Use this circuit", icon=":material/check:"):
        st.session_state.next_circuit = format_components(parts)
        st.rerun()


def _ask_graph(raw: bytes, subject: Subject) -> tuple[Component, ...]:
    takes_mlps = st.checkbox(
        "Take the MLP of a layer for its transcoder features", key="graph-mlps",
        help="A coarser hypothesis than the graph's own: the whole MLP, for any feature of it.",
    )  # fmt: skip
    found = map_graph(read_graph(raw, name="The graph"), subject, takes_mlps=takes_mlps)
    whole = tuple(part for part in found.components if part.kind in _WHOLE)
    st.markdown(
        f"**{plain(found.name)}** proposes **{len(whole)}** heads and MLPs of this model. It is a hypothesis: the checks of this page test it."
    )
    for notice in found.notices:
        st.warning(plain(notice), icon=":material/warning:")
    _show_edges(found)
    _show_left_out(found.nodes_left_out, "node")
    _show_left_out(found.links_left_out, "link")
    if not whole:
        st.info("No head or MLP of this model is named. Nothing can be tested.", icon=":material/info:")
    return whole


def _show_edges(found: CandidateCircuit) -> None:
    if not found.edges:
        return
    icon, colour = BADGES["estimated"]
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"**{len(found.edges):,} links between them**")
        st.badge("estimated", icon=icon, color=colour)
    st.markdown(
        "Weights are estimates of the graph's author, in a unit that the file does not state. None was measured here."
    )
    rows = [(edge.connection.draw(), edge.weight, "estimated") for edge in found.edges]
    show_rows(make_table(("connection", "weight, the author's", "badge"), rows), "graph-links")


def _show_left_out(left_out: tuple[NotMapped, ...], what: str) -> None:
    if not left_out:
        return
    reasons = "; ".join(f"{count:,} × {reason}" for reason, count in count_reasons(left_out))
    st.markdown(f"Not mapped: **{plain(counted(len(left_out), what))}**. {plain(reasons)}.")
    show_rows(make_table((what, "reason"), [(one.what, one.reason) for one in left_out]), f"left-out-{what}")
