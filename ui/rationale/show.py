"""What the page Rationale shows: planted models first, then verdicts, steps, templates, edits, hints and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from audit_core import Prompt, make_table
from audit_core.errors import PromptRefused
from audit_core.rationale import MEANINGS, EditKind, EditRow, KnownTable, RationaleResult, Verdict, read_chain
from audit_core.rationale_record import RecordedKnown, RecordedRationale
from audit_core.tables import estimate_cells
from ui.parts import figures
from ui.parts.header import controls_line, figure_header, plain, show_table, table_with_csv
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

_ESTIMATE = ("value", "low", "high", "n", "unit")
_STEPWISE = (
    (EditKind.CARRIED, "mistake carried to the end", "circle"),
    (EditKind.KEPT, "last step kept", "diamond-open"),
    (EditKind.REMOVED, "last step removed", "square-open"),
)


def show_banner(verdict: str | None) -> None:
    """Show what a text of steps is not."""
    if verdict == Verdict.DEPENDS:
        st.info("**A rationale.** On these questions the answers depend on its steps.", icon=":material/info:")
    else:
        st.info(
            "**A rationale is a text shown to users.** It is not evidence of how the model came to its answer.",
            icon=":material/info:",
        )


def show_answer(found: RationaleResult, known: KnownTable, kinds: str) -> None:
    """Show the verdict, accuracy with and without steps, and how often the verdict is right on planted models."""
    show_sentence(found.finding, kinds, found.n, "questions")
    one, other = found.accuracy, found.accuracy_without
    hits = sum(row.verdict == row.expected for row in known.models)
    st.markdown(
        f"Share of questions answered right, with steps: **{_share(one)}**, without steps: **{_share(other)}**. "
        f"On {hits} of {len(known.models)} planted models this audit gives the known verdict ({known.n_per_model} questions each)."
    )


def show_known(known: KnownTable, place: str = "") -> None:
    """Show how well each metric finds the planted model that reads the steps."""
    pane_header(
        "Metrics compared", "causal recorded",
        "AUROC: 1 finds the model that reads the steps every time, 0.5 is a coin. The wiring of these models is known.",
        table=Table(lambda: _table_known(known), "Metrics compared", f"known{place}"),
    )  # fmt: skip
    figures.show(
        figures.interval_rows(
            [row.title for row in known.metrics], [("AUROC", "circle", [row.auroc for row in known.metrics])],
            unit="AUROC, 95 % interval", lines=((0.5, "a coin"),), is_effect=True, is_overlaid=True,
        ),
        key=f"figure-known{place}",
        alt="One interval for each metric: how often it ranks the model that reads the steps first. The table has the numbers.",
    )  # fmt: skip


def show_panes(found: RationaleResult, known: KnownTable) -> None:
    """Show the metrics' errors beside the patterns of the questions."""
    left, right = split_panes("rationale")
    with left:
        show_known(known, "-pane")
    with right:
        pane_header(
            "Questions by pattern", "causal",
            "Each question's single answers fit one pattern. Bars are shares of questions with Wilson's interval.",
            table=Table(lambda: _table_shares(found), "Questions by pattern", "shares"),
        )  # fmt: skip
        figures.show(
            figures.interval_rows(
                [f"{row.verdict} ({row.count})" for row in found.shares],
                [("share", "circle", [row.share for row in found.shares])],
                unit="share of questions, 95 % interval", lines=(), is_effect=True, is_overlaid=True,
            ),
            key="figure-shares",
            alt="One interval for each verdict: the share of questions with its pattern. The table has the numbers.",
        )  # fmt: skip


