"""Tables and figures of the live audit: ablation results, token views, and what could not be tested."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from audit_core import Auditor, Component, format_estimate, make_table
from audit_core.audits import AblationResult, EdgesResult, TokenGradientsResult
from audit_core.tables import estimate_cells
from ui.flow import answers
from ui.flow import choice as choices
from ui.flow.choice import Choice
from ui.parts import figures
from ui.parts.header import conditions_line, controls_line, figure_header, plain, show_table, table_with_csv


def show_ablation(result: AblationResult | None) -> None:
    """The joint effect of the chosen components, before and after."""
    if result is None:
        st.info("Choose a circuit above, and measure it.", icon=":material/info:")
        return
    figure_header(
        "The circuit under intervention",
        "causal",
        "before, after and the change share one scale, without clipping.",
    )
    st.markdown(f"**{plain(result.sentence)}**")
    st.info(plain(result.finding), icon=":material/science:")
    before, after, change, alone = st.columns(4)
    base = result.clean if dict(result.conditions)["direction"] == "noising" else result.corrupted
    before.metric(f"before, {result.unit}", f"{base.value:+.2f}", help=format_estimate(base))
    after.metric(f"after, {result.unit}", f"{result.after.value:+.2f}", help=format_estimate(result.after))
    change.metric(
        f"support for the answer, {result.unit}", f"{result.support.value:+.2f}", help=format_estimate(result.support)
    )
    if result.alone is not None:
        kept = "" if result.kept is None else f"{format_estimate(result.kept)} kept"
        alone.metric(f"circuit alone, {result.unit}", f"{result.alone.value:+.2f}", help=kept or None)
        if kept:
            st.markdown(f"The circuit alone, {result.rest}: **{plain(kept)}**.")
    numbers = (("before", base), ("after", result.after), ("support for the answer", result.support), ("circuit alone", result.alone), ("support, as a fraction", result.fraction), ("kept by the circuit alone, as a fraction", result.kept))  # fmt: skip
    rows = [(name, *estimate_cells(e)) for name, e in numbers if e is not None]
    table_with_csv(
        lambda: make_table(("what", "value", "low", "high", "n", "unit"), rows),
        "The circuit under intervention",
        "circuit",
    )
    if result.no_fraction:
        st.warning(f"Cannot be expressed as a fraction: {plain(result.no_fraction)}", icon=":material/warning:")
    conditions_line(result.conditions, result.n)
    controls_line(result.controls)


def show_next_tokens(result: AblationResult | None) -> None:
    """The next-token table before, after and change."""
    if result is None or not result.next_tokens:
        st.info("The next token is shown for one prompt and a circuit. Choose both above.", icon=":material/info:")
        return
    figure_header(
        "Next token", "causal", "probability of each candidate before and under the intervention, and the difference."
    )
    rows = [(f"{row.token!r}", row.before, row.after, row.after - row.before) for row in result.next_tokens]
    table = make_table(("token", "before", "after", "change"), rows)
    percent = st.column_config.NumberColumn(format="%.3f")
    signed = st.column_config.NumberColumn(format="%+.3f")
    show_table(table, column_config={"before": percent, "after": percent, "change": signed})
    table_with_csv(lambda: table, "Next token", "next-token")


def show_edges(result: EdgesResult, attention: Sequence[float], token: str) -> None:
    """The token view: attention to each token beside the effect of ablating that attention edge."""
    left, right = st.columns(2)
    with left:
        figure_header(
            "Tokens it attends to",
            "observational",
            f"attention of L{result.layer}.H{result.head} from {plain(repr(token))} to each token, on the clean run. It sums to 1.",
        )
        figures.show(
            figures.token_bars(attention, result.tokens, unit="share of attention", is_effect=False), key="token-looks",
             alt="Attention to each token. The table below has the numbers.",
        )  # fmt: skip
    with right:
        figure_header(
            "Tokens with an effect through it",
            "causal",
            "effect of setting one attention weight to zero, without renormalising. One prompt, so no interval. The axis spans at least ±1.",
        )
        figures.show(
            figures.token_bars(result.support, result.tokens, unit=f"effect, {result.unit}", is_effect=True), key="token-does",
             alt="Effect of each edge. The table below has the numbers.",
        )  # fmt: skip
    rows = list(zip(range(len(result.tokens)), map(repr, result.tokens), attention, result.support, strict=True))
    table_with_csv(
        lambda: make_table(("position", "token", "share of attention", f"effect of the edge, {result.unit}"), rows),
        "Tokens",
        "tokens",
    )


def show_patterns(
    before: np.ndarray, after: np.ndarray | None, tokens: Sequence[str], head: Component, run: str
) -> None:
    """The head's pattern on the run that is edited, and under the intervention."""
    figure_header("Attention pattern", "observational", f"{head}: each row is a query token, each column a key token.")
    panes = [(f"{run} run", before)] + ([] if after is None else [("under the intervention", after)])
    for column, (name, weights) in zip(st.columns(len(panes)), panes, strict=True):
        column.markdown(f"**{name}**")
        with column:
            figures.show(
                figures.pattern(weights, tokens), key=f"pattern-{name}",
                alt=f"Attention pattern of {head}, {name}. The table below has the numbers.",
            )  # fmt: skip
    if after is None:
        st.markdown("Choose a circuit to see this pattern under the intervention.")
    rows = [
        (repr(q), repr(k), float(before[i, j]), None if after is None else float(after[i, j]))
        for i, q in enumerate(tokens)
        for j, k in enumerate(tokens)
        if j <= i
    ]
    table_with_csv(
        lambda: make_table(("query", "key", run, "under intervention"), rows), "Attention pattern", "pattern"
    )


