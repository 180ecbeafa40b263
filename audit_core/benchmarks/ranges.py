"""Check of ranges on benchmark items: the loss without the components again, with later neurons kept in range."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import NEURON_RANGES
from audit_core.component import Component
from audit_core.effect import Metric
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.intervention import Intervention
from audit_core.judging.usual_range import measure_kept, plan_kept
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.prompts.sequences import list_places
from audit_core.subject import Means, Subject

Floats = NDArray[np.float64]


class RangeKeeper:
    """Margins in range, of one chunk of items after the other; ranges are those of all measured items."""

    def __init__(
        self, subject: Subject, items: TokenisedPrompts, components: Sequence[Component], metric: Metric, seed: int
    ) -> None:
        """
        Args:
            items: all right items that are measured, with their answers: ranges cover every token that is read.
        """
        self.subject, self.components, self.metric, self.seed = subject, components, metric, seed
        self.why = NEURON_RANGES.explain_missing(subject)
        if not self.why and not plan_kept(subject, components, ()):
            self.why = "no MLP reads these components."
        self.ranges = None if self.why else NEURON_RANGES.of(subject).capture_ranges(list_places(items).prompts)
        self.found: list[Floats] = []

    def add(self, items: TokenisedPrompts, run: Intervention, means: Means | None) -> None:
        """Measure some of the items, unless it is known that it cannot be.

        Raises:
            ControlFailed: keeping an unedited run in range changed it.
        """
        if self.ranges is None:
            return
        runs = plan_kept(self.subject, self.components, (run,))
        try:
            found = measure_kept(
                self.subject, items, runs, self.metric, means=means, ranges=self.ranges, seed=self.seed
            )
        except ControlFailed:
            raise
        except NotMeasured as error:
            self.why, self.ranges = error.detail, None
            return
        self.found.append(found[0])

    def finish(self) -> tuple[Floats | None, str]:
        """Margins of all items in range, shape (item,), or the reason why there are none."""
        return (None, self.why) if self.why else (np.concatenate(self.found), "")
