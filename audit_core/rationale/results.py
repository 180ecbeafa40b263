"""Result of the audit of rationales, and its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit_core.controls import Controls
from audit_core.evidence.kind import Causal, Evidence, NotEvidence, Observational
from audit_core.result_layout import Sheet
from audit_core.stats.estimates import Estimate


@dataclass(frozen=True, kw_only=True)
class EditRow:
    """One kind of edit, over all questions."""

    edit: str
    """A value of `EditKind`."""
    step: int
    """The step that it begins at or the cut comes after; 0 for none."""
    followed: Causal[Estimate]
    """Share of answers that become the one that the mistake, or the hint, leads to."""
    changed: Causal[Estimate]
    """Share of answers that become another one."""


@dataclass(frozen=True, kw_only=True)
class TemplateRow:
    """The questions of one template."""

    template: str
    verdict: str
    reason: str
    n: int
    accuracy: Observational[Estimate]
    accuracy_without: Observational[Estimate]
    last: Causal[Estimate]
    """Follows an edit of the last step."""
    kept: Causal[Estimate]
    """Follows any mistake with the last step kept."""
    removed: Causal[Estimate]
    """Follows the mistake without the last step."""
    reworded: Causal[Estimate]
    """Changes under a rewording."""


@dataclass(frozen=True, kw_only=True)
class VerdictShare:
    """Questions whose single answers have the pattern of a verdict."""

    verdict: str
    count: int
    share: Causal[Estimate]


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """The mean of a common metric on these questions; higher is taken for more dependence."""

    metric: str
    title: str
    mean: Causal[Estimate]


@dataclass(frozen=True, kw_only=True)
class QuestionRow:
    """One question, with the answer after every edit."""

    id: str
    template: str
    pattern: str
    """A value of `Verdict`: what its single answers look like."""
    expected: str
    mistaken: str
    answers: tuple[tuple[str, int, str], ...]
    """Edit, step, and the token that the model answers; the unedited text first."""


@dataclass(frozen=True, kw_only=True)
class RationaleResult:
    """Whether answers rely on the steps before them. Its verdicts are about use of the text, not about sincerity."""

    finding: str
    verdict: str
    """A value of `Verdict`."""
    reason: str
    """Why it is unresolved; empty otherwise."""
    prompts: str
    n: int
    left_out: tuple[tuple[str, int], ...]
    delta: NotEvidence[float]
    accuracy: Observational[Estimate]
    """Share of questions whose most probable next token is the right answer."""
    accuracy_without: Observational[Estimate]
    """The same without steps, also in the examples."""
    lost_without: Observational[Estimate]
    """Right with steps and wrong without."""
    hint_direct: Causal[Estimate]
    """Follows a hint with the steps as written."""
    hint_through: Causal[Estimate]
    """Follows steps written to the hint, without the hint."""
    hint_both: Causal[Estimate]
    """Follows hint and steps together."""
    hint_floor: Causal[Estimate]
    """Changes under a hint without an answer."""
    shares: tuple[VerdictShare, ...]
    templates: tuple[TemplateRow, ...]
    edits: tuple[EditRow, ...]
    metrics: tuple[MetricRow, ...]
    questions: tuple[QuestionRow, ...]
    controls: Controls


def list_sheets(result: RationaleResult) -> tuple[Sheet, ...]:
    """The tables of a result: verdicts, templates, edits, metrics and single answers."""
    end = ("low", "high", "n")
    return (
        Sheet(
            "verdicts", ("verdict", "questions", "share", *end),
            tuple((row.verdict, row.count, *_cells(row.share)) for row in result.shares), (Evidence.CAUSAL,),
        ),
        Sheet(
            "templates",
            ("template", "verdict", "reason", *(f"{name}{part}" for name in _OF_TEMPLATE for part in ("", " low", " high", " n"))),
            tuple(
                (row.template, row.verdict, row.reason, *(cell for name in _OF_TEMPLATE for cell in _cells(getattr(row, name))))
                for row in result.templates
            ),
            (Evidence.OBSERVATIONAL, Evidence.CAUSAL),
        ),
        Sheet(
            "edits", ("edit", "step", "followed", *end, "changed", "changed low", "changed high", "changed n"),
            tuple((row.edit, row.step or None, *_cells(row.followed), *_cells(row.changed)) for row in result.edits),
            (Evidence.CAUSAL,),
        ),
        Sheet(
            "metrics", ("metric", "mean", *end), tuple((row.title, *_cells(row.mean)) for row in result.metrics),
            (Evidence.CAUSAL,),
        ),
        Sheet(
            "answers", ("question", "template", "pattern", "expected", "after the mistake", "edit", "step", "answer"),
            tuple(
                (row.id, row.template, row.pattern, row.expected, row.mistaken, edit, step or None, answer)
                for row in result.questions
                for edit, step, answer in row.answers
            ),
            (Evidence.CAUSAL,),
        ),
    )  # fmt: skip


_OF_TEMPLATE = ("accuracy", "accuracy_without", "last", "kept", "removed", "reworded")


def _cells(value: Estimate) -> tuple[Any, ...]:
    return value.value, value.low, value.high, value.n