def ask_tokens(auditor: Auditor, choice: Choice) -> None:
    """Compute and show the token view of the head in focus, and the tokens that the answer depends on."""
    before = answers.read_pattern(auditor, choice, choices.UNTOUCHED)
    edges = answers.answer_now(auditor, "edges", choice.ask_edges())
    if edges is not None and before is not None:
        show_edges(edges, before[-1].tolist(), choice.shown.pairs[0].pieces[-1])
    title = "Measure which tokens the answer depends on"
    found = answers.answer_by_job(auditor, "token_gradients", title, choice.ask_tokens(), at_once=False)
    if found is not None:
        show_token_gradients(found)


def ask_pattern(auditor: Auditor, choice: Choice) -> None:
    """Compute and show the pattern of the head in focus, on the run that is edited and under the intervention."""
    base = answers.read_pattern(auditor, choice, choice.unedited)
    after = None if choice.intervention is None else answers.read_pattern(auditor, choice, choice.intervention)
    pair, is_clean = choice.shown.pairs[0], choice.unedited == choices.UNTOUCHED
    if base is not None:
        words = pair.pieces if is_clean else pair.corrupted_pieces
        show_patterns(base, after, words, choice.head, choice.unedited.side.value)


def show_limits(limits: Sequence[str]) -> None:
    """Tests that are not available here, each with its reason."""
    st.markdown("What this page does not test here, and why:")
    for limit in limits:
        st.markdown(f"- {plain(limit)}")


def show_token_gradients(result: TokenGradientsResult) -> None:
    """Effect of mean-ablating each token's embedding: measured, and estimated by integrated gradients."""
    left, right = st.columns(2)
    with left:
        figure_header(
            "Tokens the answer depends on", "causal",
            "loss of the metric when that token's embedding alone is replaced by its mean. One prompt, so no interval.",
        )  # fmt: skip
        figures.show(
            figures.token_bars(result.measured, result.tokens, unit=f"effect, {result.unit}", is_effect=True), key="tokens-measured",
             alt="Measured effect of each token. The table below has the numbers.",
        )  # fmt: skip
    with right:
        figure_header(
            "The same by integrated gradients", "estimated",
            "gradients averaged on the path from all mean embeddings to this prompt. This is an estimate, not a measurement.",
        )  # fmt: skip
        if result.estimated is None:
            st.warning(f"Not drawn: {plain(result.not_estimated)}", icon=":material/warning:")
        else:
            figures.show(
                figures.token_bars(result.estimated, result.tokens, unit="estimated, logits", is_effect=True),
                key="tokens-estimated", 
                alt="Estimated effect of each token. The table below has the numbers.",
            )  # fmt: skip
            st.markdown(
                f"With {result.steps} steps the estimates miss {result.missed:.1%} of their expected sum, {result.change:+.2f} {result.unit}."
            )
    estimated = result.estimated or (None,) * len(result.tokens)
    rows = list(zip(range(len(result.tokens)), map(repr, result.tokens), result.measured, estimated, strict=True))
    columns = ("position", "token", f"measured effect, {result.unit}", "estimated, logits")
    table_with_csv(lambda: make_table(columns, rows), "Tokens, measured and estimated", "token-gradients")
    controls_line(result.controls)
