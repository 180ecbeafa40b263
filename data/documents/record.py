"""Records the audit of the shipped questions on the default model; a quarter of an hour each on two cores.

Run from the repository root: `PYTHONPATH=. python data/documents/record.py [FILE]`.
"""

import json
import sys
from datetime import UTC, datetime

from pydantic import TypeAdapter

from audit_core import Actor, Auditor, RunLog, audit_home, open_subject
from audit_core.documents import SHIPPED, DocumentsResult, read_passages, read_shipped, retrieve
from audit_core.evidence.source import hash_source
from audit_core.judging.verdict import RULE_VERSION
from audit_core.models.known import SMOLLM2
from audit_core.recorded import RecordedAnswer
from audit_core.registry import get_plugin
from audit_core.run import list_versions
from audit_core.shipped import DATA
from audit_core.story import MeasuredWith, round_recorded

ME = Actor("documents recorder", "documents recorder")


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


def freeze_retrieved() -> None:
    """Write the questions with the documents that BM25 finds."""
    folder = DATA / "documents"
    passages = read_passages([("passages.csv", (folder / "passages.csv").read_bytes())])
    unanswered = (folder / "unanswered.csv").read_bytes()
    (folder / SHIPPED[1]).write_bytes(
        retrieve(unanswered, "unanswered.csv", passages, get_plugin("retrievers", "bm25")).raw
    )


def record(auditor: Auditor, name: str) -> RecordedAnswer[DocumentsResult]:
    audit, code = get_plugin("audits", "documents"), hash_source()
    request = audit.ask_file(auditor.subject, read_shipped(name), name, {})
    found = auditor.find_earlier("documents", request) or auditor.run("documents", request, actor=ME, on_progress=show)
    identity = {key: value for key, value in auditor.subject.identity.to_json().items() if key != "folder"}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return RecordedAnswer(
        audit="documents", model_file_sha256=SMOLLM2.member_sha256, asked=request.describe(), version=audit.version,
        wall_s=found.wall_s, result=found.result,
        measured_with=MeasuredWith(now, identity, code, RULE_VERSION, list_versions(), request.seed),
    )  # fmt: skip


if __name__ == "__main__":
    freeze_retrieved()
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    for name in sys.argv[1:] or SHIPPED:
        made = record(auditor, name)
        plain = round_recorded(TypeAdapter(RecordedAnswer[DocumentsResult]).dump_python(made, mode="json"))
        path = DATA / "documents" / f"recorded-{name.removesuffix('.csv')}.json"
        path.write_text(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        print(f"\n{path.name}: {made.wall_s:.0f} s: {made.result.finding}")
