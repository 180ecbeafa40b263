"""Records the audit of the shipped requests on the default model; minutes on one core.

Run from the repository root: `PYTHONPATH=. python data/tools/record.py`.
"""

import sys

from audit_core import Auditor, RunLog, audit_home, open_subject
from audit_core.recorded import record_answer
from audit_core.registry import get_plugin
from audit_core.shipped import DATA


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


if __name__ == "__main__":
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    raw = (DATA / "tools" / "requests.csv").read_bytes()
    request = get_plugin("audits", "tools").ask_file(auditor.subject, raw, "requests.csv", {})
    made = record_answer(auditor, "tools", request, DATA / "tools" / "recorded-requests.json", on_progress=show)
    print(f"\n{made.wall_s:.0f} s: {made.result.finding}")
