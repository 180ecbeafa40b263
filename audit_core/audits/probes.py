"""Probes: where a label can be decoded, beside where the answer relies on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from audit_core.audit import Audit, Example, Verdicts
from audit_core.capability import ACTIVATIONS, Capability, components_of
from audit_core.component import Kind
from audit_core.errors import Refused
from audit_core.probes.measurement import MAX_TEXTS, count_work_of, measure_probes
from audit_core.probes.reading import ask_labelled
from audit_core.probes.results import ProbesFile, ProbesRequest, ProbesResult, ProbeVerdict
from audit_core.request import Request
from audit_core.request_form import make_request, read_answers
from audit_core.subject import Means, Progress, Subject, no_partial

_EXAMPLES = (
    Example(
        {"layers": "3"},
        "Before the last layer the majority is decodable at the answer position, and erasing or swapping it changes the answer.",
        lambda found: found.sites[-1].verdict == ProbeVerdict.USED,
        task="vote",
        verdicts=Verdicts(
            lambda found: [found.sites[-1].verdict], ProbeVerdict.USED.value, frozenset({ProbeVerdict.UNRESOLVED.value})
        ),
    ),
)


@dataclass(frozen=True)
class ProbesAudit(Audit):
    name: str = "probes"
    question: str = "Where can a label be decoded, and where does the answer rely on it?"
    request: type[Request] = ProbesRequest
    result: type = ProbesResult
    version: int = 1
    summary: str = (
        "A linear probe reads a label from each layer, on templates and words that it has not seen. Apart from it, the label "
        "is erased there, and swapped between texts, against random subspaces of equal rank."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    planted: str = "planted-strict"
    examples: tuple[Example, ...] = _EXAMPLES
    demands: tuple[Capability[Any], ...] = (ACTIVATIONS, components_of(Kind.RESID))
    file_form: type | None = ProbesFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> ProbesRequest:
        self.require(subject)
        most = read_answers(ProbesFile, answers).most_texts
        if not 4 <= most <= MAX_TEXTS:
            raise Refused(f"{most} texts.", wanted=f"4 to {MAX_TEXTS:,}.", remedy="change the number.")
        prompts, source = ask_labelled(raw, name, subject.tokenizer, most=most)
        request = make_request(
            ProbesRequest, answers, subject=subject, prompts=prompts, reference=prompts, explored=prompts, seed=seed
        )
        return replace(request, source=source)  # type: ignore[type-var,return-value]

    def count_work(self, subject: Subject, request: ProbesRequest) -> int:
        return count_work_of(subject, request)

    def run(
        self,
        subject: Subject,
        request: ProbesRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> ProbesResult:
        return measure_probes(subject, request, on_progress)


PLUGIN = ProbesAudit()
