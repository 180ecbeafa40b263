"""What the calibration page draws."""

from __future__ import annotations

import streamlit as st

from audit_core import State, make_table
from audit_core.calibration import (
    RULES,
    Calibration,
    describe_census,
    describe_origin,
    describe_share,
    list_shares,
    list_tallies,
    load_calibration,
)
from audit_core.subjects import PLANTED_MODELS
from ui.parts import figures
from ui.parts.header import figure_header, plain, show_table, table_with_csv


def read() -> Calibration | None:
    """The record of this version, or what to do where there is none."""
    found = load_calibration()
    if found is None:
        st.warning(
            "This version of the rule has not been calibrated. What to do: run `python -m audit_core calibrate --write` "
            "(some minutes), then open this page again.",
            icon=":material/warning:",
        )
    return found


def show_shares(found: Calibration) -> None:
    """What the wiring says beside what each rule says, and the headline shares."""
    st.header("What the rules said", anchor=False)
    figure_header(
        "How often it is right", "causal",
        "shares count claims, each build's as one, with Wilson's 95 % interval: a claim is judged right if all its samples are, "
        "and wrong if any is; open means inconclusive. Real models are messier than planted ones.",
    )  # fmt: skip
    st.markdown(describe_origin(found))
    columns = ("rule", "parts are", "right", "open", "wrong")
    show_table(make_table(columns, list_tallies(found)), key="tallies")
    shares = list_shares(found)
    st.plotly_chart(
        figures.share_bars([name for name, _ in shares], [share for _, share in shares]), key="shares",
        config={"displayModeBar": False}, alt="Shares with their intervals; the table has the numbers.",
    )  # fmt: skip
    rows = [(name, describe_share(share)) for name, share in shares]
    show_table(make_table(("combined rule", "share, 95 % interval, n"), rows))
    if found.census is not None:
        st.markdown(describe_census(found.census))


def show_confusion(found: Calibration) -> None:
    """Planted role against verdict, per rule."""
    figure_header(
        "What was planted, and what was found", "causal",
        "each row is a planted role, each column a verdict, each cell the number of samples. Which verdict is right depends on "
        "the claim; a backed-up head, for one, is supported, and a gate inconclusive, because its families disagree.",
    )  # fmt: skip
    rule = st.radio("Rule", RULES, key="rule", horizontal=True, help="Combined, or one ablation family alone.")
    states = [state.value for state in State]
    table = found.confusion[rule]
    rows = [(role, *(table[role].get(state, 0) for state in states)) for role in sorted(table)]
    show_table(make_table(("planted", *states), rows))
    table_with_csv(lambda: make_table(("planted", *states), rows), f"Confusion, {rule} rule", "confusion")


def show_fooled(found: Calibration) -> None:
    """Rules of one family that a model fools by construction."""
    figure_header(
        "Which rule is fooled by what", "causal",
        "claims that a rule of one ablation family misjudges on most samples, and the combined rule does not.",
    )  # fmt: skip
    rows = [(f.rule, f.model, f.components, f.task, f.planted, f.found, f.wired) for f in found.fooled]
    columns = ("rule", "model", "components", "task", "planted", "it says", "the wiring says")
    show_table(make_table(columns, rows), key="fooled")


def show_models() -> None:
    """The models, which can be opened on any page by name."""
    st.header("The planted models", anchor=False)
    st.markdown("Type a name as the model on Live audit or Sweep, and choose one of its tasks.")
    for model in PLANTED_MODELS:
        tasks = ", ".join(task.name for task in model.tasks)
        st.markdown(f"- **{plain(model.name)}**: {plain(model.title)}. {plain(model.story)} Tasks: {plain(tasks)}.")
