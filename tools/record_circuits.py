"""Records answers about the shipped circuits on the default model: `make circuits`; about 15 minutes of one core.

The audits are those of the page, asked as the page asks them. What is bounded is which of them are asked: of the example
all that needs no exact search is asked in full, of the others mostly the quick form. Results are reused from the run log
of `AUDIT_HOME`, so that an interrupted recording goes on. No result decides what is recorded.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from audit_core import Actor, Auditor, Role, RunLog, audit_home, load_prompt_set, open_subject, tokenise
from audit_core.assessment import QUICK_METHOD, Assessment, ask_quickly
from audit_core.assessment.recorded import RecordedAnswer, RecordedCircuit
from audit_core.circuits import Circuit, CircuitQuestion, Search, list_checks, list_quick_questions
from audit_core.evidence.source import hash_source
from audit_core.judging.verdict import RULE_VERSION
from audit_core.models.known import SMOLLM2
from audit_core.prompts import take_tokenised_split
from audit_core.registry import get_plugin
from audit_core.run import list_versions
from audit_core.shipped import list_circuits
from audit_core.story import MeasuredWith, round_recorded

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "data/circuit_answers"
ROLES = tuple(role.value for role in Role)
ME = Actor("circuit recorder", "circuit recorder")
SEED = 0


@dataclass(frozen=True)
class Plan:
    """What is asked about one circuit."""

    full: tuple[str, ...]
    """Audits, or the roles of a verdict, on the whole confirmatory split."""
    quick: tuple[str, ...]


PLANS = {
    "indirect_object-found": Plan(("paths", "recomposition", "circuit", *ROLES), ("stability", "rival", "curve")),
    "indirect_object-acts": Plan(("recomposition", "necessary"), ()),
    "indirect_object-looks-most": Plan(("recomposition", "necessary"), ()),
    "indirect_object-acts-together": Plan((), ("paths", "recomposition", "circuit")),
    "subject_verb_agreement-found": Plan((), ("paths", "recomposition")),
    # In full: on 16 of its prompts the model does this task too rarely to be measured.
    "gender_pronoun-found": Plan(("paths", "recomposition"), ()),
}
"""Circuit → its plan."""


class Recorder:
    """The default model, and answers that are not computed twice."""

    def __init__(self) -> None:
        self.subject = open_subject("default")
        self.auditor = Auditor(self.subject, RunLog(audit_home()))

    def record(self, circuit: Circuit, plan: Plan) -> RecordedCircuit:
        """Ask everything that is planned about one circuit."""
        whole = tokenise(load_prompt_set(circuit.task), self.subject.tokenizer)
        explored, judged = (take_tokenised_split(whole, exploratory=split) for split in (True, False))
        question = CircuitQuestion(judged, judged, circuit.components, circuit.universe)
        assessment = Assessment(question, explored)
        answers = [self._answer(key, _ask(assessment, key), is_quick=False) for key in plan.full]
        answers += [
            self._answer(key, ask_quickly(assessment, key), is_quick=True)
            for key in list_quick_questions()
            if key in plan.quick
        ]
        identity = {name: value for name, value in self.subject.identity.to_json().items() if name != "folder"}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return RecordedCircuit(
            circuit.id, tuple(map(str, circuit.components)), circuit.task, whole.sha256, circuit.universe,
            question.replacement, SMOLLM2.member_sha256,
            MeasuredWith(now, identity, hash_source(), RULE_VERSION, list_versions(), SEED), tuple(answers),
        )  # fmt: skip

    def _answer(self, key: str, request: Any, *, is_quick: bool) -> RecordedAnswer:
        audit = "claim_test" if key in ROLES else key
        known = self.auditor.find_earlier(audit, request)
        found = known or self.auditor.run(audit, request, actor=ME)
        sys.stderr.write(f"  {key}: n = {len(request.prompts)}, {found.wall_s:.0f} s\n")
        plugin = get_plugin("audits", audit)
        searching = {check.name for check in list_checks() if check.search is not Search.NONE}
        method = (QUICK_METHOD if is_quick else "exact") if audit in searching else ""
        result = TypeAdapter(plugin.result).dump_python(found.result, mode="json")
        role = key if key in ROLES else ""
        return RecordedAnswer(
            audit, role, plugin.version, len(request.prompts), is_quick, method, found.wall_s, result
        )  # fmt: skip


def _ask(assessment: Assessment, key: str) -> Any:
    return assessment.ask_verdict(Role(key)) if key in ROLES else assessment.ask(key)


def write(record: RecordedCircuit) -> Path:
    """Store one record, one answer to a line."""
    plain = round_recorded(TypeAdapter(RecordedCircuit).dump_python(record, mode="json"))
    answers = plain.pop("answers")
    head = json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)
    rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False, allow_nan=False) for row in answers)
    path = RECORDS / f"{record.circuit}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{head[:-2]},\n "answers": [\n{rows}\n ]\n}}\n', encoding="utf-8")
    return path


def main() -> None:
    """Record the circuits that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("circuits", nargs="*", metavar="CIRCUIT", help=", ".join(PLANS))
    chosen = parser.parse_args().circuits or list(PLANS)
    recorder, shipped = Recorder(), {circuit.id: circuit for circuit in list_circuits()}
    for name in chosen:
        sys.stderr.write(f"{name}\n")
        path = write(recorder.record(shipped[name], PLANS[name]))
        sys.stderr.write(f"{path.name}: {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
