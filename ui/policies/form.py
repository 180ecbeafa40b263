"""The form of a policy: one part for each criterion, people and waivers, a threshold on an answer, and saving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from audit_core import AuditError, list_plugins, make_table
from audit_core.governance import PERMISSIONS, Permission, Policy, edit_policy, parse_policy
from audit_core.policy_choice import list_borrowed
from audit_core.review import FIXED, CriterionWords, TriedRow, describe_policy
from audit_core.store import SavedPolicy
from ui.flow import actions, services
from ui.parts.header import column_widths, plain, show_table
from ui.parts.refusal import show_refusal
from ui.policies import act
from ui.policies.draft import COUNTS, discard, list_tables, read_draft, seed_field
from ui.policies.drawings import RESULTS

BROUGHT = "policy_text"
"""Session key of a policy that is not saved: an uploaded file, or a policy with a threshold added."""
_REFUSED, _DONE = "policy_refused", "policy_done"
_SOURCES = ("organisation", "regulator", "default")
_SOURCE_WORDS = {"organisation": "our organisation", "regulator": "a regulator", "default": "this project's authors"}
_BOUNDS = {">=": "lower", "<=": "upper"}
MAX_FILE_MB = 1
_NEW = "a new one, on an audit's answer"
_COLUMNS = ("criterion", "counts as", "question", "met where", "on the desk", "set by")
_WIDTHS = {"criterion": 130, "counts as": 90, "question": 260, "met where": 360, "on the desk": 150, "set by": 120}


def show_outcome() -> None:
    """Show what the last press did."""
    if done := st.session_state.pop(_DONE, ""):
        st.success(plain(done), icon=":material/check:")
    if (error := st.session_state.pop(_REFUSED, None)) is not None:
        show_refusal(error)


def report(outcome: str | AuditError) -> None:
    """Keep what a press did for the next run of the page, which shows it at the top."""
    st.session_state[_DONE if isinstance(outcome, str) else _REFUSED] = outcome


def bring_file() -> None:
    """Offer to read a policy from a file."""
    with st.popover("Bring a file", icon=":material/upload_file:", width="stretch"):
        st.file_uploader(
            "Policy, TOML", type="toml", key="policy_file", on_change=_take_file, max_upload_size=MAX_FILE_MB
        )


def _take_file() -> None:
    kept = st.session_state.policy_file
    if kept is None:
        return
    try:
        _begin(parse_policy(kept.getvalue(), plain(kept.name)))
    except AuditError as error:
        st.session_state[_REFUSED] = error


def _begin(policy: Policy) -> None:
    """Go on with a policy that is not saved."""
    st.session_state[BROUGHT], st.session_state.policy = policy.text, BROUGHT


def ask_thresholds(base: Policy, draft: Policy, rows: Sequence[TriedRow]) -> None:
    """All thresholds as a table, and the fields of the one that is chosen."""
    tables, words = list_tables(base), {one.name: one for one in describe_policy(draft)}
    show_table(
        make_table(_COLUMNS, [_list_threshold(name, words.get(name), rows) for name in tables]),
        key="policy-thresholds", column_config=column_widths(_WIDTHS),
    )  # fmt: skip
    names = [*tables, _NEW]
    if st.session_state.get("policy_criterion") not in names:
        st.session_state.policy_criterion = names[0]
    chosen = st.pills(
        "Change", names, key="policy_criterion", required=True, format_func=lambda name: name.replace("_", " ")
    )
    if chosen == _NEW:
        _ask_answer(draft)
    elif chosen is not None:
        kind, kept = tables[chosen]
        _ask_criterion(base, chosen, kind, kept, words.get(chosen), list_borrowed(draft))


def _list_threshold(name: str, words: CriterionWords | None, rows: Sequence[TriedRow]) -> tuple[str, ...]:
    shown = name.replace("_", " ")
    if words is None:
        return shown, COUNTS[2], "", "", "", ""
    counts = Counter(row.after.result for row in rows if row.criterion == name and row.after is not None)
    found = ", ".join(f"{word} {counts[result]}" for result, (word, *_) in RESULTS.items() if counts[result])
    counts_as = COUNTS[0] if words.is_required else COUNTS[1]
    return shown, counts_as, words.question, words.rule, found or "no claim", words.source.partition(":")[0]


def _ask_criterion(
    base: Policy, name: str, kind: str, kept: Mapping[str, Any], words: CriterionWords | None, borrowed: Sequence[str]
) -> None:
    if words is not None:
        st.markdown(f"**{plain(words.question)}.** For {plain(words.applies_to)}. Met where {plain(words.rule)}.")
    _ask_counts(base, name)
    first, second, third, fourth = st.columns(4)
    first.number_input(
        f"Threshold ({kept['op']})",
        key=seed_field(base, kept["threshold"], kind, name, "threshold"),
        step=0.05,
        format="%g",
    )
    second.number_input(
        "Fewest draws" if kept.get("metric") == "faithfulness_percentile_vs_random" else "Fewest prompts",
        min_value=1, key=seed_field(base, kept.get("min_n"), kind, name, "min_n"), placeholder="no limit",
    )  # fmt: skip
    third.number_input(
        "Fewest templates", min_value=1, key=seed_field(base, kept.get("min_templates"), kind, name, "min_templates"), placeholder="no limit"
    )  # fmt: skip
    fourth.number_input(
        "Level of the interval", 0.5, 0.9999, key=seed_field(base, kept["ci_level"], kind, name, "ci_level"), step=0.01, format="%g",
    )  # fmt: skip
    left, right = st.columns([1, 3])
    left.selectbox(
        "Whose judgement",
        _SOURCES,
        key=seed_field(base, kept["source"], kind, name, "source"),
        format_func=lambda key: _SOURCE_WORDS[key],
    )
    if name in borrowed:
        st.warning("You changed this criterion: say whose judgement it is, and why.", icon=":material/edit:")
    right.text_area("Why", key=seed_field(base, kept["why"], kind, name, "why"), max_chars=600, height=90)


def _ask_counts(base: Policy, name: str) -> None:
    was = COUNTS[0] if name in base.required else COUNTS[1]
    st.segmented_control(
        "Counts as", COUNTS, key=seed_field(base, was, "counts", name), required=True, label_visibility="collapsed"
    )


def _ask_answer(draft: Policy) -> None:
    """A threshold on the answer of an audit that tests no claim."""
    with st.form("policy-answer", border=False):
        st.markdown(
            "For answers about documents, tools, decisions and others. Their question is frozen with the policy before it runs."
        )
        first, second, third = st.columns(3)
        name = first.text_input("Name", placeholder="documents_grounded", max_chars=60)
        audit = second.selectbox("Audit", tuple(list_plugins("audits")), index=None)
        number = third.text_input(
            "Number", placeholder="labels[label=grounded].share", max_chars=400,
            help="Its path in the result, as `audit NAME --json` prints it. `[KEY=VALUE]` picks an item, `[*]` takes the worst.",
        )  # fmt: skip
        first, second, third, fourth = st.columns(4)
        evidence = first.selectbox("Kind of evidence", ("causal", "estimated", "observational"))
        op = second.selectbox(
            "Met where it is", (">=", "<="), format_func=lambda key: "at least" if key == ">=" else "at most"
        )
        threshold = third.number_input("Threshold", value=0.8, step=0.05, format="%g")
        least = fourth.number_input("Fewest questions", min_value=1, value=None, placeholder="no limit")
        why = st.text_area("Why", max_chars=600, height=90)
        if st.form_submit_button("Add it"):
            table = {
                "audit": audit or "", "number": number.strip(), "evidence": evidence, "op": op, "threshold": float(threshold),
                "bound": _BOUNDS[op], "source": "organisation", "why": why.strip(),
            }  # fmt: skip
            _add_answer(draft, name.strip(), table | ({} if least is None else {"min_n": int(least)}))


def _add_answer(draft: Policy, name: str, table: Mapping[str, Any]) -> None:
    values: dict[tuple[str, ...], Any] = {("answers", name or "?", key): value for key, value in table.items()}
    try:
        _begin_next(edit_policy(draft, {**values, ("gate", "required"): [*draft.required, name]}))
    except AuditError as error:
        show_refusal(error)
    else:
        st.rerun()


def _begin_next(policy: Policy) -> None:
    # The choice is a widget that this run has drawn: the next run sets it.
    st.session_state[BROUGHT], st.session_state.policy_next = policy.text, BROUGHT


def ask_people(base: Policy) -> None:
    """Fixed questions, people, waivers and confidence."""
    resolved = base.resolved()
    st.markdown("Questions without a threshold, which the pack's documents and signatures answer:")
    for name in (name for name in (*base.required, *base.optional) if name in FIXED):
        left, right = st.columns([2, 3], vertical_alignment="center")
        left.markdown(f"**{plain(name.replace('_', ' '))}**: {plain(FIXED[name])}")
        with right:
            _ask_counts(base, name)
    gate, approval = resolved["gate"], resolved["approval"]
    first, second, third, fourth = st.columns(4)
    first.number_input(
        "Lowest level of any interval", 0.5, 0.9999, key=seed_field(base, gate["ci_level"], "gate", "ci_level"), step=0.01, format="%g"
    )  # fmt: skip
    second.number_input(
        "Most waivers in force", 0, 100, key=seed_field(base, gate["max_waivers"], "gate", "max_waivers")
    )
    third.number_input(
        "Longest waiver, days", 1, 366, key=seed_field(base, gate["waiver_max_days"], "gate", "waiver_max_days")
    )
    fourth.number_input(
        "Oldest approval, days", 1, 3660, key=seed_field(base, approval["max_age_days"], "approval", "max_age_days")
    )
    for key, words in (
        ("preparer_ne_reviewer", "The reviewer is another person than the preparer"),
        ("reviewer_ne_approver", "An approver signs, and is another person than the reviewer"),
    ):
        st.checkbox(words, key=seed_field(base, approval[key], "approval", key))


def ask_save(base: Policy, draft: Policy, versions: Mapping[str, SavedPolicy]) -> None:
    """Id, reason and the button that saves; who may not save can download the draft and hand it on.

    Args:
        versions: id → its newest version, as the page shows them.
    """
    left, right = st.columns([2, 3])
    left.text_input(
        "Id", key=seed_field(base, base.id, "id"), max_chars=80, help="Letters, digits, dots and dashes. A new id begins a new policy."
    )  # fmt: skip
    if services.person().is_local:
        left.text_input("Your name", key="policy_by", max_chars=80)
    right.text_area("Why this policy, or this change", key="policy_reason", max_chars=2000, height=110)
    with st.container(horizontal=True):
        if actions.may(Permission.SET_POLICY):
            st.button(
                "Save this version", key="policy-save", type="primary", icon=":material/save:", on_click=_save, args=(base, versions)
            )  # fmt: skip
        else:
            roles = " or ".join(sorted(role.value for role in PERMISSIONS[Permission.SET_POLICY]))
            st.info(
                f"A policy is saved by a person with the role {roles}. Download the draft and hand it on.",
                icon=":material/info:",
            )
        st.download_button(
            "Download the draft", data=draft.text, file_name=f"{draft.id}.toml", mime="application/toml", key="policy-download",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        st.button("Discard the changes", key="policy-discard", icon=":material/undo:", on_click=_discard, args=(base,))


def _save(base: Policy, versions: Mapping[str, SavedPolicy]) -> None:
    # The draft is read here: a press right after typing arrives with the arguments of the run before.
    asked = st.session_state
    try:
        draft = read_draft(base)
        # A policy that keeps its id replaces the version that it began with; another id replaces its newest version, if it has one.
        newest = versions.get(draft.id)
        is_saved = any(one.sha256 == base.sha256 for one in versions.values())
        based_on = "" if newest is None else base.sha256 if is_saved and base.id == draft.id else newest.sha256
        saved = act.save_policy(draft, based_on, asked.policy_reason, asked.get("policy_by", ""))
    except AuditError as error:
        asked[_REFUSED] = error
        return
    discard(base)
    for key in (BROUGHT, "policy_reason"):
        asked.pop(key, None)
    asked.policy = saved.sha256
    asked[_DONE] = f"{saved.policy_id}, version {saved.version}, is saved. New claims can be locked under it."


def _discard(base: Policy) -> None:
    discard(base)
    st.session_state.pop(BROUGHT, None)