def show_chains(found: RationaleResult, prompts: Mapping[str, Prompt]) -> None:
    """Show one question with its steps, and the answer after every edit; below it the rates by step."""
    names = {f"{row.id}: {row.pattern}": row for row in found.questions}
    row = names[st.selectbox("Question", list(names), key="rationale-question", width=360)]
    answers = {(edit, step): answer for edit, step, answer in row.answers}
    prompt = prompts.get(row.id)
    st.markdown(f"Pattern: **{plain(row.pattern)}**: {plain(MEANINGS[Verdict(row.pattern)])}")
    if prompt is not None:
        try:
            chain = read_chain(prompt, row.template)
        except PromptRefused:
            return
        st.markdown(plain(chain.question))
        show_table(
            make_table(
                ("step", "as written", "with the mistake", "answer when cut here", "mistake from here, last step kept", "last step removed"),
                [
                    (
                        at, step, wrong, answers.get((EditKind.EARLY.value, at)), answers.get((EditKind.KEPT.value, at)),
                        answers.get((EditKind.REMOVED.value, at)),
                    )
                    for at, (step, wrong) in enumerate(zip(chain.steps, chain.mistaken, strict=True), start=1)
                ],
            ),
            key="rationale-steps",
        )  # fmt: skip
    show_table(
        make_table(
            ("edit", "from step", "answer"), [(edit, step or None, answer) for edit, step, answer in row.answers]
        ),
        key="rationale-answers",
    )
    _show_by_step(found)


def _show_by_step(found: RationaleResult) -> None:
    figure_header(
        "Mistakes followed, by first mistaken step", "causal",
        "right is followed more often. A gap between the marks of one row shows what the last step does.",
    )  # fmt: skip
    rows = {(EditKind(row.edit), row.step): row for row in found.edits}
    steps = sorted({step for kind, step in rows if kind is EditKind.CARRIED})
    figures.show(
        figures.interval_rows(
            [f"step {step}" for step in steps],
            [(words, shape, [_followed(rows.get((kind, step))) for step in steps]) for kind, words, shape in _STEPWISE],
            unit="share followed, 95 % interval", lines=(), is_effect=True,
        ),
        key="figure-by-step",
        alt="Three intervals for each step: the share of mistakes followed. The table on Edits has the numbers.",
    )  # fmt: skip


def show_templates(found: RationaleResult) -> None:
    """Show the verdict of every template, with the rates that decide it."""
    figure_header("Verdict by template", "causal", "a template's verdict uses its own questions alone.")
    columns = ("template", "verdict", "n", "right", "right without steps", "last step followed", "earlier mistake, last kept", "last removed", "reworded", "why unresolved")  # fmt: skip
    rows = [
        (
            row.template, row.verdict, row.n,
            *(_share(one) for one in (row.accuracy, row.accuracy_without, row.last, row.kept, row.removed, row.reworded)), row.reason,
        )
        for row in found.templates
    ]  # fmt: skip
    show_table(make_table(columns, rows), key="rationale-templates")
    st.markdown(
        "Wilson's intervals take questions as independent. Questions of one template are alike, so read templates apart."
    )


def show_edits(found: RationaleResult) -> None:
    """Show how often each edit changes the answer, and how often the answer follows it."""
    figure_header(
        "Every edit", "causal",
        "an answer is *followed* if it becomes what the edit leads to, and *changed* if it becomes any other.",
    )  # fmt: skip
    names = [row.edit + (f", step {row.step}" if row.step else "") for row in found.edits]
    figures.show(
        figures.interval_rows(
            names,
            [("followed", "circle", [row.followed for row in found.edits]), ("changed", "diamond-open", [row.changed for row in found.edits])],
            unit="share of answers, 95 % interval", lines=(), is_effect=True,
        ),
        key="figure-edits",
        alt="Two intervals for each edit: the share of answers that follow it and that change. The table has the numbers.",
    )  # fmt: skip
    table_with_csv(
        lambda: make_table(
            ("edit", "what", *_ESTIMATE),
            [
                (name, what, *estimate_cells(value))
                for name, row in zip(names, found.edits, strict=True)
                for what, value in (("followed", row.followed), ("changed", row.changed))
            ],
        ),
        "Every edit", "edits",
    )  # fmt: skip


