"""Records the robustness of two shipped circuits on the default model; ten minutes on two cores.

Run from the repository root: `PYTHONPATH=. python data/robustness/record.py`. The circuits were chosen by `data/circuits/find.py` on the
exploratory split: the head that acts most, and the one that looks right. Every number is of the confirmatory split.
"""

import json
import sys
from datetime import UTC, datetime

from pydantic import TypeAdapter

from audit_core import Actor, Auditor, RunLog, audit_home, load_prompt_set, open_subject, tokenise
from audit_core.audits import RobustnessRequest
from audit_core.evidence.source import hash_source
from audit_core.judging.verdict import RULE_VERSION
from audit_core.models.edited import EDITED
from audit_core.models.known import SMOLLM2
from audit_core.prompts import take_tokenised_split
from audit_core.registry import get_plugin
from audit_core.robustness_record import FOLDER, RecordedRobustness
from audit_core.run import list_versions
from audit_core.shipped import list_circuits
from audit_core.story import MeasuredWith, round_recorded

TASK, CIRCUITS, SEED = "indirect_object", ("indirect_object-acts", "indirect_object-looks"), 0
ME = Actor("robustness recorder", "robustness recorder")


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


def record(auditor: Auditor, name: str) -> RecordedRobustness:
    subject, code = auditor.subject, hash_source()
    whole = tokenise(load_prompt_set(TASK), subject.tokenizer)
    explored, judged = (take_tokenised_split(whole, exploratory=split) for split in (True, False))
    circuit = next(circuit for circuit in list_circuits() if circuit.id == name)
    request = RobustnessRequest(judged, explored, circuit.components, other_models=EDITED.name, seed=SEED)
    found = auditor.find_earlier("robustness", request) or auditor.run(
        "robustness", request, actor=ME, on_progress=show
    )
    identity = {key: value for key, value in subject.identity.to_json().items() if key != "folder"}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return RecordedRobustness(
        model_file_sha256=SMOLLM2.member_sha256, circuit=name, asked=request.describe(), prompts_sha256=judged.sha256,
        version=get_plugin("audits", "robustness").version, wall_s=found.wall_s,
        measured_with=MeasuredWith(now, identity, code, RULE_VERSION, list_versions(), SEED), result=found.result,
    )  # fmt: skip


if __name__ == "__main__":
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    for name in sys.argv[1:] or CIRCUITS:
        made = record(auditor, name)
        plain = round_recorded(TypeAdapter(RecordedRobustness).dump_python(made, mode="json"))
        path = FOLDER / f"{name}.json"
        path.write_text(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=1) + "\n", encoding="utf-8")
        print(f"\n{path.name}: {made.wall_s:.0f} s: {made.result.finding}")
