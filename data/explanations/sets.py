"""Audits the explanations of 50 prompts of each of two sets, on the default model, in two processes; about ten minutes of two cores.

Run from the repository root: `PYTHONPATH=. OMP_NUM_THREADS=1 python data/explanations/sets.py [SET …]`. Writes a record of each set,
and the tables of the README.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from pydantic import TypeAdapter

from audit_core import Auditor, RunLog, audit_home, open_subject
from audit_core.audits import ExplanationsRequest, ExplanationsResult
from audit_core.explanations import WORDS, Grade
from audit_core.prompts import tokenise
from audit_core.recorded import RecordedAnswer, record_answer
from audit_core.shipped import load_prompt_set
from audit_core.stats import Estimate

HERE = Path(__file__).parent
SETS = ("gender_pronoun", "subject_verb_agreement")
MARK = "<!-- Written by sets.py from here on. -->"


def measure(name: str) -> None:
    """One set: its record, and a line on what it took."""
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    prompts = tokenise(load_prompt_set(name), auditor.subject.tokenizer)
    started = time.process_time()
    made = record_answer(
        auditor, "explanations", ExplanationsRequest(prompts, prompts), HERE / f"set-{name}.json",
        on_progress=lambda done, total: print(f"{name} {done / total:4.0%}", file=sys.stderr),
    )  # fmt: skip
    print(f"{name}: {made.result.n} prompts, {made.wall_s:.0f} s, {time.process_time() - started:.0f} CPU s")


def say(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not measured"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def tabulate(name: str, wall_s: float, found: ExplanationsResult) -> str:
    rows = [
        f"| {row.title} | {WORDS[Grade(row.grade)]} | {say(row.comprehensiveness_gain)} | {say(row.removal_gain)} | "
        f"{say(row.randomised)}{f', n = {row.randomised.n}' if row.randomised else ''} | {say(row.local)} |"
        for row in found.methods
    ]
    head = (
        "| method | grade | gain over random orders, replaced | the same, removed | agreement with randomised weights | local change |\n"
        "|---|---|---|---|---|---|\n"
    )
    return (
        f"### {name}: n = {found.n} prompts in {found.n_templates} templates, {wall_s:.0f} s, gains in {found.unit}\n\n{head}"
        + "\n".join(rows)
        + "\n"
    )


def write_tables() -> None:
    """Replace the tables of the README by those of all records beside it."""
    form = RecordedAnswer[ExplanationsResult]
    records = [TypeAdapter(form).validate_json(path.read_bytes()) for path in sorted(HERE.glob("set-*.json"))]
    names = [path.stem.removeprefix("set-") for path in sorted(HERE.glob("set-*.json"))]
    readme = HERE / "README.md"
    kept = readme.read_text(encoding="utf-8").partition(MARK)[0]
    tables = [tabulate(name, record.wall_s, record.result) for name, record in zip(names, records, strict=True)]
    readme.write_text(f"{kept}{MARK}\n\n" + "\n".join(tables), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--tables"]:
        write_tables()
    elif os.environ.get("ASSAY_ONE_SET"):
        measure(sys.argv[1])
    else:
        began = time.monotonic()
        names = tuple(sys.argv[1:]) or SETS
        own = {**os.environ, "ASSAY_ONE_SET": "1"}
        runs = [subprocess.Popen([sys.executable, __file__, name], env=own) for name in names]
        if any([run.wait() for run in runs]):
            raise SystemExit("A set was not measured.")
        print(f"together: {time.monotonic() - began:.0f} s")
        write_tables()
