"""Known answers: every audit's examples, asked of the planted model whose wiring determines the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from audit_core.audit import Audit, Example
from audit_core.errors import ModelRefused
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import take_split
from audit_core.registry import list_plugins
from audit_core.request import Request
from audit_core.request_form import make_request
from audit_core.run import Auditor
from audit_core.subject import Subject
from audit_core.subject_family import find_planted


@dataclass(frozen=True)
class KnownAnswer:
    """An example, and whether the audit found what is planted."""

    audit: str
    model: str
    options: str
    """As options of the command `audit`."""
    expects: str
    is_found: bool


def make_example(audit: Audit, example: Example, subject: Subject, *, seed: int = 0) -> Request:
    """The request of an example.

    Args:
        subject: the example's planted model, loaded.
        seed: of its prompts, and of all that the audit draws.

    Raises:
        ModelRefused: no family declares this planted model.
    """
    name = example.model or audit.planted
    model = find_planted(name)
    if model is None:
        raise ModelRefused(f"{audit.name} names {name}.", wanted="a planted model.", remedy="name one.")
    prompts = model.find_task(example.task).make(example.per_template, seed)
    whole, explored = (tokenise(each, subject.tokenizer) for each in (prompts, take_split(prompts, exploratory=True)))
    rows = {"all": whole, "exploratory": explored}.get(example.half)
    if rows is None:
        rows = tokenise(take_split(prompts, exploratory=False), subject.tokenizer)
    measured = replace(rows, pairs=rows.pairs[:1]) if example.is_of_one else rows
    return make_request(
        audit.request, example.answers, subject=subject, prompts=measured, reference=rows, explored=explored, seed=seed
    )


def check_known_answers(
    open_auditor: Callable[[str], Auditor], *, on_audit: Callable[[str], None] = lambda _: None
) -> tuple[KnownAnswer, ...]:
    """Ask every example of every audit; nothing is logged.

    Args:
        open_auditor: name of a planted model → it, loaded once.
    """
    found = []
    for name, audit in list_plugins("audits").items():
        for example in audit.examples:
            on_audit(name)
            model = example.model or audit.planted
            auditor = open_auditor(model)
            result = auditor.execute(name, make_example(audit, example, auditor.subject))
            found.append(KnownAnswer(name, model, example.options, example.expects, example.is_found(result)))
    return tuple(found)
