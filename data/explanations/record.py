"""Records the audit of explanations on the first prompt of a set, on the default model; about two minutes of one core.

Run from the repository root: `PYTHONPATH=. python data/explanations/record.py [SET]`.
"""

import sys

from audit_core import Auditor, RunLog, audit_home, open_subject
from audit_core.audits import ExplanationsRequest
from audit_core.prompts import tokenise
from audit_core.recorded import record_answer
from audit_core.shipped import DATA, load_prompt_set
from ui.flow.choice import pick_one, pick_reference


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


if __name__ == "__main__":
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    for name in sys.argv[1:] or ("indirect_object",):
        whole = tokenise(load_prompt_set(name), auditor.subject.tokenizer)
        # The prompt that the page opens on, as the page asks about it.
        prompts = pick_one(whole, whole.pairs[0].prompt.id)
        request = ExplanationsRequest(prompts, pick_reference(prompts, whole))
        path = DATA / "explanations" / f"recorded-{name}.json"
        made = record_answer(auditor, "explanations", request, path, on_progress=show)
        print(f"\n{path.name}: {made.wall_s:.0f} s: {made.result.finding}")
