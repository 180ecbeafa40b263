"""Records what the guided story shows: where heads look and what they do, and the verdicts on four of them, by the public path.

Run from the repository root: `PYTHONPATH=. python data/story/record.py`. The heads were fixed before this was measured: the three that
`data/circuits/find.py` named by rule on the exploratory half (looks_most, looks, acts), and one that a first look at six prompts had
named (first_look). The two maps are of the exploratory half, every verdict is of the confirmatory half. Nothing here chooses a head.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

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
from audit_core.evidence.source import hash_source
from audit_core.judging.verdict import RULE_VERSION
from audit_core.prompts import take_split
from audit_core.run import list_versions
from audit_core.shipped import list_circuits
from audit_core.story import MeasuredWith, Story, StoryClaim, StoryHead, StoryPrompts, round_recorded

TASK, EXAMPLE, SEED = "indirect_object", "io-0001", 0
RULED = {"looks_most": "looks-most", "looks": "looks", "acts": "acts"}
FIRST_LOOK = "L22.H7"
DELTAS = {Role.NECESSARY: 0.10, Role.SUFFICIENT: 0.80}
ME = Actor("story recorder", "story recorder")
WIDE = 600
"""Characters that stand on one line of the file; what is longer is broken, numbers excepted."""


def record() -> Story:
    code = hash_source()  # of the files as they are while they run, which is minutes before the end
    subject = open_subject("default")
    auditor = Auditor(subject, RunLog(audit_home()))
    prompts = load_prompt_set(TASK)
    explored, judged = (tokenise(take_split(prompts, exploratory=half), subject.tokenizer) for half in (True, False))

    def ask(audit: str, request: object) -> object:
        known = auditor.find_earlier(audit, request)
        found = known or auditor.run(audit, request, actor=ME, on_progress=show)
        print(f" {audit}: {found.wall_s:.0f} s", file=sys.stderr, flush=True)
        return found.result

    looks = ask("attention", AttentionRequest(explored, Source.ANSWER, SEED))
    does = ask("sweep", SweepRequest(explored, explored, seed=SEED))
    shipped = {circuit.id: circuit for circuit in list_circuits()}
    named = {key: str(shipped[f"{TASK}-{name}"].components[0]) for key, name in RULED.items()}
    named["first_look"] = FIRST_LOOK
    claims = []
    for key, role in [*((key, Role.NECESSARY) for key in named), ("acts", Role.SUFFICIENT)]:
        words = "is needed for" if role is Role.NECESSARY else "alone is enough for"
        claim = Claim(
            f"{named[key]} {words} naming the indirect object",
            parse_components(named[key]), role=role, delta=DELTAS[role],
        )  # fmt: skip
        claims.append(StoryClaim(key, claim.to_json(), ask("claim_test", ClaimTestRequest(judged, claim, SEED))))
    identity = {name: value for name, value in subject.identity.to_json().items() if name != "folder"}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Story(
        MeasuredWith(now, identity, code, RULE_VERSION, list_versions(), SEED),
        StoryPrompts(TASK, explored.sha256, len(explored), judged.sha256, len(judged), EXAMPLE),
        looks.n_layers, looks.n_heads, looks.source, does.direction, does.replacement, does.accuracy, does.controls,
        tuple(StoryHead(cell.component, mass, cell.estimate, cell.fraction) for cell, mass in zip(does.cells, looks.mass, strict=True)),
        named, tuple(claims),
    )  # fmt: skip


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


def lay_out(value: object, pad: str = "") -> str:
    """JSON that a person can scroll through: a head or a prompt to a line."""
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if (
        len(flat) <= WIDE
        or not isinstance(value, dict | list)
        or not any(isinstance(v, dict | list | str) for v in value)
    ):
        return flat
    inner = pad + " "
    if isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {lay_out(child, inner)}" for key, child in value.items()]
        return "{\n" + ",\n".join(inner + row for row in rows) + "\n" + pad + "}"
    return "[\n" + ",\n".join(inner + lay_out(child, inner) for child in value) + "\n" + pad + "]"


if __name__ == "__main__":
    story = TypeAdapter(Story).dump_python(record(), mode="json")
    path = Path(__file__).parent / f"{TASK}.json"
    path.write_text(lay_out(round_recorded(story)) + "\n", encoding="utf-8")
    print(f"\n{path.name}: {path.stat().st_size:,} bytes")
