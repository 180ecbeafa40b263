"""Answers about a circuit that the page already has: live before recorded, and full before quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from audit_core import AuditError, Component, PromptSet, Replacement, Role, TokenisedPrompts
from audit_core.assessment import RecordedCircuit, list_recorded
from audit_core.audits import ClaimTestResult
from audit_core.circuits import list_circuit_questions
from audit_core.claim import Universe
from audit_core.models import ModelIdentity
from ui.parts.header import plain

ROLES = tuple(role.value for role in Role)


@dataclass(frozen=True)
class Known:
    """One answer and where it comes from."""

    result: Any
    n: int
    """Prompts it was asked on."""
    is_quick: bool
    recorded: str = ""
    """When and with which code it was recorded, in words; empty for a live answer."""

    def show_badges(self) -> None:
        """Show whether the answer is recorded and whether it is exploratory."""
        with st.container(horizontal=True, gap="small"):
            self.add_badges()

    def add_badges(self) -> None:
        """As `show_badges`, in the surrounding row."""
        if self.is_quick:
            st.badge(f"exploratory: quick form, {self.n} prompts", icon=":material/explore:", color="orange")
        if self.recorded:
            st.badge(plain(self.recorded), icon=":material/history:", color="blue")


@dataclass(frozen=True)
class KnownAnswers:
    """All known answers about one circuit: verdicts by role, and other audits by name."""

    answers: Mapping[str, Known]

    def find(self, key: str, *, is_quick: bool | None = None) -> Known | None:
        """One answer; None unless it is known, in this form if one is named."""
        found = self.answers.get(key)
        return found if found is not None and is_quick in (None, found.is_quick) else None

    @property
    def verdicts(self) -> dict[Role, ClaimTestResult]:
        """Verdicts; a quick answer is never one."""
        return {Role(key): k.result for key, k in self.answers.items() if key in ROLES and not k.is_quick}

    def take_questions(self, *, is_quick: bool) -> dict[str, Any]:
        """Results of the robustness checks in one form, in the order of the questions."""
        found = {audit: self.find(audit, is_quick=is_quick) for audit in list_circuit_questions()}
        return {audit: answer.result for audit, answer in found.items() if answer is not None}

    def over(self, other: KnownAnswers) -> KnownAnswers:
        """These answers, and those of another source that these lack in the full form."""
        merged = dict(other.answers)
        for key, mine in self.answers.items():
            theirs = merged.get(key)
            if theirs is None or theirs.is_quick or not mine.is_quick:
                merged[key] = mine
        return KnownAnswers(merged)


def find_record(
    whole: PromptSet | TokenisedPrompts, components: tuple[Component, ...], universe: Universe, replacement: Replacement
) -> RecordedCircuit | None:
    """The record of exactly this circuit, ablation and prompt set, of whichever model; None without one."""
    try:
        records = list_recorded()
    except AuditError as error:
        st.warning(f"Recorded answers cannot be read: {plain(str(error))}", icon=":material/warning:")
        return None
    return next(
        (r for r in records if r.is_on(whole.name, whole.sha256) and r.is_about(components, universe, replacement)),
        None,
    )


def read_record(record: RecordedCircuit | None, model: str | ModelIdentity) -> KnownAnswers:
    """The answers of a record, if it is of this model: by name before it is loaded, by digest afterwards."""
    if record is None:
        return KnownAnswers({})
    is_same = record.is_of_known(model) if isinstance(model, str) else record.is_of(model)
    if not is_same:
        return KnownAnswers({})
    made = record.measured_with
    words = f"recorded on {made.recorded_at[:10]}, code {made.code_sha256[:8]}"
    return KnownAnswers({a.key: Known(a.read(), a.n, a.is_quick, words) for a in record.list_current()})
