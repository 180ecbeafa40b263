"""Labels of a feature on the page: every version with its author and its test, and a form for the next one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import streamlit as st

from audit_core import AuditError, Auditor
from audit_core.errors import Refused
from audit_core.features import DictionaryEntry, LabelledText, check_label
from audit_core.store import MAX_LABEL, FeatureLabel, LabelEvidence
from ui.features import act
from ui.flow.answers import show_refusal
from ui.parts.header import plain

MAX_CHARACTERS, MAX_LINES = 20_000, 200
"""Of each of the two fields with texts."""
_LONGEST = 256
"""Tokens of a text that a label is tested on."""


def name_state(label: FeatureLabel | None) -> str:
    """State of a label, in a few words."""
    if label is None:
        return "no label"
    if label.test is None:
        return "untested"
    ends = (
        "" if label.test.low is None or label.test.high is None else f" [{label.test.low:.2f}, {label.test.high:.2f}]"
    )
    return f"{label.test.verdict}, AUROC {label.test.auroc:.2f}{ends}, n = {label.test.n}"


def show_labels(
    entry: DictionaryEntry, component: str, index: int, versions: Sequence[FeatureLabel], auditor: Auditor | None
) -> None:
    """Show the versions of a label, and ask for the next one."""
    if done := st.session_state.pop("label_done", ""):
        st.success(plain(done), icon=":material/check:")
    for one in reversed(versions):
        st.markdown(
            f"Version {one.version}: **{plain(one.text)}**, by {plain(one.by)}, {plain(one.at[:10])}. "
            f"{plain(name_state(one))}."
        )
    with st.expander("Write a label", icon=":material/label:"), st.form(f"label-{component}", border=False):
        text = st.text_input("Label", max_chars=MAX_LABEL, placeholder="fires on dates")
        st.markdown(
            "To test the label, give texts that you did not read above, one on each line. At least 20 texts in all. "
            "Without texts it is stored as *untested*."
        )
        left, right = st.columns(2)
        described = left.text_area("Texts that the label describes", max_chars=MAX_CHARACTERS, height=120)
        others = right.text_area("Other texts", max_chars=MAX_CHARACTERS, height=120)
        name = st.text_input("Your name", max_chars=60, help="Only without sign-in.")
        if st.form_submit_button("Store the label", icon=":material/save:"):
            try:
                test = run_test(entry, index, text, described, others, auditor)
                made = act.write_label(entry.sha256, component, text, len(versions), test, name)
            except AuditError as error:
                show_refusal(error)
            else:
                st.session_state.label_done = f"{component}: version {made.version} stored. {name_state(made)}."
                st.rerun()


def run_test(
    entry: DictionaryEntry, index: int, label: str, described: str, others: str, auditor: Auditor | None
) -> LabelEvidence | None:
    """The test of a label on the texts of two fields; None without texts.

    Raises:
        Refused: texts of one kind alone, too many, too long, one of them twice, or no loaded model.
    """
    groups = [[" ".join(line.split()) for line in text.splitlines() if line.strip()] for text in (described, others)]
    lines = [*groups[0], *groups[1]]
    if not lines:
        return None
    if auditor is None:
        raise Refused(
            "The model is not loaded.", wanted="the loaded model.", remedy="wait until it is, then store again."
        )
    tokenizer = auditor.subject.tokenizer
    first = () if tokenizer.bos_id is None else (tokenizer.bos_id,)
    rows = [(*first, *tokenizer.encode(line)) for line in lines]
    longest = max(map(len, rows))
    if len(lines) > MAX_LINES or longest > _LONGEST or len(set(lines)) < len(lines):
        raise Refused(
            f"{len(lines)} texts, {len(set(lines))} of them different, the longest with {longest} tokens.",
            wanted=f"at most {MAX_LINES} different texts of at most {_LONGEST} tokens.", remedy="shorten the list.",
        )  # fmt: skip
    # Each text is written by itself, so that each is a template of its own.
    texts = [LabelledText(row, at < len(groups[0]), str(at)) for at, row in enumerate(rows)]
    found = check_label(auditor.subject, entry.load(), index, label, texts, seed=0)
    assert found.auroc is not None
    digest = hashlib.sha256("\n".join([*groups[0], "", *groups[1]]).encode()).hexdigest()
    return LabelEvidence(
        str(found.verdict.value), found.auroc.value, found.auroc.low, found.auroc.high, found.auroc.n,
        found.auroc.templates or 0, digest,
    )  # fmt: skip
