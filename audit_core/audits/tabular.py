"""Tabular models: which features change a model's decisions, beside models that can be read directly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Audit
from audit_core.capability import TABLES, Capability
from audit_core.errors import Refused
from audit_core.request import Request
from audit_core.request_form import read_answers
from audit_core.subject import Means, Progress, Subject, no_partial
from audit_core.tabular.measurement import count_work, measure_table
from audit_core.tabular.prompts import ask_rows
from audit_core.tabular.results import TabularFile, TabularRequest, TabularResult
from audit_core.tabular.table import read_table


@dataclass(frozen=True)
class TabularAudit(Audit):
    name: str = "tabular"
    question: str = "Which features of a row change a tabular model's decision, and would a readable model do as well?"
    request: type[Request] = TabularRequest
    result: type = TabularResult
    version: int = 2
    shown_versions: tuple[int, ...] = (1,)
    no_rate: str = "Its request is made of a file of rows: the models with known rules are built in a test."
    summary: str = (
        "Each feature of a row is changed in the model's input: shifts, curves, permutation, counterfactuals, reasons and anchors, "
        "beside Shapley values and LIME. Logistic regression, an explainable boosting machine and a short tree are compared."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (TABLES,)
    file_form: type | None = TabularFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> TabularRequest:
        self.require(subject)
        asked, tables = read_answers(TabularFile, answers), TABLES.of(subject)
        task = read_table(
            raw, name=name, outcome=asked.outcome, yes=asked.yes, split=asked.split, marks=asked.marks, reading=asked.reading
        )  # fmt: skip
        columns = tuple(one.name for one in task.features)
        if tables.n_features not in (0, len(columns)) or tables.names not in ((), columns):
            wanted = ", ".join(tables.names) or f"{tables.n_features} features"
            raise Refused(
                f"{len(columns)} features: {', '.join(columns)[:200]!a}.", wanted=f"{wanted[:200]!a}, in this order.",
                remedy="name the outcome column, and leave other columns out.",
            )  # fmt: skip
        return TabularRequest(ask_rows(task), task, seed)

    def count_work(self, subject: Subject, request: TabularRequest) -> int:
        return count_work(request.task)

    def run(
        self,
        subject: Subject,
        request: TabularRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> TabularResult:
        return measure_table(TABLES.of(subject), request.task, seed=request.seed, on_progress=on_progress)


PLUGIN = TabularAudit()
