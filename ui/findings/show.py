"""The findings register on the page: picture, table, one finding with its history, suggestions and notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from audit_core import AuditError, make_table
from audit_core.findings import (
    find_last_visit,
    find_rules,
    list_changes,
    list_notices,
    list_suggestions,
    write_calendar,
    write_feed,
)
from audit_core.governance import FindingRules, Permission
from audit_core.store import RegisteredFinding
from ui.findings import form
from ui.findings.drawings import STATUSES, draw_register, name_status, order_severities
from ui.flow import actions, sample, services
from ui.parts import figures
from ui.parts.header import column_widths, counted, plain, show_rows, show_table
from ui.parts.refusal import show_refusal
from ui.parts.sample_mark import WORDS, find_shown, name_file
from ui.shell import link

COLUMNS = ("number", "severity", "status", "due", "owner", "title", "about")
LOCAL_DAYS = 7
MOST_CHANGES = 200
"""Rows shown at most; the page of the audit log has every event."""
_WIDTHS = dict(zip(COLUMNS, (68, 75, 125, 90, 80, 205, 70), strict=True))


def show_register(findings: Sequence[RegisteredFinding], rules: FindingRules, now: datetime) -> None:
    """Show counts in a sentence, the picture, and the table."""
    today = now.date()
    active, late = [one for one in findings if one.is_active], [one for one in findings if one.is_overdue(today)]
    mark = ":material/warning: " if late else ""
    st.markdown(f"**{counted(len(active), 'finding')} to resolve. {mark}{len(late)} overdue.**")
    left, right = st.columns([4, 7])
    with left:
        figures.show(
            draw_register(findings, rules.names, today), "findings-by-severity",
            "Bars per severity, divided by status. The table beside it has every finding.",
        )  # fmt: skip
    with right:
        order = {name: at for at, name in enumerate(order_severities(findings, rules.names))}
        ranked = sorted(
            findings, key=lambda one: (STATUSES.index(name_status(one, today)), order[one.severity], one.finding_id)
        )
        show_table(
            make_table(COLUMNS, [_describe_row(one, now) for one in ranked]), key="findings",
            column_config=column_widths(_WIDTHS),
        )  # fmt: skip


def _describe_row(one: RegisteredFinding, now: datetime) -> tuple[str, ...]:
    status = f"! overdue ({one.status_words})" if one.is_overdue(now.date()) else one.status_words
    about = ", ".join(one.claims) or ", ".join(run[:12] for run in one.runs)
    return one.finding_id, one.severity, status, one.due, one.owner, one.title, about


def describe_choice(one: RegisteredFinding) -> str:
    """Label of a finding in a list."""
    return f"{one.finding_id} ({one.severity}, {one.status_words}): {one.title[:80]}"


def show_finding(one: RegisteredFinding, now: datetime) -> None:
    """Show every field of one finding."""
    st.header(f"{plain(one.finding_id)}: {plain(one.title)}", anchor=False)
    late = ":material/warning: overdue, " if one.is_overdue(now.date()) else ""
    st.markdown(
        f"Severity **{plain(one.severity)}**, **{late}{plain(one.status_words)}**, due **{plain(one.due)}**, owner **{plain(one.owner)}**."
    )
    for words, text in (("Finding", one.finding), ("Remediation", one.remediation)):
        st.markdown(f"**{plain(words)}:** {plain(text) or 'not recorded'}")
    sources = [*one.claims, *(f"run {run[:12]}" for run in one.runs)]
    st.markdown(f"About {plain(', '.join(sources))}, model {plain(one.model)}.")
    if one.basis:
        st.markdown(f"Recorded from the suggestion: {plain(one.basis)}")


def show_history(one: RegisteredFinding) -> None:
    """Show every change, newest first."""
    rows = [
        (row.version, row.at[:19], row.by, row.step.value, ", ".join(row.fields) if row.step != "recorded" else "all", row.reason)
        for row in reversed(one.history)
    ]  # fmt: skip
    columns = ("version", "when, UTC", "who", "change", "fields", "reason")
    show_rows(make_table(columns, rows), "finding-history")


def show_suggestions(claims: Sequence[str]) -> None:
    """Show what a person may record about one claim, which is chosen here; none of it is a finding."""
    if not claims:
        st.markdown("There is no claim yet. Findings are about claims and their runs.")
        return
    link.repair("about", tuple(claims))
    st.selectbox("Suggestions about claim", claims, key="about")
    try:
        found = list_suggestions(sample.records_home(), st.session_state.about)
    except AuditError as error:
        show_refusal(error)
        return
    if not found:
        st.markdown("None. Suggestions come from criteria, assumptions, attempts and deviations of tested claims.")
        return
    st.markdown(
        f"**{counted(len(found), 'suggestion')}, read from results. None is a finding until a person records it.**"
    )
    # A stored finding quotes the text as it is.
    rows = [(one.text.replace("_", " "), one.remediation, one.source[:24]) for one in found]
    widths = column_widths({"suggestion": 560, "possible remediation": 330, "read from": 190})
    show_table(make_table(tuple(widths), rows), lines=3, key="suggestions", column_config=widths)


def show_notices(now: datetime) -> None:
    """Show what waits for a person, with two files to download; nothing is sent anywhere."""
    home = sample.records_home()
    try:
        notices = list_notices(home, now=now)
    except AuditError as error:
        show_refusal(error)
        return
    st.markdown(
        "Due findings, open triggers, and claims that expire soon. Nothing is sent: download a file and subscribe your own reader."
    )
    if notices:
        rows = [(one.day, one.kind.value, one.about, one.title, one.who) for one in notices]
        show_table(make_table(("date", "notice", "about", "title", "owner"), rows), key="notices")
    else:
        st.markdown("Nothing is due.")
    mark = WORDS if find_shown() is not None else ""
    with st.container(horizontal=True):
        st.download_button(
            "iCalendar file", actions.offer(Permission.LOOK, "notices", lambda: write_calendar(notices, now=now, mark=mark)),
            file_name=name_file("notices.ics"), mime="text/calendar", key="notices-ics", icon=":material/calendar_month:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "JSON feed", actions.offer(Permission.LOOK, "notices", lambda: write_feed(notices, mark=mark)),
            file_name=name_file("notices.json"), mime="application/feed+json", key="notices-json", icon=":material/rss_feed:",
            on_click="ignore",
        )  # fmt: skip


def show_changes(now: datetime) -> None:
    """Show what others changed since the person's last visit; without sign-in no visit is recorded, and a week is shown."""
    home, person = sample.records_home(), services.person()
    try:
        last = find_last_visit(home, person.id)
        since = (now - timedelta(days=LOCAL_DAYS)).strftime("%Y-%m-%d") if last is None else last
        found = list_changes(home, since, without="" if person.is_local else person.id)
    except AuditError as error:
        show_refusal(error)
        return
    visit = (
        f"in the last {LOCAL_DAYS} days"
        if last is None
        else f"since your last visit on {last[:10]} at {last[11:16]} UTC"
    )
    counts = Counter(one.what for one in found)
    kinds = ", ".join(f"{what} {count}" for what, count in counts.most_common())
    st.markdown(f"**{counted(len(found), 'change')} {visit}.** {plain(kinds)}")
    if found:
        rows = [(one.at[:19].replace("T", " "), one.what, one.about, one.by) for one in found[:MOST_CHANGES]]
        show_table(make_table(("when, UTC", "what", "about", "by"), rows), key="changes-since")


def _show_notices_and_changes(now: datetime) -> None:
    show_notices(now)
    show_changes(now)


def show_tabs(one: RegisteredFinding, claims: Sequence[str], now: datetime) -> None:
    """Show one finding with its forms, its history, suggestions and notices; a tab is computed when it is opened."""
    tabs = st.tabs(["Finding", "History", "Suggestions", "Notices"], key="finding-tab", on_change="rerun")
    shows = (
        lambda: _show_with_forms(one, now),
        lambda: show_history(one),
        lambda: show_suggestions(claims),
        lambda: _show_notices_and_changes(now),
    )
    for tab, show in zip(tabs, shows, strict=True):
        if tab.open:
            with tab:
                show()


def _show_with_forms(one: RegisteredFinding, now: datetime) -> None:
    show_finding(one, now)
    if one.is_active and actions.may(Permission.CHANGE_FINDING):
        box = st.expander("Change it", icon=":material/edit:", key=f"change-{one.finding_id}", on_change="rerun")
        if box.open:
            with box:
                form.ask_change(one, find_rules(sample.records_home(), one.claims))
    form.ask_steps(one)
