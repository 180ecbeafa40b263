"""Records what the live audit shows while its model loads: attention, single effects and one ablation on one prompt.

Run from the repository root: `PYTHONPATH=. python data/first_answer/record.py`. The head is the shipped example that acts; a script chose it
on the exploratory split (`data/circuits/find.py`).
"""

import json
from datetime import UTC, datetime

from pydantic import TypeAdapter

from audit_core import (
    AblationRequest,
    Actor,
    AttentionRequest,
    Auditor,
    RunLog,
    SweepRequest,
    audit_home,
    load_prompt_set,
    open_subject,
    tokenise,
)
from audit_core.attention import Source
from audit_core.evidence.source import hash_source
from audit_core.first_answer import RECORD, FirstAnswer
from audit_core.judging.verdict import RULE_VERSION
from audit_core.models.known import SMOLLM2
from audit_core.registry import get_plugin
from audit_core.run import list_versions
from audit_core.shipped import list_circuits
from audit_core.story import MeasuredWith, round_recorded
from ui.flow.choice import pick_one, pick_reference

TASK, PROMPT, SEED = "indirect_object", "io-0001", 0
ME = Actor("first answer recorder", "first answer recorder")


def record() -> FirstAnswer:
    subject = open_subject("default")
    auditor = Auditor(subject, RunLog(audit_home()))
    prompts = load_prompt_set(TASK)
    whole = tokenise(prompts, subject.tokenizer)
    one = pick_one(whole, PROMPT)
    reference = pick_reference(one, whole)
    components = next(c.components for c in list_circuits() if c.id == f"{TASK}-acts")
    asked = {
        "attention": AttentionRequest(one, Source.ANSWER),
        "sweep": SweepRequest(one, reference),
        "ablation": AblationRequest(one, reference, components),
    }
    results = {audit: auditor.run(audit, request, actor=ME).result for audit, request in asked.items()}
    identity = {name: value for name, value in subject.identity.to_json().items() if name != "folder"}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return FirstAnswer(
        model_file_sha256=SMOLLM2.member_sha256, prompts=TASK, prompts_sha256=prompts.sha256, prompt=PROMPT,
        components=tuple(map(str, components)), versions={audit: get_plugin("audits", audit).version for audit in asked},
        measured_with=MeasuredWith(now, identity, hash_source(), RULE_VERSION, list_versions(), SEED), **results,
    )  # fmt: skip


if __name__ == "__main__":
    plain = round_recorded(TypeAdapter(FirstAnswer).dump_python(record(), mode="json"))
    RECORD.write_text(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=0) + "\n", encoding="utf-8")
    print(f"{RECORD.name}: {RECORD.stat().st_size:,} bytes")
