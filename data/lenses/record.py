"""Records the audit of lenses on the default model; about five minutes of one core.

Run from the repository root: `PYTHONPATH=. python data/lenses/record.py [SET]`.
"""

import json
import sys
from datetime import UTC, datetime

from pydantic import TypeAdapter

from audit_core import Actor, Auditor, RunLog, audit_home, open_subject
from audit_core.evidence.source import hash_source
from audit_core.judging.verdict import RULE_VERSION
from audit_core.lenses import LensesRequest, LensesResult
from audit_core.models.known import SMOLLM2
from audit_core.prompts import take_tokenised_split, tokenise
from audit_core.recorded import RecordedAnswer
from audit_core.registry import get_plugin
from audit_core.run import list_versions
from audit_core.shipped import DATA, load_prompt_set
from audit_core.story import MeasuredWith, round_recorded

ME = Actor("lenses recorder", "lenses recorder")


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


def record(auditor: Auditor, name: str) -> RecordedAnswer[LensesResult]:
    audit, code = get_plugin("audits", "lenses"), hash_source()
    explored = take_tokenised_split(tokenise(load_prompt_set(name), auditor.subject.tokenizer), exploratory=True)
    request = LensesRequest(explored, explored)
    found = auditor.find_earlier("lenses", request) or auditor.run("lenses", request, actor=ME, on_progress=show)
    identity = {key: value for key, value in auditor.subject.identity.to_json().items() if key != "folder"}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return RecordedAnswer(
        audit="lenses", model_file_sha256=SMOLLM2.member_sha256, asked=request.describe(), version=audit.version,
        wall_s=found.wall_s, result=found.result,
        measured_with=MeasuredWith(now, identity, code, RULE_VERSION, list_versions(), request.seed),
    )  # fmt: skip


if __name__ == "__main__":
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    for name in sys.argv[1:] or ("indirect_object",):
        made = record(auditor, name)
        plain = round_recorded(TypeAdapter(RecordedAnswer[LensesResult]).dump_python(made, mode="json"))
        path = DATA / "lenses" / f"recorded-{name}.json"
        path.write_text(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        print(f"\n{path.name}: {made.wall_s:.0f} s: {made.result.finding}")
