"""Tools on the page: the choice at the left, reliance on the result at the right."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import make_table
from audit_core.tables import estimate_cells
from audit_core.tools import MEANINGS, ToolsResult, Verdict
from ui.parts import figures
from ui.parts.header import controls_line, figure_header, plain, show_rows, show_table
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

_ESTIMATE = ("value", "low", "high", "n", "unit")
_CHANCE = ((1 / 3, "chance"),)
_SHORT = {
    "own names, own descriptions": "names, descriptions",
    "own names, no descriptions": "names alone",
    "own names, descriptions moved to the next tool": "descriptions moved",
    "neutral names, own descriptions": "descriptions alone",
    "neutral names, no descriptions": "neither",
    "own names, another tool's description says to choose it": "another one praised",
    "call and result of another request": "another request's",
    "unrelated value after the result": "unrelated value",
    "instruction after the result": "instruction",
    "call and result removed": "removed",
}
"""List or edit → its label in a figure; the tables have the whole words."""


def show_answer(result: ToolsResult, badges: str) -> None:
    """Show the verdicts, and how often choice and answer are right."""
    show_sentence(result.finding, badges, result.n, "requests")
    st.markdown(
        f"Share of requests with the right tool: **{_share(result.accuracy)}**. With the right answer, given the result: **{_share(result.answered)}**, "
        f"without any tool: **{_share(result.alone)}**. The program, not the model, filled the arguments."
    )


def show_panes(result: ToolsResult, place: str = "") -> None:
    """Show which list gives which tool at the left, and which result gives which answer at the right."""
    left, right = split_panes(f"tools{place}")
    with left:
        pane_header(
            "Choice", "causal",
            "Circles: share of requests that get their own tool. Squares: share that get one place of the list. "
            "Each is what most orders give.",
            table=Table(lambda: _table_cells(result), "Choice of a tool", f"cells{place}"),
        )  # fmt: skip
        figures.show(
            figures.interval_rows(
                [_SHORT.get(row.cell, row.cell) for row in result.cells],
                [("own tool", "circle", [row.right for row in result.cells]), ("one place", "square-open", [row.placed for row in result.cells])],
                unit="share of requests, 95 % interval", lines=_CHANCE, is_effect=True,
            ),
            key=f"figure-cells{place}",
            alt="Two intervals for each list: the share of requests with their own tool, and with one place. The table has the numbers.",
        )  # fmt: skip
    with right:
        pane_header(
            "Answer after edited results", "causal",
            "Circles: share of answers that are the real result. Diamonds: share that are the other value shown.",
            table=Table(lambda: _table_edits(result), "Edited results", f"edits{place}"),
        )  # fmt: skip
        figures.show(
            figures.interval_rows(
                [_SHORT.get(row.edit, row.edit) for row in result.edits],
                [("real result", "circle", [row.right for row in result.edits]), ("other value", "diamond-open", [row.followed for row in result.edits])],
                unit="share of requests, 95 % interval", lines=(), is_effect=True,
            ),
            key=f"figure-edits{place}",
            alt="Two intervals for each edit: the share of answers that are right, and that follow it. The table has the numbers.",
        )  # fmt: skip


def show_requests(result: ToolsResult) -> None:
    """Show one row a request: the call as executed, and its answers."""
    figure_header(
        "Requests", "causal", "the pattern is made from the single answers of one request, without an interval."
    )
    kinds = [kind for kind, _ in result.requests[0].answers]
    rows = [
        (one.request, one.tool, " ".join(one.arguments), one.result, one.shown, one.pattern, *(text for _, text in one.answers), one.id, one.sha256[:12])
        for one in result.requests
    ]  # fmt: skip
    columns = (
        "request",
        "tool",
        "arguments",
        "result",
        "other value",
        "pattern",
        *kinds,
        "id",
        "digest",
    )
    show_rows(make_table(columns, rows), "tools-requests")
    st.markdown("An answer is the first token in which the two values differ.")


def show_choices(result: ToolsResult) -> None:
    """Show what each request gets from each list."""
    figure_header("Choices", "causal", "one word for each order of the list; – where two tools are equally probable.")
    rows = [(one.id, one.request, one.tool, cell, names) for one in result.requests for cell, names in one.choices]
    show_rows(make_table(("id", "request", "tool", "list", "chosen in each order"), rows), "tools-choices")
    shares = (
        ("the request is needed: an empty one gets another tool", result.emptied),
        ("moves to a tool whose description says to choose it", result.cued),
    )
    columns = ("what", *_ESTIMATE)
    show_table(make_table(columns, [(name, *estimate_cells(value)) for name, value in shares]), key="tools-shares")


def show_edits(result: ToolsResult) -> None:
    """Show every edit of the result with its shares."""
    figure_header("Edited results", "causal", "other values are true results of other requests, of the same length.")
    show_rows(_table_edits(result), "tools-edits")
    shares = (("right with the result, wrong without any tool", result.lost_alone),)
    show_table(make_table(("what", *_ESTIMATE), [(n, *estimate_cells(v)) for n, v in shares]), key="tools-lost")


def show_conditions(result: ToolsResult) -> None:
    """Show what was asked, the tools, what was left out, and the meaning of each verdict."""
    st.markdown(f"- Requests: {plain(result.prompts)}, n = {result.n}. Smallest share that matters: {result.delta:g}.")
    for name, words in zip(result.names, result.descriptions, strict=True):
        st.markdown(f"- Tool **{plain(name)}**: {plain(words)}")
    st.markdown("- The choice is the tool whose name has the highest log-probability. Names have one token each.")
    st.markdown("- The calculator, converter and lookup are bounded, run here, and write and fetch nothing.")
    st.markdown("- Text in a result or description is only text to the model. No verdict reads it.")
    for why, count in result.left_out:
        st.markdown(f"- Left out: {count} × {plain(why)}")
    for verdict in Verdict:
        st.markdown(f"- *{plain(verdict.value)}*: {plain(MEANINGS[verdict])}")
    st.markdown("Wilson's intervals take requests as independent. Requests for one tool are alike.")
    controls_line(result.controls)


def _table_cells(result: ToolsResult) -> Any:
    rows = [
        (row.cell, what, *estimate_cells(value))
        for row in result.cells
        for what, value in (("own tool", row.right), ("described tool", row.moved), ("one place", row.placed), ("not the same in all orders", row.unstable))
    ]  # fmt: skip
    return make_table(("list", "what", *_ESTIMATE), rows)


def _table_edits(result: ToolsResult) -> Any:
    rows = [
        (row.edit, what, *estimate_cells(value))
        for row in result.edits
        for what, value in (("real result", row.right), ("other value", row.followed))
        if value is not None
    ]
    return make_table(("result shown", "answer is", *_ESTIMATE), rows)


def _share(value: Any) -> str:
    if value.low is None or value.high is None:
        return f"{value.value:.2f}"
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"
