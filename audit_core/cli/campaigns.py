"""The command `campaign`: plan, run, watch and cancel models × prompt sets × audits."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audit_core.campaigns import (
    LOCAL,
    CampaignFolder,
    CampaignStatus,
    Engine,
    LocalEngine,
    Question,
    RayEngine,
    add_seconds,
    describe_plan,
    find_campaign,
    list_campaigns,
    load_campaign,
    plan_campaign,
    read_status,
    retry_failed,
    run_campaign,
)
from audit_core.cli.output import print_json, print_result, print_status
from audit_core.cli.session import current_actor
from audit_core.errors import Refused
from audit_core.governance.gate_report import show_text
from audit_core.run import Ending
from audit_core.store import audit_home

FAILURES = 1
"""Exit code of a campaign that ended and has failures."""
_FILE = "a campaign in TOML"
_FILE_OR_ID = "a campaign in TOML, or the id of one that was planned here"


def add_campaign_commands(campaign: argparse.ArgumentParser) -> None:
    """Add the actions of `campaign`, each with `--json`."""
    actions = campaign.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    add("plan", _plan, "cut a campaign into tasks, with predicted seconds; nothing is measured").add_argument(
        "campaign", type=Path, help=_FILE
    )
    run = add("run", _run, "plan a campaign and run it, or go on with it after it was stopped or killed")
    run.add_argument("campaign", help=_FILE_OR_ID)
    run.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="this process, or a Ray cluster (default local)"
    )
    run.add_argument(
        "--address", default=LOCAL, help="HOST:PORT of the cluster's head node; default: Ray on this machine only"
    )
    run.add_argument("--retry", action="store_true", help="ask questions again whose answer is a failure")
    add("status", _show_status, "progress, cost predicted and spent, failures with reasons").add_argument(
        "campaign", nargs="?", help=f"{_FILE_OR_ID}; none: list all"
    )
    add("cancel", _cancel, "ask the running process to stop; it can be run again later").add_argument(
        "campaign", help=_FILE_OR_ID
    )


def _plan(options: argparse.Namespace) -> int:
    folder = plan_campaign(load_campaign(options.campaign), audit_home(), on_model=_print_model)
    plan = folder.read_plan()
    rows = describe_plan(plan)
    if options.json:
        tasks = [dict(zip(("task", "model", "questions", "predicted_s"), row, strict=True)) for row in rows]
        refused = [{"question": one.number, "reason": one.refused[1]} for one in plan.questions if one.refused[0]]
        return print_json(
            {"campaign": plan.campaign_id, "questions": len(plan.questions), "tasks": tasks, "refused": refused}
        )
    print_result(f"{plan.campaign_id}: {len(plan.questions)} questions in {len(rows)} tasks.")
    for at, model, count, seconds in rows:
        print_result(show_text(f"task {at}  {_write_s(seconds)}  {count} questions  {model}"))
    print_result(f"Predicted in all, on one worker: {_write_s(add_seconds([row[3] for row in rows]))}.")
    for one in plan.questions:
        if one.refused[0]:
            print_result(show_text(f"refused  {_describe(one)}: {one.refused[1]}"))
    return 0


def _run(options: argparse.Namespace) -> int:
    folder = _find(options.campaign)
    if options.retry:
        print_status(f"Asked again: {retry_failed(folder)}.")
    engine: Engine = LocalEngine()
    if options.engine == "ray":
        engine = RayEngine(options.address, threads=folder.read_plan().threads)
    total = len(folder.read_plan().questions)

    def show(question: Question, ending: Ending) -> None:
        why = f" ({ending.reason})" if ending.reason else ""
        print_status(show_text(f"{question.number}/{total}  {ending.outcome}{why}  {_describe(question)}"))

    run_campaign(folder, engine, actor=current_actor(), on_ended=show)
    return _print(options, read_status(folder.home, folder.campaign_id))


def _show_status(options: argparse.Namespace) -> int:
    home = audit_home()
    if options.campaign is not None:
        _print(options, read_status(home, _find(options.campaign, is_planned=True).campaign_id))
        return 0
    found = [read_status(home, name) for name in list_campaigns(home)]
    if options.json:
        return print_json({"campaigns": [_summarise(one) for one in found]})
    for one in found:
        print_result(_write_line(one))
    if not found:
        print_result("No campaign was planned here: `campaign plan FILE.toml`.")
    return 0


def _cancel(options: argparse.Namespace) -> int:
    folder = _find(options.campaign, is_planned=True)
    is_running = folder.is_held()
    folder.request_stop(current_actor().name)
    if options.json:
        return print_json({"campaign": folder.campaign_id, "was_running": is_running})
    print_result(
        "The running process stops at its next step." if is_running else "No process of this machine runs it. "
        "One on another machine stops at its next step."
    )  # fmt: skip
    return 0


def _find(given: str, *, is_planned: bool = False) -> CampaignFolder:
    """The campaign of a file or an id.

    Args:
        is_planned: refuse a file without a plan, instead of planning it.
    """
    home, path = audit_home(), Path(given)
    if not path.is_file():
        return find_campaign(home, given)
    if not is_planned:
        return plan_campaign(load_campaign(path), home, on_model=_print_model)
    name = load_campaign(path).name
    found = [one for one in list_campaigns(home) if one.rpartition("-")[0] == name]
    if not found:
        raise Refused(
            f"The campaign {name} was not planned here.", wanted="one with a plan.", remedy="`campaign run` it."
        )
    return CampaignFolder(home, found[0])


def _print(options: argparse.Namespace, status: CampaignStatus) -> int:
    exit_code = FAILURES if any(line.state == "failed" for line in status.lines) else 0
    if options.json:
        print_json(
            _summarise(status)
            | {"costs": [asdict(c) for c in status.costs], "questions": [asdict(line) for line in status.lines]}
        )
        return exit_code
    print_result(_write_line(status))
    for cost in status.costs:
        print_result(
            show_text(f"{cost.audit} on {cost.model}: {cost.n_answered} of {cost.n}, predicted {_write_s(cost.predicted_s)}, ")
            + f"of which computed {_write_s(cost.predicted_of_computed_s)}, spent {_write_s(cost.spent_s)}"
        )  # fmt: skip
    for line in status.failures:
        print_result(
            show_text(
                f"{line.state}  {line.number} {line.audit} on {line.model}, {line.prompts}: {line.reason}: {line.detail}"
            )
        )
    return exit_code


def _summarise(status: CampaignStatus) -> dict[str, Any]:
    return {
        "campaign": status.campaign_id, "planned_at": status.made_at, "is_running": status.is_running, "stopped_by": status.stopped_by,
        "questions_in_all": len(status.lines), "ended": status.n_answered, "tasks": status.n_tasks,
        "counts": {state.value: n for state, n in status.counts.items()}, "spent_s": status.spent_s, "remaining_s": status.remaining_s,
    }  # fmt: skip


def _write_line(status: CampaignStatus) -> str:
    counts = ", ".join(f"{n} {state.value.replace('_', ' ')}" for state, n in status.counts.items() if n)
    running = "running" if status.is_running else "cancelled" if status.stopped_by else "not running"
    return f"{status.campaign_id}: {status.n_answered} of {len(status.lines)} ended ({counts}); {running}; predicted rest {_write_s(status.remaining_s)}"  # fmt: skip


def _describe(question: Question) -> str:
    part = f", part {question.part} of {question.parts}" if question.parts > 1 else ""
    return f"{question.audit} {question.options} on {Path(question.model).name}, {question.source.label}{part}"


def _write_s(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds:,.1f} s"


def _print_model(name: str) -> None:
    print_status(show_text(f"Opening {name} …"))
