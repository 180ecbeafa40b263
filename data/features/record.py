"""Records the audit of features of the shipped labelled texts on the default model; about three minutes of one core.

Run from the repository root: `PYTHONPATH=. python data/features/record.py`, after `train.py`.
"""

import json
import sys
from datetime import UTC, datetime

from pydantic import TypeAdapter

from audit_core import Actor, Auditor, RunLog, audit_home, open_subject
from audit_core.evidence.source import hash_source
from audit_core.features import FeaturesResult
from audit_core.judging.verdict import RULE_VERSION
from audit_core.models.known import SMOLLM2
from audit_core.probes import SHIPPED, read_shipped
from audit_core.recorded import RecordedAnswer
from audit_core.registry import get_plugin
from audit_core.run import list_versions
from audit_core.shipped import DATA
from audit_core.story import MeasuredWith, round_recorded

ME = Actor("features recorder", "features recorder")


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


if __name__ == "__main__":
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    audit, code, name = get_plugin("audits", "features"), hash_source(), SHIPPED[0]
    request = audit.ask_file(auditor.subject, read_shipped(name), name, {})
    found = auditor.find_earlier("features", request) or auditor.run("features", request, actor=ME, on_progress=show)
    identity = {key: value for key, value in auditor.subject.identity.to_json().items() if key != "folder"}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = RecordedAnswer(
        audit="features", model_file_sha256=SMOLLM2.member_sha256, asked=request.describe(), version=audit.version,
        wall_s=found.wall_s, result=found.result,
        measured_with=MeasuredWith(now, identity, code, RULE_VERSION, list_versions(), request.seed),
    )  # fmt: skip
    plain = round_recorded(TypeAdapter(RecordedAnswer[FeaturesResult]).dump_python(made, mode="json"))
    path = DATA / "features" / f"recorded-{name.removesuffix('.csv')}.json"
    path.write_text(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    print(f"\n{path.name}: {made.wall_s:.0f} s: {made.result.finding}")
