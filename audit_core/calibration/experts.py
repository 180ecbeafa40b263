"""Error rates of the verdict rule on experts: claims about planted mixtures, whose truth follows from the wiring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from audit_core.calibration.samples import COMBINED, Sample
from audit_core.calibration.tallies import Tally, describe_count, describe_share, group_claims, tally_claims
from audit_core.judging.verdict import State
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import wilson
from audit_core.subjects.planted.key import PlantedRole


@dataclass(frozen=True)
class ExpertCalibration:
    """Error rates of the combined rule. Shares count claims per build, because samples of a claim share its prompts."""

    mixtures: int
    builds: int
    samples_each: int
    n_claims: int
    n_samples: int
    tallies: dict[str, Tally]
    """Planted ground truth → shares of those claims."""
    decoys_supported: Estimate
    """Experts with the larger load or weight whose output nothing reads: share of claims with any such sample."""
    carriers_supported: Estimate
    """Claims whose experts carry the answer: share with all samples supported."""
    pairs_supported: Estimate
    """Pairs of which either expert suffices: share with all samples supported."""
    unrouted_open: Estimate
    """Experts without tokens: share left inconclusive in all samples."""
    as_keyed: Estimate
    covered: Estimate
    """Coverage: share of samples whose interval contains the population value."""


def summarise_experts(samples: Sequence[Sample]) -> ExpertCalibration:
    """Compute the error rates; see `ExpertCalibration`.

    Raises:
        NotMeasured: samples without one of the planted roles.
    """
    claims = group_claims(samples)
    covered = [sample.covered for sample in samples if sample.covered is not None]

    def share(
        role: PlantedRole, state: State, counts: Callable[[Iterable[bool]], bool], *, pairs: bool = False
    ) -> Estimate:
        chosen = [c for c in claims if c[0].planted == role and (not pairs or " " in c[0].components)]
        return wilson(sum(counts(s.found[COMBINED] == state for s in claim) for claim in chosen), len(chosen))

    return ExpertCalibration(
        mixtures=len({s.model for s in samples}),
        builds=len({s.seed for s in samples}),
        samples_each=max(map(len, claims)),
        n_claims=len(claims),
        n_samples=len(samples),
        tallies=tally_claims(claims, COMBINED),
        decoys_supported=share(PlantedRole.DECOY, State.SUPPORTED, any),
        carriers_supported=share(PlantedRole.CAUSE, State.SUPPORTED, all),
        pairs_supported=share(PlantedRole.REDUNDANT, State.SUPPORTED, all, pairs=True),
        unrouted_open=share(PlantedRole.UNROUTED, State.INCONCLUSIVE, all),
        as_keyed=wilson(sum(all(s.is_right for s in claim) for claim in claims), len(claims)),
        covered=wilson(sum(covered), len(covered)),
    )


def quote_experts(found: ExpertCalibration) -> str:
    """Sentence about the error rate on experts, shown with every verdict on one."""
    used, unused = found.tallies[State.SUPPORTED.value], found.tallies[State.NEGLIGIBLE.value]
    return (
        f"On mixtures with known wiring this rule called {describe_count(used.right)} claims on used experts supported and left "
        f"{describe_count(used.abstained)} inconclusive. It misjudged {describe_share(unused.wrong)} claims on unused experts. "
        "Trained mixtures are less clean, so error rates may be higher here."
    )


def list_expert_shares(found: ExpertCalibration) -> tuple[tuple[str, Estimate], ...]:
    """Main shares with their names, for page and documentation."""
    return (
        ("decoys called supported on any sample", found.decoys_supported),
        ("experts that carry the answer, called supported", found.carriers_supported),
        ("pairs of which either suffices, called supported", found.pairs_supported),
        ("experts without tokens, left inconclusive", found.unrouted_open),
        ("verdict as expected by the planted key", found.as_keyed),
        ("intervals (one per sample) that contain the population value", found.covered),
    )


def describe_expert_origin(found: ExpertCalibration) -> str:
    """Size of the calibration on experts, in a sentence."""
    samples = "1 sample" if found.samples_each == 1 else f"{found.samples_each} samples"
    return (
        f"{found.builds} builds of each of {found.mixtures} mixtures, {samples} of prompts for each claim: "
        f"{found.n_claims:,} claims, {found.n_samples:,} samples."
    )


def list_expert_lines(found: ExpertCalibration) -> list[str]:
    """Section of the documentation page."""
    rows = [f"| {name} | {describe_share(share)} |" for name, share in list_expert_shares(found)]
    return [
        "## Experts of planted mixtures",
        "",
        describe_expert_origin(found),
        "",
        "| question | share |",
        "|---|---|",
        *rows,
    ]
