"""Packs of the desk on which a draft is tried at each change; each is checked once."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from audit_core import AuditError
from audit_core.review import TrialPack, list_cases, read_trial_pack
from ui.parts.refusal import show_refusal


@st.cache_resource(max_entries=64, show_spinner=False)
def _read(home: str, root_digest: str, n_decisions: int, trusted_at: float) -> TrialPack:
    """Check a pack; data directory, digest, number of decisions and date of the trust file are the cache key."""
    return read_trial_pack(Path(home), root_digest)


def read_packs(home: Path) -> tuple[TrialPack, ...]:
    """Every pack of the desk, newest first; one that cannot be read is shown as refused and left out."""
    trust = home / "trust.toml"
    trusted_at = trust.stat().st_mtime if trust.is_file() else 0.0
    found = []
    for case in list_cases(home):
        try:
            found.append(_read(str(home), case.pack.root_digest, len(case.decisions), trusted_at))
        except AuditError as error:
            show_refusal(error)
    return tuple(found)
