"""The pages, their place in the menu, and the permission that each needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from audit_core.governance import Permission, Person

_PAGES = Path(__file__).resolve().parents[2] / "pages"


@dataclass(frozen=True)
class Place:
    """One page; its Streamlit object is created at each run, because Streamlit mutates it and sessions must not share it."""

    file: str
    title: str
    icon: str
    heading: str
    permission: Permission


_LIVE_AUDIT = Place("live_audit.py", "Live audit", ":material/experiment:", "Explore", Permission.RUN)
_CIRCUIT = Place("circuit.py", "Circuit", ":material/hub:", "Explore", Permission.RUN)
_OVERVIEW = Place("overview.py", "Overview", ":material/dashboard:", "Lead", Permission.LOOK)
_MODELS = Place("models.py", "Model cards", ":material/badge:", "Review", Permission.LOOK)
_CLAIMS = Place("claims.py", "Claims", ":material/gavel:", "Review", Permission.LOOK)
_DESK = Place("desk.py", "Review desk", ":material/rate_review:", "Review", Permission.LOOK)
_FINDINGS = Place("findings.py", "Findings", ":material/flag:", "Review", Permission.LOOK)
PLACES = (
    _OVERVIEW,
    _MODELS,
    _CLAIMS,
    _DESK,
    _FINDINGS,
    Place("changes.py", "Changes", ":material/difference:", "Review", Permission.LOOK),
    Place("audit_log.py", "Audit log", ":material/list_alt:", "Review", Permission.LOOK),
    _LIVE_AUDIT,
    Place("sweep.py", "Sweep", ":material/grid_on:", "Explore", Permission.RUN),
    _CIRCUIT,
    Place("experts.py", "Experts", ":material/account_tree:", "Explore", Permission.RUN),
    Place("source_tokens.py", "Source tokens", ":material/swap_horiz:", "Explore", Permission.RUN),
    Place("robustness.py", "Robustness", ":material/shield:", "Explore", Permission.RUN),
    Place("documents.py", "Documents", ":material/description:", "Explore", Permission.RUN),
    Place("explanations.py", "Explanations", ":material/lightbulb:", "Explore", Permission.RUN),
    Place("rationale.py", "Rationale", ":material/format_list_numbered:", "Explore", Permission.RUN),
    Place("tools.py", "Tools", ":material/build:", "Explore", Permission.RUN),
    Place("decisions.py", "Decisions", ":material/how_to_vote:", "Explore", Permission.RUN),
    Place("benchmarks.py", "Benchmarks", ":material/quiz:", "Explore", Permission.RUN),
    Place("audits.py", "Audits", ":material/fact_check:", "Explore", Permission.RUN),
    Place("calibration.py", "Calibration", ":material/straighten:", "Explore", Permission.LOOK),
    Place("crosswalk.py", "Crosswalk", ":material/compare_arrows:", "Govern", Permission.LOOK),
    Place("procurement.py", "Procurement", ":material/checklist:", "Govern", Permission.LOOK),
    Place("people.py", "People", ":material/group:", "Govern", Permission.MANAGE_PEOPLE),
)


def live_audit() -> Any:
    """The live audit, the first page for users who may run audits."""
    return _make(_LIVE_AUDIT, is_visible=True, is_first=True)


def circuit() -> Any:
    """The circuit page."""
    return _make(_CIRCUIT, is_visible=True, is_first=False)


def models() -> Any:
    """Model cards."""
    return _make(_MODELS, is_visible=True, is_first=False)


def claims() -> Any:
    """Claims."""
    return _make(_CLAIMS, is_visible=True, is_first=False)


def desk() -> Any:
    """The review desk."""
    return _make(_DESK, is_visible=True, is_first=False)


def findings() -> Any:
    """The findings register."""
    return _make(_FINDINGS, is_visible=True, is_first=False)


def menu(person: Person | None) -> dict[str, list[Any]]:
    """Menu headings with their pages; pages that the person may not open are registered but hidden."""
    open_to = [place for place in PLACES if person is not None and person.may(place.permission)]
    first = _LIVE_AUDIT if person is None or _LIVE_AUDIT in open_to else _OVERVIEW
    found: dict[str, list[Any]] = {}
    for place in PLACES:
        # Without sign-in there is one person, so the People page is hidden.
        is_visible = place in open_to and not (person is not None and person.is_local and place.file == "people.py")
        found.setdefault(place.heading, []).append(_make(place, is_visible=is_visible, is_first=place is first))
    return found


def find_permission(title: str) -> Permission:
    """Permission that a page needs."""
    return next(place.permission for place in PLACES if place.title == title)


def _make(place: Place, *, is_visible: bool, is_first: bool) -> Any:
    return st.Page(
        _PAGES / place.file, title=place.title, icon=place.icon, default=is_first, visibility="visible" if is_visible else "hidden",
    )  # fmt: skip
