"""Attention tests: pattern ablations, attention views against causal effects, and views under weight randomisation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from audit_core import Auditor, format_estimate, list_plugins, make_table
from audit_core.attention import Agreement, PatternTest, Randomisation
from audit_core.audits import AttentionTestsResult
from audit_core.tables import estimate_cells
from ui.flow import answers
from ui.flow.choice import Choice
from ui.parts import figures
from ui.parts.header import figure_header, plain, table_with_csv

SHOWN = 10
"""Heads drawn: those with the largest effect of any of the four edits; the table has all."""
_GRADIENT = "gradient"
_COLUMNS = ("value", "low", "high", "n", "unit")


def ask_tests(auditor: Auditor, choice: Choice) -> None:
    """State what the tests ask, and run and show them; they need more than one prompt."""
    st.markdown(
        "Do attention patterns matter for the answer? Does attention rank heads and tokens as their effects do? "
        "Does a view of attention change when the weights that produce the answer are shuffled? "
        "The tests cover the heads named here and a sample of other heads, evenly over the model. "
        "None of this is a verdict on a head."
    )
    if choice.is_one:
        st.info("One prompt has no interval. Choose a split of the set to run these tests.", icon=":material/info:")
        return
    title = f"Run the attention tests on {choice.size}"
    tested = answers.answer_by_job(auditor, "attention_tests", title, choice.ask_attention_tests(), at_once=False)
    if tested is not None:
        show_tests(tested)


def show_tests(result: AttentionTestsResult) -> None:
    """All three tests, and what could not be tested."""
    st.markdown(
        f"Measured on **{plain(result.prompts)}**, n = **{result.n}** prompts in {result.n_templates} templates · median of "
        f"**{result.shuffles}** shuffles per prompt · δ = **{result.delta:g}** of the clean–corrupted gap · clean "
        f"{plain(format_estimate(result.clean))}, corrupted {plain(format_estimate(result.corrupted))}"
    )
    _show_patterns(result)
    _show_comparisons(result.comparisons)
    for found in result.randomisations:
        _show_randomisation(found)
    for text in result.not_tested:
        st.markdown(f"Not tested: {plain(text)}")


def _show_patterns(result: AttentionTestsResult) -> None:
    figure_header(
        "Attention pattern ablated", "causal",
        "for each head, its pattern made uniform or permuted, with its values unchanged. Beside it, its output resampled or set to zero. "
        f"Dashed: ± δ. Drawn are the {min(SHOWN, len(result.patterns))} heads with the largest effect of any of the four. "
        "A head can matter although its pattern does not.",
    )  # fmt: skip
    counts = Counter(test.finding for test in result.patterns)
    st.markdown(
        f"Patterns of {len(result.patterns)} heads: **{counts['matters']}** matter, **{counts['irrelevant']}** are irrelevant "
        f"within ± δ, and **{counts['unresolved']}** are unresolved."
    )
    drawn = sorted(result.patterns, key=_find_largest, reverse=True)[:SHOWN]
    series = (
        ("pattern uniform", "circle-open", [test.uniform for test in drawn]),
        ("pattern permuted", "diamond", [test.permuted for test in drawn]),
        ("output resampled", "square-open", [test.resampled for test in drawn]),
        ("output zero", "x", [test.zeroed for test in drawn]),
    )
    figure = figures.interval_rows(
        [test.head for test in drawn], series, unit="Effect, fraction of the clean–corrupted gap",
        lines=((result.delta, "δ"), (-result.delta, "−δ")), is_effect=True,
    )  # fmt: skip
    figures.show(
        figure, key="pattern-tests", 
        alt="Effects of ablating the pattern and the output of each head. The table below has the numbers.",
    )  # fmt: skip
    for test in drawn:
        st.markdown(f"- {plain(test.sentence)}")
    names = ("uniform", "permuted", "resampled", "zero")
    columns = ["head", "finding", *(f"{way}: {column}" for way in names for column in _COLUMNS), "in words"]
    rows = [
        (test.head, test.finding, *(cell for e in _list_effects(test) for cell in estimate_cells(e)), test.sentence)
        for test in result.patterns
    ]
    table_with_csv(lambda: make_table(columns, rows), "Attention pattern ablated", "pattern-tests")


def _list_effects(test: PatternTest) -> tuple:
    return test.uniform, test.permuted, test.resampled, test.zeroed


def _find_largest(test: PatternTest) -> float:
    return max(abs(estimate.value) for estimate in _list_effects(test))


def _name(agreement: Agreement) -> str:
    return f"{agreement.view.replace('_', ' ')} ({agreement.over})"


def _kinds(agreements: Sequence[Agreement]) -> str:
    """Badges for these views; a view that uses gradients is also an estimate."""
    return "observational" + (" estimated" if any(_GRADIENT in a.view for a in agreements) else "")


def _show_comparisons(comparisons: Sequence[Agreement]) -> None:
    figure_header(
        "Attention views vs. causal effect", f"{_kinds(comparisons)} causal",
        "rank correlation between a view and the size of the effect, over the same heads or tokens. "
        "Heads are resampled, and token embeddings are replaced by their mean, one at a time. 1 is the same order, 0 is no agreement. "
        "The comparison is a score of neither axis.",
    )  # fmt: skip
    _draw_agreements(comparisons, "views-beside", ((0.0, "0"),))
    for key, view in list_plugins("views").items():
        st.markdown(f"- **{key.replace('_', ' ')}**: {plain(view.hides)}")
    rows = [(_name(a), a.n_parts, a.prompts, *estimate_cells(a.estimate), a.no_estimate) for a in comparisons]
    columns = ("view", "heads or tokens", "prompts", *_COLUMNS, "reason for no number")
    table_with_csv(lambda: make_table(columns, rows), "Attention views vs. causal effect", "views-beside")


def _draw_agreements(
    agreements: Sequence[Agreement], key: str, lines: Sequence[tuple[float, str]], words: Sequence[str] = ()
) -> None:
    names = [_name(a) + (f": {word}" if word else "") for a, word in zip(agreements, words or [""] * len(agreements))]
    series = (("rank correlation", "diamond", [a.estimate for a in agreements]),)
    figure = figures.interval_rows(names, series, unit="Spearman ρ", lines=lines, is_effect=False)
    figures.show(
        figure.update_xaxes(range=[-1.05, 1.05]), key=f"figure-{key}", 
        alt="Rank correlations with their intervals. The table below has the numbers.",
    )  # fmt: skip


def _show_randomisation(found: Randomisation) -> None:
    agreements = [view.agreement for view in found.views]
    figure_header(
        f"The same views, weights shuffled from layer {found.layer} up", _kinds(agreements),
        "rank correlation of each view with itself on a model with shuffled values, outputs, MLPs and unembedding. "
        "A view depends on the weights only if its interval stays below 0.5 while the answer collapses.",
    )  # fmt: skip
    st.markdown(
        f"Logit difference: {plain(format_estimate(found.trained))} before, {plain(format_estimate(found.shuffled))} "
        f"after. The shuffled model prefers the answer on {plain(format_estimate(found.accuracy))}."
    )
    st.markdown(plain(found.sentence))
    words = [view.finding.replace("_", " ") for view in found.views]
    _draw_agreements(agreements, f"shuffled-{found.layer}", ((0.5, "0.5"),), words)
    rows = [
        (_name(view.agreement), view.finding, view.sentence, *estimate_cells(view.agreement.estimate))
        for view in found.views
    ]
    columns = ("view", "finding", "in words", *_COLUMNS)
    name = f"Views, weights shuffled from layer {found.layer}"
    table_with_csv(lambda: make_table(columns, rows), name, f"shuffled-{found.layer}")
