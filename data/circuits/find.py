"""Finds the shipped candidate circuits: by rule, on the exploratory half only, then writes what the other half says of them.

Run from the repository root: `python data/circuits/find.py indirect_object`. The rules, fixed before looking:
* acts: the head with the largest effect (resample, noising);
* acts-together: every head whose interval lies above 3 % of the clean – corrupted gap;
* looks: of the heads whose whole interval lies within ± 5 % of the gap, the one that attends most to the answer token;
* looks-most: the head that attends most to the answer token, whatever it does.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from audit_core import (
    Actor,
    AttentionRequest,
    Auditor,
    Claim,
    ClaimTestRequest,
    Role,
    RunLog,
    SweepRequest,
    audit_home,
    load_prompt_set,
    open_subject,
    parse_components,
    tokenise,
)
from audit_core.attention import Source
from audit_core.prompts import take_split

NEGLIGIBLE = 0.05
NOTABLE = 0.03
ME = Actor("circuit finder", "circuit finder")


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


def find(task: str, source: Source) -> None:
    subject = open_subject("default")
    auditor = Auditor(subject, RunLog(audit_home()))
    prompts = load_prompt_set(task)
    halves = [tokenise(take_split(prompts, exploratory=half), subject.tokenizer) for half in (True, False)]

    def ask(audit: str, request: object) -> object:
        known = auditor.find_earlier(audit, request)
        return (known or auditor.run(audit, request, actor=ME, on_progress=show)).result

    looks = ask("attention", AttentionRequest(halves[0], source))
    does = ask("sweep", SweepRequest(halves[0], halves[0]))
    heads = [(cell, mass) for cell, mass in zip(does.cells, looks.mass, strict=True)]
    acting = max(heads, key=lambda row: row[0].fraction.value)
    together = [cell for cell, _ in heads if cell.fraction.low > NOTABLE]
    idle = [row for row in heads if row[0].fraction.low > -NEGLIGIBLE and row[0].fraction.high < NEGLIGIBLE]
    looking, most = max(idle, key=lambda row: row[1].value), max(heads, key=lambda row: row[1].value)
    reported = "the answer token" if source is Source.ANSWER else "the first changed token"
    rules = {
        "looks": (
            "Looks right",
            [looking[0].component],
            f"attends most to {reported} among the heads whose interval lies within ± 5 % of the gap",
        ),
        "acts": ("Acts", [acting[0].component], "has the largest effect of all heads"),
        "acts-together": ("Acts together", [c.component for c in together], "have effects above 3 % of the gap"),
        "looks-most": ("Looks most", [most[0].component], f"attends most to {reported} of all heads"),
    }
    for key, (name, components, why) in rules.items():
        write(ask, subject, halves, task, key, name, components, why, dict_of(heads, components))


def dict_of(heads: list, components: list[str]) -> dict:
    return {
        cell.component: {"effect": asdict(cell.estimate), "fraction": asdict(cell.fraction), "attention": asdict(mass)}
        for cell, mass in heads
        if cell.component in components
    }


def write(ask, subject, halves, task, key, name, components, why, measured) -> None:
    parts = parse_components(" ".join(components))
    verdicts = {}
    for role, delta in ((Role.NECESSARY, 0.10), (Role.SUFFICIENT, 0.80)):
        claim = Claim(f"{name}: {role}", parts, role=role, delta=delta)
        result = ask("claim_test", ClaimTestRequest(halves[1], claim))
        families = {k: None if e is None else asdict(e) for k, e in result.families.items()}
        verdicts[role.value] = {
            "state": result.state,
            "reason": result.reason,
            "sentence": result.sentence,
            "families": families,
        }
    record = {
        "name": f"{name}: {components[0]}" if len(components) == 1 else f"{name}: {len(components)} heads",
        "statement": f"{', '.join(components)} carries the answer of {task.replace('_', ' ')} prompts.",
        "components": components, "universe": "heads", "task": task, "model": subject.identity.model,
        "weights_sha256": subject.identity.weights_sha256,
        "origin": f"By rule: {why}. Exact sweep of every head (resample, noising) on the exploratory half, n = {len(halves[0])}.",
        "exploratory": {"prompts_sha256": halves[0].sha256, "n": len(halves[0]), "heads": measured},
        "confirmatory": {"prompts_sha256": halves[1].sha256, "n": len(halves[1]), "verdicts": verdicts},
        "is_example": key in ("looks", "acts"), "licence": "Apache-2.0",
    }  # fmt: skip
    path = Path(__file__).parent / f"{task}-{key}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{path.name}: {components} {[(r, v['state'], v['reason']) for r, v in verdicts.items()]}")


if __name__ == "__main__":
    find(sys.argv[1], Source(sys.argv[2]) if len(sys.argv) > 2 else Source.ANSWER)
