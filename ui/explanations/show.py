"""Explanations on the page: what methods say at the left, what replacing a token does at the right, and the trial below."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import make_table
from audit_core.audits import ExplanationsResult, Strip
from audit_core.explanations import WORDS, ConflictKind, Grade, read_gain
from audit_core.tables import estimate_cells
from ui.explanations import drawings
from ui.parts import figures, long_prompts
from ui.parts.header import controls_line, figure_header, plain, show_table, table_with_csv
from ui.parts.token_figures import token_bars
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

_ESTIMATE = ("value", "low", "high", "n", "unit")
_FORMULA = (
    "comprehensiveness (AOPC) = mean over 20, 50 and 80 % of units of m(x) − m(x without the first units). Sufficiency = the "
    "same of the first units alone. m is the logit difference, and x itself (0 %) is not counted."
)


def show_answer(found: ExplanationsResult, kinds: str = "causal") -> None:
    """Show the finding, and the grade of every method."""
    show_sentence(found.finding, kinds, found.n)
    for grade, words in WORDS.items():
        names = [row.title for row in found.methods if row.grade == grade]
        if names:
            st.markdown(f"- {plain(words)}: **{plain(', '.join(names))}**")
    st.markdown("A grade is about an order of tokens on these prompts. It is no verdict on a claim.")


def show_panes(found: ExplanationsResult, place: str = "") -> None:
    """Show all methods on one prompt beside the measured effects of its units."""
    prompts = [strip.prompt for strip in found.strips]
    strip = found.strips[0]
    if len(prompts) > 1:
        chosen = st.selectbox("Prompt shown", prompts, key=f"strip{place}", width=260)
        strip = next(one for one in found.strips if one.prompt == chosen)
    rows = long_prompts.pick_rows(strip.measured, *strip.scores.values())
    left, right = split_panes(f"explain{place}")
    with left:
        pane_header(
            "Scores", "estimated observational",
            "One column a method, one row a unit. Darker is a larger score, relative to the column's largest. A minus acts "
            "against the answer. Attention is observational, and all other columns are estimates.",
            table=Table(lambda: _table_scores(strip), "Scores", f"scores{place}"),
        )  # fmt: skip
        figures.show(
            drawings.draw_strips(strip, rows),
            key=f"figure-strips{place}",
            alt="A grid: one column for each method and one row for each unit of the prompt. The table has the numbers.",
        )
    with right:
        pane_header(
            "Measured", "causal",
            "Each bar is the loss of the answer when this unit alone is replaced by another prompt's. Purple lowers the "
            "answer, orange raises it.",
            table=Table(lambda: _table_measured(strip, found.unit), "Units replaced", f"measured{place}"),
        )  # fmt: skip
        figures.show(
            token_bars(strip.measured, strip.units, unit=f"loss in {found.unit}", is_effect=True, rows=rows),
            key=f"figure-measured{place}",
            alt="One bar for each unit: the loss of the answer when it is replaced. The table has the numbers.",
        )
    if said := long_prompts.describe_rows(len(strip.units), rows, "measured effect, or the largest score of a method"):
        st.markdown(plain(said))
    st.markdown("Both figures show one prompt, so they have no interval.")


def show_grades(found: ExplanationsResult, place: str = "") -> None:
    """Show the gain of every method over random orders."""
    figure_header(
        "Gain over random orders", "causal",
        f"right of zero, replacing a method's first units costs more than replacing random ones. Intervals hold for all "
        f"methods together ({100 * found.level:.1f} % each).",
    )  # fmt: skip
    figures.show(
        drawings.draw_gains(found),
        key=f"figure-gains{place}",
        alt="Two intervals for each method: its gain over random orders by replacement and by removal. The table has the numbers.",
    )
    table_with_csv(lambda: _table_gains(found), "Gains over random orders", f"gains{place}")
    for row in found.methods:
        if row.removal not in (Grade.NOT_JUDGED, read_gain(row.comprehensiveness_gain)):
            st.markdown(f"- {plain(row.title)}: removal alone would say *{plain(WORDS[Grade(row.removal)])}*.")
    st.markdown(plain(_FORMULA))
    st.markdown(
        f"The answer is {found.clean.value:.2f} {plain(found.unit)} as written and {found.replaced.value:.2f} with every "
        "unit replaced. Other tokens replace them here than the methods were given."
    )
    for name, why in found.not_measured.items():
        st.markdown(f"- {plain(name)}: not measured: {plain(why)}")
    controls_line(found.controls)


def show_curves(found: ExplanationsResult, without: str, place: str = "") -> None:
    """Show both curves of every method over the band of random orders."""
    figure_header(
        "Deletion and insertion", "causal",
        "the band holds all random orders. A good order is below the band at the left and above it at the right.",
    )  # fmt: skip
    for column, (side, words) in zip(split_panes(f"curves{place}"), drawings.SIDES, strict=True):
        with column:
            st.markdown(f"**{plain(words.capitalize())}**")
            figures.show(
                drawings.draw_curves(found, without, side),
                key=f"figure-{side}{place}",
                alt="One line for each method over the band of random orders. The table has the numbers.",
            )
    table_with_csv(lambda: _table_curves(found, without), "Curves", f"curves{place}")


def show_agreement(found: ExplanationsResult, place: str = "") -> None:
    """Show how well every two methods agree."""
    figure_header(
        "Agreement between methods", "estimated",
        "each cell is the mean rank correlation of two methods' scores over prompts. Methods that disagree cannot both be right.",
    )  # fmt: skip
    figures.show(
        drawings.draw_agreement(found),
        key=f"figure-agreement{place}",
        alt="A square grid of rank correlations between methods. The table has the numbers.",
    )
    titles = {row.method: row.title for row in found.methods}
    table_with_csv(
        lambda: make_table(
            ("first", "second", *_ESTIMATE),
            [(a, b, *estimate_cells(row.agreement)) for a, b, row in drawings.list_agreements(found.agreements, titles)],
        ),
        "Agreement", f"agreement{place}",
    )  # fmt: skip


def show_sanity(found: ExplanationsResult, place: str = "") -> None:
    """Show the agreement of every method with itself: on randomised weights, and under other seeds."""
    figure_header(
        "Randomised weights and other seeds", "estimated",
        "the circle must be left of the line: scores change with the weights. The diamond must be right of it: they do not "
        "change with the seed.",
    )  # fmt: skip
    figures.show(
        figures.interval_rows(
            [row.title for row in found.methods],
            [
                ("randomised weights (rank ρ)", "circle", [row.randomised for row in found.methods]),
                ("other seeds (r)", "diamond-open", [row.repeated for row in found.methods]),
            ],
            unit="Correlation with its own scores", lines=((0.5, "0.5"),), is_effect=False,
        ),
        key=f"figure-sanity{place}",
        alt="Two intervals for each method: correlation of its scores on randomised weights and under other seeds.",
    )  # fmt: skip
    table_with_csv(lambda: _table_sanity(found), "Sanity checks", f"sanity{place}")
    st.markdown("A method without a diamond depends on no seed.")


def show_classes(found: ExplanationsResult, place: str = "") -> None:
    """Show scores averaged over the set beside the effect of the same classes of units, and where they disagree."""
    if not found.classes:
        st.markdown("This result was measured by an earlier version, which did not compare the set. Measure it again.")
        return
    titles = {row.method: row.title for row in found.methods}
    _warn_of_conflicts(found, titles)
    chosen = st.selectbox("Method", list(titles), key=f"class-method{place}", format_func=titles.get, width=320)
    names = [row.unit_class for row in found.classes]
    scores = {row.unit_class: row for row in found.class_scores if row.method == chosen}
    kind = next(row.kind for row in found.methods if row.method == chosen)
    left, right = split_panes(f"classes{place}")
    with left:
        pane_header(
            "Scores over the set", kind,
            "Each point is the mean share of a prompt's absolute scores that this kind of unit gets, with its 95 % interval. "
            "The table has the spread over prompts.",
            table=Table(lambda: _table_class_scores(found, titles), "Scores by kind of unit", f"class-scores{place}"),
        )  # fmt: skip
        shares = [scores[name].share if name in scores else None for name in names]
        figures.show(
            figures.interval_rows(
                names, [(titles[chosen], "diamond", shares)], unit="Mean share of absolute scores", lines=((0.0, "0"),),
                is_effect=False,
            ),
            key=f"figure-class-scores{place}",
            alt="One interval for each kind of unit: its mean share of this method's scores. The table has the numbers.",
        )  # fmt: skip
    with right:
        pane_header(
            "Effect over the set",
            "causal",
            "Each point is the mean loss of the answer when all units of this kind are replaced together.",
            table=Table(lambda: _table_classes(found), "Effects by kind of unit", f"classes{place}"),
        )
        figures.show(
            figures.interval_rows(
                names, [("replaced together", "circle", [row.effect for row in found.classes])],
                unit=f"Mean loss, {found.unit}", lines=((0.0, "0"),), is_effect=True,
            ),
            key=f"figure-classes{place}",
            alt="One interval for each kind of unit: the loss when all of them are replaced. The table has the numbers.",
        )  # fmt: skip
    st.markdown("Intervals are 95 % each, not joint. A repeated unit has the same text as an earlier one.")


def _warn_of_conflicts(found: ExplanationsResult, titles: dict[str, str]) -> None:
    """Name every method whose scores over the set disagree with the measured effects."""
    if all(row.effect.low is None for row in found.classes):
        st.markdown("One prompt has no interval, so nothing is compared. Measure on a split.")
        return
    if not found.conflicts:
        st.markdown("No method's scores over the set disagree with the effects by whole intervals.")
        return
    by_method: dict[str, list[str]] = {}
    for row in found.conflicts:
        words = (
            f"*{plain(row.first)}* has opposite signs"
            if row.kind == ConflictKind.SIGN
            else f"*{plain(row.first)}* is above *{plain(row.second)}* by score and below it by effect"
        )
        by_method.setdefault(row.method, []).append(words)
    lines = [f"- {plain(titles[method])}: {', '.join(words)}." for method, words in by_method.items()]
    st.warning("Scores over the set and measured effects disagree:\n\n" + "\n".join(lines), icon=":material/warning:")


def show_methods(found: ExplanationsResult, place: str = "") -> None:
    """Show what every method assumes and costs, and its own check."""
    st.markdown("What each method assumes, what it costs, and the median of its own check over prompts.")
    rows = [
        (row.title, row.kind, row.assumes, row.costs, row.check or None, row.error, row.refused)
        for row in found.methods
    ]
    show_table(
        make_table(("method", "scores are", "assumes", "costs", "check", "median", "refused"), rows),
        lines=3, key=f"methods{place}",
    )  # fmt: skip


def _table_scores(strip: Strip) -> Any:
    names = list(strip.scores)
    rows = [(unit, *(strip.scores[name][at] for name in names)) for at, unit in enumerate(strip.units)]
    return make_table(("unit", *map(drawings.shorten, names)), rows)


def _table_measured(strip: Strip, unit: str) -> Any:
    return make_table(("unit", f"loss, {unit}"), list(zip(strip.units, strip.measured, strict=True)))


def _table_class_scores(found: ExplanationsResult, titles: dict[str, str]) -> Any:
    rows = [(titles[row.method], row.unit_class, *estimate_cells(row.share), row.spread) for row in found.class_scores]
    return make_table(("method", "units", *_ESTIMATE, "SD over prompts"), rows)


def _table_classes(found: ExplanationsResult) -> Any:
    rows = [(row.unit_class, row.n_units, *estimate_cells(row.effect)) for row in found.classes]
    return make_table(("units", "how many", *_ESTIMATE), rows)


def _table_gains(found: ExplanationsResult) -> Any:
    rows = [
        (row.title, WORDS[Grade(row.grade)], what, *estimate_cells(value))
        for row in found.methods
        for what, value in (
            ("comprehensiveness", row.comprehensiveness), ("gain over random", row.comprehensiveness_gain),
            ("sufficiency", row.sufficiency), ("gain over random, alone", row.sufficiency_gain),
            ("gain over random, removed", row.removal_gain),
        )
    ]  # fmt: skip
    return make_table(("method", "grade", "what", *_ESTIMATE), rows)


def _table_curves(found: ExplanationsResult, without: str) -> Any:
    titles = {row.method: row.title for row in found.methods}
    rows = [
        (titles[row.method], f"{row.share:.0%}", words, *estimate_cells(getattr(row, side)))
        for row in found.curves
        if row.without == without
        for side, words in drawings.SIDES
    ]
    rows += [
        (f"random orders, {end}", f"{row.share:.0%}", words, getattr(row, side)[at], None, None, found.n, found.unit)
        for row in found.random
        if row.without == without
        for side, words in drawings.SIDES
        for at, end in enumerate(("lowest", "mean", "highest"))
    ]
    return make_table(("order", "share", "units", *_ESTIMATE), rows)


def _table_sanity(found: ExplanationsResult) -> Any:
    rows = [
        (row.title, what, *estimate_cells(value))
        for row in found.methods
        for what, value in (("randomised weights", row.randomised), ("other seeds", row.repeated))
        if value is not None
    ]
    return make_table(("method", "what", *_ESTIMATE), rows)
