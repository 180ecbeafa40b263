"""Records the audit of lenses on the default model; about ten minutes of one core.

Run from the repository root: `PYTHONPATH=. python data/lenses/record.py [SET]`.
"""

import sys

from audit_core import Auditor, RunLog, audit_home, open_subject
from audit_core.lenses import LensesRequest
from audit_core.prompts import take_tokenised_split, tokenise
from audit_core.recorded import record_answer
from audit_core.shipped import DATA, load_prompt_set


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


if __name__ == "__main__":
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    for name in sys.argv[1:] or ("indirect_object",):
        prompts = tokenise(load_prompt_set(name), auditor.subject.tokenizer)
        explored = take_tokenised_split(prompts, exploratory=True)
        request = LensesRequest(explored, explored, jacobian=8)
        path = DATA / "lenses" / f"recorded-{name}.json"
        made = record_answer(auditor, "lenses", request, path, on_progress=show)
        print(f"\n{path.name}: {made.wall_s:.0f} s: {made.result.finding}")
