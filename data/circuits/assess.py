"""Finds one circuit per task on the exploratory half, asks every question about it on the other, and writes the full record.

Run from the repository root: `PYTHONPATH=. python data/circuits/assess.py indirect_object gender_pronoun`. All circuits are found
before any is assessed, so that each task stands beside the others with their own circuits. The rule, fixed before looking: order
all heads by measured effect (resample, noising) on the exploratory half; take the fewest of 3, 4, 6, 8 and 10 that alone keep at
least 0.9 of the gap there; ten where none does. Nothing that the confirmatory half says changes the circuit.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audit_core import (
    Actor,
    Auditor,
    Component,
    Estimate,
    Role,
    RunLog,
    audit_home,
    format_components,
    list_prompt_sets,
    load_prompt_set,
    open_subject,
    parse_components,
    tokenise,
)
from audit_core.assessment import Assessment, sort_findings
from audit_core.audits import DiscoverRequest, RecompositionRequest
from audit_core.circuits import CircuitQuestion, OtherTask, list_circuit_questions
from audit_core.prompts import take_split
from audit_core.run import dump_result

SIZES, ENOUGH = (3, 4, 6, 8, 10), 0.9
METHOD = "exact"
ME = Actor("circuit finder", "circuit finder")
SUFFIX = "-found"


class Finder:
    """One model, and answers that are not computed twice."""

    def __init__(self) -> None:
        self.subject = open_subject("default")
        self.auditor = Auditor(self.subject, RunLog(audit_home()))

    def ask(self, audit: str, request: object) -> object:
        known, start = self.auditor.find_earlier(audit, request), time.monotonic()
        found = (known or self.auditor.run(audit, request, actor=ME)).result
        print(f"{audit}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        return found

    def read(self, task: str, *, explored: bool) -> object:
        return tokenise(take_split(load_prompt_set(task), exploratory=explored), self.subject.tokenizer)


@dataclass(frozen=True)
class Found:
    """What the exploratory half gave."""

    task: str
    components: tuple[Component, ...]
    looked: dict[int, Estimate]
    """What the first k keep alone there."""


def find(finder: Finder, task: str) -> Found:
    explored = finder.read(task, explored=True)
    order = finder.ask("discover", DiscoverRequest(explored, explored, METHOD))
    looked, components = {}, ()
    for size in SIZES:
        components = parse_components(" ".join(order.components[:size]))
        looked[size] = finder.ask("recomposition", RecompositionRequest(explored, explored, components)).kept.estimate
        if looked[size].value >= ENOUGH:
            break
    return Found(task, components, looked)


def assess(finder: Finder, found: Found, all_found: Sequence[Found]) -> None:
    task, components, looked = found.task, found.components, found.looked
    explored, judged = (finder.read(task, explored=half) for half in (True, False))
    own = {other.task: other.components for other in all_found}
    others = tuple(
        OtherTask(finder.read(name, explored=False), own.get(name, ())) for name in list_prompt_sets() if name != task
    )
    assessment = Assessment(CircuitQuestion(judged, judged, components), explored, others, METHOD)
    verdicts = {role: finder.ask("claim_test", assessment.ask_verdict(role)) for role in Role}
    results = {audit: finder.ask(audit, assessment.ask(audit)) for audit in list_circuit_questions()}
    balance = sort_findings(components, results, verdicts)
    identity = finder.subject.identity
    record = {
        "name": f"Found: {len(components)} heads", "statement": f"{format_components(components)} carries the answer.",
        "components": [str(c) for c in components], "universe": "heads", "task": task, "model": identity.model,
        "weights_sha256": identity.weights_sha256,
        "origin": f"By rule: the first {len(components)} heads by measured effect (resample, noising) on the exploratory half, "
        f"n = {len(explored)}, the fewest of {', '.join(map(str, SIZES))} that alone kept {ENOUGH:g} of the gap there"
        + ("." if looked[len(components)].value >= ENOUGH else "; none did."),
        "exploratory": {
            "prompts_sha256": explored.sha256, "n": len(explored), "kept_alone_by_size": {k: e.to_json() for k, e in looked.items()},
        },
        "confirmatory": {
            "prompts_sha256": judged.sha256, "n": len(judged),
            "speaks_for": balance.speaks_for, "speaks_against": balance.speaks_against, "unresolved": balance.unresolved,
            "about_the_search": balance.about_the_search,
            "verdicts": {role.value: dump_result(found) for role, found in verdicts.items()},
            "questions": {audit: dump_result(found) for audit, found in results.items()},
        },
        "licence": "Apache-2.0",
    }  # fmt: skip
    path = Path(__file__).parent / f"{task}{SUFFIX}.json"
    text = json.dumps(_shorten(record), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    print(
        f"{path.name}: {format_components(components)}",
        *balance.speaks_for,
        "AGAINST",
        *balance.speaks_against,
        sep="\n  ",
    )


def _shorten(value: object) -> object:
    """Numbers to six digits: what is recorded is read and compared, and runs differ in the seventh."""
    if isinstance(value, dict):
        return {key: _shorten(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shorten(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", help="tasks whose circuits are found")
    parser.add_argument("--only", nargs="*", help="of those, the tasks that are assessed; all unless given")
    options = parser.parse_args()
    finder = Finder()
    circuits = [find(finder, name) for name in options.tasks]
    for circuit in circuits:
        if options.only is None or circuit.task in options.only:
            assess(finder, circuit, circuits)
