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
from ui.parts import figures, long_prompts
from ui.parts.header import conditions_line, controls_line, figure_header, plain, show_table, table_with_csv
from ui.parts.token_figures import pattern, token_bars


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


def show_edges(result: EdgesResult, attention: Sequence[float] | None, token: str) -> None:
    """The token view: attention to each token beside the effect of ablating that attention edge.

    Args:
        attention: shares; None if the pattern of so long a prompt cannot be read, which its refusal says.
    """
    left, right = st.columns(2)
    numbers = [result.support] if attention is None else [attention, result.support]
    rows = long_prompts.pick_rows(*numbers)
    if attention is not None:
        with left:
            figure_header(
                "Tokens it attends to",
                "observational",
                f"attention of L{result.layer}.H{result.head} from {plain(repr(token))} to each token, on the clean run. It sums to 1.",
            )
            figures.show(
                token_bars(attention, result.tokens, unit="share of attention", is_effect=False, rows=rows), key="token-looks",
                 alt="Attention to each token. The table below has the numbers.",
            )  # fmt: skip
    with right:
        figure_header(
            "Tokens with an effect through it",
            "causal",
            "effect of setting one attention weight to zero, without renormalising. One prompt, so no interval. The axis spans at least ±1.",
        )
        figures.show(
            token_bars(result.support, result.tokens, unit=f"effect, {result.unit}", is_effect=True, rows=rows), key="token-does",
             alt="Effect of each edge. The table below has the numbers.",
        )  # fmt: skip
    if drawn := long_prompts.describe_rows(
        len(result.tokens), rows, "effect" if attention is None else "attention, and as many with the largest effect"
    ):
        st.markdown(plain(drawn))
    shares = (None,) * len(result.tokens) if attention is None else attention
    lines = list(zip(range(len(result.tokens)), map(repr, result.tokens), shares, result.support, strict=True))
    table_with_csv(
        lambda: make_table(("position", "token", "share of attention", f"effect of the edge, {result.unit}"), lines),
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
                pattern(weights, tokens), key=f"pattern-{name}",
                alt=f"Attention pattern of {head}, {name}. The table below has the numbers.",
            )  # fmt: skip
    if after is None:
        st.markdown("Choose a circuit to see this pattern under the intervention.")
    if (size := long_prompts.pool_pattern(before)[1]) > 1:
        said = (
            f"A long prompt is drawn in blocks of {size} tokens: each cell is the largest share in its block. "
            f"The table has the pairs of tokens from {long_prompts.LEAST_LISTED} on."
        )
        st.markdown(plain(said))
    table_with_csv(
        lambda: make_table(
            ("query", "key", run, "under intervention"),
            _list_pairs(before, after, tokens, 0.0 if size == 1 else long_prompts.LEAST_LISTED),
        ),
        "Attention pattern",
        "pattern",
    )


def _list_pairs(
    before: np.ndarray, after: np.ndarray | None, tokens: Sequence[str], least: float
) -> list[tuple[str, str, float, float | None]]:
    """Pairs of tokens with their share of attention, of at least this in one of the runs."""
    larger = before if after is None else np.maximum(before, after)
    names = [repr(token) if least == 0 else f"{at} {token!r}" for at, token in enumerate(tokens)]
    listed = np.argwhere(np.tril(np.ones(larger.shape, bool)) & (larger >= least)).tolist()
    return [(names[i], names[j], float(before[i, j]), None if after is None else float(after[i, j])) for i, j in listed]


def ask_tokens(auditor: Auditor, choice: Choice) -> None:
    """Compute and show the token view of the head in focus, and the tokens that the answer depends on."""
    before = answers.read_pattern(auditor, choice, choices.UNTOUCHED)
    title = f"Remove each attention edge of {choice.head}"
    edges = answers.answer_now(auditor, "edges", title, choice.ask_edges())
    if edges is not None:
        show_edges(edges, None if before is None else before[-1].tolist(), choice.shown.pairs[0].pieces[-1])
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
    rows = long_prompts.pick_rows(
        *([result.measured] if result.estimated is None else [result.measured, result.estimated])
    )
    left, right = st.columns(2)
    with left:
        figure_header(
            "Tokens the answer depends on", "causal",
            "loss of the metric when that token's embedding alone is replaced by its mean. One prompt, so no interval.",
        )  # fmt: skip
        figures.show(
            token_bars(result.measured, result.tokens, unit=f"effect, {result.unit}", is_effect=True, rows=rows), key="tokens-measured",
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
                token_bars(
                    result.estimated, result.tokens, unit="estimated, logits", is_effect=True, rows=rows
                ),
                key="tokens-estimated", 
                alt="Estimated effect of each token. The table below has the numbers.",
            )  # fmt: skip
            st.markdown(
                f"With {result.steps} steps the estimates miss {result.missed:.1%} of their expected sum, {result.change:+.2f} {result.unit}."
            )
    if drawn := long_prompts.describe_rows(len(result.tokens), rows, "measured effect, or the largest estimate"):
        st.markdown(plain(drawn))
    estimated = result.estimated or (None,) * len(result.tokens)
    lines = list(zip(range(len(result.tokens)), map(repr, result.tokens), result.measured, estimated, strict=True))
    columns = ("position", "token", f"measured effect, {result.unit}", "estimated, logits")
    table_with_csv(lambda: make_table(columns, lines), "Tokens, measured and estimated", "token-gradients")
    controls_line(result.controls)
