"""Scores path patching where the wiring is known, and writes the second table of `docs/discovery.md`.

Run from the repository root: `PYTHONPATH=. python data/circuits/score_paths.py`. Of all connections among a planted model's heads
those are found whose effect, on the exploratory half, is `LEAST` of the clean – corrupted gap or more in size. What is wired
stands here, read off the builders: a connection counts where what goes through it differs between the two texts of a pair.
"""

from pathlib import Path

from audit_core import Actor, Auditor, Kind, RunLog, audit_home, open_subject, tokenise
from audit_core.audits import PathsRequest
from audit_core.prompts import take_split
from audit_core.subjects.planted import find_planted

ROOT = Path(__file__).resolve().parents[2]
ME = Actor("path score", "path score")
LEAST = 0.05
"""Of the gap: background heads write a hundredth of it or less."""
PER_TEMPLATE = 4
HEADING = "## Connections"
_MATCH = {"query": "input>{0}.Q {0}>output", "context": "input>L0.H0.V L0.H0>{0}.K {0}>output"}
"""A head that looks behind the last occurrence: in the one task the question changes, in the other what stands before."""


def wire(task: str, *heads: str) -> set[str]:
    return {connection for head in heads for connection in _MATCH[task].format(head).split()}


WIRED = {
    ("planted-strict", "query"): wire("query", "L1.H0", "L1.H3"),
    ("planted-strict", "context"): wire("context", "L1.H0", "L1.H3"),
    ("planted-strict", "vote"): {"input>L0.H1.V", "L0.H1>output"},
    ("planted-induction", "query"): wire("query", "L1.H0", "L1.H3"),
    ("planted-suppression", "query"): wire("query", "L1.H0") | {"L1.H0>L2.H0.Q", "L2.H0>output"},
    ("planted-gate", "query"): wire("query", "L1.H0"),
    ("planted-llama", "context"): wire("context", "L1.H0", "L1.H3"),
}


def score() -> list[tuple[str, ...]]:
    rows = []
    for (name, task), wired in WIRED.items():
        model = find_planted(name)
        assert model is not None
        auditor = Auditor(open_subject(name), RunLog(audit_home()))
        half = tokenise(
            take_split(model.find_task(task).make(PER_TEMPLATE, 0), exploratory=True), auditor.subject.tokenizer
        )
        request = PathsRequest(half, half, auditor.subject.components(Kind.HEAD), split=True)
        known = auditor.find_earlier("paths", request)
        result = (known or auditor.run("paths", request, actor=ME)).result
        found = {c.connection for c in result.connections if c.fraction and abs(c.fraction.value) >= LEAST}
        hits = found & wired
        others = ", ".join(sorted(found - wired)) or "none"
        missed = ", ".join(sorted(wired - found)) or "none"
        rows.append(
            (
                name,
                task,
                f"{len(result.connections)}",
                f"{len(wired)}",
                f"{len(hits)} of {len(found)}",
                f"{len(hits)} of {len(wired)}",
                others,
                missed,
            )
        )
        print(*rows[-1], sep=" | ")
    return rows


def write(rows: list[tuple[str, ...]]) -> None:
    page = ROOT / "docs/discovery.md"
    before = page.read_text(encoding="utf-8").split(HEADING)[0].rstrip()
    columns = ("model", "task", "connections", "wired", "precision", "recall", "found beside them", "missed")
    lines = [
        before,
        "",
        HEADING,
        "",
        "Made by `PYTHONPATH=. python data/circuits/score_paths.py`, after the table above: every connection among all heads, from the input and to",
        f"the output, query, key and value apart, resample, exploratory half. Found is what moves {LEAST:.0%} of the clean – corrupted gap or",
        "more. Wired is what the builder wired and what differs between the two texts of a pair; the rest carries the same in both.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
    page.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write(score())
