"""Features in two versions of a model: which of a dictionary's features fire differently on the same texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Audit, Example
from audit_core.capability import ACTIVATIONS, Capability
from audit_core.dictionaries.shelf import PLANTED
from audit_core.features.difference import SAME, FiringDifference
from audit_core.features.held_out import TextsFile, read_text_file
from audit_core.features.whole import VersionsRequest, count_comparison, measure_comparison
from audit_core.request import Request
from audit_core.request_form import make_request, read_answers
from audit_core.subject import Means, Progress, Subject, no_partial

_EXAMPLES = (
    Example(
        {"other_model": "planted-and", "dictionary": PLANTED},
        "planted-and writes neither the majority nor the last letter, so that every feature of them falls silent.",
        lambda found: found.n_differ == found.n_features and all(row.second.value == 0 for row in found.rows),
        task="vote",
        is_of_first_build=True,
    ),
    Example(
        {"other_model": "planted-induction", "dictionary": PLANTED},
        "A model that differs only after the layer of the dictionary has no feature that fires differently.",
        lambda found: found.n_differ == 0 and found.stream_change <= SAME,
        task="vote",
        is_of_first_build=True,
    ),
)


@dataclass(frozen=True)
class FeatureVersionsAudit(Audit):
    name: str = "feature_versions"
    question: str = "Which features fire differently in two versions of a model?"
    request: type[Request] = VersionsRequest
    result: type = FiringDifference
    version: int = 1
    summary: str = (
        "The same texts are read by both versions, feature by feature: share of tokens on which it fires, and mean value, with "
        "intervals and a false discovery rate, beside the same test on two splits of the texts. A difference in firing is no "
        "difference in use."
    )
    # Firing is read and nothing is changed, so that no effect of a component is revealed.
    shows_results: bool = False
    examples: tuple[Example, ...] = _EXAMPLES
    demands: tuple[Capability[Any], ...] = (ACTIVATIONS,)
    file_form: type | None = TextsFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> VersionsRequest:
        self.require(subject)
        most = read_answers(TextsFile, answers).most_texts
        prompts, _ = read_text_file(raw, name, subject.tokenizer, most=most)
        return make_request(  # type: ignore[return-value]
            VersionsRequest, answers, subject=subject, prompts=prompts, reference=prompts, explored=prompts, seed=seed
        )

    def count_work(self, subject: Subject, request: VersionsRequest) -> int:
        return count_comparison(subject, request)

    def run(
        self,
        subject: Subject,
        request: VersionsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> FiringDifference:
        return measure_comparison(subject, request, on_progress)


PLUGIN = FeatureVersionsAudit()
