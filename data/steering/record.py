"""Records the audit of steering of the shipped concepts on the default model; about twenty minutes of one core.

Run from the repository root: `PYTHONPATH=. python data/steering/record.py`.
"""

import sys

from audit_core import Auditor, RunLog, audit_home, open_subject
from audit_core.recorded import record_answer
from audit_core.registry import get_plugin
from audit_core.shipped import DATA
from audit_core.steering import FILE, read_shipped


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


if __name__ == "__main__":
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    request = get_plugin("audits", "steering").ask_file(auditor.subject, read_shipped(), FILE, {})
    made = record_answer(auditor, "steering", request, DATA / "steering" / "recorded-concepts.json", on_progress=show)
    print(f"\n{made.wall_s:.0f} s: {made.result.finding}")
