"""The command `audit`: any audit of the shelf, with options made from the fields of its request."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from audit_core.audit import Audit
from audit_core.cli.circuits import print_findings
from audit_core.cli.endpoint import add_endpoint_options, announce_calls, open_endpoint
from audit_core.cli.lazy_parser import LazyParser
from audit_core.cli.output import print_json, print_result, print_status
from audit_core.cli.prompt_set import load_prompt_set
from audit_core.cli.session import (
    Adder,
    ask_prompts,
    current_actor,
    open_asked,
    open_audit,
    put_in_form,
    run_audit,
)
from audit_core.errors import AuditError, Refused
from audit_core.evidence.kind import read_evidence
from audit_core.freeze_question import freeze_request
from audit_core.policy_choice import read_policy
from audit_core.preregistration import PriorAccess
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts, take_split
from audit_core.registry import get_plugin, list_plugins
from audit_core.request import Request
from audit_core.request_form import Shape, explain_unasked, list_form_fields, make_request, needs_explored
from audit_core.run import Auditor, dump_result, identify_run, record_refusal
from audit_core.store import RunLog, audit_home
from audit_core.subject import Subject
from audit_core.tables import make_table, to_csv

_MOST_BYTES = 64 * 1024**2
_FIELD = "field_"
"""Begins the names of options that are fields, so that none can be taken for another option."""


def add_audit_command(add: Adder) -> None:
    """Add `audit`, with one command below it for each audit that a command can ask."""
    add("audit", list_audits, "ask any audit by name; without a name: list them").later(_add_audits)


def _add_audits(command: LazyParser) -> None:
    command.add_argument("--list", action="store_true", help="list all audits with their questions")
    names = command.add_subparsers(metavar="NAME")
    for name, audit in list_plugins("audits").items():
        if audit.file_form is not None or not explain_unasked(audit.request):
            parser = names.add_parser(name, help=audit.question, description=audit.summary or audit.question)
            parser.later(partial(_add_audit, audit=audit))


def _add_audit(command: LazyParser, audit: Audit) -> None:
    command.set_defaults(command=ask_audit, audit=audit.name)
    command.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    command.add_argument("--csv", type=Path, metavar="FOLDER", help="also write the tables of the result there")
    command.add_argument(
        "--freeze",
        type=Path,
        metavar="POLICY",
        help="before it runs, log the question with this policy, a file or the id of a saved one, whose thresholds [answers.NAME] a pack of the result must meet",
    )
    of_file = () if audit.file_form is None else list_form_fields(audit.file_form)
    for field in (*list_form_fields(audit.request), *of_file):
        option, place = f"--{field.name.replace('_', '-')}", f"{_FIELD}{field.name}"
        words = ", ".join(choice for choice in field.choices if choice)
        default = "required" if field.default is None else f"default {field.default}" if field.default else ""
        text = "; ".join(part for part in (field.ask.label, field.ask.help.rstrip("."), words, default) if part)
        if field.shape is Shape.SWITCH:
            command.add_argument(option, dest=place, action="store_const", const="True", help=text)
        elif field.shape is Shape.COMPONENTS:
            command.add_argument(option, dest=place, nargs="+", metavar="ADDRESS", help=text)
        else:
            command.add_argument(option, dest=place, metavar=field.name.upper(), help=text.replace("%", "%%"))
    command.add_argument(
        "--seen", action="store_true", help="with --freeze: results on these texts were seen elsewhere"
    )
    command.add_argument("--prompt", default="", metavar="ID", help="one prompt of the set, by its id")
    if audit.file_form is not None:
        command.add_argument("--file", type=Path, help="a file of its own kind, in place of --prompts")
    half = "confirmatory" if needs_explored(audit.request) else "exploratory"
    ask_prompts(command, half, required=audit.file_form is None)
    add_endpoint_options(command, audit)


def list_audits(options: argparse.Namespace) -> int:
    """List every audit with its question, and why a command cannot ask it."""
    audits = list_plugins("audits")
    rows: list[dict[str, Any]] = [
        {
            "audit": name,
            "question": audit.question,
            "summary": audit.summary or None,
            "version": audit.version,
            "demands": [demand.name for demand in audit.demands],
            "examples": [{"options": one.options, "expects": one.expects} for one in audit.examples],
            "fields": [field.name for field in list_form_fields(audit.request)],
            "not_asked_here": None if audit.file_form is not None else explain_unasked(audit.request) or None,
        }
        for name, audit in audits.items()
    ]
    if options.json:
        return print_json({"audits": rows})
    for row in rows:
        print_result(f"{row['audit']:<18} {row['question']}")
        if row["demands"]:
            print_result(f"{'':<18} Demands: {', '.join(row['demands'])}.")
        if row["not_asked_here"]:
            print_result(f"{'':<18} Not with this command. {row['not_asked_here']}")
    return 0


def ask_audit(options: argparse.Namespace) -> int:
    """Ask one audit, and print its result with the kind of evidence of each number."""
    audit: Audit = get_plugin("audits", options.audit)
    path = getattr(options, "file", None)
    if path is None and options.prompts is None:
        raise Refused("Neither --file nor --prompts.", wanted="one of them.", remedy="name the file.")
    if path is None and (why := explain_unasked(audit.request)):
        raise Refused(f"A prompt set for {audit.name}. {why}", wanted="a file of its own kind.", remedy="use `--file`.")
    try:
        if path is not None:
            subject: Subject = open_endpoint(options) or open_asked(options)
            auditor = Auditor(subject, RunLog(audit_home()))
            audit.require(subject)
            raw = read_own_file(path)
            request = audit.ask_file(subject, raw, path.name, read_options(options), seed=options.seed)
            announce_calls(subject, audit.count_work(subject, request))
        else:
            subject, prompts, auditor = open_audit(options, audit.name)
            request = _make_request(options, audit, subject, prompts)
    except AuditError as error:
        named = getattr(options, "model_name", None) or options.model
        asked = {"prompts": str(path or options.prompts), "model": named}
        record_refusal(RunLog(audit_home()), audit.name, error, actor=current_actor(), request=asked)
        raise
    if options.freeze is not None:
        _freeze(options, auditor, audit.name, request)
    found = run_audit(auditor, audit.name, request)
    if options.csv is not None:
        _write_tables(audit, found.result, options.csv)
    if options.json:
        return print_json(
            {
                "audit": audit.name,
                "question": audit.question,
                "version": audit.version,
                "identity": identify_run(subject.identity, request),
                "half": options.half,
                "request": request.describe(),
                "evidence": read_evidence(audit.result),
                "result": dump_result(found.result),
                "notices": list(found.notices),
            }
        )
    print_result(audit.question)
    print_findings(found.result)
    return 0


def _freeze(options: argparse.Namespace, auditor: Auditor, audit: str, request: Request) -> None:
    policy = read_policy(audit_home(), options.freeze)
    declared = PriorAccess.RESULTS_SEEN if options.seen else PriorAccess.NOTHING_RUN
    actor = current_actor().name
    found = freeze_request(audit_home(), auditor, audit, request, policy, actor=actor, declared=declared)
    print_status(f"Frozen: {found.question.question_id}, under policy {policy.id}.")
    if found.is_exploratory:
        print_status(
            "Exploratory: results of this model on these texts were seen before, so the answer meets no threshold."
        )


def _write_tables(audit: Audit, result: Any, folder: Path) -> None:
    """Write each table of a result as a CSV file that is safe to open."""
    folder.mkdir(parents=True, exist_ok=True)
    for sheet in audit.rows(result):
        path = folder / f"{audit.name}_{sheet.name.replace(' ', '_')}.csv"
        path.write_bytes(to_csv(make_table(sheet.columns, sheet.rows)))
        print_status(f"Written: {path}")


def read_own_file(path: Path) -> bytes:
    """Bytes of a file, cut one byte beyond what any reader accepts.

    Raises:
        Refused: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise Refused(
            f"{path} cannot be read: {error.strerror}.", wanted="a readable file.", remedy="check path and permissions."
        ) from error


