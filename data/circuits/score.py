"""Scores every way of looking for a circuit where the wiring is known, and writes `docs/discovery.md`.

Run from the repository root: `PYTHONPATH=. python data/circuits/score.py`. Of a task's wired heads (each carries something that differs
between the two texts of a pair, or is one of two that do) the first k of an order are taken, k being how many there are; then
precision and recall are the same share.
"""

from pathlib import Path

import numpy as np

from audit_core import Actor, Auditor, RunLog, audit_home, get_plugin, list_plugins, open_subject, tokenise
from audit_core.audits import DiscoverRequest
from audit_core.prompts import take_split
from audit_core.subjects import PLANTED_MODELS

ROOT = Path(__file__).resolve().parents[2]
ME = Actor("discovery score", "discovery score")
IDLE = ("decoy", "bystander", "backup")
REDUNDANT = "redundant"
LUCK = 20
"""Random orders that chance is averaged over."""
METHODS = tuple(key for key in list_plugins("circuit_discovery") if key != "random_order")


def list_wired(model, task: str) -> tuple[str, ...]:
    """Heads of the task whose resampling matters, alone or in a pair that each suffice."""
    heads: set[str] = set()
    # Where the context changes, so does what every later head of the same wiring reads.
    tasks = (task, "query") if task == "context" else (task,)
    for claim in (c for c in model.claims if c.task in tasks and c.role.value == "necessary"):
        moves = any(abs(value) > 0 for family, value in claim.support.items() if family.value == "resample")
        if claim.planted == REDUNDANT or (len(claim.components) == 1 and claim.planted not in IDLE and moves):
            heads |= set(map(str, claim.components))
    return tuple(sorted(heads))


def score() -> list[tuple[str, ...]]:
    rows = []
    for model in PLANTED_MODELS:
        auditor = Auditor(open_subject(model.name), RunLog(audit_home()))
        for task in model.tasks:
            wired = list_wired(model, task.name)
            if not wired:
                continue
            half = tokenise(take_split(task.make(8, 0), exploratory=True), auditor.subject.tokenizer)
            found = [len(set(wired) & set(look(auditor, half, method, 0)[: len(wired)])) for method in METHODS]
            luck = np.mean(
                [len(set(wired) & set(look(auditor, half, "random_order", s)[: len(wired)])) for s in range(LUCK)]
            )
            cells = [f"{hits} of {len(wired)}" for hits in found]
            rows.append((model.name, task.name, " ".join(wired), *cells, f"{luck:.1f} of {len(wired)}"))
            print(*rows[-1], sep=" | ")
    return rows


def look(auditor: Auditor, half, method: str, seed: int) -> tuple[str, ...]:
    request = DiscoverRequest(half, half, method, seed=seed)
    known = auditor.find_earlier("discover", request)
    return (known or auditor.run("discover", request, actor=ME)).result.components


def write(rows: list[tuple[str, ...]]) -> None:
    columns = ("model", "task", "wired heads", *METHODS, f"random order, mean of {LUCK}")
    lines = [
        "# What each way of looking for a circuit finds",
        "",
        "Made by `PYTHONPATH=. python data/circuits/score.py` on planted models, whose wiring is known: exploratory half of each task, resample,",
        "heads. Of an order the first k are taken, k being the number of wired heads, so precision and recall are the same share.",
        "A wired head is one whose output differs between the two texts of a pair and matters, or one of two that each suffice.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        "What each is known to miss:",
        "",
        *(f"* `{key}`: {get_plugin('circuit_discovery', key).misses}" for key in (*METHODS, "random_order")),
        "",
        "An order is a hypothesis. `circuit` breaks it, `test` judges it, both on the other half of the prompts.",
        "",
    ]
    (ROOT / "docs/discovery.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write(score())
