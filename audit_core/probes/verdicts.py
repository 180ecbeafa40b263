"""The verdict at a site, from both axes: decodable by held-out accuracy, used by two interventions."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.probes.results import DELTA, ProbeVerdict
from audit_core.stats.estimates import MIN_PROMPTS, MIN_TEMPLATES, Estimate


@dataclass(frozen=True)
class Decoded:
    """What decodability is judged from."""

    accuracy: Estimate
    chance: float


@dataclass(frozen=True)
class Intervened:
    """What one intervention did."""

    name: str
    lost: Estimate
    moved: Estimate
    largest_random: float

    @property
    def is_supported(self) -> bool:
        return self.lost.low is not None and self.lost.low > DELTA and self.lost.value > self.largest_random

    @property
    def is_negligible(self) -> bool:
        return self.moved.high is not None and self.moved.high < DELTA


def judge_decoded(found: Decoded) -> tuple[bool | None, str]:
    """Whether a label is decodable, and why that is unresolved.

    Yes: the interval of the held-out accuracy lies above the more frequent label's share by at least `DELTA`. No: below it.
    """
    accuracy, bound = found.accuracy, found.chance + DELTA
    if (
        accuracy.low is None
        or accuracy.high is None
        or accuracy.n < MIN_PROMPTS
        or (accuracy.templates or 0) < MIN_TEMPLATES
    ):
        return None, f"fewer than {MIN_PROMPTS} texts or {MIN_TEMPLATES} templates"
    if accuracy.high < bound:
        return False, ""
    if not accuracy.low > bound:
        return None, f"the interval of the accuracy includes {bound:.2f}"
    return True, ""


def judge_site(
    decoded: Decoded, interventions: tuple[Intervened, ...], erased_accuracy: float | None, no_use: str
) -> tuple[ProbeVerdict, str]:
    """Verdict at a site, and why it is unresolved.

    Args:
        interventions: erasure and swap; empty where use could not be measured, which `no_use` explains.
        erased_accuracy: held-out accuracy of a new probe after the erasure.
    """
    is_decodable, why = judge_decoded(decoded)
    if is_decodable is False:
        return ProbeVerdict.ABSENT, ""
    if is_decodable is None:
        return ProbeVerdict.UNRESOLVED, why
    if not interventions:
        return ProbeVerdict.UNRESOLVED, f"decodable; {no_use}"
    few = min(one.lost.templates or 0 for one in interventions)
    if few < MIN_TEMPLATES or interventions[0].lost.n < MIN_PROMPTS:
        return ProbeVerdict.UNRESOLVED, f"decodable; fewer than {MIN_PROMPTS} edited texts or {MIN_TEMPLATES} templates"
    if all(one.is_supported for one in interventions):
        return ProbeVerdict.USED, ""
    if all(one.is_negligible for one in interventions):
        if erased_accuracy is None or erased_accuracy > decoded.chance + DELTA:
            return ProbeVerdict.UNRESOLVED, "decodable; the erasure left the label decodable"
        return ProbeVerdict.UNUSED, ""
    return ProbeVerdict.UNRESOLVED, f"decodable; {_explain(interventions)}"


def _explain(interventions: tuple[Intervened, ...]) -> str:
    supported = [one for one in interventions if one.is_supported]
    if supported:
        other = next(one for one in interventions if not one.is_supported)
        return f"the answer moves when it is {supported[0].name}, not as clearly when it is {other.name}"
    beaten = [one for one in interventions if (one.lost.low or 0) > DELTA]
    if beaten:
        return "a random subspace does as much"
    return f"the interval of the change includes {DELTA:.0%} of the lead"
