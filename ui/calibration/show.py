"""Figures and tables of the calibration page."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from audit_core import State, make_table
from audit_core.calibration import (
    ANSWER_COLUMNS,
    ONE_ANSWER,
    RATE_COLUMNS,
    RULES,
    RULES_TEXT,
    Calibration,
    ExpertCalibration,
    OtherRules,
    RangeCalibration,
    describe_below,
    describe_census,
    describe_clustered,
    describe_expert_origin,
    describe_origin,
    describe_range_origin,
    describe_share,
    list_answer_rows,
    list_below_rows,
    list_expert_shares,
    list_rule_rows,
    list_shares,
    list_tallies,
    list_unrated_rows,
    load_calibration,
    load_designs,
)
from audit_core.errors import IntegrityError
from audit_core.subject_family import list_planted
from ui.parts import figures
from ui.parts.header import column_widths, figure_header, plain, show_table, table_with_csv
from ui.parts.refusal import show_refusal
from ui.parts.tabs import lazy_tabs


def read() -> Calibration | None:
    """The calibration record of this version, or None after showing the remedy."""
    found = load_calibration()
    if found is None:
        st.warning(
            "This version of the rule is not calibrated. What to do: run `python -m audit_core calibrate --write` "
            "(some minutes), then open this page again.",
            icon=":material/warning:",
        )
    return found


def show_shares(found: Calibration) -> None:
    """Show the ground truth beside each rule's verdicts, and the headline shares."""
    st.header("Verdicts of the rules", anchor=False)
    figure_header(
        "How often it is right", "causal",
        "shares of claims per build, with Wilson's 95 % interval. A claim is right if all its samples are, and wrong if any is. "
        "Open means inconclusive. Real models are less clear-cut than planted ones.",
    )  # fmt: skip
    shares = list_shares(found)
    figures.show(
        figures.share_bars([name for name, _ in shares], [share for _, share in shares]),
        "shares",
        "Shares with their intervals. The table has the numbers.",
    )
    st.markdown(describe_origin(found))
    rows = [(name, describe_share(share), describe_clustered(found, name)) for name, share in shares]
    table_with_csv(
        lambda: make_table(("combined rule", "share, 95 % interval, n", "interval clustered by model"), rows),
        "Shares of the combined rule",
        "share-rows",
    )
    columns = ("rule", "components are", "right", "open", "wrong")
    table_with_csv(lambda: make_table(columns, list_tallies(found)), "Every rule", "tallies")


def show_details(found: Calibration) -> None:
    """Show everything else in tabs."""
    tabs: dict[str, Callable[[], None]] = {"Role vs. verdict": lambda: show_confusion(found)}
    tabs["Coverage"] = show_coverage
    if (ranges := found.ranges) is not None:
        tabs["Check of ranges"] = lambda: show_ranges(ranges)
    if (experts := found.experts) is not None:
        tabs["Experts"] = lambda: show_experts(experts)
    if (census := found.census) is not None:
        tabs["Default model"] = lambda: st.markdown(describe_census(census))
    tabs["Other audits"] = lambda: show_other_rules(found.others)
    tabs |= {"Single rules": lambda: show_systematic_errors(found), "Planted models": show_models}
    lazy_tabs(tabs, key="calibration-tabs")


def show_ranges(found: RangeCalibration) -> None:
    """Show what the check of ranges withholds, of artefacts and of causes."""
    figure_header(
        "Check of ranges", "causal",
        "the check repeats each ablation with later neurons kept in their usual range. Less than half of the effect left means inconclusive. "
        "An artefact acts only on inputs that no text makes: no verdict on it should be *supported* or *reversed*.",
    )  # fmt: skip
    rows = [
        ("artefacts wrongly called supported or reversed (lower is better)", found.artefacts_before, found.artefacts_after),
        ("heads for and against the answer, judged right (higher is better)", found.causes_before, found.causes_after),
    ]  # fmt: skip
    cells = [(name, describe_share(before), describe_share(after)) for name, before, after in rows]
    columns = ("share of claims, 95 % interval, n", "without the check", "with the check")
    show_table(make_table(columns, cells), key="range-shares")
    st.markdown(plain(describe_range_origin(found)))
    st.markdown("All other shares on this page are without this check. It does not find artefacts of attention.")


