"""Records the audit of features of the shipped labelled texts on the default model; about three minutes of one core.

Run from the repository root: `PYTHONPATH=. python data/features/record.py`, after `train.py`.
"""

import sys

from audit_core import Auditor, RunLog, audit_home, open_subject
from audit_core.probes import SHIPPED, read_shipped
from audit_core.recorded import record_answer
from audit_core.registry import get_plugin
from audit_core.shipped import DATA


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


if __name__ == "__main__":
    auditor, name = Auditor(open_subject("default"), RunLog(audit_home())), SHIPPED[0]
    request = get_plugin("audits", "features").ask_file(auditor.subject, read_shipped(name), name, {})
    path = DATA / "features" / f"recorded-{name.removesuffix('.csv')}.json"
    made = record_answer(auditor, "features", request, path, on_progress=show)
    print(f"\n{path.name}: {made.wall_s:.0f} s: {made.result.finding}")
