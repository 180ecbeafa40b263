"""Records the audit of decisions on the shipped file, for the planted and the default model; four minutes on one core.

Run from the repository root: `PYTHONPATH=. python data/decisions/record.py`.
"""

import sys
from datetime import UTC, datetime

from pydantic import TypeAdapter

from audit_core import Actor, Auditor, RunLog, audit_home, open_subject
from audit_core.decisions.recorded import RECORDED, RecordedDecisions
from audit_core.decisions.shipped import FILE, FOLDER, read_credit
from audit_core.evidence.source import hash_source
from audit_core.registry import get_plugin

ME = Actor("decisions recorder", "decisions recorder")


def record(model: str) -> None:
    subject = open_subject(model)
    request = get_plugin("audits", "decisions").ask_file(subject, read_credit(), FILE, {})
    found = Auditor(subject, RunLog(audit_home())).run("decisions", request, actor=ME)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    run = RecordedDecisions(found.result, model, made_at, hash_source(), subject.identity.weights_sha256)
    (FOLDER / f"{model}.run.json").write_bytes(TypeAdapter(RecordedDecisions).dump_json(run, indent=1) + b"\n")


for name in sys.argv[1:] or RECORDED:
    record(name)
