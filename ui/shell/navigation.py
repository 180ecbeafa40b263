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
    group: str
    """Heading in the menu."""
    permission: Permission
    is_always_listed: bool = False
    """Whether the menu lists it on every page; the others are listed on the pages of their own group."""


MOST_LINKS = 12
"""Most links in the menu, for any combination of roles: with the buttons of the side bar, at most 15 controls."""
INSIDE, INPUTS, SHOWN, CHECKS = "Inside the model", "Input and answer", "Shown and tested", "Checks on results"
"""The groups of audits, in the menu and on the page All audits."""

_OVERVIEW = Place("overview.py", "Overview", ":material/dashboard:", "Lead", Permission.LOOK, True)
_CLAIMS = Place("claims.py", "Claims", ":material/gavel:", "Review", Permission.LOOK, True)
_DESK = Place("desk.py", "Review desk", ":material/rate_review:", "Review", Permission.LOOK)
_MODELS = Place("models.py", "Model cards", ":material/badge:", "Review", Permission.LOOK, True)
_FINDINGS = Place("findings.py", "Findings", ":material/flag:", "Review", Permission.LOOK)
_LIVE_AUDIT = Place("live_audit.py", "Live audit", ":material/experiment:", INSIDE, Permission.RUN, True)
_SWEEP = Place("sweep.py", "Sweep", ":material/grid_on:", INSIDE, Permission.RUN)
_CIRCUIT = Place("circuit.py", "Circuit", ":material/hub:", INSIDE, Permission.RUN)
PLACES = (
    _OVERVIEW,
    Place("policies.py", "Policies", ":material/rule_settings:", "Lead", Permission.LOOK),
    Place("monitors.py", "Monitors", ":material/monitor_heart:", "Lead", Permission.LOOK),
    _CLAIMS,
    _DESK,
    _MODELS,
    _FINDINGS,
    Place("changes.py", "Changes", ":material/difference:", "Review", Permission.LOOK),
    Place("all_audits.py", "All audits", ":material/apps:", "Explore", Permission.RUN, True),
    Place("features.py", "Features", ":material/category_search:", "Explore", Permission.RUN),
    Place("audits.py", "Audit by form", ":material/fact_check:", "Explore", Permission.RUN),
    Place("campaigns.py", "Campaigns", ":material/lan:", "Explore", Permission.RUN),
    _LIVE_AUDIT,
    _SWEEP,
    _CIRCUIT,
    Place("experts.py", "Experts", ":material/account_tree:", INSIDE, Permission.RUN),
    Place("documents.py", "Documents", ":material/description:", INPUTS, Permission.RUN, True),
    Place("source_tokens.py", "Source tokens", ":material/swap_horiz:", INPUTS, Permission.RUN),
    Place("decisions.py", "Decisions", ":material/how_to_vote:", INPUTS, Permission.RUN),
    Place("tools.py", "Tools", ":material/build:", INPUTS, Permission.RUN),
    Place("explanations.py", "Explanations", ":material/lightbulb:", SHOWN, Permission.RUN, True),
    Place("lenses.py", "Lenses", ":material/search_insights:", SHOWN, Permission.RUN),
    Place("probes.py", "Probes", ":material/sensors:", SHOWN, Permission.RUN),
    Place("rationale.py", "Rationale", ":material/format_list_numbered:", SHOWN, Permission.RUN),
    Place("calibration.py", "Calibration", ":material/straighten:", CHECKS, Permission.LOOK, True),
    Place("robustness.py", "Robustness", ":material/shield:", CHECKS, Permission.RUN),
    Place("benchmarks.py", "Benchmarks", ":material/quiz:", CHECKS, Permission.RUN),
    Place("vision.py", "Vision", ":material/image_search:", CHECKS, Permission.RUN),
    Place("crosswalk.py", "Crosswalk", ":material/compare_arrows:", "Govern", Permission.LOOK, True),
    Place("audit_log.py", "Audit log", ":material/list_alt:", "Govern", Permission.LOOK),
    Place("procurement.py", "Procurement", ":material/checklist:", "Govern", Permission.LOOK),
    Place("people.py", "People", ":material/group:", "Govern", Permission.MANAGE_PEOPLE),
)


def live_audit() -> Any:
    """The live audit, the first page for users who may run audits."""
    return make_link(_LIVE_AUDIT)


def circuit() -> Any:
    """The circuit page."""
    return make_link(_CIRCUIT)


def sweep() -> Any:
    """The sweep."""
    return make_link(_SWEEP)


def models() -> Any:
    """Model cards."""
    return make_link(_MODELS)


def claims() -> Any:
    """Claims."""
    return make_link(_CLAIMS)


def desk() -> Any:
    """The review desk."""
    return make_link(_DESK)


def findings() -> Any:
    """The findings register."""
    return make_link(_FINDINGS)


def menu(person: Person | None, group: str) -> dict[str, list[Any]]:
    """Menu headings with their pages, of which those that are not listed are registered but hidden."""
    open_to, listed = list_open_to(person), list_listed(person, group)
    first = _LIVE_AUDIT if person is None or _LIVE_AUDIT in open_to else _OVERVIEW
    found: dict[str, list[Any]] = {}
    for place in PLACES:
        found.setdefault(place.group, []).append(_make(place, is_visible=place in listed, is_first=place is first))
    return found


def list_listed(person: Person | None, group: str) -> list[Place]:
    """Pages in the menu: those that the person may open, if they belong to `group` or are always listed."""
    return [place for place in list_open_to(person) if place.is_always_listed or place.group == group]


def list_open_to(person: Person | None) -> list[Place]:
    """Pages that the person may open; without sign-in there is one person, so People is not among them."""
    if person is None:
        return []
    return [
        place
        for place in PLACES
        if person.may(place.permission) and not (person.is_local and place.file == "people.py")
    ]


def find_group(title: str) -> str:
    """Group of a page."""
    return _find(title).group


def find_permission(title: str) -> Permission:
    """Permission that a page needs."""
    return _find(title).permission


def make_link(place: Place) -> Any:
    """A page to link to; the live audit is the first page of all who may open it."""
    return _make(place, is_visible=True, is_first=place is _LIVE_AUDIT)


def _find(title: str) -> Place:
    return next(place for place in PLACES if place.title == title)


def _make(place: Place, *, is_visible: bool, is_first: bool) -> Any:
    return st.Page(
        _PAGES / place.file, title=place.title, icon=place.icon, default=is_first, visibility="visible" if is_visible else "hidden",
    )  # fmt: skip
