"""Scores all circuit discovery methods on models with known wiring, and writes `docs/discovery.md`.

Run from the repository root: `PYTHONPATH=. python data/circuits/score.py`. A wired head of a task carries something that differs
between the two texts of a pair, or is one of two redundant heads that do. For k wired heads the first k heads of an order are
compared with them, so that precision and recall are equal.
"""

from pathlib import Path

import numpy as np

from audit_core import Actor, Auditor, RunLog, audit_home, get_plugin, list_plugins, open_subject, tokenise
from audit_core.audits import DiscoverRequest
from audit_core.prompts import take_split
from audit_core.subjects.planted import ATTENTION_MODELS

ROOT = Path(__file__).resolve().parents[2]
ME = Actor("discovery score", "discovery score")
UNUSED = ("decoy", "bystander", "backup")
REDUNDANT = "redundant"
RANDOM_ORDERS = 20
"""Random orders that the random baseline is averaged over."""
METHODS = tuple(key for key in list_plugins("circuit_discovery") if key != "random_order")


def list_wired(model, task: str) -> tuple[str, ...]:
    """Heads of the task with an effect under resampling, alone or as a redundant pair."""
    heads: set[str] = set()
    # If the context changes, so does the input of every later head of the same wiring.
    tasks = (task, "query") if task == "context" else (task,)
    for claim in (c for c in model.claims if c.task in tasks and c.role.value == "necessary"):
        moves = any(abs(value) > 0 for family, value in claim.support.items() if family.value == "resample")
        if claim.planted == REDUNDANT or (len(claim.components) == 1 and claim.planted not in UNUSED and moves):
            heads |= set(map(str, claim.components))
    return tuple(sorted(heads))


def score() -> list[tuple[str, ...]]:
    rows = []
    for model in ATTENTION_MODELS:
        auditor = Auditor(open_subject(model.name), RunLog(audit_home()))
        for task in model.tasks:
            wired = list_wired(model, task.name)
            if not wired:
                continue
            split = tokenise(take_split(task.make(8, 0), exploratory=True), auditor.subject.tokenizer)
            found = [len(set(wired) & set(find_order(auditor, split, method, 0)[: len(wired)])) for method in METHODS]
            baseline = np.mean(
                [
                    len(set(wired) & set(find_order(auditor, split, "random_order", s)[: len(wired)]))
                    for s in range(RANDOM_ORDERS)
                ]
            )
            cells = [f"{hits} of {len(wired)}" for hits in found]
            rows.append((model.name, task.name, " ".join(wired), *cells, f"{baseline:.1f} of {len(wired)}"))
            print(*rows[-1], sep=" | ")
    return rows


def find_order(auditor: Auditor, split, method: str, seed: int) -> tuple[str, ...]:
    request = DiscoverRequest(split, split, method, seed=seed)
    known = auditor.find_earlier("discover", request)
    return (known or auditor.run("discover", request, actor=ME)).result.components


def write(rows: list[tuple[str, ...]]) -> None:
    columns = ("model", "task", "wired heads", *METHODS, f"random order, mean of {RANDOM_ORDERS}")
    lines = [
        "# Circuit discovery on models with known wiring",
        "",
        "Made by `PYTHONPATH=. python data/circuits/score.py` on planted models, whose wiring is known: exploratory split of each task, resample,",
        "heads. For k wired heads the first k heads of an order are compared with them, so precision and recall are equal.",
        "A wired head has an effect and its output differs between the two texts of a pair, or it is one of two redundant heads.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        "Known blind spots:",
        "",
        *(f"* `{key}`: {get_plugin('circuit_discovery', key).misses}" for key in (*METHODS, "random_order")),
        "",
        "An order is a hypothesis. `circuit` tests it and `test` judges it, both on the confirmatory split.",
        "",
    ]
    (ROOT / "docs/discovery.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write(score())
