"""Common start of commands that run an audit: prompts, model, log, and actor."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from audit_core.cli.lazy_parser import LazyParser
from audit_core.cli.output import print_status, show_fetch, show_progress
from audit_core.cli.prompt_set import add_prompts_option, load_prompt_set
from audit_core.errors import AuditError
from audit_core.models import Progress
from audit_core.models.access import read_command_line_access
from audit_core.models.devices import CPU, DEVICE_VARIABLE, DEVICES
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.chat import render_chat
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts, take_split, take_verbatim
from audit_core.request import Request
from audit_core.run import Actor, Auditor, RunOutcome, record_refusal
from audit_core.run import open_subject as load_subject
from audit_core.shipped import is_shipped_set
from audit_core.store import RunLog, audit_home
from audit_core.store.opened_models import note_opened
from audit_core.store.prompt_split import divide_prompts
from audit_core.subject import Subject
from audit_core.subject_family import find_folder as fetch_folder

HALVES = ("exploratory", "confirmatory", "all")


class Adder(Protocol):
    """Adds a command to the parser."""

    def __call__(self, name: str, command: Any, text: str) -> LazyParser: ...


def open_audit(options: argparse.Namespace, kind: str) -> tuple[Subject, TokenisedPrompts, Auditor]:
    """Load prompts and model; a refusal is logged before it is reported."""
    log = RunLog(audit_home())
    try:
        whole = load_prompt_set(options)
        subject = open_asked(options)
        whole = put_in_form(whole, options, subject)
        prompts = whole if options.half == "all" else take_split(whole, exploratory=options.half == "exploratory")
        tokenised = tokenise(prompts, subject.tokenizer)
        print_notices(tokenised.notices)
        return subject, tokenised, Auditor(subject, log)
    except AuditError as error:
        request = {"prompts": str(options.prompts), "model": options.model}
        record_refusal(log, kind, error, actor=current_actor(), request=request)
        raise


def ask_form(command: argparse.ArgumentParser) -> None:
    """Add the options for the prompt form; read by `put_in_form`."""
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--chat", action="store_true", help="each prompt as a user's message in the model's own chat template"
    )
    form.add_argument(
        "--verbatim", action="store_true",
        help="each prompt as written, without an added start token: for templates that are already rendered",
    )  # fmt: skip


def ask_prompts(command: argparse.ArgumentParser, half: str, *, required: bool = True) -> None:
    """Add the options for model, prompts, split and seed; read by `open_audit`."""
    command.add_argument("--model", default="default", help="default, a known name, a folder, or a hub id")
    ask_device(command)
    add_prompts_option(command, required=required, text="the prompt set")
    ask_form(command)
    command.add_argument("--half", choices=HALVES, default=half, help=f"split of the prompts (default {half})")
    command.add_argument("--seed", type=int, default=0)


def ask_device(command: argparse.ArgumentParser) -> None:
    """Add the option for the device; `open_subject` takes it."""
    command.add_argument(
        "--device", choices=DEVICES, help=f"where the model computes (default: {DEVICE_VARIABLE}, else {CPU})"
    )


def open_asked(options: argparse.Namespace) -> Subject:
    """The model that a command names, where and how its options ask for it."""
    given = {name: value for name in ("streamed", "device") if (value := getattr(options, name, None))}
    return open_subject(options.model, on_progress=show_fetch, **given)


def put_in_form(prompts: PromptSet, options: argparse.Namespace, subject: Subject) -> PromptSet:
    """Convert the set for `--chat` or `--verbatim`, a different set with its own digest and splits, and divide it.

    A set that is not shipped is divided by template; shipped ones keep the rule that their recorded results rest on.
    """
    found = prompts
    if options.chat:
        found = render_chat(prompts, subject.tokenizer)
    elif options.verbatim:
        found = take_verbatim(prompts)
    return found if is_shipped_set(prompts) else divide_prompts(found)


def divide_own(prompts: PromptSet) -> PromptSet:
    """Divide a set as `put_in_form` does, for a command that needs no model."""
    return prompts if is_shipped_set(prompts) else divide_prompts(prompts)


def run_audit(auditor: Auditor, kind: str, request: Request) -> RunOutcome[Any]:
    """Run one audit, and print its progress and notices on standard error."""
    found = auditor.run(kind, request, actor=current_actor(), on_progress=show_progress)
    print_notices(found.notices[len(request.prompts.notices) :])
    return found


def print_notices(notices: Iterable[str]) -> None:
    """Print notices about excluded or changed prompts."""
    for notice in dict.fromkeys(notices):
        print_status(f"Notice: {notice}")


def open_subject(name: str, *, on_progress: Progress, streamed: bool = False, device: str | None = None) -> Subject:
    """Load a model with the user's hub token, and record that this installation opened it."""
    access = read_command_line_access()
    subject = load_subject(name, on_progress=on_progress, access=access, streamed=streamed, device=device)
    note_opened(audit_home(), name)
    return subject


def find_folder(name: str, *, on_progress: Progress) -> Path:
    """Folder of the model, fetched if necessary with the user's hub token."""
    return fetch_folder(name, on_progress=on_progress, access=read_command_line_access())


def current_actor() -> Actor:
    return Actor(_user(), "command line")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
