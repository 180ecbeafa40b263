"""Inputs of the page Vision: classifier, images, region and classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from audit_core import Auditor, get_plugin
from audit_core.request import Request
from audit_core.vision import (
    CONTRAST,
    FILE,
    MARKED,
    MAX_BYTES,
    MODELS,
    REGION,
    SMALLEST,
    TITLES,
    RecordedVision,
    find_recorded,
    read_marked,
)
from ui.flow import model_question
from ui.parts.header import BADGES, plain
from ui.shell import link

FIELDS = (link.Field("network", MARKED),)
"""Not `model`: an image classifier is no choice of the pages about language models."""
_LIVE = "vision-live"
_DEFAULTS = {"region": REGION, "contrast": CONTRAST, "smallest": str(SMALLEST)}


@dataclass(frozen=True)
class GivenImages:
    """The bytes of a file of images, its name, and how it is asked."""

    name: str
    raw: bytes
    answers: dict[str, str]

    @property
    def is_shipped(self) -> bool:
        return self.name == FILE and not self.answers


def ask_network() -> str:
    """Select the classifier; it is loaded when something is to be measured."""
    typed = st.session_state.network
    options = MODELS if typed in MODELS else (*MODELS, typed)
    st.selectbox(
        "Image classifier", options, key="network", format_func=lambda name: TITLES.get(name, name),
        accept_new_options=True, on_change=_note_choice, width=330,
        help="Choose one, or type a folder with config.json and model.safetensors of the known architecture.",
    )  # fmt: skip
    return str(st.session_state.network)


def _note_choice() -> None:
    """Choosing a shipped classifier confirms it; a typed folder needs a button press."""
    name = st.session_state.network = st.session_state.network or MARKED
    st.session_state[_LIVE] = False
    if name in MODELS:
        model_question.press(name)


def ask_images() -> GivenImages:
    """Take the uploaded file with its region and classes, or the shipped images."""
    state = st.session_state
    with st.popover("Your own images", icon=":material/upload_file:"):
        upload = st.file_uploader("Images, as CSV", max_upload_size=MAX_BYTES // 1024, key="vision-file")
        for key, value in _DEFAULTS.items():
            state.setdefault(f"vision-{key}", value)
        st.markdown("A header that begins with `label`, then a line an image: its class, and its pixels row by row.")
        st.text_input("Region: row, column, height, width", key="vision-region", max_chars=40)
        st.text_input("The two classes", key="vision-contrast", max_chars=40)
        st.text_input("Smallest effect, as a fraction", key="vision-smallest", max_chars=10)
    asked = {key: str(state[f"vision-{key}"]) for key in _DEFAULTS}
    if upload is None:
        st.markdown(f"Images: **{plain(FILE)}**, shipped with Assay")
        return GivenImages(FILE, read_marked(), {key: text for key, text in asked.items() if text != _DEFAULTS[key]})
    st.markdown(f"Images: **{plain(upload.name)}**")
    return GivenImages(upload.name, upload.getvalue(), asked)


def pick_recorded(given: GivenImages, network: str) -> RecordedVision | None:
    """The recorded run, if the page asks its question and the user did not ask to measure it again."""
    return find_recorded(network) if given.is_shipped and not st.session_state.get(_LIVE) else None


def note_recorded(place: Any, recorded: RecordedVision) -> None:
    """Say that numbers are recorded and when, and offer to measure them again."""
    icon, colour = BADGES["recorded"]
    with place.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(plain(f"recorded {recorded.made_at[:10]}"), icon=icon, color=colour)
        st.markdown(plain(f"Code digest {recorded.code_sha256[:12]}."), width="content")
        st.button("Measure it now", key="measure-live", icon=":material/play_arrow:", on_click=_measure_live)


def _measure_live() -> None:
    st.session_state[_LIVE] = True
    model_question.press(st.session_state.network)


def make_request(auditor: Auditor, given: GivenImages) -> Request:
    """The request about these images.

    Raises:
        AuditError: the file, the region or the classes cannot be used with this model.
    """
    request: Request = get_plugin("audits", "vision").ask_file(auditor.subject, given.raw, given.name, given.answers)
    for notice in request.prompts.notices:
        st.markdown(plain(notice))
    return request
