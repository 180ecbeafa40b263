"""The policy that the form describes: the chosen one with the values that were typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from audit_core.governance import Policy, edit_policy

REQUIRED, SHOWN, LEFT_OUT = "required", "shown only", "left out"
COUNTS = (REQUIRED, SHOWN, LEFT_OUT)
"""What a criterion counts as."""
NUMBERS = ("threshold", "min_n", "min_templates", "ci_level")
TEXTS = ("source", "why")
GATE = ("ci_level", "max_waivers", "waiver_max_days")
APPROVAL = ("max_age_days", "preparer_ne_reviewer", "reviewer_ne_approver")
_PREFIX = "policy:"
_OF_TABS = ("policy_criterion", "policy_by", "policy_reason", "policy_amend_by", "policy_amend_reason")
"""Fields that belong to no value of a policy."""

Place = tuple[str, ...]


def name_field(base: Policy, *place: str) -> str:
    """Session key of a field; each policy has a draft of its own."""
    return f"{_PREFIX}{base.sha256[:12]}:{'.'.join(place)}"


def keep_fields() -> None:
    """Keep what was typed in tabs that are closed: Streamlit forgets the value of a widget that one run does not draw."""
    typed = (str(key) for key in st.session_state)
    for key in [key for key in typed if key.startswith(_PREFIX) or key in _OF_TABS]:
        st.session_state[key] = st.session_state[key]


def discard(base: Policy) -> None:
    """Callback: forget what was typed about one policy."""
    own = f"{_PREFIX}{base.sha256[:12]}:"
    for key in [key for key in st.session_state if str(key).startswith(own)]:
        del st.session_state[key]


def seed_field(base: Policy, value: Any, *place: str) -> str:
    """Give a field its value in the policy unless one was typed; returns its session key."""
    key = name_field(base, *place)
    if key not in st.session_state:
        st.session_state[key] = value
    return key


def list_tables(base: Policy) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Criterion with a threshold → its kind of table, and the table."""
    table = base.resolved()
    return {name: (kind, kept) for kind in ("criteria", "answers") for name, kept in table.get(kind, {}).items()}


def read_draft(base: Policy) -> Policy:
    """The policy as typed; the chosen one itself where nothing differs.

    Raises:
        PolicyRefused: a value that a policy must not have.
    """
    return edit_policy(base, _read_values(base))


def _read_values(base: Policy) -> dict[Place, Any]:
    values: dict[Place, Any] = {}
    asked, resolved = st.session_state, base.resolved()

    def read(place: Place, old: Any) -> None:
        new = asked.get(name_field(base, *place), old)
        if new != old:
            values[place] = new

    for name, (kind, kept) in list_tables(base).items():
        for key in (*NUMBERS, *TEXTS):
            read((kind, name, key), kept.get(key))
    read(("id",), base.id)
    for key in GATE:
        read(("gate", key), resolved["gate"][key])
    for key in APPROVAL:
        read(("approval", key), resolved["approval"][key])
    return values | _read_lists(base)


def _read_lists(base: Policy) -> dict[Place, Any]:
    """The two lists of criteria, and the tables of those that are left out."""
    old = {name: REQUIRED for name in base.required} | {name: SHOWN for name in base.optional}
    new = {name: st.session_state.get(name_field(base, "counts", name), was) for name, was in old.items()}
    if new == old:
        return {}
    tables = list_tables(base)
    gone: dict[Place, Any] = {
        (tables[name][0], name): None for name, counts in new.items() if counts == LEFT_OUT and name in tables
    }
    return {
        ("gate", "required"): [name for name, counts in new.items() if counts == REQUIRED],
        ("gate", "optional"): [name for name, counts in new.items() if counts == SHOWN],
        **gone,
    }