def read_options(options: argparse.Namespace) -> dict[str, str]:
    """Answers of the form that were given as options."""
    given = {name.removeprefix(_FIELD): value for name, value in vars(options).items() if name.startswith(_FIELD)}
    return {
        name: " ".join(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }


def _make_request(options: argparse.Namespace, audit: Audit, subject: Subject, prompts: TokenisedPrompts) -> Request:
    audit.require(subject)
    answers = read_options(options)
    explored = prompts
    if needs_explored(audit.request):
        whole = put_in_form(load_prompt_set(options), options, subject)
        explored = tokenise(take_split(whole, exploratory=True), subject.tokenizer)
    measured = _take_prompt(prompts, options.prompt) if options.prompt else prompts
    return make_request(
        audit.request,
        answers,
        subject=subject,
        prompts=measured,
        reference=prompts,
        explored=explored,
        seed=options.seed,
    )


def _take_prompt(prompts: TokenisedPrompts, wanted: str) -> TokenisedPrompts:
    rows = [at for at, pair in enumerate(prompts.pairs) if pair.prompt.id == wanted]
    if not rows:
        raise Refused(
            f"No prompt {wanted[:60]!r} in this split of {prompts.name}.",
            wanted="the id of a prompt.",
            remedy="see the ids in the file, or choose another `--half`.",
        )
    return prompts.take(rows)
