"""The whole audit: questions in turn, then counts of labels by family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit_core.capability import DOCUMENTS
from audit_core.controls import Controls, join_controls
from audit_core.documents.attention import read_attention
from audit_core.documents.kept_runs import KeptRuns, keep_runs, name_runs, restore_runs
from audit_core.documents.labels import Judged, Label, judge_question
from audit_core.documents.measurement import count_runs, measure_question
from audit_core.documents.question import Question, encode_question, parse_question
from audit_core.documents.question_runs import UNIT, QuestionRuns, VariantRuns
from audit_core.documents.reading import MOST_OTHERS
from audit_core.documents.results import (
    DocumentPair,
    DocumentRow,
    DocumentsRequest,
    DocumentsResult,
    DocumentTrace,
    FamilyRow,
    LabelShare,
    QuestionRow,
    SentenceReading,
)
from audit_core.documents.sentences import count_sentence_runs, read_sentences
from audit_core.documents.trace import MOST_LAYERS, trace_question
from audit_core.effect import MIN_ACCURACY
from audit_core.errors import NotMeasured, Refused
from audit_core.parts import measure_each
from audit_core.stats.bootstrap import bootstrap_mean, correlate_ranks
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.stats.shares import share_of
from audit_core.subject import Progress, Subject

MAX_QUESTIONS = 500
OF_QUESTIONS = "of the questions"
_SHOWN = 160
"""Characters of a document that a result keeps."""
MOST_BY_SENTENCE = 20


def check_request(request: DocumentsRequest) -> None:
    """Refuse numbers of runs that decide nothing or take too long.

    Raises:
        Refused: with what is allowed.
    """
    if not (2 <= request.fillers <= 20 and 1 <= request.edits <= MOST_OTHERS and 1 <= request.traced <= 20):
        raise Refused(
            f"{request.fillers} fillers, {request.edits} edits, {request.traced} traced questions.",
            wanted=f"2 to 20 fillers, 1 to {MOST_OTHERS} edits and 1 to 20 traced questions.", remedy="change these numbers.",
        )  # fmt: skip
    if not 0 <= request.by_sentence <= MOST_BY_SENTENCE:
        raise Refused(
            f"{request.by_sentence} questions by sentence.",
            wanted=f"0 to {MOST_BY_SENTENCE}.",
            remedy="change this number.",
        )
    if len(request.prompts) > MAX_QUESTIONS:
        raise Refused(
            f"{len(request.prompts)} questions.", wanted=f"at most {MAX_QUESTIONS}.", remedy="ask fewer at a time."
        )


def parse_questions(subject: Subject, request: DocumentsRequest) -> tuple[Question, ...]:
    """The questions of a request; raises as `parse_question`."""
    reader = DOCUMENTS.of(subject)
    return tuple(parse_question(pair, reader) for pair in request.prompts.pairs)


@dataclass(frozen=True)
class Work:
    """Tokens of all runs."""

    runs: tuple[int, ...]
    """Of each question."""
    sentences: tuple[int, ...]
    """Of the sentences of each question that is measured by sentence."""
    traces: int

    @property
    def total(self) -> int:
        return sum(self.runs) + sum(self.sentences) + self.traces


def count_work_of(subject: Subject, request: DocumentsRequest) -> Work:
    """What is run, in tokens."""
    reader, questions = DOCUMENTS.of(subject), parse_questions(subject, request)
    lengths = [
        len(encoded.join(encoded.bodies))
        for encoded in (encode_question(question, reader, subject.tokenizer) for question in questions)
    ]
    work = tuple(length * count_runs(one, request) for one, length in zip(questions, lengths, strict=True))
    sentences = tuple(lengths[at] * count_sentence_runs(questions[at], request) for at in _pick_by_sentence(request))
    traced = request.prompts.spread(request.traced)
    traces = sum(lengths[at] * (len(questions[at].documents) * MOST_LAYERS // 2 + 5) for at in traced)
    return Work(work, sentences, traces)


def measure_documents(subject: Subject, request: DocumentsRequest, on_progress: Progress) -> DocumentsResult:
    """Measure every question.

    Raises:
        Refused: as `check_request`.
        PromptRefused: a prompt has another form, or a value cannot be read.
        ControlFailed: an instrument check failed.
    """
    check_request(request)
    questions, work = parse_questions(subject, request), count_work_of(subject, request)
    by_sentence = _pick_by_sentence(request)
    measured = measure_each(
        [name_runs(one, request) for one in questions], KeptRuns,
        lambda at: keep_runs(measure_question(subject, questions[at], request)),
        work=work.runs, after=sum(work.sentences) + work.traces, on_progress=on_progress,
    )  # fmt: skip
    found = [restore_runs(kept, subject, one, request) for kept, one in zip(measured.parts, questions, strict=True)]
    sentences = measure_each(
        [["sentences", *name_runs(questions[at], request)] for at in by_sentence], SentenceReading,
        lambda at: read_sentences(subject, found[by_sentence[at]], request),
        work=work.sentences, done=measured.done, after=work.traces, on_progress=on_progress,
    )  # fmt: skip
    attended = read_attention(subject, request.prompts, found)
    traces, controls = _trace(subject, request, found)
    total = sentences.done + work.traces
    on_progress(total, total)
    return _report(request, found, attended, dict(zip(by_sentence, sentences.parts, strict=True)), traces, controls)


def _pick_by_sentence(request: DocumentsRequest) -> tuple[int, ...]:
    """Indices of the questions whose sentences are masked, spread evenly."""
    return tuple(request.prompts.spread(request.by_sentence)) if request.by_sentence else ()


def _trace(
    subject: Subject, request: DocumentsRequest, found: Sequence[QuestionRuns]
) -> tuple[tuple[DocumentTrace, ...], Controls]:
    traces: list[DocumentTrace] = []
    controls = []
    for at in request.prompts.spread(request.traced):
        rows, check = trace_question(subject, request.prompts.pairs[at], found[at], seed=request.seed)
        traces += rows
        controls.append(check)
    return tuple(traces), join_controls(controls)


def _report(
    request: DocumentsRequest,
    found: Sequence[QuestionRuns],
    attended: Sequence[Sequence[float | None]],
    sentences: Mapping[int, SentenceReading],
    traces: tuple[DocumentTrace, ...],
    controls: Controls,
) -> DocumentsResult:
    rows = [
        replace(make_row(one, looks), sentences=sentences.get(at))
        for at, (one, looks) in enumerate(zip(found, attended, strict=True))
    ]
    families = list_families(rows, seed=request.seed, unit=UNIT)
    rows = refuse_families(rows, families)
    result = DocumentsResult(
        finding="",
        unit=UNIT,
        n=len(rows),
        n_families=len(families),
        accuracy=share_of(sum(row.is_right for row in rows), len(rows), OF_QUESTIONS),
        labels=count_labels(rows),
        families=families,
        agreement=_agree(request, rows),
        questions=tuple(rows),
        traces=traces,
        fillers=request.fillers,
        source=request.source,
        controls=controls,
    )
    return replace(result, finding=_describe(result))


def make_row(one: VariantRuns, looks: Sequence[float | None]) -> QuestionRow:
    """A question as it is reported.

    Args:
        looks: attention to each document; None where none was read.
    """
    measured = one.as_measured()
    judged = judge_question(measured)
    question = one.question
    documents = tuple(
        DocumentRow(
            rank=at + 1,
            text=text[:_SHOWN],
            states=measured.stated[at],
            score=question.scores[at] if question.scores else None,
            attended=looks[at],
            cited=None if question.cited is None else question.cited == at,
            replaced=measured.replaced[at],
            deleted=float(one.deleted[-1] - one.deleted[-1 - (1 << at)]),
            alone=measured.alone[at],
            shapley=float(one.shapley[at]),
            doubled=float(one.lead - one.doubled[at]),
            follow=measured.follow[at],
            swapped=float(one.lead - one.swapped[at]) if len(one.swapped) else None,
            swapped_to=one.swapped_to[at] if one.swapped_to else "",
        )
        for at, text in enumerate(question.documents)
    )
    pairs = tuple(
        DocumentPair(
            first=a + 1, second=b + 1, joint=measured.joint[a, b], interaction=measured.interaction[a, b]
        )
        for a, b in measured.joint
    )  # fmt: skip
    return QuestionRow(
        id=question.id,
        family=question.family,
        question=question.text[:_SHOWN],
        expected=" or ".join(question.answers),
        given=one.given,
        is_right=one.given in question.answers,
        is_first=one.is_first,
        closed_book=one.closed_book,
        lead=one.lead,
        foil=one.foil,
        label=judged.label.value,
        names=_ranks(judged),
        reason=judged.reason,
        delta=one.delta,
        documents=documents,
        pairs=pairs,
        order=one.order_effect,
        order_flips=one.order_flips,
        n_orders=len(one.orders),
        efficiency_error=one.efficiency_error,
        next_hit=question.next_hit[:_SHOWN],
    )


def _ranks(judged: Judged) -> tuple[int, ...]:
    return tuple(at + 1 for at in judged.documents)


def refuse_families(rows: Sequence[QuestionRow], families: Sequence[FamilyRow]) -> list[QuestionRow]:
    """The rows, unresolved where their family is refused."""
    refused = {family.family: family.refused for family in families if family.refused}
    return [
        replace(row, label=Label.UNRESOLVED.value, names=(), reason=refused[row.family])
        if row.family in refused
        else row
        for row in rows
    ]


def list_families(rows: Sequence[QuestionRow], *, seed: int, unit: str) -> tuple[FamilyRow, ...]:
    """Counts of each family; one that the model does not do is refused."""
    found = []
    for family in dict.fromkeys(row.family for row in rows):
        mine = [row for row in rows if row.family == family]
        n_right = sum(row.is_right for row in mine)
        refused = ""
        if n_right < MIN_ACCURACY * len(mine):
            refused = f"the model does not do this family: right on {n_right} of {len(mine)}, below {MIN_ACCURACY:.0%}"
        edits = [
            (round(one.follow.value * one.follow.n), one.follow.n)
            for row in mine for one in row.documents if one.follow is not None and one.states is not None
        ]  # fmt: skip
        largest = np.array([max(one.replaced.value for one in row.documents) for row in mine])
        clusters = [str(at) for at in range(len(mine))]
        found.append(
            FamilyRow(
                family=family,
                n=len(mine),
                accuracy=share_of(n_right, len(mine), OF_QUESTIONS),
                refused=refused,
                labels=() if refused else count_labels(mine),
                lost=bootstrap_mean(largest, clusters, unit=unit, seed=seed),
                follow=share_of(sum(h for h, _ in edits), sum(n for _, n in edits), "of the edits") if edits else None,
            )
        )
    return tuple(found)


def count_labels(rows: Sequence[QuestionRow]) -> tuple[LabelShare, ...]:
    """Every label that occurs, in the order of `Label`."""
    counts = Counter(row.label for row in rows)
    return tuple(
        LabelShare(label=one.value, n=counts[one.value], share=share_of(counts[one.value], len(rows), OF_QUESTIONS))
        for one in Label
        if counts[one.value]
    )


def _agree(request: DocumentsRequest, rows: Sequence[QuestionRow]) -> Estimate | None:
    """How well attention ranks documents as their effects do."""
    values = []
    for row in rows:
        looks = [one.attended for one in row.documents if one.attended is not None]
        if len(looks) < 2:
            continue
        try:
            lost = np.array([abs(one.replaced.value) for one in row.documents])
            values.append(correlate_ranks(np.array(looks), lost))
        except NotMeasured:
            continue
    if not values:
        return None
    clusters = [str(at) for at in range(len(values))]
    return bootstrap_mean(np.array(values), clusters, unit="mean Spearman ρ over documents", seed=request.seed)


def _describe(result: DocumentsResult) -> str:
    """Counts in a sentence; reliance is said of grounded questions only."""
    n, counts = result.n, {one.label: one for one in result.labels}
    right = f"The model is right on {format_estimate(result.accuracy)}."
    if n == 1:
        row = result.questions[0]
        names = " and ".join(f"document {rank}" for rank in row.names)
        return f"{right} Label: {row.label}{': ' + names if names else ''}{': ' + row.reason if row.reason else ''}."
    said = "; ".join(f"{one.label} {one.n}" for one in result.labels)
    grounded = counts.get(Label.GROUNDED.value)
    part = (
        f"The answer relies on one document that states it in {format_estimate(grounded.share)}."
        if grounded is not None
        else "In no question does the answer rely on one document that states it."
    )
    return f"{right} {part} Labels: {said}."