def show_experts(found: ExpertCalibration) -> None:
    """Show the shares of claims on experts of planted mixtures."""
    figure_header(
        "Experts of planted mixtures", "causal",
        "shares of claims per build, with Wilson's 95 % interval. The router prefers experts whose output nothing reads.",
    )  # fmt: skip
    rows = [(name, describe_share(share)) for name, share in list_expert_shares(found)]
    show_table(make_table(("combined rule", "share, 95 % interval, n"), rows), key="expert-shares")
    st.markdown(plain(describe_expert_origin(found)))
    st.markdown(
        "Builds, claims and samples of one mixture count as independent here. Intervals clustered by mixture: not measured."
    )


def show_other_rules(found: OtherRules | None) -> None:
    """Show how often the audits' own verdict rules are right, and which audits have no rate."""
    figure_header(
        "Verdict rules of other audits", "causal",
        "shares of cases, with Wilson's 95 % interval. Each known answer of a planted model is asked again with other prompts and weights.",
    )  # fmt: skip
    st.markdown(plain(f"{RULES_TEXT} {ONE_ANSWER}"))
    if rows := list_rule_rows(found):
        show_table(make_table(RATE_COLUMNS, rows), key="rule-rates")
        st.subheader("By known answer, in cases", anchor=False)
        show_table(make_table(ANSWER_COLUMNS, list_answer_rows(found)), key="rule-answers", lines=3)
    if unrated := list_unrated_rows(found):
        st.subheader("Audits without a rate", anchor=False)
        show_table(make_table(("audit", "why"), unrated), key="rule-none", lines=3)


def show_coverage() -> None:
    """Show the simulated designs in which intervals contain the true effect less often than they state."""
    figure_header(
        "Where intervals are too narrow", "estimated",
        "simulated samples of prompts whose true effect is known, by how templates differ and how many there are. "
        "Only designs are listed whose share lies below 95 % by more than chance.",
    )  # fmt: skip
    try:
        found = load_designs()
    except IntegrityError as error:
        show_refusal(error)
        return
    st.markdown(plain(describe_below(found)))
    columns = ("template effects", "templates", "intervals that contain the true effect: share, 95 % interval, n")
    show_table(make_table(columns, list_below_rows(found)), key="coverage")


def show_confusion(found: Calibration) -> None:
    """Show the confusion matrix of planted role against verdict, per rule."""
    figure_header(
        "Planted role vs. verdict", "causal",
        "each row is a planted role, each column a verdict, each cell the number of samples. The right verdict depends on the claim. "
        "For example, a head with a backup is supported. A gate is inconclusive, because its ablation families disagree.",
    )  # fmt: skip
    rule = st.radio("Rule", RULES, key="rule", horizontal=True, help="Combined, or one ablation family alone.")
    states = [state.value for state in State]
    table = found.confusion[rule]
    rows = [(role, *(table[role].get(state, 0) for state in states)) for role in sorted(table)]
    show_table(make_table(("planted", *states), rows))
    table_with_csv(lambda: make_table(("planted", *states), rows), f"Confusion, {rule} rule", "confusion")


def show_systematic_errors(found: Calibration) -> None:
    """Show the systematic errors of single-ablation rules."""
    figure_header(
        "Systematic errors of single rules", "causal",
        "claims that a rule of one ablation family misjudges on most samples, unlike the combined rule.",
    )  # fmt: skip
    rows = [(f.rule, f.model, f.components, f.task, f.planted, f.found, f.wired) for f in found.fooled]
    columns = ("rule", "model", "components", "task", "planted", "its verdict", "ground truth")
    show_table(make_table(columns, rows), key="fooled")


def show_models() -> None:
    """Show the planted models, which any page can open by name."""
    st.subheader("The planted models", anchor=False)
    st.markdown("Enter a name as the model on Live audit or Sweep, and choose one of its tasks.")
    rows = [
        (model.name, model.title, model.story, ", ".join(task.name for task in model.tasks)) for model in list_planted()
    ]
    widths = column_widths({"name": 190, "what it is": 270, "wiring": 470, "tasks": 160})
    show_table(make_table(tuple(widths), rows), key="planted", lines=3, column_config=widths)
