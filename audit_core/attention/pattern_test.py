"""Pattern test: ablates a head's attention pattern only, and compares it with ablating the head's output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component
from audit_core.effect import Effect, check_task
from audit_core.judging.faithfulness import PAIR_UNIT
from audit_core.stats.bootstrap import bootstrap_ratios
from audit_core.stats.estimates import MIN_PROMPTS, MIN_TEMPLATES, Estimate, format_estimate

DELTA = 0.10
"""Smallest effect of interest, fraction of the clean – corrupted gap (methods 1.3)."""
CAVEAT = "A pattern that does not matter is not a head that does not matter."


class PatternFinding(StrEnum):
    """Finding about one head's attention pattern, not about the head."""

    MATTERS = "matters"
    IRRELEVANT = "irrelevant"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class PatternTest:
    """One head: effects of pattern ablations and of output ablations, as fractions of the clean – corrupted gap."""

    head: str
    uniform: Estimate
    """Pattern made uniform."""
    permuted: Estimate
    """Pattern permuted: per prompt the median over permutations, then the mean over prompts."""
    resampled: Estimate
    """Output replaced by that of the pair's other run."""
    zeroed: Estimate
    """Output set to zero."""
    finding: str
    """A value of `PatternFinding`."""
    sentence: str


def judge_patterns(
    heads: Sequence[Component],
    effects: Sequence[Effect],
    permuted: NDArray[np.float64],
    clusters: Sequence[str],
    *,
    seed: int,
) -> tuple[PatternTest, ...]:
    """Judge each head's pattern by intervals.

    Args:
        effects: patterns uniform, outputs resampled, outputs zero; each with one intervention per head.
        permuted: median over permutations of the support; shape (head, prompt).

    Raises:
        NotMeasured: the model does not do the task, or there is no gap to take a fraction of.

    Source: methods 2.15, after Jain and Wallace 2019, arXiv:1902.10186, and Wiegreffe and Pinter 2019, arXiv:1908.04626.
    """
    check_task(effects[0])
    series = (effects[0].support, permuted, effects[1].support, effects[2].support)
    columns = [bootstrap_ratios(rows, effects[0].gap, clusters, unit=PAIR_UNIT, seed=seed) for rows in series]
    few = len(clusters) < MIN_PROMPTS or len(set(clusters)) < MIN_TEMPLATES
    found = []
    for part, uniform, shuffled, resampled, zeroed in zip(heads, *columns, strict=True):
        finding, sentence = _read(str(part), uniform, shuffled, (resampled, zeroed), few)
        found.append(PatternTest(str(part), uniform, shuffled, resampled, zeroed, finding.value, sentence))
    return tuple(found)


def _read(
    name: str, uniform: Estimate, permuted: Estimate, outputs: tuple[Estimate, ...], few: bool
) -> tuple[PatternFinding, str]:
    """The interval shown decides, which is stricter than two one-sided tests at the same level."""
    cost = f"permuted: {format_estimate(permuted)}; uniform: {format_estimate(uniform)}"
    if few:
        need = f"{MIN_PROMPTS} prompts in {MIN_TEMPLATES} templates"
        return PatternFinding.UNRESOLVED, f"{name}: unresolved, fewer than {need}. {cost}."
    if _is_beyond(permuted):
        return PatternFinding.MATTERS, f"{name}: this attention pattern matters. {cost}."
    if _is_inside(permuted) and _is_inside(uniform):
        head = (
            " This head's output does: replaced, its interval lies beyond δ." if any(map(_is_beyond, outputs)) else ""
        )
        return PatternFinding.IRRELEVANT, f"{name}: pattern irrelevant, within ± {DELTA:g}. {cost}. {CAVEAT}{head}"
    return PatternFinding.UNRESOLVED, f"{name}: unresolved, an interval includes δ or −δ (± {DELTA:g}). {cost}."


def _is_beyond(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.high is not None and (estimate.low > DELTA or estimate.high < -DELTA)


def _is_inside(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.high is not None and estimate.low > -DELTA and estimate.high < DELTA
