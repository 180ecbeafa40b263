"""Benchmark: accuracy on the items of a file, beside the effect of components on the items that the model gets right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from audit_core.audit import Audit, Example, Verdicts, know_verdict
from audit_core.benchmarks.measurement import count_benchmark_work, measure_benchmark
from audit_core.benchmarks.prompting import ask_items
from audit_core.benchmarks.reading import read_benchmark
from audit_core.benchmarks.results import (
    AGAINST,
    CARRIES,
    NOT_TESTABLE,
    NOTHING,
    UNRESOLVED,
    BenchmarkFile,
    BenchmarkRequest,
    BenchmarkResult,
)
from audit_core.capability import HEADS, Capability
from audit_core.errors import Refused
from audit_core.request import Request
from audit_core.request_form import make_request, read_answers
from audit_core.subject import Means, Progress, Subject, no_partial

MAX_ITEMS = 2_000


def _know(reading: str) -> Verdicts:
    return Verdicts(lambda found: [found.reading], reading, frozenset({UNRESOLVED, NOT_TESTABLE}))


_EXAMPLES = (
    Example(
        {"components": "L1.H0"},
        "Both prompts of a pair are items; L1.H0 carries the answer.",
        lambda found: found.reading == CARRIES and found.accuracy.value == 1,
        verdicts=_know(CARRIES),
    ),
    Example(
        {"components": "L1.H1"},
        "L1.H1 attends to the answer and writes nothing: no effect.",
        lambda found: found.reading == NOTHING and abs(found.effect.value) < 1e-3,
        verdicts=_know(NOTHING),
    ),
)
_CONTRASTS = (know_verdict({"components": "L1.H3"}, "L1.H3 works against the answer.", _know(AGAINST)),)


@dataclass(frozen=True)
class BenchmarkAudit(Audit):
    name: str = "benchmark"
    question: str = "Does the model do this benchmark, and do these components matter where it is right?"
    request: type[Request] = BenchmarkRequest
    result: type = BenchmarkResult
    version: int = 2
    shown_versions: tuple[int, ...] = (1,)
    summary: str = (
        "Accuracy with its interval; apart from it, the loss on right items without the components, beside random sets."
    )
    examples: tuple[Example, ...] = _EXAMPLES
    contrasts: tuple[Example, ...] = _CONTRASTS
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (HEADS,)

    file_form: type | None = BenchmarkFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> BenchmarkRequest:
        asked = read_answers(BenchmarkFile, answers)
        if not 2 <= asked.most_items <= MAX_ITEMS:
            raise Refused(
                f"{asked.most_items} items.", wanted=f"2 to {MAX_ITEMS:,}.", remedy="change the number of items."
            )
        benchmark = read_benchmark(raw, name=name, form=asked.format)
        prompts, source = ask_items(benchmark, subject.tokenizer, asked.prompt_format, most=asked.most_items)
        request = make_request(
            BenchmarkRequest, answers, subject=subject, prompts=prompts, reference=prompts, explored=prompts, seed=seed
        )
        return replace(request, source=source)  # type: ignore[type-var,return-value]

    def count_work(self, subject: Subject, request: BenchmarkRequest) -> int:
        return count_benchmark_work(subject, request)

    def run(
        self,
        subject: Subject,
        request: BenchmarkRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> BenchmarkResult:
        return measure_benchmark(subject, request, on_progress)


PLUGIN = BenchmarkAudit()
