"""Where somebody wanted to go before they signed in; `st.login` comes back to the first page whatever was asked for."""

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
"""Targets of people who went to the provider and have not come back; the oldest goes first."""


@dataclass(frozen=True)
class Target:
    """A page by its title, and its state."""

    page: str
    query: dict[str, str]
    at_s: float


class Targets:
    """Kept on the server by browser: the address bar of the provider never sees them."""

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
        """Once: who comes back a second time goes where their address says."""
        with self._lock:
            found = self._kept.pop(key, None)
        return found if found is not None and now_s - found.at_s <= KEPT_S else None


@st.cache_resource(show_spinner=False)
def _targets() -> Targets:
    return Targets()


def remember(page: str, query: dict[str, str]) -> None:
    """Keep the page for this browser."""
    if key := browser_key():
        _targets().put(key, Target(page, query, time.monotonic()))


def resume(pages: list[Any]) -> None:
    """Go where this browser wanted to go, if it has just come back from the provider.

    A session's first run alone: the click on *Sign in again* is followed by a run of the page that is being left.
    """
    if st.session_state.get(_HAS_BEGUN):
        return
    st.session_state[_HAS_BEGUN] = True
    key = browser_key()
    target = _targets().take(key, now_s=time.monotonic()) if key else None
    found = [page for page in pages if target is not None and page.title == target.page]
    if found and target is not None:
        st.switch_page(found[0], query_params=target.query)
