"""A toy pack of two claims, each on prompts of its own, which are shown or withheld, and what it discloses of them; all by hand.

The set of C-0001 is divided by template (rule 2), and that of C-0002 by the hash of each text (rule 1).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from toy.packs import AT, LOG_ID, PACK_ID, RUNS, Story, build_files, dump, tell_story

from audit_core.evidence.canonical import hash_document
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.documents import Documents, read_documents

SALT = LOG_ID.removeprefix("assay/")
DISCLOSURE = "prereg/disclosure.json"
FRAMES = {
    1: (
        "When {a} met {b} near the old bridge {s} sold a book to", "After {a} and {b} left school together {s} handed keys to",
        "While {a} watched {b} climbing that wall {s} offered water to", "Since {a} found {b} behind our house {s} wrote letters to",
    ),
    2: ("Yesterday {a} saw how {b} cleaned everything so {s} said thanks to", "Once {a} had painted beside {b} for weeks {s} sold pictures to"),
}  # fmt: skip
"""By the set's number."""
ACCESS = {1: "results_seen", 2: "nothing_run"}
NAMES = (("Mary", "John"), ("Anna", "Peter"), ("Laura", "Simon"))


def write_rows(number: int) -> list[dict[str, Any]]:
    """Three prompts of each frame; the corrupted text has the other person as the last subject."""
    return [
        {
            "id": f"p{place}-{at}", "clean": frame.format(a=a, b=b, s=a), "corrupted": frame.format(a=a, b=b, s=b),
            "answer": f" {b}", "foil": f" {a}", "template": f"t{place}",
        }
        for place, frame in enumerate(FRAMES[number])
        for at, (a, b) in enumerate(NAMES)
    ]  # fmt: skip


def find_explored(number: int) -> list[bool]:
    """Which prompts are exploratory, as docs/reference/pack.md says."""
    if number == 2:
        texts = [f"{row['clean']}\0{row['corrupted']}" for row in write_rows(number)]
        return [hashlib.sha256(text.encode()).digest()[0] % 2 == 0 for text in texts]
    hashes = [
        hashlib.sha256(f"assay-split-2\0{SALT}\0{skeleton}".encode()).hexdigest() for skeleton in name_skeletons(number)
    ]
    explored = sorted(range(len(hashes)), key=hashes.__getitem__)[::2]
    return [place in explored for place in range(len(hashes)) for _ in NAMES]


def name_skeletons(number: int) -> list[str]:
    return [frame.format(a="_", b="_", s="_").lower() for frame in FRAMES[number]]


def digest_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def digest_set(number: int) -> str:
    """Of the confirmatory split."""
    rows = zip(write_rows(number), find_explored(number), strict=True)
    return digest_rows([row for row, is_explored in rows if not is_explored])


SETS = {number: digest_set(number) for number in FRAMES}
SHORT = {number: digest[:16] for number, digest in SETS.items()}


def _disclose_set(number: int, *, is_hidden: bool) -> dict[str, Any]:
    explored, skeletons = find_explored(number), name_skeletons(number)
    templates = []
    for place, skeleton in enumerate(skeletons):
        n = sum(explored[place * len(NAMES) : (place + 1) * len(NAMES)])
        shown = None if is_hidden else skeleton
        templates.append({"skeleton": shown, "n_exploratory": n, "n_confirmatory": len(NAMES) - n})
    words = {
        1: "each prompt by the hash of its two texts: another word in one text can move that prompt",
        2: "whole templates, every second one in the order of the hash of log id and skeleton: another filler word moves nothing",
    }  # fmt: skip
    rule = 2 if number == 1 else 1
    return {
        "sha256": SETS[number], "split": {"rule": rule, "salt": SALT if rule == 2 else None, "derivation": words[rule]},
        "templates": templates, "template_of": [place for place in range(len(skeletons)) for _ in NAMES], "n_labels": len(skeletons),
    }  # fmt: skip


def _earlier(**changes: Any) -> dict[str, Any]:
    return {
        "run_id": "e1", "audit": "ablation", "started_at": AT, "model_digest": "1" * 12, "is_this_model": True, "shows_results": True,
        "n_prompts": 2, "n_shared": 2, "n_templates_shared": 1,
    } | changes  # fmt: skip


def _disclose_claim(number: int, frozen_at: str, **changes: Any) -> dict[str, Any]:
    return {
        "claim_id": f"C-000{number}", "frozen_at": frozen_at, "runs_before": 0, "seed": {"value": 0, "derivation": "default"},
        "n_split": find_explored(number).count(False), "share_seen": 0.0, "share_touched": 0.0, "earlier_runs": [], "n_more": 0,
    } | changes  # fmt: skip


def salt_of(number: int, at: int) -> str:
    return hashlib.md5(f"{number} {at}".encode(), usedforsecurity=False).hexdigest()


def open_items(number: int) -> list[dict[str, Any]]:
    """What opens every item of a withheld set."""
    return [
        {
            "set": SHORT[number],
            "salt": salt_of(number, at),
            "item": {"item_id": f"item-{at}", "template": f"template-{row['template']}", "prompt": row, "runs": []},
        }
        for at, row in enumerate(write_rows(number))
    ]


def commit(salt: str, item: Mapping[str, Any]) -> str:
    return hashlib.sha256(b"assay-withheld-1\0" + bytes.fromhex(salt) + encode_canonical(item)).hexdigest()


