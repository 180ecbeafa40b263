"""Return to the requested page after sign-in, because `st.login` always returns to the first page."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ui.shell.browser import browser_key

_HAS_BEGUN = "return_to_begun"
KEPT_S = 600.0
KEPT = 1000
"""Maximum number of stored targets; the oldest is dropped first."""


@dataclass(frozen=True)
class Target:
    """A page by title, with its state."""

    page: str
    query: dict[str, str]
    at_s: float


class Targets:
    """Targets by browser, stored on the server so that the identity provider does not see them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Target] = OrderedDict()

    def put(self, key: str, target: Target) -> None:
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = target
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def take(self, key: str, *, now_s: float) -> Target | None:
        """Remove and return the target; None if there is none or it is too old."""
        with self._lock:
            found = self._kept.pop(key, None)
        return found if found is not None and now_s - found.at_s <= KEPT_S else None


@st.cache_resource(show_spinner=False)
def _targets() -> Targets:
    return Targets()


def remember(page: str, query: dict[str, str]) -> None:
    """Store the target page of this browser."""
    if key := browser_key():
        _targets().put(key, Target(page, query, time.monotonic()))


def resume(pages: list[Any]) -> None:
    """Switch to the target page if this browser has just returned from the identity provider.

    Acts only in a session's first run, because a click on *Sign in again* reruns the page being left.
    """
    if st.session_state.get(_HAS_BEGUN):
        return
    st.session_state[_HAS_BEGUN] = True
    key = browser_key()
    target = _targets().take(key, now_s=time.monotonic()) if key else None
    found = [page for page in pages if target is not None and page.title == target.page]
    if found and target is not None:
        st.switch_page(found[0], query_params=target.query)
