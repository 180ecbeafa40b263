"""Decisions: which facts about an applicant a model's decision depends on, and whether a protected one acts through another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Audit
from audit_core.capability import HEADS, Capability
from audit_core.decisions.measurement import measure_decisions
from audit_core.decisions.results import DecisionFile, DecisionsRequest, DecisionsResult
from audit_core.decisions.table import SubjectDecider, ask_rows
from audit_core.decisions.task import read_task
from audit_core.request import Request
from audit_core.request_form import read_answers
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class DecisionsAudit(Audit):
    name: str = "decisions"
    question: str = "Which facts about an applicant change the model's decision, and is one of them a proxy?"
    request: type[Request] = DecisionsRequest
    result: type = DecisionsResult
    version: int = 3
    shown_versions: tuple[int, ...] = (1, 2)
    no_rate: str = "One planted model of fixed weights, asked of the rows of one file: its rule is compared with every combination of levels in a test."
    summary: str = (
        "Each row of a file fills a template, and the model says yes or no. Every combination of levels is run. Flips, "
        "mediation, counterfactuals, reasons and anchors are read off these runs, beside Shapley values, LIME, surrogates and TCAV."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (HEADS,)
    file_form: type | None = DecisionFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> DecisionsRequest:
        asked = read_answers(DecisionFile, answers)
        task = read_task(
            raw, name=name, template=asked.template, slots=asked.slots, yes=asked.yes, no=asked.no, outcome=asked.outcome
        )  # fmt: skip
        return DecisionsRequest(ask_rows(task, task.rows, subject), task, seed)

    def count_work(self, subject: Subject, request: DecisionsRequest) -> int:
        n_cells = 1
        for slot in request.task.slots:
            n_cells *= len(slot.levels)
        n_tokens = len(request.prompts.pairs[0].clean_ids)
        return subject.geometry.n_layers * n_tokens * (len(request.prompts) + n_cells)

    def run(
        self,
        subject: Subject,
        request: DecisionsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> DecisionsResult:
        return measure_decisions(
            SubjectDecider(subject, request.task), request.task, seed=request.seed, on_progress=on_progress
        )  # fmt: skip


PLUGIN = DecisionsAudit()
