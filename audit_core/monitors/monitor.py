"""A monitor: a frozen signal on one layer of one model, its thresholds, and what was measured of it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from audit_core.activations import TokenReading
from audit_core.errors import Refused
from audit_core.evidence.canonical import hash_document
from audit_core.monitors.calibration import Array, RateBound
from audit_core.monitors.causal import DRAWS, CausalStep
from audit_core.monitors.drift import DriftRule
from audit_core.monitors.evaluation import Baseline, Found
from audit_core.monitors.scoring import TextRule
from audit_core.monitors.signals import Signal, SignalKind
from audit_core.stats.estimates import Estimate
from audit_core.subject import Subject, read_only

FORMAT = 2
"""Format 1, which is read too, has no end of validity and no digests of its texts."""
OF_FORMAT_2 = ("valid_days", "valid_texts")
VALID_DAYS = 180
"""Days for which a monitor is valid unless the recipe says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a monitor is made."""

    name: str
    signal: SignalKind = SignalKind.PROBE
    layer: int = 0
    """Its residual stream is read where it enters this layer."""
    rule: TextRule = field(default_factory=TextRule)
    rate: float = 0.05
    """Stated false-alarm rate, per text."""
    rate_bound: RateBound = RateBound.THIS_SET
    dictionary: str = ""
    feature: int = 0
    """For a feature: a shipped dictionary and the feature's number in it."""
    run_length: int = 1_000
    """Texts between false alarms of the drift rule."""
    draws: int = DRAWS
    """Random directions of the causal step; 0 leaves it out."""
    examples: int = 0
    """Texts that are kept in the file, to be shown; 0 keeps none."""
    seed: int = 0
    valid_days: int = VALID_DAYS
    """Days after which it has expired; 0: it names no date."""
    valid_texts: int = 0
    """Texts after which it has expired; 0: it names no number."""


@dataclass(frozen=True)
class ModelId:
    """The model that a monitor was calibrated on."""

    model: str
    short: str
    """Digest of weights, tokenizer and configuration."""
    weights_sha256: str


@dataclass(frozen=True)
class Counts:
    """Texts of each part."""

    fit: int
    fit_cases: int
    calibration: int
    test: int
    cases: int


@dataclass(frozen=True)
class Example:
    """A text with the scores of its tokens; kept only if the recipe asks for it."""

    id: str
    is_case: bool
    onset: int | None
    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    """Of every token."""
    baseline: tuple[float, ...]
    """Of the best baseline; 0 at the first token of a surprise, which nothing predicts and no rule counts."""


@dataclass(frozen=True)
class Report:
    """What was measured when the monitor was made; detection and causal step are apart and have no number in common."""

    found: Found
    baselines: tuple[Baseline, ...]
    best: str
    """The baseline that detects most on these cases: chosen afterwards, in the baseline's favour."""
    difference: Estimate | None
    lead: Estimate | None
    why_no_detection: str
    """Why nothing was detected or compared; empty if it was."""
    auroc: float | None
    multiply_adds: int
    drift: DriftRule
    causal: CausalStep | None
    why_no_causal: str
    counts: Counts
    examples: tuple[Example, ...]


@dataclass(frozen=True, eq=False)
class Monitor:
    """A frozen monitor, as one file holds it."""

    recipe: Recipe
    model: ModelId
    signal: Signal
    calibration: Array
    """Scores of the calibration texts, ascending; shape (text,)."""
    report: Report
    texts_sha256: str
    """Of all texts that it was made from."""
    made_at: str
    seen: tuple[str, ...] = ()
    """Digest of each text that was fitted or calibrated on, so that no check uses it again; empty in format 1."""
    format: int = FORMAT

    def __post_init__(self) -> None:
        read_only(self.calibration)

    @property
    def threshold(self) -> float:
        return self.report.found.threshold.value

    @property
    def sha256(self) -> str:
        """Digest of everything in it."""
        found = hashlib.sha256(hash_document(self.describe()).encode())
        for name, array in sorted(self.arrays.items()):
            found.update(f"{name} {array.shape}".encode())
            found.update(np.ascontiguousarray(array, "<f8").tobytes())
        return found.hexdigest()

    @property
    def arrays(self) -> dict[str, Array]:
        """The numbers of the signal, and the calibration scores."""
        own = {one.name: getattr(self.signal, one.name) for one in fields(self.signal)}  # type: ignore[arg-type]
        return own | {"calibration": self.calibration}

    def describe(self) -> dict[str, Any]:
        """Everything but the arrays, as plain values."""
        recipe, more = asdict(self.recipe), {"seen": list(self.seen)}
        if self.format == 1:
            recipe, more = {key: value for key, value in recipe.items() if key not in OF_FORMAT_2}, {}
        return {
            "format": self.format, "recipe": recipe, "model": asdict(self.model), "report": asdict(self.report),
            "texts_sha256": self.texts_sha256, "made_at": self.made_at,
        } | more  # fmt: skip

    def require_model(self, subject: Subject) -> None:
        """Refuse a model that the monitor was not calibrated on.

        Raises:
            Refused: another digest of weights, tokenizer or configuration.
        """
        if subject.identity.short != self.model.short:
            raise Refused(
                f"Monitor {self.recipe.name[:60]!r} was calibrated on {self.model.model[:60]} ({self.model.short}), "
                f"not on {subject.identity.model[:60]} ({subject.identity.short}).",
                wanted="the same weights, tokenizer and configuration: its false-alarm rate holds for no other.",
                remedy="calibrate it on this model: `monitor fit`.",
            )

    def score_tokens(self, reading: TokenReading) -> Array:
        """Score of every token, shape (pos,)."""
        return self.signal.score(reading.stream)
