"""What interventions take from unedited runs and from reference means."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit_core.component import Kind
from audit_core.engine.capture import Capture
from audit_core.engine.device import from_numpy
from audit_core.engine.means import MEANS, gather_means
from audit_core.engine.sites import find_kind
from audit_core.intervention import Intervention, PromptSide, Replacement
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Means

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Needs:
    """What interventions take from unedited runs."""

    kinds: frozenset[Kind]
    sides: tuple[PromptSide, ...]

    def list_rows(self, pairs: Sequence[TokenPair]) -> list[tuple[int, ...]]:
        """Tokens of one batch with all sides, so that weights are read once."""
        return [p.clean_ids if side is PromptSide.CLEAN else p.corrupted_ids for side in self.sides for p in pairs]

    def divide(self, run: Capture, n_prompts: int) -> dict[PromptSide, Capture]:
        """The run of each side from that of the batch; views."""
        return {side: run.take_rows(n * n_prompts, n_prompts) for n, side in enumerate(self.sides)}


def list_needs(interventions: Sequence[Intervention], extra: Collection[Kind] = ()) -> Needs:
    """Sites and sides of the unedited runs that these interventions take activations from.

    Args:
        extra: further kinds to capture.
    """
    from_run = (Replacement.RESAMPLE, Replacement.IDENTITY)
    kinds = {find_kind(e) for i in interventions for e in i.edits if e.replacement in from_run} | set(extra)
    sides = {i.side for i in interventions}
    sides |= {i.side.other for i in interventions if Replacement.RESAMPLE in i.replacements}
    return Needs(frozenset(kinds), tuple(sorted(sides)))


def list_edited(interventions: Sequence[Intervention]) -> frozenset[Kind]:
    """Kinds of the sites that these interventions edit; the mean of a pattern is that of its edges."""
    found = {find_kind(edit) for intervention in interventions for edit in intervention.edits}
    return frozenset(Kind.EDGE if kind is Kind.PATTERN else kind for kind in found)


def gather_sources(
    means: Means | None,
    pairs: Sequence[TokenPair],
    interventions: Sequence[Intervention],
    device: torch.device,
    *,
    kinds: Collection[Kind] | None = None,
) -> tuple[dict[Replacement, dict[Kind, torch.Tensor]], torch.Tensor | None]:
    """Means and ranges that these interventions insert or keep to; see `Sources`.

    Args:
        kinds: whose means are wanted; all that there are if None.
    """
    wanted = {r for i in interventions for r in i.replacements if r in MEANS}
    ranges = None if means is None or means.ranges is None else from_numpy(means.ranges.copy(), device)
    return {r: gather_means(means, pairs, r, device, kinds) for r in wanted}, ranges
