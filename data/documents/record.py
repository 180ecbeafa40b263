"""Records the audit of the shipped questions on the default model; a quarter of an hour each on two idle cores.

Run from the repository root: `PYTHONPATH=. python data/documents/record.py [FILE]`.
"""

import sys

from audit_core import Auditor, RunLog, audit_home, open_subject
from audit_core.documents import BY_SENTENCE, SHIPPED, read_passages, read_shipped, retrieve
from audit_core.recorded import record_answer
from audit_core.registry import get_plugin
from audit_core.shipped import DATA

FEW = 12
"""Questions that are also measured by sentence."""


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


def freeze_retrieved() -> None:
    """Write the questions with the documents that BM25 finds and the next hit, and few of them in a file of their own."""
    folder = DATA / "documents"
    passages = read_passages([("passages.csv", (folder / "passages.csv").read_bytes())])
    header, *rows = (folder / "unanswered.csv").read_bytes().splitlines(keepends=True)
    few = [rows[at * len(rows) // FEW] for at in range(FEW)]
    for name, asked in ((SHIPPED[1], rows), (SHIPPED[2], few)):
        raw = b"".join((header, *asked))
        found = retrieve(raw, "unanswered.csv", passages, get_plugin("retrievers", "bm25"), with_next=True)
        (folder / name).write_bytes(found.raw)


if __name__ == "__main__":
    freeze_retrieved()
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    for name in sys.argv[1:] or SHIPPED:
        asked = {"by_sentence": str(BY_SENTENCE.get(name, 0))}
        request = get_plugin("audits", "documents").ask_file(auditor.subject, read_shipped(name), name, asked)
        path = DATA / "documents" / f"recorded-{name.removesuffix('.csv')}.json"
        made = record_answer(auditor, "documents", request, path, on_progress=show)
        print(f"\n{path.name}: {made.wall_s:.0f} s: {made.result.finding}")