def tell_disclosed(*hidden: int) -> Story:
    """The story of a pack that withholds the sets with these numbers and shows the others."""
    story = tell_story()
    plans = []
    for number in FRAMES:
        plan = deepcopy(story.documents["prereg/prereg.json"])
        plan |= {"prereg_id": f"P-000{number}", "claims": [plan["claims"][number - 1]]}
        plan["prompts"] |= {"sha256": SETS[number], "n_items": find_explored(number).count(False)}
        plan["prompts"] |= {"split_rule": 2, "split_salt": SALT} if number == 1 else {}
        plan["prior_access"] = ACCESS[number]
        del plan["digest"]
        plans.append(plan | {"digest": hash_document(plan)})
        _tell_run(story, number, plans[-1]["digest"], is_hidden=number in hidden)
    story.documents["prereg/prereg.json"] = plans
    story.documents["pack.json"]["withheld_count"] = sum(len(write_rows(number)) for number in hidden)
    story.events[0] = (*story.events[0][:3], True)
    freezes = [
        ("prereg.frozen", f"P-000{number}", {"claim_id": f"C-000{number}", "version": 1, "digest": plans[number - 1]["digest"]} | more, True)
        for number, more in ((1, {"prior_access": ACCESS[1], "seen_in_sets": 2, "seen_share": 0.6667}), (2, {"prior_access": ACCESS[2]}))
    ]  # fmt: skip
    story.events[3:5] = freezes
    runs = [
        _earlier(), _earlier(run_id="e2", n_prompts=1), _earlier(run_id="e3", is_this_model=False, n_prompts=5),
        _earlier(run_id="e4", shows_results=False, n_prompts=5),
    ]  # fmt: skip
    seen = {"share_seen": 2 / 3, "share_touched": 2 / 3, "earlier_runs": runs, "n_more": 1}
    story.documents[DISCLOSURE] = {
        "schema": "assay/disclosure/1",
        "installation": {"log_id": LOG_ID, "began_at": "2026-11-21T10:00:00.000000Z", "runs": 4},
        "claims": [
            _disclose_claim(1, "2026-11-21T10:03:00.000000Z", **seen),
            _disclose_claim(2, "2026-11-21T10:04:00.000000Z"),
        ],
        "sets": [_disclose_set(number, is_hidden=number in hidden) for number in FRAMES],
    }
    story.events[-1][2]["disclosure_sha256"] = hashlib.sha256(dump(DISCLOSURE, story.documents[DISCLOSURE])).hexdigest()
    return story


def _tell_run(story: Story, number: int, digest: str, *, is_hidden: bool) -> None:
    """Have the run of a claim name its prompts and its plan."""
    run_id, claim_id = RUNS[number - 1], f"C-000{number}"
    manifest = story.documents[f"runs/{run_id}/manifest.json"]
    manifest["identity"]["prereg_digest"] = digest
    manifest["prompts"]["prompt_set_sha256"] = SETS[number]
    for action, _, payload, _ in story.events:
        if action == "run.started" and payload["claim_id"] == claim_id:
            payload["prereg_digest"] = digest
    rows = write_rows(number)
    if not is_hidden:
        story.documents[f"prompts/{SHORT[number]}/items.jsonl"] = rows
        return
    opened = open_items(number)
    items = [
        {name: one["item"][name] for name in ("item_id", "template")} | {"commitment": commit(one["salt"], one["item"])}
        for one in opened
    ]
    story.documents[f"prompts/{SHORT[number]}/withheld.json"] = {
        "schema": "assay/withheld/1", "sha256": SETS[number], "n_items": find_explored(number).count(False),
        "whole_sha256": digest_rows(rows), "n_whole": len(rows), "items": items,
    }  # fmt: skip
    measured = [
        {
            "item_id": item["item_id"], "item_commitment": item["commitment"], "template": item["template"], "unit": "logit",
            "excluded_reason": None,
        } | dict.fromkeys(("clean", "corrupt", "patched", "empty", "effect"))
        for item, is_explored in zip(items, find_explored(number), strict=True)
        if not is_explored
    ]  # fmt: skip
    name = f"runs/{run_id}/items.jsonl"
    story.documents[name] = measured
    data = dump(name, measured)
    manifest["outputs"]["items.jsonl"] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


@cache
def _build(hidden: tuple[int, ...]) -> tuple[tuple[str, bytes], ...]:
    return tuple(build_files(tell_disclosed(*hidden)).items())


def disclosed_files(*hidden: int) -> dict[str, bytes]:
    """Every file but manifest and signatures of a pack that withholds these sets."""
    return dict(_build(hidden))


def change_file(files: Mapping[str, bytes], name: str, change: Callable[[Any], object]) -> dict[str, bytes]:
    """The files with one document changed, and with the disclosure's digest where the export was logged."""
    lines = name.endswith(".jsonl")
    document = [json.loads(line) for line in files[name].splitlines()] if lines else json.loads(files[name])
    change(document)
    return fit_disclosure({**files, name: dump(name, document)})


def fit_disclosure(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The log's last event names the disclosure that there is; its checkpoint no longer fits, which a later step refuses."""
    lines = files["log/entries.jsonl"].splitlines(keepends=True)
    last = json.loads(lines[-1])
    last["payload"].pop("disclosure_sha256", None)
    if DISCLOSURE in files:
        last["payload"]["disclosure_sha256"] = hashlib.sha256(files[DISCLOSURE]).hexdigest()
    return {**files, "log/entries.jsonl": b"".join([*lines[:-1], dump("", last) + b"\n"])}


def read_files(files: Mapping[str, bytes]) -> Documents:
    """As step 5 reads them: what a later step refuses has the form of a pack."""
    return read_documents(files)


def make_openings(*numbers: int) -> dict[str, Any]:
    return {"schema": "assay/openings/1", "pack_id": PACK_ID, "items": [one for n in numbers for one in open_items(n)]}
