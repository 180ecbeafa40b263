"""Whether a page may load the model that its address names: one that was never loaded here waits until a person presses a button."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.models import ModelOrigin, find_known, find_origin
from audit_core.store import was_opened
from audit_core.subjects import find_planted
from ui.flow import services
from ui.parts.header import plain

DEFAULT = "default"
_PRESSED, _START, _CANCELLED = "pressed_model", "start_model", "cancelled_model"
"""Keys of the session: the model it pressed a button for, the same until the load is begun, and the one whose load it cancelled."""
_SOURCES = {
    ModelOrigin.KNOWN: "known name: its exact bytes are pinned by this version",
    ModelOrigin.FOLDER: "folder on the server",
    ModelOrigin.HUB: "Hugging Face hub, asked without any token (a model folder of that name beside the server comes first)",
    ModelOrigin.NOWHERE: "neither a known name nor a hub id: a model folder of that name beside the server, if there is one",
}
PLANTED = "known name: built here from its description, nothing is fetched"
NOT_KNOWN = "not known before it is loaded"
MAX_FILES = 2000


def settle(name: str) -> bool:
    """Begin to load the model, or say why not and ask; returns whether it is on its way."""
    is_pressed = st.session_state.get(_START) == name
    if is_cancelled(name) or not (is_pressed or _is_awaited(name) or _is_settled(name)):
        _ask(name)
        return False
    try:
        begin(name)
    except AuditError as error:
        st.error(plain(str(error)), icon=":material/hourglass_top:")
        st.button("Try again", key="load-again", icon=":material/refresh:", on_click=press, args=(name,))
        return False
    return True


def begin(name: str) -> None:
    """Begin to load it; a press counts once, so that what failed is not tried at each run of the page.

    Raises:
        AccessRefused: whoever asks may not run.
        QueueFull: too many models wait to be loaded.
    """
    services.open_model(name, is_asked=st.session_state.pop(_START, None) == name)


def note_choice() -> None:
    """A person picked from the list: that is their press for what is shipped; a folder or hub id they typed is asked about first."""
    name = st.session_state.model
    if find_known(name) is not None or find_planted(name) is not None:
        press(name)


def press(name: str) -> None:
    """A person wants this model loaded."""
    st.session_state.pop(_CANCELLED, None)
    st.session_state[_PRESSED] = st.session_state[_START] = name


def cancel(name: str) -> None:
    """A person no longer waits for it; what they had asked to be done with it is not done later."""
    services.cancel_model(name)
    st.session_state[_CANCELLED] = name
    st.session_state.freezing = False
    st.session_state.pop("opening", None)


def is_cancelled(name: str) -> bool:
    """Whether this session cancelled its load, and has not asked again."""
    return bool(st.session_state.get(_CANCELLED) == name)


def describe_source(name: str) -> str:
    """Where the model would come from, by the spelling of its name alone."""
    return PLANTED if find_planted(name) is not None else _SOURCES[find_origin(name)]


def measure_size(name: str) -> int | None:
    """Bytes of the model's files; None where they are not known without asking or telling too much.

    The hub is not asked, and of a folder nothing is said where people sign in: not even whether it is there.
    """
    known = find_known(name)
    if known is not None:
        return known.disk_bytes
    if find_planted(name) is not None or find_origin(name) is not ModelOrigin.FOLDER or not services.person().is_local:
        return None
    try:
        files = [path for path in Path(name).expanduser().iterdir() if path.is_file()]
        return sum(path.stat().st_size for path in files[:MAX_FILES]) if (files and len(files) <= MAX_FILES) else None
    except (OSError, ValueError, RuntimeError):
        return None


def _is_settled(name: str) -> bool:
    known = find_known(name)
    return (known is not None and known.name == DEFAULT) or was_opened(audit_home(), name)


def _is_awaited(name: str) -> bool:
    """Whether this session pressed for it, and the load is under way or has failed."""
    return st.session_state.get(_PRESSED) == name and services.POOL.look(name).stage != services.NOT_ASKED_FOR


def _ask(name: str) -> None:
    size = measure_size(name)
    with st.container(border=True, key="model-question"):
        st.subheader("Load this model?", anchor=False)
        if is_cancelled(name):
            st.markdown("You cancelled its load. Nothing of it is kept.")
        else:
            st.markdown(
                "It was never loaded here, so a link or a typed name alone does not load it. Nothing has been fetched."
            )
        st.markdown(f"Model: **{plain(name[:300]) or 'no name'}**")
        st.markdown(f"Size: **{plain(NOT_KNOWN) if size is None else f'{size:,} bytes'}**")
        st.markdown(f"Source: **{plain(describe_source(name))}**")
        st.button(
            "Load it", key="load-model", icon=":material/download:", type="primary", on_click=press, args=(name,)
        )  # fmt: skip
