"""Multiplicity ledger: how many tests were run on a model before a claim was judged, counted from the run log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ledger:
    """Counts over all runs on one model in this log, of all users."""

    runs: int
    claims: int
    """Distinct claims that were tested."""
    components: int
    """Distinct components whose effect was measured, alone or in a set."""
    prompt_sets: int
    metrics: int
    replacements: int


def read_ledger(records: Iterable[Mapping[str, Any]], model_digest: str) -> Ledger:
    """Count the log entries of one model; runs without a result count as runs.

    Args:
        records: rows of `RunLog.export`.
        model_digest: `ModelIdentity.short` of the model.
    """
    runs = 0
    seen: dict[str, set[str]] = {"claim": set(), "component": set(), "prompts": set(), "metric": set(), "how": set()}
    for record in (r for r in records if r["model_digest"] == model_digest):
        request, result = record["request"], record["result"] or {}
        claim = request.get("claim") or {}
        runs += 1
        seen["prompts"].add(str(record["prompts_sha256"]))
        seen["component"].update(request.get("components") or claim.get("components") or ())
        seen["component"].update(cell["component"] for cell in result.get("cells", ()))
        seen["metric"].add(str(claim.get("metric") or request.get("metric") or ""))
        seen["how"].update(result.get("families") or [request.get("replacement") or ""])
        if claim:
            seen["claim"].add(str(sorted(claim.items())))
    return Ledger(
        runs,
        len(seen["claim"]),
        len(seen["component"]),
        len(seen["prompts"]),
        len(seen["metric"] - {""}),
        len(seen["how"] - {""}),
    )
