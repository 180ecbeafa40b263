"""Files of questions and of requests, for a model whose tokens are not known: texts are kept as bytes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from audit_core.closed.documents import plan_question, write_text
from audit_core.closed.results import ClosedDocumentsRequest
from audit_core.documents import DocumentSource
from audit_core.documents.form import flatten
from audit_core.documents.question import Question, write_source
from audit_core.documents.reading import read_questions
from audit_core.errors import NotMeasured, PromptRefused, Refused
from audit_core.prompts.answers import Contrast
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair
from audit_core.tools import ToolKind, call_tool
from audit_core.tools.requests import read_file

MAX_QUESTIONS = 500


def read_closed_questions(raw: bytes, name: str, *, most: int, seed: int) -> tuple[TokenisedPrompts, DocumentSource]:
    """Prompts of at most this many questions, spread evenly over the file.

    Raises:
        Refused: the file cannot be read, or no question can be asked.
    """
    if not 1 <= most <= MAX_QUESTIONS:
        raise Refused(f"{most} questions.", wanted=f"1 to {MAX_QUESTIONS}.", remedy="change the number.")
    rows, left = read_questions(raw, name)
    n = min(most, len(rows))
    prompts = []
    for question in (rows[at * len(rows) // n].question for at in range(n)):
        if why := _explain_unusable(question, seed):
            left[why] += 1
            continue
        prompts.append(
            Prompt(
                question.id, write_text(question.documents, question.text), write_text((), question.text),
                f" {question.answers[0]}", f" {question.others[0]}", question.family, question.family,
                write_source(question), more_answers=tuple(f" {one}" for one in question.answers[1:]),
                more_foils=tuple(f" {one}" for one in question.others[1:]),
            )
        )  # fmt: skip
    if not prompts:
        raise Refused(
            f"{flatten(name)[:60]}: no question can be asked: {'; '.join(left)}.",
            wanted="an answer, another value, and documents.", remedy="change the rows.",
        )  # fmt: skip
    return _keep(raw, name, prompts, len(rows), left)


def read_closed_requests(raw: bytes, name: str, *, most: int) -> tuple[TokenisedPrompts, DocumentSource]:
    """Prompts of at most this many requests that a tool can answer, spread evenly over the file.

    Raises:
        Refused: the file cannot be read, or no tool can answer any.
    """
    rows, left = read_file(raw, name), Counter[str]()
    if not 1 <= most <= MAX_QUESTIONS:
        raise Refused(f"{most} requests.", wanted=f"1 to {MAX_QUESTIONS}.", remedy="change the number.")
    n = min(most, len(rows))
    prompts = []
    for row, text in (rows[at * len(rows) // n] for at in range(n)):
        try:
            call = call_tool(text)
        except PromptRefused:
            left["no tool can answer the request"] += 1
            continue
        prompts.append(Prompt(row, flatten(text), "", f" {call.result}", " ?", call.kind.value, call.kind.value))
    if not prompts:
        raise Refused(
            f"{flatten(name)[:60]}: no request that a tool can answer.",
            wanted=f"requests of {', '.join(ToolKind)}, such as How many inches are 4 feet?", remedy="change the rows.",
        )  # fmt: skip
    return _keep(raw, name, prompts, len(rows), left)


def _explain_unusable(question: Question, seed: int) -> str:
    if not question.others:
        return "it has one value only"
    try:
        plan_question(question, ClosedDocumentsRequest(_NONE, _NOWHERE, fillers=1, seed=seed))
    except NotMeasured as error:
        return error.detail
    return ""


def _keep(
    raw: bytes, name: str, prompts: Sequence[Prompt], n_in_file: int, left: Counter[str]
) -> tuple[TokenisedPrompts, DocumentSource]:
    source = DocumentSource(
        flatten(name)[:120], hashlib.sha256(raw).hexdigest(), n_in_file, tuple(sorted(left.items()))
    )
    pairs = tuple(
        TokenPair(
            one, tuple(one.clean.encode()), tuple(one.corrupted.encode()),
            Contrast((), (tuple(one.answer.encode()),), (tuple(one.foil.encode()),)), (), (), True,
        )
        for one in prompts
    )  # fmt: skip
    return TokenisedPrompts(source.name, pairs, PromptSet(source.name, tuple(prompts)).sha256), source


_NONE, _NOWHERE = TokenisedPrompts("", (), ""), DocumentSource("", "", 0)
