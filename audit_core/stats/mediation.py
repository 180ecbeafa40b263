"""How much of an effect goes through given components, in the metric's own unit: differences, never ratios."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate


@dataclass(frozen=True)
class Mediation:
    """The change from the clean to the corrupted prompt, taken apart."""

    total: Estimate
    """TE: loss of the metric by changing the prompt."""
    indirect: Estimate
    """NIE: loss by giving the components the activations they have on the corrupted prompt, all else clean."""
    direct: Estimate
    """NDE: loss by changing the prompt while the components keep their clean activations."""
    interaction: Estimate
    """TE − NDE − NIE: what belongs to neither alone."""


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

    Source: Vig et al. 2020, arXiv:2004.12265, section 3; differences in place of their ratios, which explode near zero.
    """
    total, indirect, direct = clean - corrupted, clean - noised, clean - denoised

    def average(values: NDArray) -> Estimate:
        return bootstrap_mean(values, clusters, unit=unit, seed=seed)

    return Mediation(average(total), average(indirect), average(direct), average(total - direct - indirect))
