"""What every command that runs an audit begins with: prompts, model, log, and who asks."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterable
from typing import Any, Protocol

from audit_core.audit import Request
from audit_core.cli.output import say, show_fetch, show_progress
from audit_core.errors import AuditError
from audit_core.prompts import TokenisedPrompts, load_prompts, split_half, tokenise
from audit_core.run import Asker, Auditor, Finished, open_subject, record_refusal
from audit_core.store import RunLog, audit_home
from audit_core.subject import Subject


class Adder(Protocol):
    """Adds a command to the parser."""

    def __call__(self, name: str, command: Any, text: str) -> argparse.ArgumentParser: ...


def open_audit(options: argparse.Namespace, kind: str) -> tuple[Subject, TokenisedPrompts, Auditor]:
    """Prompts and model; whatever is refused on the way is logged before it is reported."""
    log = RunLog(audit_home())
    try:
        prompts = load_prompts(options.prompts)
        if options.half != "all":
            prompts = split_half(prompts, exploratory=options.half == "exploratory")
        subject = open_subject(options.model, on_progress=show_fetch)
        tokenised = tokenise(prompts, subject.tokenizer)
        say_notices(tokenised.notices)
        return subject, tokenised, Auditor(subject, log)
    except AuditError as error:
        request = {"prompts": str(options.prompts), "model": options.model}
        record_refusal(log, kind, error, asker=asker(), request=request)
        raise


def run_audit(auditor: Auditor, kind: str, request: Request) -> Finished[Any]:
    """Run one audit with its progress on standard error, and what it set aside."""
    found = auditor.run(kind, request, asker=asker(), on_progress=show_progress)
    say_notices(found.notices[len(request.prompts.notices) :])
    return found


def say_notices(notices: Iterable[str]) -> None:
    """What of the prompts was set aside or not believed."""
    for notice in dict.fromkeys(notices):
        say(f"Notice: {notice}")


def asker() -> Asker:
    return Asker(_user(), "command line")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
