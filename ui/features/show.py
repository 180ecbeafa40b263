"""Features on the page: whether the label holds at the left, what zeroing does at the right, never one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from audit_core import Auditor, format_estimate, make_table
from audit_core.features import DictionaryEntry, FeaturesResult
from audit_core.tables import estimate_cells
from ui.features import own
from ui.features.drawings import draw_effects, draw_labels
from ui.parts import figures
from ui.parts.header import controls_line, figure_header, plain, show_rows
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

_ENDS = ("low", "high")


def show_answer(result: FeaturesResult, badges: str) -> None:
    """Show the findings about each feature, and what the two axes are."""
    show_sentence(result.finding, badges, result.n)
    chosen = (
        f"The features were chosen on **{result.n_chosen_on}** other prompts."
        if result.n_chosen_on
        else "The features were named."
    )
    lead = "" if result.lead is None else f" The lead is **{plain(format_estimate(result.lead))}**."
    st.markdown(f"A label that fits does not show that the answer relies on the feature. {chosen}{lead}")


def show_panes(result: FeaturesResult, place: str = "") -> None:
    """Show how well the label fits at the left, and the effect of zeroing at the right."""
    left, right = split_panes(f"features{place}")
    with left:
        pane_header(
            "Label", "observational",
            "Filled points: how well a feature's largest value tells the described texts from the others (AUROC). The bar is the "
            "95 % interval over templates. Open points: a random direction that is active as often. Nothing was changed.",
            table=Table(lambda: _table_labels(result), "Label and activity", f"labels{place}"),
        )  # fmt: skip
        if all(row.auroc is None for row in result.rows):
            st.info("No label was tested. Name the texts that the features should fire on.", icon=":material/info:")
        else:
            figures.show(
                draw_labels(result), key=f"figure-labels{place}",
                alt="AUROC of each feature with its interval, beside a random direction. The table has the numbers.",
            )  # fmt: skip
    with right:
        pane_header(
            "Effect of the feature", "causal",
            "Diamonds: the share of the answer's lead lost when the feature is zero on every token. Squares: when it has its mean "
            "value. Crosses: the most that a random feature does that fires as often and as strongly.",
            table=Table(lambda: _table_effects(result), "Effect of the feature", f"effects{place}"),
        )  # fmt: skip
        if all(row.zeroed is None for row in result.rows):
            st.info(
                plain(f"No effect was measured: {result.no_effect or result.rows[0].effect_why}."),
                icon=":material/info:",
            )
        else:
            figures.show(
                draw_effects(result), key=f"figure-effects{place}",
                alt="Share of the lead lost without each feature, with its interval. The table has the numbers.",
            )  # fmt: skip


def show_verdicts(result: FeaturesResult) -> None:
    """Show both verdicts of every feature, and why one is unresolved."""
    figure_header(
        "Findings", "observational causal",
        "the label's finding is observed, the effect's is measured by zeroing. No number joins them.",
    )  # fmt: skip
    rows = [(r.component, r.label_verdict, r.label_why, r.effect_verdict, r.effect_why, r.matched) for r in result.rows]
    columns = (
        "feature",
        "label",
        "why the label is unresolved",
        "effect",
        "why the effect is unresolved",
        "matched features",
    )
    show_rows(make_table(columns, rows), "features-findings")


def show_details(result: FeaturesResult) -> None:
    """Show the prompts, the conditions and the controls."""
    figure_header("Prompts and checks", "causal", "what every number of this page depends on.")
    if result.file_name:
        left = ", ".join(result.left_out) or "none"
        st.markdown(
            f"File **{plain(result.file_name)}**, SHA-256 {plain(result.file_sha256)}. Described label: "
            f"**{plain(result.described)}**. Left out: {plain(left)}."
        )
    st.markdown(
        f"Dictionary **{plain(result.dictionary)}**, SHA-256 {plain(result.dictionary_sha256)}, layer {result.layer}. "
        f"**{result.n}** prompts in **{result.n_templates}** templates. Smallest effect that matters: **{result.delta:.0%}** "
        "of the lead."
    )
    if result.control is not None and result.identity_max is not None and result.noise_min is not None:
        st.markdown(
            f"The other text's whole activation at this layer changes **{plain(format_estimate(result.control))}**: the positive "
            f"control. A feature's own value changes a logit by at most **{result.identity_max:.1e}**, noise by at least "
            f"**{result.noise_min:.1e}**."
        )
    if result.controls is not None:
        controls_line(result.controls)


def show_dictionary(model: str, entry: DictionaryEntry, auditor: Auditor | None) -> None:
    """Show the card, and offer to add another dictionary."""
    show_card(entry)
    own.show_adding(model, auditor, entry)


def show_card(entry: DictionaryEntry) -> None:
    """Show how the dictionary was made, and how well it rebuilds activations."""
    card = entry.read_card()
    figure_header(
        "Dictionary", "observational causal",
        "recovered: the share of the loss of an ablation that the rebuilt activation avoids. Random directions are the baseline.",
    )  # fmt: skip
    if not card:
        st.markdown("This dictionary is written by hand for a planted model. Its features are known.")
        return
    if "fvu" not in card:
        _show_origin(entry, card)
        return
    figures_of = [
        ("variance not explained (FVU)", card["fvu"], None, None), ("active features per token (L0)", card["l0"], None, None),
        ("share of silent features", card["dead_share"], None, None),
        *(
            (words, card[name]["value"], card[name]["low"], card[name]["high"])
            for words, name in (
                ("loss added, in nats", "loss_added"), ("loss recovered, from zero", "recovered_from_zero"),
                ("loss recovered, from the mean", "recovered_from_mean"),
                ("loss recovered by random directions, from the mean", "random_recovered_from_mean"),
            )
        ),
    ]  # fmt: skip
    show_rows(make_table(("figure", "value", *_ENDS), figures_of), "features-card")
    recipe, loss = card["recipe"], card["loss_added"]
    st.markdown(
        f"Trained with BatchTopK on **{card['train_tokens']:,}** tokens: {recipe['width']:,} features, {recipe['steps']:,} steps, "
        f"seed {recipe['seed']}. Measured on **{card['held_out_tokens']:,}** held-out tokens in {loss['n']} texts of "
        f"{loss['templates']} documents or templates. SHA-256 {plain(str(card['sha256']))}."
    )


def _show_origin(entry: DictionaryEntry, card: Mapping[str, Any]) -> None:
    """What is known of a dictionary without figures."""
    like = f" Made at the layer of {plain(str(card['like']))}." if "like" in card else ""
    trained = (
        f" Trained on {card['train_tokens']:,} tokens, seed {plain(str(card['recipe']['seed']))}."
        if "recipe" in card
        else ""
    )
    why = f" Its quality could not be measured: {plain(str(card['not_measured']))}." if "not_measured" in card else ""
    st.markdown(
        f"**{plain(entry.name)}**: {plain(entry.origin.value)}, layer {entry.layer}.{like}{trained}{why} The tab *Evaluation* measures "
        f"it. SHA-256 {plain(entry.sha256)}."
    )


def _table_labels(result: FeaturesResult) -> Any:
    columns = (
        "feature",
        "label",
        "AUROC",
        *_ENDS,
        "n",
        "random direction",
        "share of tokens",
        "mean value where active",
    )
    rows = [
        (
            row.component, row.label_verdict,
            *((None,) * 4 if row.auroc is None else estimate_cells(row.auroc)[:4]),
            None if row.random_auroc is None else row.random_auroc.value, row.firing_rate, row.mean_value,
        )
        for row in result.rows
    ]  # fmt: skip
    return make_table(columns, rows)


def _table_effects(result: FeaturesResult) -> Any:
    columns = (
        "feature",
        "effect",
        "lost when zero",
        *_ENDS,
        "n",
        "lost at its mean",
        "mean low",
        "mean high",
        "matched",
        "largest matched",
    )
    rows = [
        (
            row.component, row.effect_verdict,
            *((None,) * 4 if row.zeroed is None else estimate_cells(row.zeroed)[:4]),
            *((None,) * 3 if row.mean_set is None else estimate_cells(row.mean_set)[:3]), row.matched, row.largest_matched,
        )
        for row in result.rows
    ]  # fmt: skip
    return make_table(columns, rows)
