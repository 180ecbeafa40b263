"""Features of a sparse dictionary: what they fire on, whether their label holds, and what their ablation does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from audit_core.audit import Audit, Example, Verdicts
from audit_core.capability import ACTIVATIONS, Capability, components_of
from audit_core.component import Kind
from audit_core.dictionaries.shelf import PLANTED
from audit_core.errors import Refused
from audit_core.features.report import count_work_of, measure_request
from audit_core.features.request import FeaturesRequest, FeaturesResult
from audit_core.features.results import EffectVerdict, LabelVerdict
from audit_core.probes.reading import ask_labelled
from audit_core.probes.results import ProbesFile
from audit_core.request import Request
from audit_core.request_form import make_request, read_answers
from audit_core.subject import Means, Progress, Subject, no_partial

_MOST_TEXTS = 2_000
_EXAMPLES = (
    Example(
        {"dictionary": PLANTED, "features": "L1.F0 L1.F1", "described": "A"},
        "L1.F0 fires where the majority is A, and zeroing it changes the answer. L1.F1 fires on the last letter, and zeroing it "
        "changes nothing.",
        lambda found: (
            [row.effect_verdict for row in found.rows] == [EffectVerdict.EFFECT, EffectVerdict.NONE]
            and found.rows[0].label_verdict == LabelVerdict.PLAUSIBLE
        ),
        task="vote",
        is_of_first_build=True,
        verdicts=Verdicts(
            lambda found: [*(row.effect_verdict for row in found.rows), found.rows[0].label_verdict],
            (EffectVerdict.EFFECT.value, EffectVerdict.NONE.value, LabelVerdict.PLAUSIBLE.value),
            frozenset({EffectVerdict.UNRESOLVED.value, LabelVerdict.UNTESTED.value}),
        ),
    ),
)


@dataclass(frozen=True)
class FeaturesAudit(Audit):
    name: str = "features"
    question: str = "Does a feature fire on what its label says, and does the answer change without it?"
    request: type[Request] = FeaturesRequest
    result: type = FeaturesResult
    version: int = 1
    summary: str = (
        "A feature's values are read on the prompts, and its label is tested by detection. Apart from it, the feature is set to "
        "zero and to its mean, against random features that fire as often and as strongly."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    examples: tuple[Example, ...] = _EXAMPLES
    demands: tuple[Capability[Any], ...] = (ACTIVATIONS, components_of(Kind.RESID))
    file_form: type | None = ProbesFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> FeaturesRequest:
        self.require(subject)
        most = read_answers(ProbesFile, answers).most_texts
        if not 4 <= most <= _MOST_TEXTS:
            raise Refused(f"{most} texts.", wanted=f"4 to {_MOST_TEXTS:,}.", remedy="change the number.")
        prompts, source = ask_labelled(raw, name, subject.tokenizer, most=most)
        asked = make_request(
            FeaturesRequest, answers, subject=subject, prompts=prompts, reference=prompts, explored=prompts, seed=seed
        )
        labels = sorted({pair.prompt.group for pair in prompts.pairs})
        assert isinstance(asked, FeaturesRequest)
        described = asked.described or labels[-1]
        if described not in labels:
            raise Refused(
                f"No text of the label {described[:60]!r}.", wanted=" or ".join(labels) + ".", remedy="choose one."
            )
        left = tuple(f"{n} × {why}" for why, n in source.left_out)
        return replace(asked, described=described, file_name=source.name, file_sha256=source.sha256, left_out=left)

    def count_work(self, subject: Subject, request: FeaturesRequest) -> int:
        return count_work_of(subject, request)

    def run(
        self,
        subject: Subject,
        request: FeaturesRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> FeaturesResult:
        return measure_request(subject, request, on_progress)


PLUGIN = FeaturesAudit()
