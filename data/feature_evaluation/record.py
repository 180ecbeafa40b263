"""Records the evaluation of the shipped dictionary on the default model; about five minutes of one core.

Run from the repository root: `PYTHONPATH=. python data/feature_evaluation/record.py`, after `data/features/train.py`.
"""

import sys

from audit_core import Auditor, RunLog, audit_home, open_subject
from audit_core.features import EvaluationRequest, describe_prompts, list_shipped_texts, read_labelled_file
from audit_core.probes import SHIPPED, read_shipped
from audit_core.recorded import record_answer
from audit_core.shipped import DATA


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


if __name__ == "__main__":
    auditor, name = Auditor(open_subject("default"), RunLog(audit_home())), SHIPPED[0]
    texts = list_shipped_texts(auditor.subject.tokenizer)
    labelled = read_labelled_file(read_shipped(name), name, auditor.subject.tokenizer)
    request = EvaluationRequest(texts, describe_prompts(texts), labelled=labelled)
    path = DATA / "feature_evaluation" / "recorded.json"
    made = record_answer(auditor, "feature_evaluation", request, path, on_progress=show)
    print(f"\n{made.wall_s:.0f} s: {made.result.finding}")
