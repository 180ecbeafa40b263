"""Evaluation of a sparse dictionary: loss recovered, sparse probing and absorption, beside directions that know nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Audit
from audit_core.capability import ACTIVATIONS, Capability
from audit_core.features.evaluation import DictionaryEvaluation
from audit_core.features.held_out import TextsFile, read_text_file
from audit_core.features.whole import EvaluationRequest, count_evaluation, measure_evaluation
from audit_core.request import Request
from audit_core.request_form import list_form_fields, read_answers
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class FeatureEvaluationAudit(Audit):
    name: str = "feature_evaluation"
    question: str = "Does a dictionary rebuild activations, and hold labels, better than random directions do?"
    request: type[Request] = EvaluationRequest
    result: type = DictionaryEvaluation
    version: int = 1
    no_rate: str = "It measures without a verdict, and its request is made of a file of texts."
    summary: str = (
        "The activations of a layer are replaced by what the dictionary rebuilds of them, beside random directions that fire as "
        "often and as many principal components. Apart from it, sparse probes and features of first letters are read."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (ACTIVATIONS,)
    file_form: type | None = TextsFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> EvaluationRequest:
        self.require(subject)
        most = read_answers(TextsFile, answers).most_texts
        prompts, source = read_text_file(raw, name, subject.tokenizer, most=most)
        given = {
            one.name: one.parse(answers[one.name]) for one in list_form_fields(self.request) if one.name in answers
        }
        return EvaluationRequest(prompts, source, seed=seed, **given)

    def count_work(self, subject: Subject, request: EvaluationRequest) -> int:
        return count_evaluation(subject, request)

    def run(
        self,
        subject: Subject,
        request: EvaluationRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> DictionaryEvaluation:
        return measure_evaluation(subject, request, on_progress)


PLUGIN = FeatureEvaluationAudit()
