"""Causal mediation: direct and indirect effects, as differences in the metric's unit."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate


@dataclass(frozen=True)
class Mediation:
    """Decomposition of the change from the clean to the corrupted prompt."""

    total: Estimate
    """TE: loss of the metric when the prompt changes."""
    indirect: Estimate
    """NIE: loss when only the components have their corrupted activations."""
    direct: Estimate
    """NDE: loss when the prompt changes and the components keep their clean activations."""
    interaction: Estimate
    """TE − NDE − NIE: interaction."""


def estimate_mediation(
    clean: NDArray,
    corrupted: NDArray,
    noised: NDArray,
    denoised: NDArray,
    clusters: tuple[str, ...],
    *,
    unit: str,
    seed: int,
) -> Mediation:
    """Total, natural indirect and natural direct effect.

    Args:
        clean, corrupted: metric of the unedited runs, each shape (prompt,).
        noised: of the clean run with the components' corrupted activations, shape (prompt,).
        denoised: of the corrupted run with the components' clean activations, shape (prompt,).

    Source: Vig et al. 2020, arXiv:2004.12265, section 3; differences instead of ratios, which are unstable near zero.
    """
    total, indirect, direct = clean - corrupted, clean - noised, clean - denoised

    def average(values: NDArray) -> Estimate:
        return bootstrap_mean(values, clusters, unit=unit, seed=seed)

    return Mediation(average(total), average(indirect), average(direct), average(total - direct - indirect))
