"""The commands `discover` and `circuit`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from audit_core.assessment.questions import Assessment
from audit_core.audits.discover import DiscoverRequest, DiscoverResult
from audit_core.circuits.circuit_check import OtherTask
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.claim import Universe
from audit_core.cli.output import print_json, print_result
from audit_core.cli.session import open_audit, put_in_form, run_audit
from audit_core.component import parse_components
from audit_core.controls import Controls
from audit_core.intervention import Replacement
from audit_core.prompt_files.layouts import parse_columns
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import load_prompts, take_split
from audit_core.registry import get_plugin
from audit_core.run import dump_result, identify_run
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.stats.groups import GroupEstimates
from audit_core.stats.measurement import Conditions, Measurement

_SHOWN = 20


def discover_circuit(options: argparse.Namespace) -> int:
    """Propose an order of components: a hypothesis for `test` on the confirmatory split."""
    subject, prompts, auditor = open_audit(options, "discover")
    request = DiscoverRequest(
        prompts,
        prompts,
        options.method,
        Universe(options.universe),
        Replacement(options.ablation),
        options.metric,
        options.seed,
    )
    found = run_audit(auditor, "discover", request)
    result: DiscoverResult = found.result
    if options.json:
        identity = identify_run(subject.identity, request)
        return print_json(dump_result(result) | {"identity": identity, "notices": list(found.notices)})
    kind = "measured" if result.is_measured else "not measured"
    print_result(f"Proposed by {result.method} on {result.n} exploratory prompts. Scores in {result.unit}, {kind}.")
    print_result(f"It misses: {result.misses}")
    for component, score in list(zip(result.components, result.scores, strict=True))[:_SHOWN]:
        print_result(f"  {component:<12} {score:+.3f}")
    if len(result.components) > _SHOWN:
        print_result(f"  and {len(result.components) - _SHOWN} after them; --json lists all.")
    return 0


def question_circuit(options: argparse.Namespace) -> int:
    """Run one robustness check on a named circuit."""
    subject, prompts, auditor = open_audit(options, options.ask)
    whole = put_in_form(load_prompts(options.prompts, columns=parse_columns(options.column)), options, subject)
    question = CircuitQuestion(
        prompts,
        prompts,
        parse_components(" ".join(options.components)),
        Universe(options.universe),
        Replacement(options.ablation),
        options.metric,
        options.seed,
    )
    others = tuple(
        OtherTask(
            tokenise(
                take_split(put_in_form(load_prompts(path), options, subject), exploratory=False), subject.tokenizer
            )
        )
        for path in options.other
    )
    explored = tokenise(take_split(whole, exploratory=True), subject.tokenizer)
    request = Assessment(question, explored, others, options.method).ask(options.ask)
    found = run_audit(auditor, options.ask, request)
    result = found.result
    if options.json:
        more = {"identity": identify_run(subject.identity, request), "half": options.half}
        return print_json(dump_result(result) | more | {"notices": list(found.notices)})
    print_result(get_plugin("audits", options.ask).question)
    print_findings(result)
    return 0


def print_findings(result: Any, depth: int = 1) -> None:
    """Print every finding of a result by field name; long lists are cut, `--json` has all."""
    for field in fields(result):
        value, name = getattr(result, field.name), "  " * depth + field.name.replace("_", " ")
        if isinstance(value, Measurement):
            print_result(
                f"{name}: {format_estimate(value.estimate)}; {value.conditions.ablation}, {value.conditions.set}"
            )
        elif isinstance(value, Estimate):
            print_result(f"{name}: {format_estimate(value)}")
        elif isinstance(value, (Conditions, Controls)) or value in ("", None):
            continue
        elif isinstance(value, GroupEstimates):
            for group, estimate in zip(value.names, value.estimates, strict=True):
                print_result(f"{name}, {group}: {format_estimate(estimate)}")
        elif isinstance(value, Mapping):
            for key, one in value.items():
                print_result(f"{name}, {key}: {format_estimate(one) if isinstance(one, Estimate) else one}")
        elif is_dataclass(value):
            print_result(f"{name}:")
            print_findings(value, depth + 1)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            print_result(f"{name}:")
            for row in value[:_SHOWN]:
                print_findings(row, depth + 1)
            if len(value) > _SHOWN:
                print_result(f"{name}: and {len(value) - _SHOWN} more; --json lists all.")
        elif isinstance(value, tuple):
            print_result(
                f"{name}: {', '.join(f'{v:.3f}' if isinstance(v, float) else str(v) for v in value) or 'none'}"
            )
        elif isinstance(value, float):
            print_result(f"{name}: {value:.3f}")
        else:
            print_result(f"{name}: {value}")
