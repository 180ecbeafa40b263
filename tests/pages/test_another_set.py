"""Where the search finds what nobody named, the page says that its steadiness is about that other set."""

import pytest

from audit_core import head
from audit_core.audits import StabilityResult
from audit_core.stats.measurement import Conditions
from ui.circuit import results

FOUND = StabilityResult(
    found=("L0.H0",), jaccard=1.0, jaccard_low=1.0, jaccard_high=1.0, shares=(), core=("L0.H0",), draws=200, n=20, n_templates=5, unit="Jaccard index",
    conditions=Conditions("nodes", "head", "resample", "all", "noising", "the 1 first of 3 by exact"), sentence="Found again.", controls=None,
)  # fmt: skip


@pytest.mark.parametrize("named, is_told", [(head(0, 0), False), (head(0, 1), True)])
def test_another_set_is_named(monkeypatch: pytest.MonkeyPatch, named: object, is_told: bool) -> None:
    said: list[str] = []
    monkeypatch.setattr(results.st, "warning", lambda text, icon: said.append(text))
    results.note_different_circuit(FOUND, (named,))  # type: ignore[arg-type]
    assert bool(said) is is_told
    assert all("L0" in text and "different set" in text for text in said)
