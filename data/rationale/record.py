"""Records what the page Rationale shows at once: the planted chain models, and a run of the default model.

Run from the repository root: `PYTHONPATH=. python data/rationale/record.py known` (minutes) and `… record.py default` (minutes).
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from audit_core import Actor, Auditor, RunLog, audit_home, open_subject, tokenise
from audit_core.audits.rationale import RationaleRequest
from audit_core.evidence.source import hash_source
from audit_core.judging.verdict import RULE_VERSION
from audit_core.models.known import SMOLLM2
from audit_core.rationale.known_models import EXPECTED, ask_known, tabulate_known
from audit_core.rationale_record import KNOWN, RUN, RecordedKnown, RecordedRationale, load_questions
from audit_core.registry import get_plugin
from audit_core.run import list_versions
from audit_core.story import MeasuredWith, round_recorded

SEED, PER_TEMPLATE = 0, 36
"""36 questions of 6 templates: with 0 of 36 followed, the upper end of Wilson's interval is below 0.1."""
ME = Actor("rationale recorder", "rationale recorder")


def record_known(per_template: int) -> RecordedKnown:
    asked = {}
    for name in EXPECTED:
        asked[name] = ask_known(name, open_subject(name), per_template)
        print(name, len(asked[name]), flush=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    version = get_plugin("audits", "rationale").version
    return RecordedKnown(
        recorded_at=now, code_sha256=hash_source(), version=version, table=tabulate_known(asked)
    )  # fmt: skip


def record_default() -> RecordedRationale:
    import torch

    subject = open_subject("default")
    questions = load_questions()
    request = RationaleRequest(tokenise(questions, subject.tokenizer), seed=SEED)
    auditor = Auditor(subject, RunLog(audit_home()))
    begun = time.monotonic()
    result = auditor.run("rationale", request, actor=ME).result
    wall = time.monotonic() - begun
    identity = {name: value for name, value in subject.identity.to_json().items() if name != "folder"}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return RecordedRationale(
        model_file_sha256=SMOLLM2.member_sha256, prompts_sha256=questions.sha256,
        version=get_plugin("audits", "rationale").version, wall_s=round(wall, 1), n_threads=torch.get_num_threads(),
        measured_with=MeasuredWith(now, identity, hash_source(), RULE_VERSION, list_versions(), SEED), result=result,
    )  # fmt: skip


def write(path: Path, form: type, made: Any) -> None:
    plain = round_recorded(TypeAdapter(form).dump_python(made, mode="json"))
    path.write_text(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=0) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    if "known" in sys.argv[1:]:
        sizes = [int(word) for word in sys.argv[1:] if word.isdigit()]
        write(KNOWN, RecordedKnown, record_known(*(sizes or [PER_TEMPLATE])))
    if "default" in sys.argv[1:]:
        write(RUN, RecordedRationale, record_default())
