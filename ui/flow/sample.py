"""Which data directory the record pages read: the sample organisation until there are records of this installation."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.governance import Permission
from audit_core.sample import (
    SampleRecord,
    count_records,
    find_record,
    is_removed,
    open_sample,
    read_record_clock,
    refuse_sample,
    remove_sample,
)
from ui.flow import services
from ui.parts.header import plain
from ui.parts.refusal import show_refusal
from ui.parts.sample_mark import find_shown, mark_page
from ui.shell.browser import browser_key

_BROWSERS_KEPT = 4096
_REFUSED = "sample_refused"
NOT_OFFERED = frozenset(
    {
        Permission.ATTEMPT,
        Permission.AMEND,
        Permission.WITHDRAW,
        Permission.DECLARE_INCIDENT,
        Permission.RECORD_FINDING,
        Permission.CHANGE_FINDING,
        Permission.CLOSE_FINDING,
        Permission.ACCEPT_FINDING,
    }
)
"""Actions on a record that a page does not offer for the sample; others are refused when pressed."""


def open_records(*, is_log: bool = False) -> Path:
    """Data directory whose records this page shows; draws the banner where it is the sample.

    Args:
        is_log: whether the page shows the log, in which every event is a record; elsewhere runs alone are none.
    """
    home = audit_home()
    sample = _find_sample(home, is_log)
    mark_page(sample)
    if sample is None:
        return home
    record = find_record(sample)
    assert record is not None
    _show_banner(record)
    return sample


def records_home() -> Path:
    """Data directory of the records on this page, as `open_records` chose it."""
    return find_shown() or audit_home()


def records_now() -> datetime:
    """The time at which the records on this page are judged: now, but for the sample its recording."""
    return datetime.strptime(read_record_clock(records_home()), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def list_sample_signers() -> tuple[str, ...] | None:
    """Names that the sample's decision form offers; None where the page does not show the sample."""
    sample = find_shown()
    record = None if sample is None else find_record(sample)
    return None if record is None else record.people


def refuse_on_sample(what: str) -> None:
    """Refuse an action on a record of the sample.

    Args:
        what: what did not happen, as the end of a sentence.

    Raises:
        SampleRefused: the button belongs to a page that shows the sample.
    """
    if find_shown() is not None:
        raise refuse_sample(what)


def _find_sample(home: Path, is_log: bool) -> Path | None:
    """The unpacked sample, or None where it is hidden, removed, damaged, or where there are records."""
    if is_removed(home):
        return None
    try:
        counts = count_records(home)
        if counts.has_records or (is_log and counts.events):
            return None
        if _name_browser() in _hidden():
            st.button("Show the sample organisation", key="sample-show", on_click=_show, type="tertiary")
            return None
        return open_sample(home)
    except AuditError as error:
        show_refusal(error)
        return None


def _show_banner(record: SampleRecord) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="sample-banner"):
        st.badge("sample", icon=":material/science:", color="orange")
        st.markdown(
            f"**Sample organisation: recorded on {plain(record.recorded_at[:10])} with code "
            f"{plain(record.code_sha256[:12])}. Not your records.**",
            width="content",
        )
        st.button(
            "Hide", key="sample-hide", icon=":material/visibility_off:", on_click=_hide, type="tertiary",
            help="Hides the sample in this browser. Your first claim or pack replaces it for everyone.",
        )  # fmt: skip
        if services.person().may(Permission.MANAGE_PEOPLE):
            st.button(
                "Remove", key="sample-remove", icon=":material/delete:", on_click=_remove, type="tertiary",
                help="Removes the sample from this installation. `python -m audit_core home sample show` brings it back.",
            )  # fmt: skip
    if (error := st.session_state.pop(_REFUSED, None)) is not None:
        show_refusal(error)


@st.cache_resource(show_spinner=False)
def _hidden() -> OrderedDict[str, None]:
    """Browsers that hid the sample; a reload of the page is another session of Streamlit."""
    return OrderedDict()


def _name_browser() -> str:
    return browser_key() or str(st.session_state.setdefault("sample_session", uuid.uuid4().hex))


def _hide() -> None:
    hidden = _hidden()
    hidden[_name_browser()] = None
    while len(hidden) > _BROWSERS_KEPT:
        hidden.popitem(last=False)


def _show() -> None:
    _hidden().pop(_name_browser(), None)


def remove_from_installation() -> None:
    """Remove the sample for everyone; needs the permission of an admin."""
    services.authorize(Permission.MANAGE_PEOPLE, "the sample organisation")
    remove_sample(audit_home())


def _remove() -> None:
    try:
        remove_from_installation()
    except AuditError as error:
        st.session_state[_REFUSED] = error
