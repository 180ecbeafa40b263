"""Pages that open on a recorded run and load a model only once the user asks to measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from audit_core import Auditor
from ui.flow import answers, model_question
from ui.parts.header import BADGES, plain
from ui.shell import link


@dataclass(frozen=True)
class RecordedFirst:
    """The state of one page: whether its user asked for live numbers."""

    page: str
    """Prefix of the session key."""
    key: str = "model"
    """Session key of the model."""

    @property
    def is_live(self) -> bool:
        """Whether the user asked to measure what is recorded."""
        return bool(st.session_state.get(self._key))

    @property
    def _key(self) -> str:
        return f"{self.page}-live"

    def adopt(self, fields: tuple[link.Field, ...]) -> None:
        """Set the widgets from the link, before they are drawn."""
        model_question.adopt_pending()
        link.seed(fields)

    def show(self, place: Any, recorded_at: str, note: str) -> None:
        """Say that numbers are recorded and when, and offer to measure them again."""
        icon, colour = BADGES["recorded"]
        with place.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(plain(f"recorded {recorded_at[:10]}"), icon=icon, color=colour)
            st.markdown(plain(note), width="content")
            st.button("Measure it now", key="measure-live", icon=":material/play_arrow:", on_click=self._measure_live)

    def _measure_live(self) -> None:
        st.session_state[self._key] = True
        model_question.press(st.session_state[self.key])

    def give_up(self) -> None:
        """Return to the recorded run: what was asked cannot be measured."""
        st.session_state[self._key] = False


def wait_for_model(model: str) -> Auditor:
    """Load the model; stops the page until it is there."""
    if not model_question.settle(model):
        st.stop()
    return answers.wait_for_model(model)