def show_hints(found: RationaleResult) -> None:
    """Show the effect of a hint: directly, through the steps, and both."""
    figure_header(
        "A hint with the mistaken answer", "causal",
        "*direct*: hint added, steps as written. *Through the steps*: steps written to the hint, no hint.",
    )  # fmt: skip
    rows = (
        ("direct", found.hint_direct), ("through the steps", found.hint_through), ("both", found.hint_both),
        ("hint without an answer (changed)", found.hint_floor),
    )  # fmt: skip
    figures.show(
        figures.interval_rows(
            [name for name, _ in rows], [("share", "circle", [value for _, value in rows])],
            unit="share of questions, 95 % interval", lines=(), is_effect=True, is_overlaid=True,
        ),
        key="figure-hints",
        alt="Four intervals: shares of answers that follow the hint by each way. The table has the numbers.",
    )  # fmt: skip
    table_with_csv(
        lambda: make_table(("way", *_ESTIMATE), [(name, *estimate_cells(value)) for name, value in rows]),
        "Hints",
        "hints",
    )
    st.markdown("The program writes the steps to the hint here. Whether the model would write them is not measured.")


def show_metrics(found: RationaleResult, known: KnownTable) -> None:
    """Show each metric's error on planted models, and after it the mean on these questions."""
    figure_header(
        "Each metric beside its error", "causal", "trust a mean no further than its AUROC and error rates allow."
    )
    here = {row.metric: row.mean for row in found.metrics}
    columns = ("metric", "AUROC", "misses", "false alarms", "mean here", "low", "high", "n")
    rows = [
        (
            row.title, _share(row.auroc), _share(row.missed), _share(row.false_alarms),
            *(estimate_cells(here[row.metric])[:4] if row.metric in here else (None,) * 4),
        )
        for row in known.metrics
    ]  # fmt: skip
    show_table(make_table(columns, rows), key="rationale-metrics")
    st.markdown("Misses and false alarms count scores above 0.5 as dependence, on the planted models.")


def show_models(known: RecordedKnown) -> None:
    """Show what is found on every planted model, and the mean of every metric there."""
    table = known.table
    figure_header(
        "Planted chain models", "causal recorded", "all have the same texts. Their names say how they answer."
    )
    show_table(
        make_table(
            ("model", "known", "found", "n", "questions with the known pattern", "why unresolved"),
            [
                (row.model, row.expected, row.verdict, row.n, None if row.as_expected is None else _share(row.as_expected), row.reason)
                for row in table.models
            ],
        ),
        key="rationale-models",
    )  # fmt: skip
    names = [row.model for row in table.models]
    show_table(
        make_table(
            ("mean score", *(name.removeprefix("planted-chain-") for name in names)),
            [(row.title, *(row.means[name] for name in names)) for row in table.metrics],
        ),
        key="rationale-means",
    )
    st.markdown(f"Recorded {plain(known.recorded_at[:10])}, code {plain(known.code_sha256[:12])}.")


def show_conditions(found: RationaleResult, recorded: RecordedRationale | None) -> None:
    """Show what was asked, what was left out, and the controls."""
    st.markdown(f"- Questions: {plain(found.prompts)}, n = {found.n}. Smallest share that matters: {found.delta:g}.")
    st.markdown("- The answer is the most probable next token. The steps are given, not written by the model.")
    for why, count in found.left_out:
        st.markdown(f"- Left out: {count} × {plain(why)}")
    for verdict, words in MEANINGS.items():
        st.markdown(f"- *{plain(verdict.value)}*: {plain(words)}")
    if recorded is not None:
        made = recorded.measured_with
        st.markdown(f"- Recorded {plain(made.recorded_at)}, code {plain(made.code_sha256[:12])}.")
    controls_line(found.controls)


def _followed(row: EditRow | None) -> Any:
    return None if row is None else row.followed


def _share(value: Any) -> str:
    if value.low is None or value.high is None:
        return f"{value.value:.2f}"
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def _table_known(known: KnownTable) -> Any:
    rows = [
        (row.title, what, *estimate_cells(value))
        for row in known.metrics
        for what, value in (("AUROC", row.auroc), ("misses", row.missed), ("false alarms", row.false_alarms))
    ]
    return make_table(("metric", "what", *_ESTIMATE), rows)


def _table_shares(found: RationaleResult) -> Any:
    return make_table(
        ("pattern", "questions", *_ESTIMATE),
        [(row.verdict, row.count, *estimate_cells(row.share)) for row in found.shares],
    )
