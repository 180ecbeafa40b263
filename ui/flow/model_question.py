"""Confirmation before loading a model named in the address: a model that was never loaded here needs a button press."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.models import (
    ModelOrigin,
    find_known,
    find_origin,
    find_shipped,
    preview_model,
    read_free_memory,
)
from audit_core.store import was_opened
from audit_core.subject_family import find_listed, list_models
from ui.flow import dialogs, services
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


def match_listed(typed: str) -> str:
    """Return the one listed model whose name or title the typed text is a part of; else the text itself."""
    found = _find_listed(typed)
    return next(iter(found)) if len(found) == 1 else typed


def _find_listed(typed: str) -> dict[str, str]:
    """Name → title of the listed models with this text; only those that bear it as a whole name or title, if any do."""
    wanted = " ".join(typed.split()).casefold()
    titles = {model.name: model.title for model in list_models()}
    exact = {name: title for name, title in titles.items() if wanted in (name.casefold(), title.casefold())}
    if exact or not wanted:
        return exact
    return {name: title for name, title in titles.items() if wanted in name.casefold() or wanted in title.casefold()}


def note_choice() -> None:
    """Callback of the model list: picking a shipped model, or typing a part of its title, confirms it; a typed folder or
    hub id needs a button press."""
    name = st.session_state.model = match_listed(st.session_state.model or DEFAULT)
    if find_listed(name) is not None or find_origin(name) is ModelOrigin.KNOWN:
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
    return PLANTED if _is_built(name) else _SOURCES[find_origin(name)]


def _is_built(name: str) -> bool:
    listed = find_listed(name)
    return listed is not None and listed.is_built


def measure_size(name: str) -> int | None:
    """Bytes of the model's files; None if unknown or not to be disclosed.

    Sends no request to the hub. With sign-in it discloses nothing about a folder, not even whether it exists.
    """
    ours = find_known(name) or find_shipped(name)
    if ours is not None:
        return ours.disk_bytes
    if _is_built(name) or find_origin(name) is not ModelOrigin.FOLDER or not services.person().is_local:
        return None
    try:
        files = [path for path in Path(name).expanduser().iterdir() if path.is_file()]
        return sum(path.stat().st_size for path in files[:MAX_FILES]) if (files and len(files) <= MAX_FILES) else None
    except (OSError, ValueError, RuntimeError):
        return None


def show_preview(name: str) -> None:
    """Show what would be loaded, without a request to the hub and without reading a weight."""
    title = _find_listed(name).get(name, "")
    st.markdown(f"Model: **{plain(name[:300]) or 'no name'}**" + (f", {plain(title)}" if title else ""))
    st.markdown(f"Source: **{plain(describe_source(name))}**")
    if len(alike := _find_listed(name)) > 1:
        st.markdown(f"Several listed models have this in their title: {plain(', '.join(alike.values()))}.")
    size, found = measure_size(name), None
    # With sign-in, nothing is said about a folder of the server, not even whether it exists.
    if services.person().is_local or find_origin(name) is ModelOrigin.KNOWN:
        try:
            found = preview_model(name)
        except AuditError as error:
            st.warning(f"It would be refused. {plain(str(error))}", icon=":material/warning:")
    st.markdown(f"Size: **{plain(NOT_KNOWN) if size is None else f'{size:,} bytes'}**")
    if found is None:
        st.markdown(f"Architecture, parameters and memory: **{plain(NOT_KNOWN)}**")
        return
    st.markdown(f"Architecture: **{plain(found.architecture)}**")
    st.markdown(f"Parameters: **{found.n_parameters:,}**, stored as {plain(', '.join(found.dtypes))}, run in float32")
    free = read_free_memory()
    if free is None:
        st.markdown(
            f"Memory: about **{found.memory_bytes / 1e9:.1f} GB** at its peak (estimate). "
            "This machine does not say how much is free."
        )
    elif found.memory_bytes > free:
        st.error(
            f"Memory: about {found.memory_bytes / 1e9:.1f} GB at its peak (estimate), and {free / 1e9:.1f} GB are free. "
            "This machine cannot hold it. Choose a smaller model.",
            icon=":material/memory:",
        )
    else:
        st.markdown(
            f"Memory: about **{found.memory_bytes / 1e9:.1f} GB** at its peak (estimate). "
            f"This machine has **{free / 1e9:.1f} GB** free and can hold it."
        )


def use_another() -> None:
    """Show the button that opens the form for another model, and the form while it is open; for any place on a page."""
    dialogs.offer_dialog("use-another", "Use another model", _show_form, icon=":material/swap_horiz:")


@st.dialog("Use another model", width="medium", icon=":material/swap_horiz:", on_dismiss=dialogs.close_dialog)
def _show_form() -> None:
    typed = st.text_input(
        "Title of a listed model, folder on the server, or hub id",
        key="another-model", max_chars=300, placeholder="organisation/model or ./folder",
    ).strip()  # fmt: skip
    if not typed:
        return
    name = match_listed(typed)
    show_preview(name)
    if find_origin(name) is ModelOrigin.NOWHERE and find_listed(name) is None:
        return
    if st.button("Load it", key="load-another", icon=":material/download:", type="primary"):
        st.session_state["next_model"] = name
        press(name)
        dialogs.close_dialog()
        st.rerun()


def adopt_pending() -> None:
    """Set the model that the form confirmed, before the list of models is drawn."""
    if pending := st.session_state.pop("next_model", ""):
        st.session_state.model = pending


def _is_settled(name: str) -> bool:
    known = find_known(name)
    return (known is not None and known.name == DEFAULT) or was_opened(audit_home(), name)


def _is_awaited(name: str) -> bool:
    """Whether this session confirmed the model, and the load is running or has failed."""
    return st.session_state.get(_PRESSED) == name and services.POOL.look(name).stage != services.NOT_ASKED_FOR


def _ask(name: str) -> None:
    with st.container(border=True, key="model-question"):
        st.subheader("Load this model?", anchor=False)
        if is_cancelled(name):
            st.markdown("You cancelled loading. Partial files were discarded.")
        else:
            st.markdown(
                "This model was never loaded here. A link or a typed name does not load it without your confirmation."
            )
        show_preview(name)
        st.button(
            "Load it", key="load-model", icon=":material/download:", type="primary", on_click=press, args=(name,)
        )  # fmt: skip
