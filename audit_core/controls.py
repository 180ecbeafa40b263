"""Instrument checks of a run: evidence that its hooks change what they edit and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit_core.component import Component, Kind
from audit_core.errors import ControlFailed
from audit_core.evidence.kind import NotEvidence
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Edit, Intervention, Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Logits, Subject

NOISE_FACTOR = 100.0
"""Under the noise control a working hook changes a logit by more than this many tolerances (methods 1.5)."""


@dataclass(frozen=True)
class Controls:
    """Instrument checks of one run: evidence that its hooks worked."""

    identity_max: NotEvidence[float]
    """Identity control: largest change when activations are replaced by themselves, in logits."""
    noise_min: NotEvidence[float]
    """Noise control: smallest change by large noise over edited layers and kinds, in logits."""
    tolerance: NotEvidence[float]
    """Numerical noise of this subject, in logits."""
    edits: int
    """Edits applied: all requested ones."""

    def to_json(self) -> dict[str, float | int]:
        return {
            "identity_max_logit": self.identity_max,
            "noise_min_logit": self.noise_min,
            "tolerance_logit": self.tolerance,
            "edits_applied": self.edits,
        }


@dataclass(frozen=True)
class ControlRuns:
    """Identity and noise controls at every edited layer and kind."""

    places: tuple[tuple[Kind, int], ...]
    runs: tuple[Intervention, ...]
    """The identity control at all sites together, then noise at one site per run."""


def plan_controls(subject: Subject, interventions: Sequence[Intervention]) -> ControlRuns:
    """The controls of a run. Noise covers all components of a layer at the answer position, because a single head with zero
    output weights would look like a dead hook. In an encoder it covers all positions: the answer may read any of them, and
    what the last encoder layer writes at a place that no decoder head reads changes nothing."""
    # A feature is read and written in the residual stream: that is its hook, where its dictionary is not the model's.
    edits = [edit for i in interventions for edit in i.edits]
    kinds = {(edit.component.kind if edit.block is None else Kind.RESID, edit.component.layer) for edit in edits}
    if any(kind is Kind.FEATURE for kind, _ in kinds) and not subject.components(Kind.FEATURE):
        kinds = {(Kind.RESID if kind is Kind.FEATURE else kind, layer) for kind, layer in kinds}
    places = tuple(sorted(kinds))
    if not places:
        return ControlRuns((), ())
    parts: dict[tuple[Kind, int], list[Component]] = {}
    for kind in {kind for kind, _ in places}:
        for part in subject.components(kind):
            parts.setdefault((kind, part.layer), []).append(part)
    sites = [parts[place] for place in places]
    same = Intervention(tuple(Edit(part, Replacement.IDENTITY) for site in sites for part in site))
    last = [[part if part.kind is Kind.ENCODER_HEAD else replace(part, position=-1) for part in site] for site in sites]
    return ControlRuns(
        places, (same, *(Intervention(tuple(Edit(part, Replacement.NOISE) for part in site)) for site in last))
    )


def run_controls(
    subject: Subject, prompts: TokenisedPrompts, controls: ControlRuns, edits: int, *, seed: int
) -> Controls:
    """Controls on the first of many prompts: whether a hook works does not depend on the text."""
    first = replace(prompts, pairs=prompts.pairs[:1])
    logits = subject.run(first, (CLEAN_RUN, CORRUPTED_RUN, *controls.runs), vocabulary=True, seed=seed)
    return check_controls(subject, controls, logits, 2, edits)


def check_controls(subject: Subject, controls: ControlRuns, logits: Logits, first: int, edits: int) -> Controls:
    """Check control runs: rows from `first` on of these logits of one prompt; row 0 is the clean run.

    Raises:
        ControlFailed: identity changed a logit, or noise changed none.
    """
    if not controls.runs:
        return Controls(0.0, float("inf"), subject.tolerance, edits)
    read = np.stack([logits.answer, logits.foil], -1)[:, 0] if logits.vocabulary is None else logits.vocabulary[:, 0]
    change = np.abs(read[first:] - read[0]).max(1)
    identity, moved = float(change[0]), change[1:]
    if not identity <= subject.tolerance:
        raise ControlFailed(f"Replacing activations by themselves changed a logit by {identity:.3g}.")
    for (kind, layer), moving in zip(controls.places, moved, strict=True):
        if not moving > NOISE_FACTOR * subject.tolerance:
            raise ControlFailed(
                f"Large noise on every {kind} of layer {layer} changed no logit: this hook does not work."
            )
    return Controls(identity, float(moved.min()), subject.tolerance, edits)


def join_controls(found: Sequence[Controls]) -> Controls:
    """Merge controls of several measurements: the worst value of each."""
    return Controls(
        max(controls.identity_max for controls in found),
        min(controls.noise_min for controls in found),
        found[0].tolerance,
        sum(controls.edits for controls in found),
    )


def check_arrived(applied: int, all_runs: Sequence[Intervention], prompts: TokenisedPrompts) -> None:
    """Check that every edit was applied.

    Raises:
        ControlFailed: some were not.
    """
    wanted = sum(len(i.edits) for i in all_runs) * len(prompts)
    if applied != wanted:
        raise ControlFailed(f"{wanted - applied} of {wanted} edits were not applied; no number is reported.")
