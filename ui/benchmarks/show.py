"""Accuracy beside effect: two figures that share no axis and no colour, and tables by category and by item."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError, format_estimate, make_table
from audit_core.benchmarks import BenchmarkResult, RecordedRun, read_benchmark
from ui.benchmarks import drawings
from ui.benchmarks.form import GivenFile
from ui.parts import figures
from ui.parts.header import conditions_line, controls_line, figure_header, plain, show_rows
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

_SHOWN_TEXT = 160


def show_answer(result: BenchmarkResult) -> None:
    """Show the finding; a model at chance has no effect beside it."""
    show_sentence(result.finding, "observational" if result.not_measured else "observational causal", result.n, "items")


def show_panes(result: BenchmarkResult) -> None:
    """Show accuracy at the left, and the effect of the components at the right."""
    left, right = split_panes()
    with left:
        pane_header(
            "How often it is right", "observational",
            "The point is the share of right items, the line its 95 % interval. The dashed line is chance: "
            f"{plain(result.chance_is)}.",
            table=Table(lambda: _tabulate_categories(result), "Accuracy", "accuracy"),
        )  # fmt: skip
        figures.show(
            drawings.draw_accuracy(result), "benchmark-accuracy",
            "Accuracy of all items and of each category with intervals, and chance. The table has the numbers.",
        )  # fmt: skip
        st.markdown(
            f"Right on **{result.n_right} of {result.n}** items. Accuracy: {plain(format_estimate(result.accuracy))}. "
            f"Chance: **{result.chance:.2f}**."
        )
    with right:
        if result.effect is None or result.stays_right is None or result.excess is None:
            pane_header("What the components do", "causal", "Effects are measured where the model is above chance.")
            st.info(plain(result.not_measured), icon=":material/block:")
            return
        pane_header(
            "What the components do", "causal",
            "The point is the loss of margin on right items without the components, the line its 95 % interval. "
            "Grey marks are random sets of the same size and kinds.",
            table=Table(lambda: _tabulate_sets(result), "Effect and random sets", "effect"),
        )  # fmt: skip
        figures.show(
            drawings.draw_effect(result), "benchmark-effect",
            "Loss of margin without the components, with its interval, beside random sets. The table has the numbers.",
        )  # fmt: skip
        others = sum(result.random_stays_right) / max(1, len(result.random_stays_right))
        st.markdown(
            f"Reading: **{plain(result.reading)}**. Without them {plain(format_estimate(result.stays_right))} stay right; "
            f"without a random set **{others:.2f}** on average. p = **{result.p:.3f}** in {len(result.random_effects)} sets."
        )
        if result.in_range is not None:
            st.markdown(f"With later neurons kept in their usual range: {plain(format_estimate(result.in_range))}.")
        else:
            why = result.no_range or "this result is older than that check."
            st.markdown(f"In the usual range of later neurons: not measured; {plain(why)}")


def show_categories(result: BenchmarkResult) -> None:
    """Show accuracy and effect of each category, in columns of their own."""
    figure_header(
        "By category", "observational causal",
        "accuracy is observed; the effect is measured by ablation, on the measured items of the category.",
    )  # fmt: skip
    show_rows(_tabulate_categories(result), "benchmark-categories")


def show_items(result: BenchmarkResult, file: GivenFile) -> None:
    """Show every item with its question, the answer, and the effect where it was measured."""
    figure_header(
        "Items", "observational causal",
        f"effects are measured on {result.n_measured} of {result.n_right} right items. A dash was not measured.",
    )  # fmt: skip
    questions = _read_questions(file)
    rows = [
        (
            row.id, row.category, questions.get(row.id, "")[:_SHOWN_TEXT], row.expected, row.answer, row.is_right, row.margin,
            row.effect, row.random_effect, row.stays_right,
        )
        for row in result.items
    ]  # fmt: skip
    names = (
        "item", "category", "question", "expected", "answer", "right", "margin, nats", "effect, nats",
        "random sets, nats", "stays right",
    )  # fmt: skip
    show_rows(make_table(names, rows), "benchmark-items")


def _read_questions(file: GivenFile) -> dict[str, str]:
    """Texts by id from the file on the page: a result holds ids only."""
    try:
        return {item.id: item.question for item in read_benchmark(file.raw, name=file.name).items}
    except AuditError:
        return {}


def show_details(result: BenchmarkResult, recorded: RecordedRun | None) -> None:
    """Show the file's identity, the conditions and the controls."""
    figure_header("File and conditions", "causal", "what every number of this page depends on.")
    source = result.source
    if source is not None:
        left = ", ".join(f"{n} × {why}" for why, n in source.left_out) or "none"
        st.markdown(
            f"File **{plain(source.name)}**, format **{plain(source.format)}**, {source.n_in_file} items. "
            f"SHA-256: {plain(source.sha256)}."
        )
        st.markdown(f"Prompt format: **{plain(source.prompt_format)}**. Left out: {plain(left)}.")
    if recorded is not None:
        st.markdown(
            f"Recorded {plain(recorded.made_at)} with code {plain(recorded.code_sha256)}, weights {plain(recorded.weights_sha256)}."
        )
    if result.not_measured:
        st.markdown(plain(result.not_measured))
        return
    conditions_line(result.conditions, result.n_measured)
    st.markdown(f"Random baseline: {plain(result.null)}.")
    if result.controls is not None:
        controls_line(result.controls)


def _tabulate_categories(result: BenchmarkResult) -> object:
    rows = [
        (
            row.category, row.accuracy.n, row.accuracy.value, row.accuracy.low, row.accuracy.high,
            *((row.effect.value, row.effect.low, row.effect.high, row.effect.n) if row.effect else (None,) * 4),
        )
        for row in result.categories
    ]  # fmt: skip
    names = (
        "category", "items", "accuracy", "from", "to", "effect, nats", "effect from", "effect to", "measured items",
    )  # fmt: skip
    return make_table(names, rows)


def _tabulate_sets(result: BenchmarkResult) -> object:
    assert result.effect is not None
    named = (" ".join(result.components), result.effect.value, result.effect.low, result.effect.high)
    kept, rows = result.in_range, []
    if kept is not None:
        rows = [("with later neurons in their usual range", kept.value, kept.low, kept.high)]
    rows += [(f"random set {n}", value, None, None) for n, value in enumerate(result.random_effects, start=1)]
    return make_table(("set", "loss of margin, nats", "from", "to"), [named, *rows])
