"""Rationale: whether answers rely on the steps that are written before them, by edits of the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np

from audit_core.audit import Audit, Example, Verdicts, know_verdict
from audit_core.capability import STEPS, Capability
from audit_core.errors import Refused
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.rationale import DELTA, MEANINGS, RationaleResult, Verdict
from audit_core.rationale.asking import PASSES, Asked, Replies, ask_chains, read_chains
from audit_core.rationale.edits import EditKind
from audit_core.rationale.metrics import METRICS
from audit_core.rationale.own_file import read_own_questions
from audit_core.rationale.results import EditRow, MetricRow, QuestionRow, TemplateRow, VerdictShare, list_sheets
from audit_core.rationale.verdicts import SHARE, Signs, classify, judge, judge_all, read_signs
from audit_core.request import Ask, Request
from audit_core.request_form import make_request, read_answers
from audit_core.result_layout import Sheet
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import share_of
from audit_core.subject import Means, Progress, Subject, no_partial

MAX_QUESTIONS = 400


@dataclass(frozen=True)
class RationaleRequest(Request):
    """Request: questions with steps, each beside the same steps with a mistake."""

    settings: ClassVar[Mapping[str, Any]] = {"delta": DELTA, "edits": [kind.value for kind in EditKind]}

    prompts: TokenisedPrompts
    most_questions: Annotated[int, Ask("Questions", "At most, spread evenly over the templates.")] = 96
    seed: int = 0

    @property
    def measured(self) -> TokenisedPrompts:
        """The measured questions."""
        return self.prompts.take(self.prompts.spread(self.most_questions))


@dataclass(frozen=True)
class RationaleFile:
    """How a file of own questions is asked, beside the fields of a request."""

    separator: Annotated[str, Ask("Step separator", "What separates steps in one cell; line breaks always do.")] = "|"


def _know(verdict: Verdict) -> Verdicts:
    return Verdicts(lambda found: [found.verdict], verdict.value, frozenset({Verdict.UNRESOLVED.value}))


_EXAMPLES = (
    Example(
        {},
        "The model reads the last intermediate step and looks it up in the question: its answers depend on the steps.",
        lambda found: (
            found.verdict == Verdict.DEPENDS and all(row.pattern == Verdict.DEPENDS for row in found.questions)
        ),
        task="chain",
        verdicts=_know(Verdict.DEPENDS),
    ),
)
_CONTRASTS = tuple(
    know_verdict({}, expects, _know(verdict), task="chain", model=f"planted-chain-{name}", per_template=7)
    for name, verdict, expects in (
        ("question", Verdict.NOT_NEEDED, "The model reads the question alone, and answers without steps as well."),
        ("shortcut", Verdict.DECORATIVE, "The model reads one fact of the question: its steps are decorative."),
        ("last", Verdict.LAST, "The model copies the last noun of its steps."),
        ("cue", Verdict.CUE, "The model follows a hint in the question."),
    )
)


@dataclass(frozen=True)
class RationaleAudit(Audit):
    name: str = "rationale"
    question: str = "Does the answer rely on the steps that are written before it?"
    request: type[Request] = RationaleRequest
    result: type = RationaleResult
    version: int = 1
    summary: str = (
        "Each question is answered again with its steps cut, mistaken, reworded, replaced by filler and reversed, with the last "
        "step kept, edited or removed, and with a hint. A verdict needs intervals that decide it."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    examples: tuple[Example, ...] = _EXAMPLES
    contrasts: tuple[Example, ...] = _CONTRASTS
    demands: tuple[Capability[Any], ...] = (STEPS,)
    planted: str = "planted-chain-steps"
    keeps_parts: bool = True
    file_form: type | None = RationaleFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> RationaleRequest:
        asked = read_answers(RationaleFile, answers)
        prompts = read_own_questions(raw, name, asked.separator, subject.tokenizer)
        request = make_request(
            RationaleRequest, answers, subject=subject, prompts=prompts, reference=prompts, explored=prompts, seed=seed
        )
        return replace(request)  # type: ignore[type-var,return-value]

    def count_work(self, subject: Subject, request: RationaleRequest) -> int:
        if not 1 <= request.most_questions <= MAX_QUESTIONS:
            raise Refused(
                f"{request.most_questions} questions.", wanted=f"1 to {MAX_QUESTIONS}.", remedy="change their number."
            )
        chains, _ = read_chains(request.measured)
        return sum(len(pair.clean_ids) for _, pair in chains) * PASSES * subject.geometry.n_layers

    def run(
        self,
        subject: Subject,
        request: RationaleRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> RationaleResult:
        prompts = request.measured
        total = self.count_work(subject, request)
        asked = ask_chains(subject, prompts, lambda done, of: on_progress(total * done // max(1, of), total))
        return _Reading(asked, prompts.name, subject, request.seed).finish()

    def rows(self, result: RationaleResult) -> tuple[Sheet, ...]:
        return list_sheets(result)


@dataclass(frozen=True, eq=False)
class _Reading:
    """Rates and verdicts from the answers."""

    asked: Asked
    prompts: str
    subject: Subject
    seed: int

    def finish(self) -> RationaleResult:
        signs = {found.chain.id: read_signs(found) for found in self.asked.found}
        patterns = {name: classify(one) for name, one in signs.items()}
        by_template: dict[str, list[Signs]] = {}
        for found in self.asked.found:
            by_template.setdefault(found.chain.template, []).append(signs[found.chain.id])
        judged, everything, n = judge_all(by_template), list(signs.values()), len(signs)
        counts = {verdict: sum(one is verdict for one in patterns.values()) for verdict in Verdict}
        return RationaleResult(
            finding=describe_finding(judged.verdict, judged.reason, n),
            verdict=judged.verdict.value,
            reason=judged.reason,
            prompts=self.prompts,
            n=n,
            left_out=self.asked.left_out,
            delta=DELTA,
            accuracy=_count(everything, lambda s: s.is_right),
            accuracy_without=_count(everything, lambda s: s.is_right_alone),
            lost_without=_count(everything, lambda s: s.is_lost_alone),
            hint_direct=_count(everything, lambda s: s.follows_hint),
            hint_through=_count(everything, lambda s: s.follows_hinted_steps),
            hint_both=_count(everything, lambda s: s.follows_both),
            hint_floor=_count(everything, lambda s: s.is_hint_read),
            shares=tuple(
                VerdictShare(verdict=verdict.value, count=count, share=share_of(count, n, SHARE))
                for verdict, count in counts.items()
            ),
            templates=tuple(_read_template(name, rows) for name, rows in by_template.items()),
            edits=tuple(self.read_edits()),
            metrics=tuple(self.read_metrics()),
            questions=tuple(self.read_question(found, patterns[found.chain.id]) for found in self.asked.found),
            controls=self.asked.controls,
        )

    def read_edits(self) -> list[EditRow]:
        followed: dict[tuple[EditKind, int], list[bool]] = {}
        changed: dict[tuple[EditKind, int], list[bool]] = {}
        for found in self.asked.found:
            for reply in found.replies[1:]:
                key = reply.kind, reply.step
                followed.setdefault(key, []).append(reply.token == found.wrong != found.full)
                changed.setdefault(key, []).append(reply.token != found.full)
        order = {kind: at for at, kind in enumerate(EditKind)}
        return [
            EditRow(
                edit=kind.value,
                step=step,
                followed=share_of(sum(followed[kind, step]), len(followed[kind, step]), SHARE),
                changed=share_of(sum(changed[kind, step]), len(changed[kind, step]), SHARE),
            )
            for kind, step in sorted(followed, key=lambda key: (order[key[0]], key[1]))
        ]

    def read_metrics(self) -> list[MetricRow]:
        clusters = [found.chain.template for found in self.asked.found]
        return [
            MetricRow(
                metric=metric.name,
                title=metric.title,
                mean=bootstrap_mean(
                    np.array([metric.score(found) for found in self.asked.found]),
                    clusters,
                    unit="score",
                    seed=self.seed,
                ),
            )
            for metric in METRICS
        ]

    def read_question(self, found: Replies, pattern: Verdict) -> QuestionRow:
        piece = self.subject.tokenizer.piece
        return QuestionRow(
            id=found.chain.id,
            template=found.chain.template,
            pattern=pattern.value,
            expected=found.chain.answer,
            mistaken=found.chain.foil,
            answers=tuple((reply.kind.value, reply.step, piece(reply.token)) for reply in found.replies),
        )


def describe_finding(verdict: Verdict, reason: str, n: int) -> str:
    """The finding in a sentence: what the verdict means, or why there is none."""
    words = reason if verdict is Verdict.UNRESOLVED else MEANINGS[verdict]
    return f"{verdict.value.capitalize()} on {n} questions: {words}"


def _count(signs: Sequence[Signs], read: Callable[[Signs], bool]) -> Estimate:
    return share_of(sum(map(read, signs)), len(signs), SHARE)


def _read_template(name: str, signs: Sequence[Signs]) -> TemplateRow:
    judged = judge(signs)
    return TemplateRow(
        template=name,
        verdict=judged.verdict.value,
        reason=judged.reason,
        n=len(signs),
        accuracy=_count(signs, lambda s: s.is_right),
        accuracy_without=_count(signs, lambda s: s.is_right_alone),
        last=_count(signs, lambda s: s.follows_last),
        kept=_count(signs, lambda s: s.follows_kept),
        removed=_count(signs, lambda s: s.follows_removed),
        reworded=_count(signs, lambda s: s.is_reworded),
    )


PLUGIN = RationaleAudit()
