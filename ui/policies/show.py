"""What a policy decides, what was changed, and its file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from audit_core import make_table
from audit_core.governance import Direction, Policy, PolicyChange, ThresholdSource
from audit_core.review import TriedPack, describe_policy
from ui.parts import figures
from ui.parts.header import counted, plain, show_table
from ui.parts.workbench import Table, pane_header
from ui.policies.draft import list_tables
from ui.policies.drawings import RESULTS, draw_trial, list_claim_rows, tabulate

CHANGE_COLUMNS = ("direction", "place", "before", "now")


def show_answer(policy: Policy, tried: Sequence[TriedPack], changes: Sequence[PolicyChange]) -> None:
    """One sentence: what the policy asks, what it decides on the desk, and what was changed."""
    measured = [one for one in describe_policy(policy) if one.is_required]
    sources = [kept["source"] for _, kept in list_tables(policy).values()]
    own = sum(source != ThresholdSource.DEFAULT for source in sources)
    counts = Counter(pack.after for pack in tried)
    decided = ", ".join(f"{RESULTS[result][0]} {counts[result]}" for result in RESULTS if counts[result])
    n_claims = len({row.claim_id for row in list_claim_rows(tried)})
    on_desk = (
        f"On the {counted(len(tried), 'pack')} of the desk with {counted(n_claims, 'claim')} it is: **{plain(decided)}**."
        if tried
        else "No pack is on the desk, so nothing can be tried yet."
    )
    st.markdown(
        f"**{plain(policy.id)}** requires {len(measured)} {'criterion' if len(measured) == 1 else 'criteria'}; "
        f"{own} of {len(sources)} thresholds are your own or a regulator's. {on_desk}"
    )
    if changes:
        st.markdown(f"Your changes: {describe_directions(changes)}. Nothing is saved yet.")


def describe_directions(changes: Sequence[PolicyChange]) -> str:
    """Number of changes by direction, such as "2 stricter, 1 laxer"."""
    counts = Counter(one.direction for one in changes)
    return ", ".join(f"**{counts[kind]} {kind.value}**" for kind in Direction if counts[kind])


def show_trial(tried: Sequence[TriedPack], now: datetime) -> None:
    """Show the picture and its table."""
    if not list_claim_rows(tried):
        return
    pane_header(
        "What it decides", "recorded",
        f"A mark for each claim and criterion, on the packs of the desk as of {now:%Y-%m-%d}. A trial decides nothing: a policy that is written "
        "after its results cannot be met by them.",
        table=Table(lambda: tabulate(tried), "What it decides", "policy-trial-rows"),
    )  # fmt: skip
    figures.show(
        draw_trial(tried), "policy-trial",
        alt="A mark for each claim and criterion: met, not met, open or not measured. The table has the numbers.",
    )  # fmt: skip


def show_changes(changes: Sequence[PolicyChange], reference: str) -> None:
    """Show each value that differs from the policy that it is compared with."""
    if not changes:
        st.markdown(f"No difference from {plain(reference)}.")
        return
    st.markdown(f"Compared with {plain(reference)}: {describe_directions(changes)}.")
    rows = [(one.direction.value, one.place, one.before or "absent", one.after or "absent") for one in changes]
    show_table(make_table(CHANGE_COLUMNS, rows), key="policy-changes")


def show_file(policy: Policy) -> None:
    """Show the file that a claim is locked under."""
    st.markdown(f"SHA-256 `{policy.sha256}`. A locked claim names this digest.")
    st.code(policy.text.decode("utf-8"), language="toml", height=420)
