"""The browser of features: a search, the features that it found, and one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from audit_core import AuditError, Auditor, TokenisedPrompts, audit_home, load_prompt_set, make_table
from audit_core.features import (
    DictionaryEntry,
    FeatureIndex,
    FeaturesRequest,
    Found,
    IndexedFeature,
    Shown,
    find_index,
    search_firing,
    search_labels,
    search_text,
    search_writes,
)
from audit_core.governance import Permission
from audit_core.prompts import take_split, tokenise
from audit_core.store import FeatureLabel, FeatureLabels, list_current
from ui.features import labels
from ui.flow import actions, answers
from ui.flow.answers import show_refusal
from ui.parts.header import figure_header, plain, show_rows, show_table
from ui.shell import navigation

BY = {
    "label": "its label", "fires on": "a word that it fires on", "writes": "a word that it makes more likely",
    "text": "a text that it fires on", "effect": "its effect on a prompt",
}  # fmt: skip
"""Ways to search, by their name in the link."""
_NEEDS_MODEL = "This search reads the model. It starts when the model is loaded."
_MOST, _PROMPTS, _SET = 8, 12, "indirect_object"


def show_browser(entry: DictionaryEntry, auditor: Auditor | None) -> None:
    """Show the search, its results, and the chosen feature."""
    index = find_index(entry)
    if index is None:
        st.markdown("This dictionary has no texts to search. Its features are measured above.")
        return
    layer = entry.load().layer
    try:
        versions = FeatureLabels(audit_home()).list_versions(entry.sha256)
    except AuditError as error:
        show_refusal(error)
        versions = ()
    written = {read_number(name): label for name, label in list_current(versions).items()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.session_state.by not in BY:
            st.session_state.by = "fires on"
        st.selectbox("Search by", list(BY), key="by", format_func=BY.get, width=260)
        if st.session_state.by != "effect":
            st.text_input("Words", key="words", max_chars=600, placeholder="empty: the features that fire most often")
    try:
        found = _search(entry, index, written, auditor)
    except AuditError as error:
        show_refusal(error)
        return
    if found is None:
        return
    if not found:
        st.markdown("No feature was found. Try another word, or search by a text.")
        return
    _show_found(found, index, written, layer)
    numbers = [one.index for one in found]
    chosen = st.selectbox(
        "Show feature", numbers, format_func=lambda one: _name(one, index, written, layer), key="features-shown"
    )
    if chosen is not None:
        _show_feature(int(chosen), index, written, layer)
        if actions.may(Permission.FREEZE):
            st.page_link(
                navigation.claims(), label="Claim on this feature", icon=":material/gavel:",
                query_params={"view": "new", "c": f"L{layer}.F{chosen}", "model": f"{entry.model}+{entry.name}"},
            )  # fmt: skip
        mine = [one for one in versions if one.component == f"L{layer}.F{chosen}"]
        labels.show_labels(entry, f"L{layer}.F{chosen}", int(chosen), mine, auditor)


SCORES = {
    "fires on": "share of its activation", "writes": "direct logit weight", "text": "largest activation in the text",
    "effect": "largest activation in the text",
}  # fmt: skip
"""What orders the found features, by the way of searching."""


def read_number(component: str) -> int:
    """Number of a feature from its address."""
    return int(component.rpartition("F")[2])


def _search(
    entry: DictionaryEntry, index: FeatureIndex, written: Mapping[int, FeatureLabel], auditor: Auditor | None
) -> list[Found] | None:
    """The found features; None where the search waits for something."""
    by, words = st.session_state.by, str(st.session_state.get("words", "")).strip()
    if by == "effect" or (by == "text" and words):
        if auditor is None:
            st.info(_NEEDS_MODEL, icon=":material/hourglass_top:")
            return None
        if by == "effect":
            return _search_effect(entry, auditor)
        return search_text(auditor.subject, entry.load(), words)
    if not words:
        order = sorted(range(len(index.features)), key=lambda one: (one not in written, -index.features[one].rate))
        return [Found(one, "", index.features[one].rate) for one in order[:30]]
    if by == "label":
        return search_labels({number: label.text for number, label in written.items()}, words)
    return (search_firing if by == "fires on" else search_writes)(index, words)


def _search_effect(entry: DictionaryEntry, auditor: Auditor) -> list[Found] | None:
    """The strongest features of one prompt, by the measured effect of zeroing each."""
    explored = take_split(load_prompt_set(_SET), exploratory=True)
    texts = {prompt.id: prompt.clean for prompt in explored.prompts[:_PROMPTS]}
    picked = st.selectbox("Prompt", list(texts), format_func=texts.get, key="features-prompt")
    whole = tokenise(explored, auditor.subject.tokenizer)
    one: TokenisedPrompts = whole.take((next(at for at, pair in enumerate(whole.pairs) if pair.prompt.id == picked),))
    dictionary = entry.load()
    strongest = search_text(auditor.subject, dictionary, texts[picked])[:_MOST]
    named = " ".join(str(dictionary.component(each.index)) for each in strongest)
    request = FeaturesRequest(one, entry.name, named)
    title = f"Measure {len(strongest)} features on one prompt"
    result = answers.answer_by_job(auditor, "features", title, request, at_once=False, place="-one")
    if result is None:
        return None
    figure_header(
        "Effect on this prompt", "causal",
        "the share of the answer's lead lost when the feature is zero. One prompt has no interval and no verdict.",
    )  # fmt: skip
    known = [row for row in result.rows if row.zeroed is not None]
    known.sort(key=lambda row: -abs(row.zeroed.value))
    table = make_table(
        ("feature", "share of the lead lost", "mean value where active"),
        [(row.component, row.zeroed.value, row.mean_value) for row in known],
    )
    show_rows(table, "features-one-prompt")
    # The measured effect stays in its own table: the list of found features shows activations only.
    activations = {each.index: each.score for each in strongest}
    return [Found(number := read_number(row.component), "", activations[number]) for row in known]


def _name(number: int, index: FeatureIndex, written: Mapping[int, FeatureLabel], layer: int) -> str:
    return f"L{layer}.F{number}: {written[number].text if number in written else _list_tokens(index.features[number])}"


def _list_tokens(feature: IndexedFeature, most: int = 3) -> str:
    return (
        "fires on " + ", ".join(f"“{one.token.strip() or '␣'}”" for one in feature.tokens[:most])
        if feature.tokens
        else "silent"
    )


def _show_found(found: Sequence[Found], index: FeatureIndex, written: Mapping[int, FeatureLabel], layer: int) -> None:
    by = st.session_state.by
    # Without words the features are in the order of how often they fire, which has a column of its own.
    has_score = by in SCORES and (by == "effect" or bool(str(st.session_state.get("words", "")).strip()))
    rows = []
    for one in found:
        feature, label = index.features[one.index], written.get(one.index)
        row = (
            f"L{layer}.F{one.index}",
            "" if label is None else label.text,
            labels.name_state(label),
            _list_tokens(feature, 5),
        )
        rows.append((*row, one.why, *((round(one.score, 3),) if has_score else ()), feature.rate))
    columns = (
        "feature",
        "label",
        "test of the label",
        "tokens",
        "match",
        *((SCORES[by],) if has_score else ()),
        "share of tokens",
    )
    show_table(make_table(columns, rows), key="features-found", height=248)


def _show_feature(number: int, index: FeatureIndex, written: Mapping[int, FeatureLabel], layer: int) -> None:
    feature, label = index.features[number], written.get(number)
    name = f"L{layer}.F{number}" + ("" if label is None else f": {label.text}")
    figure_header(
        plain(name), "observational",
        f"the marked token is where the feature fires, with its value. It is active on {feature.rate:.2%} of "
        f"{index.n_tokens:,} tokens of the texts that the dictionary was made with.",
    )  # fmt: skip
    st.markdown(f"Test of the label: **{plain(labels.name_state(label))}**.")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        for title, shown in (("Largest values", feature.strongest), ("Spread over its values", feature.spread)):
            if shown:
                st.markdown(f"**{title}**")
                for one in shown:
                    st.markdown(_mark(one))
    with right:
        st.markdown("**Fires on**, share of its activation")
        st.markdown(_join([(one.token, f"{one.weight:.0%}") for one in feature.tokens]))
        if feature.writes:
            st.markdown("**Makes more likely**, direct weight through the final norm")
            st.markdown(_join([(one.token, f"{one.weight:+.2f}") for one in feature.writes]))
            st.markdown("**Makes less likely**")
            st.markdown(_join([(one.token, f"{one.weight:+.2f}") for one in feature.opposes]))
        st.markdown("**Nearest features**, cosine of what they write")
        st.markdown(", ".join(f"L{layer}.F{at} ({cosine:.2f})" for at, cosine in feature.nearest))


def _mark(shown: Shown) -> str:
    """A token in its context: escaped, marked by weight and background, with its value."""
    token = plain(shown.token.strip() or "␣")
    return f"{plain(shown.before)} :violet-background[**{token}**] {plain(shown.after)} · {shown.value:.2f}"


def _join(pairs: Sequence[tuple[str, str]]) -> str:
    return " · ".join(f"**{plain(token.strip() or '␣')}** {plain(value)}" for token, value in pairs) or "nothing"
