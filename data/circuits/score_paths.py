"""Scores path patching on models with known wiring, and writes the second table of `docs/discovery.md`.

Run from the repository root: `PYTHONPATH=. python data/circuits/score_paths.py`. A connection among a planted model's heads is
found if its effect on the exploratory split is at least `LEAST` of the clean – corrupted gap in magnitude. `WIRED` lists the
wired connections, from the builders: those whose content differs between the two texts of a pair.
"""

from pathlib import Path

from audit_core import Actor, Auditor, Kind, RunLog, audit_home, open_subject, tokenise
from audit_core.audits import PathsRequest
from audit_core.prompts import take_split
from audit_core.subjects.planted import find_planted

ROOT = Path(__file__).resolve().parents[2]
ME = Actor("path score", "path score")
LEAST = 0.05
"""Fraction of the gap; background heads write a hundredth of it or less."""
PER_TEMPLATE = 4
HEADING = "## Connections"
_MATCH = {"query": "input>{0}.Q {0}>output", "context": "input>L0.H0.V L0.H0>{0}.K {0}>output"}
"""Connections of an induction head: in one task the last word differs between the texts, in the other the context."""


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
        split = tokenise(
            take_split(model.find_task(task).make(PER_TEMPLATE, 0), exploratory=True), auditor.subject.tokenizer
        )
        request = PathsRequest(split, split, auditor.subject.components(Kind.HEAD), split=True)
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
    columns = ("model", "task", "connections", "wired", "precision", "recall", "false positives", "missed")
    lines = [
        before,
        "",
        HEADING,
        "",
        "Made by `PYTHONPATH=. python data/circuits/score_paths.py`, after the table above: all connections among heads, from the input and to",
        f"the output, with separate query, key and value inputs, resample, exploratory split. Found: an effect of at least {LEAST:.0%} of the clean – corrupted gap.",
        "Wired: wired by the builder, with content that differs between the two texts of a pair.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
    page.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write(score())
