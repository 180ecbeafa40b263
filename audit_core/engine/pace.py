"""Run time prediction: how fast this machine runs a subject."""

from __future__ import annotations

import time
from collections.abc import Sequence

from audit_core.component import Kind
from audit_core.engine.row_pace import time_rows
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.prompts.answers import Contrast
from audit_core.prompts.prompt_set import Prompt, TokenisedPrompts, TokenPair
from audit_core.registry import get_plugin
from audit_core.subject import CrossAttention, Geometry, Images, Subject, Tables

MIN_WORK = 20_000
"""Runs with fewer units are mostly overhead and do not predict longer ones."""
TOKENS = 6
STEP = 2
"""Timing uses every second head."""
WITHOUT_HEADS = (Kind.RESID, Kind.CROSS_HEAD)
"""Timed where there are no heads of a decoder-only model: the first kind that a subject has."""
LEAST_S = 0.3
PROMPTS = 64
REPEATS = 3
ATTENTION_COST = 2.5
"""Time of a multiply-add in attention over that of one with the weights: from 128 to 2,048 tokens, 2.9 on the default model and 2.0 at
width 256 (measured; bench/lengths.json)."""


def measure_growth(geometry: Geometry, lengths: Sequence[int]) -> float:
    """Time of a token in prompts of these lengths over that of a token by itself, which has nothing to attend to."""
    mlp = 3 * (geometry.n_neurons or 4 * geometry.d_model)
    weights = geometry.d_model * (2 * geometry.d_head * (geometry.n_heads + geometry.n_key_value_heads) + mlp)
    if not weights or not sum(lengths):
        return 1.0
    a_key = ATTENTION_COST * 2 * geometry.n_heads * geometry.d_head / weights
    return 1 + a_key * sum(length * length for length in lengths) / sum(lengths)


class Pace:
    """Seconds per unit of work: from the last run of each audit, or from a calibration of this machine."""

    def __init__(self) -> None:
        self._machine_s: float | None = None
        self._audits_s: dict[str, float] = {}

    @property
    def is_calibrated(self) -> bool:
        """Whether this machine was timed."""
        return self._machine_s is not None

    def predict_s(self, audit: str, work: int) -> float | None:
        """Predicted seconds of this many units; None before the first timing."""
        if audit in self._audits_s:
            return self._audits_s[audit] * work
        return None if self._machine_s is None else self._machine_s * get_plugin("audits", audit).pace * work

    def keep(self, audit: str, wall_s: float, work: int) -> None:
        """Record the pace of a finished run; small runs are ignored."""
        if work >= MIN_WORK:
            self._audits_s[audit] = wall_s / work

    def calibrate(self, subject: Subject) -> None:
        """Time a run on made-up tokens; a classifier of images is timed on empty ones, a model of tables on zeros."""
        parts = subject.components(Kind.HEAD)[::STEP] or next(filter(None, map(subject.components, WITHOUT_HEADS)), ())
        if not parts:
            self._machine_s = _time_inputs(subject)
            return
        ids, other = _make_up(subject)
        pair = TokenPair(Prompt("pace", "", "", "", "", ""), ids, other, Contrast((), ((0,),), ((1,),)), (), ())
        prompts = TokenisedPrompts("pace", (pair,), "")
        edits = [intervene([part], Replacement.ZERO) for part in parts]
        # The first run of a process includes one-time costs and is not timed.
        _time(subject, prompts, edits[:1])
        took = _time(subject, prompts, edits)
        if took < LEAST_S:
            # In so small a model this was mostly overhead, which would overestimate long runs.
            prompts = TokenisedPrompts("pace", (pair,) * PROMPTS, "")
            took = min(_time(subject, prompts, edits) for _ in range(REPEATS))
        self._machine_s = took / subject.count_work(prompts, edits)


def _make_up(subject: Subject) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two rows of tokens that this subject can read."""
    if not isinstance(subject, CrossAttention):
        ids = tuple(range(2, 2 + TOKENS))
        return ids, ids[::-1]
    start = subject.start_id
    ids = tuple(token for token in range(2, 3 + TOKENS) if token != start)[: TOKENS - 1]
    middle = TOKENS // 2
    return (*ids[:middle], start, *ids[middle:]), (*ids[:middle][::-1], start, *ids[middle:])


def _time_inputs(subject: Subject) -> float | None:
    if isinstance(subject, Images):
        return _time_images(subject)
    return time_rows(subject) if isinstance(subject, Tables) and subject.n_features else None


def _time_images(subject: Images) -> float:
    """Seconds of a forward pass of one image, from gradients of empty images, which cost about three."""
    images, ends = subject.make_empty(PROMPTS), ([0] * PROMPTS, [1] * PROMPTS)
    subject.read_image_gradients(images, *ends)
    start = time.monotonic()
    for _ in range(REPEATS):
        subject.read_image_gradients(images, *ends)
    return (time.monotonic() - start) / (3 * PROMPTS * REPEATS)


def _time(subject: Subject, prompts: TokenisedPrompts, edits: Sequence[Intervention]) -> float:
    start = time.monotonic()
    subject.run(prompts, edits)
    return time.monotonic() - start
