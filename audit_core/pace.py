"""How fast this machine runs a subject, so that long work can say how long it will take."""

from __future__ import annotations

import time
from collections.abc import Sequence

from audit_core.component import Kind
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.prompts.answers import Contrast
from audit_core.prompts.prompt_set import Prompt, TokenisedPrompts, TokenPair
from audit_core.subject import Subject

MIN_WORK = 20_000
"""Units below which a run is mostly overhead and says nothing of longer ones."""
TOKENS = 6
STEP = 2
"""Every second head is enough to time."""
LEAST_S = 0.3
PROMPTS = 64
REPEATS = 3


class Pace:
    """Seconds per unit of work: of each audit as it ran last, until then of this machine."""

    def __init__(self) -> None:
        self._machine_s: float | None = None
        self._audits_s: dict[str, float] = {}

    def predict_s(self, audit: str, work: int) -> float | None:
        """Seconds for so many units; None before anything was measured."""
        unit_s = self._audits_s.get(audit, self._machine_s)
        return None if unit_s is None else unit_s * work

    def keep(self, audit: str, wall_s: float, work: int) -> None:
        """Learn from a run that has ended; small ones are left out."""
        if work >= MIN_WORK:
            self._audits_s[audit] = wall_s / work

    def calibrate(self, subject: Subject) -> None:
        """Measure on made-up tokens."""
        ids = tuple(range(2, 2 + TOKENS))
        pair = TokenPair(Prompt("pace", "", "", "", "", ""), ids, ids[::-1], Contrast((), ((0,),), ((1,),)), (), ())
        prompts = TokenisedPrompts("pace", (pair,), "")
        parts = subject.components(Kind.HEAD)[::STEP] or subject.components(Kind.RESID)
        edits = [intervene([part], Replacement.ZERO) for part in parts]
        # The first run of a process pays for much that no later one does, and is not timed.
        _time(subject, prompts, edits[:1])
        took = _time(subject, prompts, edits)
        if took < LEAST_S:
            # So small a model that this was mostly overhead: its long runs would seem to take forever.
            prompts = TokenisedPrompts("pace", (pair,) * PROMPTS, "")
            took = min(_time(subject, prompts, edits) for _ in range(REPEATS))
        self._machine_s = took / subject.count_work(prompts, edits)


def _time(subject: Subject, prompts: TokenisedPrompts, edits: Sequence[Intervention]) -> float:
    start = time.monotonic()
    subject.run(prompts, edits)
    return time.monotonic() - start
