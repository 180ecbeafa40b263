"""Confirmation before loading a model named in the address: a model that was never loaded here needs a button press."""

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
"""Session keys: the confirmed model, the confirmed model whose load has not started, and the cancelled model."""
_SOURCES = {
    ModelOrigin.KNOWN: "known name: its exact bytes are pinned by this version",
    ModelOrigin.FOLDER: "folder on the server",
    ModelOrigin.HUB: "Hugging Face hub, without a token (a model folder of that name beside the server comes first)",
    ModelOrigin.NOWHERE: "neither a known name nor a hub id: only a model folder of that name beside the server",
}
PLANTED = "known name: built here from its description, without a download"
NOT_KNOWN = "unknown before it is loaded"
MAX_FILES = 2000


def settle(name: str) -> bool:
    """Start loading the model, or ask for confirmation; returns whether loading has started."""
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
    """Start loading the model; a press counts once, so that a failure is not retried at each rerun of the page.

    Raises:
        AccessRefused: the user may not run audits.
        QueueFull: too many models are queued.
    """
    services.open_model(name, is_asked=st.session_state.pop(_START, None) == name)


def note_choice() -> None:
    """Callback of the model list: picking a shipped model confirms it; a typed folder or hub id needs a button press."""
    name = st.session_state.model
    if find_known(name) is not None or find_planted(name) is not None:
        press(name)


def press(name: str) -> None:
    """Callback of the load button: confirm the model."""
    st.session_state.pop(_CANCELLED, None)
    st.session_state[_PRESSED] = st.session_state[_START] = name


def cancel(name: str) -> None:
    """Callback of the cancel button: cancel the load, and drop what was to follow it."""
    services.cancel_model(name)
    st.session_state[_CANCELLED] = name
    st.session_state.freezing = False
    st.session_state.pop("opening", None)


def is_cancelled(name: str) -> bool:
    """Whether this session cancelled the load and has not confirmed it again."""
    return bool(st.session_state.get(_CANCELLED) == name)


def describe_source(name: str) -> str:
    """Source of the model, derived from its name alone."""
    return PLANTED if find_planted(name) is not None else _SOURCES[find_origin(name)]


def measure_size(name: str) -> int | None:
    """Bytes of the model's files; None if unknown or not to be disclosed.

    Sends no request to the hub. With sign-in it discloses nothing about a folder, not even whether it exists.
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
    """Whether this session confirmed the model, and the load is running or has failed."""
    return st.session_state.get(_PRESSED) == name and services.POOL.look(name).stage != services.NOT_ASKED_FOR


def _ask(name: str) -> None:
    size = measure_size(name)
    with st.container(border=True, key="model-question"):
        st.subheader("Load this model?", anchor=False)
        if is_cancelled(name):
            st.markdown("You cancelled loading. Partial files were discarded.")
        else:
            st.markdown(
                "This model was never loaded here. A link or a typed name does not load it without your confirmation."
            )
        st.markdown(f"Model: **{plain(name[:300]) or 'no name'}**")
        st.markdown(f"Size: **{plain(NOT_KNOWN) if size is None else f'{size:,} bytes'}**")
        st.markdown(f"Source: **{plain(describe_source(name))}**")
        st.button(
            "Load it", key="load-model", icon=":material/download:", type="primary", on_click=press, args=(name,)
        )  # fmt: skip
