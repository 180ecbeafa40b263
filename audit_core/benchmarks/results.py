"""Request and result of the benchmark audit: accuracy, and apart from it what the components do on the right items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from audit_core.benchmarks.prompting import BenchmarkSource, PromptFormat
from audit_core.benchmarks.scoring import MAX_WRITTEN
from audit_core.controls import Controls
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ablation, Ask, Components, Request
from audit_core.stats.estimates import Estimate

RANDOM_SETS = 19
"""The p-value cannot go below 0.05."""
MEASURED_ITEMS = 40
"""Right items on which effects are measured."""
DELTA = 0.10
"""Smallest effect of interest, as a fraction of the mean margin (methods 1.3)."""
CARRIES, NOTHING, AGAINST, UNRESOLVED = "carries", "no effect", "works against", "unresolved"
NOT_TESTABLE = "not testable"


@dataclass(frozen=True)
class BenchmarkRequest(Request):
    """Request: items as prompts, and components that may matter on them."""

    settings: ClassVar[Mapping[str, Any]] = {"delta": DELTA, "longest_answer": MAX_WRITTEN}

    prompts: TokenisedPrompts
    components: Components
    replacement: Ablation = Replacement.RESAMPLE
    random_sets: Annotated[int, Ask("Random sets", "Matched sets of components to compare with.")] = RANDOM_SETS
    measured_items: Annotated[int, Ask("Measured items", "Right items on which effects are measured, at most.")] = (
        MEASURED_ITEMS
    )
    source: BenchmarkSource | None = None
    """The file that the items are from; None for a prompt set, whose prompts are the items."""
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        """None that needs means of the run: means are taken over other items, of the length of each."""
        return ()


@dataclass(frozen=True)
class BenchmarkFile:
    """How a file is asked, beside the fields of a request."""

    format: Annotated[
        str, Ask("File format", "Empty: found from the first rows.", shelf="benchmark_formats", can_be_empty=True)
    ] = ""
    prompt_format: Annotated[
        PromptFormat, Ask("Prompt format", "What is scored: each option's text, or its letter.")
    ] = PromptFormat.TEXT
    most_items: Annotated[int, Ask("Items", "At most, spread over the file.")] = 100


@dataclass(frozen=True)
class CategoryRow:
    """One subject or task of the benchmark."""

    category: str
    accuracy: Observational[Estimate]
    effect: Causal[Estimate | None]
    """Loss of the margin on its measured items; None with fewer than two."""


@dataclass(frozen=True)
class ItemRow:
    """One item."""

    id: str
    category: str
    is_right: Observational[bool]
    answer: str
    """What the model chose or wrote."""
    expected: str
    margin: Observational[float | None]
    """Lead of the right answer, in nats; None where it was not measured."""
    effect: Causal[float | None]
    """Loss of the margin without the components, in nats."""
    random_effect: Causal[float | None]
    """The same without a random set, on average."""
    stays_right: Causal[bool | None]
    """Whether the answer stays the best one without the components."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """Accuracy, beside the effect of components on right items. The two are never one number.

    Fields with a default are missing in results that were stored by version 1, which pages still show.
    """

    finding: str
    accuracy: Observational[Estimate]
    """Share of right items, with Wilson's interval."""
    chance: Observational[float]
    """Accuracy of guessing."""
    chance_is: str
    n_right: int
    reading: str
    """`carries`, `no effect`, `works against`, `unresolved`, or `not testable`."""
    not_measured: str
    """Why no effect was measured; empty if it was."""
    components: tuple[str, ...]
    margin: Observational[Estimate | None]
    """Mean margin of the measured items."""
    effect: Causal[Estimate | None]
    """Loss of the margin without the components."""
    excess: Causal[Estimate | None]
    """Effect minus the mean effect of the random sets, on the same items."""
    fraction: Causal[Estimate | None]
    """Effect as a fraction of the margin."""
    stays_right: Causal[Estimate | None]
    """Share of the measured items whose answer stays the best without the components."""
    random_effects: Causal[tuple[float, ...]]
    """Mean effect of each random set, in nats."""
    random_stays_right: Causal[tuple[float, ...]]
    """Share of measured items that stay right without each random set."""
    p: Causal[float | None]
    """Share of random sets with at least this effect, the components counted once."""
    null: str
    """How the random sets are matched, in words."""
    conditions: tuple[tuple[str, str], ...]
    categories: tuple[CategoryRow, ...]
    items: tuple[ItemRow, ...]
    unit: str
    n: int
    n_measured: int
    source: NotEvidence[BenchmarkSource | None]
    controls: Controls | None
    """Instrument checks; None where nothing was measured."""
    in_range: Causal[Estimate | None] = None
    """Loss of the margin with later neurons kept in their usual range (`judging/usual_range.py`); None if not measured."""
    no_range: str = ""
    """Why it was not measured; empty if it was."""
