"""The audits of closed models as a whole: every question or request in turn, then shares and labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from audit_core.closed.asking import EXTRA_CALLS, Caller
from audit_core.closed.documents import (
    REPLY_TOKENS,
    AskedQuestion,
    ProbabilityRuns,
    ask_question,
    count_calls,
    plan_question,
)
from audit_core.closed.local import open_replies
from audit_core.closed.results import (
    LIMIT,
    ClosedDocumentsRequest,
    ClosedDocumentsResult,
    ClosedToolsRequest,
    ClosedToolsResult,
)
from audit_core.controls import Controls
from audit_core.documents import form
from audit_core.documents.labels import Label
from audit_core.documents.question import Question, parse_question
from audit_core.documents.reading import MOST_OTHERS
from audit_core.documents.report import OF_QUESTIONS, count_labels, list_families, make_row, refuse_families
from audit_core.errors import NotMeasured, Refused
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.stats.shares import share_of
from audit_core.subject import Progress, Subject
from audit_core.tools import ResultKind, audit_agent

BY_SCORES = "the log-probabilities of the first token of each reply"
BY_WORDS = "the words of each reply at temperature 0: no log-probabilities are given"
MAX_FILLERS = 40
TOOL_TOKENS = 16
"""Of a reply to a result, at most."""


def parse_questions(request: ClosedDocumentsRequest) -> tuple[Question, ...]:
    """The questions of a request."""
    return tuple(parse_question(pair, form) for pair in request.prompts.pairs)


def count_document_calls(request: ClosedDocumentsRequest) -> int:
    """Calls of a run, at most.

    Raises:
        Refused: numbers that decide nothing or take too long.
    """
    if not (2 <= request.fillers <= MAX_FILLERS and 1 <= request.edits <= MOST_OTHERS):
        raise Refused(
            f"{request.fillers} fillers and {request.edits} edits.",
            wanted=f"2 to {MAX_FILLERS} fillers and 1 to {MOST_OTHERS} edits.", remedy="change these numbers.",
        )  # fmt: skip
    return EXTRA_CALLS + sum(count_calls(one, request) for one in parse_questions(request))


def count_tool_calls(request: ClosedToolsRequest) -> int:
    """Calls of a run, at most."""
    return EXTRA_CALLS + len(request.prompts) * len(ResultKind)


def measure_closed_documents(
    subject: Subject, request: ClosedDocumentsRequest, on_progress: Progress
) -> ClosedDocumentsResult:
    """Ask every question with every variant of its documents.

    Raises:
        Refused: more calls than are allowed, before the first; or a cassette lacks one.
        NotMeasured: no question could be read.
        ControlFailed: the same text has another reply, or another text the same.
    """
    caller = Caller(
        open_replies(subject), count_document_calls(request), on_progress, n_tokens=REPLY_TOKENS, scored=True
    )
    questions = parse_questions(request)
    controls = caller.check([plan_question(one, request).inputs[0] for one in questions])
    asked = [ask_question(caller, one, request) for one in questions]
    caller.finish()
    measured = [one for one in asked if one.runs is not None]
    if not measured:
        raise NotMeasured("low_power", f"no question could be read: {'; '.join(sorted({one.why for one in asked}))}.")
    return _report(request, asked, measured, replace(controls, edits=caller.n), caller.n)


def _report(
    request: ClosedDocumentsRequest,
    asked: Sequence[AskedQuestion],
    measured: Sequence[AskedQuestion],
    controls: Controls,
    calls: int,
) -> ClosedDocumentsResult:
    runs = [one.runs for one in measured if one.runs is not None]
    unit = runs[0].unit
    rows = [make_row(one, (None,) * one.n) for one in runs]
    families = list_families(rows, seed=request.seed, unit=unit)
    rows = refuse_families(rows, families)
    edits = [
        found
        for one in runs
        for at, found in enumerate(one.followed)
        if found is not None and one.question.find_stated(at) is not None
    ]
    result = ClosedDocumentsResult(
        finding="",
        limit=LIMIT,
        read_by=BY_SCORES if isinstance(runs[0], ProbabilityRuns) else BY_WORDS,
        unit=unit,
        n=len(rows),
        left_out=tuple(sorted(Counter(one.why for one in asked if one.runs is None).items())),
        # A question that could not be read is none that was answered rightly.
        accuracy=share_of(sum(row.is_right for row in rows), len(asked), OF_QUESTIONS),
        replaced=_share_changed(measured, 1),
        deleted=_share_changed(measured, 2),
        followed=share_of(sum(h for h, _ in edits), sum(n for _, n in edits), "of the edits") if edits else None,
        labels=count_labels(rows),
        families=families,
        questions=tuple(rows),
        fillers=request.fillers,
        calls=calls,
        reading_error=max(one.error for one in measured),
        source=request.source,
        controls=controls,
    )
    return replace(result, finding=_describe(result))


def _share_changed(measured: Sequence[AskedQuestion], which: int) -> Estimate:
    return share_of(sum(one.answers[0] != one.answers[which] for one in measured), len(measured), OF_QUESTIONS)


def _describe(result: ClosedDocumentsResult) -> str:
    """Counts in a sentence; reliance is said of grounded questions only."""
    said = "; ".join(f"{one.label} {one.n}" for one in result.labels)
    grounded = next((one for one in result.labels if one.label == Label.GROUNDED), None)
    part = (
        f"The answer relies on one document that states it in {format_estimate(grounded.share)}."
        if grounded is not None
        else "In no question does the answer rely on one document that states it."
    )
    return (
        f"The model is right on {format_estimate(result.accuracy)}. {part} Labels: {said}. "
        f"Answers are read from {result.read_by}. Only the text was intervened on."
    )


def measure_closed_tools(subject: Subject, request: ClosedToolsRequest, on_progress: Progress) -> ClosedToolsResult:
    """Show every request with every edit of its result.

    Raises:
        Refused, NotMeasured, ControlFailed: as `measure_closed_documents`.
    """
    texts = [pair.prompt.clean for pair in request.prompts.pairs]
    caller = Caller(open_replies(subject), count_tool_calls(request), on_progress, n_tokens=TOOL_TOKENS, scored=False)
    controls = caller.check([f"Request: {text}\nAnswer:" for text in texts])
    found = audit_agent(lambda text: caller.ask(text).text, texts, seed=request.seed)
    caller.finish()
    share = format_estimate(found.answered)
    return ClosedToolsResult(
        finding=(
            f"With the result as executed the answer is right on {share}. Verdicts: {', '.join(found.verdicts)}"
            f"{': ' + found.reason if found.reason else '.'} Only the text was intervened on."
        ),
        limit=f"{LIMIT} The choice of a tool is not tested.",
        verdicts=found.verdicts,
        reason=found.reason,
        n=found.n,
        left_out=(("no other result can replace its own", len(found.left_out)),) if found.left_out else (),
        answered=found.answered,
        edits=found.edits,
        calls=caller.n,
        source=request.source,
        controls=replace(controls, edits=caller.n),
    )
