"""What every command that runs an audit begins with: prompts, model, log, and who asks."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path
from typing import Any, Protocol

from audit_core.cli.output import show_fetch
from audit_core.errors import AuditError
from audit_core.models import Progress
from audit_core.models.access import read_command_line_access
from audit_core.prompts import TokenisedPrompts, load_prompts, split_half, tokenise
from audit_core.run import Asker, Auditor, record_refusal
from audit_core.run import find_folder as fetch_folder
from audit_core.run import open_subject as load_subject
from audit_core.store import RunLog, audit_home
from audit_core.store.opened_models import note_opened
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
        return subject, tokenise(prompts, subject.tokenizer), Auditor(subject, log)
    except AuditError as error:
        request = {"prompts": str(options.prompts), "model": options.model}
        record_refusal(log, kind, error, asker=asker(), request=request)
        raise


def open_subject(name: str, *, on_progress: Progress) -> Subject:
    """Load a model with the token of whoever types the command, and remember that this installation opened it."""
    subject = load_subject(name, on_progress=on_progress, access=read_command_line_access())
    note_opened(audit_home(), name)
    return subject


def find_folder(name: str, *, on_progress: Progress) -> Path:
    """Its folder, fetched if need be with the same token."""
    return fetch_folder(name, on_progress=on_progress, access=read_command_line_access())


def asker() -> Asker:
    return Asker(_user(), "command line")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
