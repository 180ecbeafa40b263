"""Step 6, disclosure: what a pack says of earlier runs, templates, split and seed agrees with its prompts, plans and log."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from audit_core.verifier.container import BadPack
from audit_core.verifier.documents import Documents
from audit_core.verifier.prompt_digest import is_exploratory_pair
from audit_core.verifier.schema import find_violation
from audit_core.verifier.schemas_claims import SEEN
from audit_core.verifier.schemas_disclosure import DISCLOSURE_MEMBER, SPLIT_DERIVATIONS
from audit_core.verifier.schemas_withheld import PROMPT_ROW
from audit_core.verifier.skeletons import agree_on_skeleton, choose_explored_templates, has_alike_apart, read_masks

BY_TEXT, BY_TEMPLATE = 1, 2
"""Rules of the split: by the hash of each prompt's texts, or by template."""


def check_disclosure(documents: Documents, members: Mapping[str, bytes]) -> None:
    """Check the disclosure of a pack without the texts; packs of earlier versions have none, and their export names none.

    Raises:
        BadPack: it is missing or changed, or contradicts the plans, the log or the prompts.
    """
    stated, data = documents.parsed.get(DISCLOSURE_MEMBER), members.get(DISCLOSURE_MEMBER)
    last = documents.entries[-1]["payload"] if documents.entries else {}
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    if digest != last.get("disclosure_sha256"):
        raise BadPack(f"{DISCLOSURE_MEMBER} is not the one that the export was logged with")
    ruled: dict[str, str | None] = {}
    for prompts in (plan["prompts"] for plan in documents.plans):
        if ruled.setdefault(prompts["sha256"], prompts.get("split_salt")) != prompts.get("split_salt"):
            raise BadPack(f"two preregistrations divide {prompts['set_id'][:40]!a} by different rules")
    if stated is None:
        if any(ruled.values()):
            raise BadPack(f"a set is divided by template, and {DISCLOSURE_MEMBER} is missing")
        return
    _check_beginning(documents, stated["installation"])
    if sorted(one["claim_id"] for one in stated["claims"]) != sorted(documents.pack["claim_ids"]):
        raise BadPack(f"{DISCLOSURE_MEMBER} is about other claims than pack.json")
    for one in stated["claims"]:
        _check_claim(documents, one)
    found = {one["sha256"]: one for one in stated["sets"]}
    if len(found) < len(stated["sets"]) or set(found) != set(ruled):
        raise BadPack(f"{DISCLOSURE_MEMBER} is about other prompts than the preregistrations")
    for sha256, one in found.items():
        _check_set(documents, one, ruled[sha256])


def check_disclosed_prompts(documents: Documents, members: Mapping[str, bytes]) -> None:
    """Check templates and splits against the texts that the pack shows.

    Raises:
        BadPack: as `check_disclosed_rows`.
    """
    for one in (documents.parsed.get(DISCLOSURE_MEMBER) or {"sets": []})["sets"]:
        name = f"prompts/{one['sha256'][:16]}/items.jsonl"
        if (data := members.get(name)) is None:
            continue
        rows = [json.loads(line) for line in data.splitlines()]
        if any(find_violation(row, PROMPT_ROW) for row in rows):
            raise BadPack(f"{name} contains a row that is not a prompt")
        check_disclosed_rows(one, rows)


def find_disclosed_set(documents: Documents, sha256: str) -> Mapping[str, Any] | None:
    """Return what is disclosed of a set; None in a pack of an earlier version."""
    stated = documents.parsed.get(DISCLOSURE_MEMBER) or {"sets": []}
    return next((one for one in stated["sets"] if one["sha256"] == sha256), None)


def list_explored_rows(documents: Documents, sha256: str) -> list[bool] | None:
    """Return which prompts of a set that is divided by template are exploratory, in its order; None for the first rule."""
    one = find_disclosed_set(documents, sha256)
    if one is None or one["split"]["rule"] != BY_TEMPLATE:
        return None
    explored = [template["n_exploratory"] > 0 for template in one["templates"]]
    if max(one["template_of"]) >= len(explored):
        raise BadPack(f"{DISCLOSURE_MEMBER}: a prompt has a template that is not listed")
    return [explored[at] for at in one["template_of"]]


def check_disclosed_rows(one: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Check a set's templates and split against the texts of its prompts.

    Raises:
        BadPack: prompts of one skeleton in several templates, another skeleton, or another split.
    """
    place = f"{DISCLOSURE_MEMBER}, prompts/{one['sha256'][:16]}"
    if len(rows) != len(one["template_of"]):
        raise BadPack(f"{place}: {len(one['template_of'])} prompts have a template, the set has {len(rows)}")
    masks = read_masks(rows)
    if has_alike_apart(masks, one["template_of"]):
        raise BadPack(f"{place}: prompts whose words agree outside their slots are listed as several templates")
    groups: list[list[tuple[str, ...]]] = [[] for _ in one["templates"]]
    for mask, at in zip(masks, one["template_of"], strict=True):
        groups[at].append(mask)
    found = [agree_on_skeleton(group) for group in groups]
    stated = [template["skeleton"] for template in one["templates"]]
    # Of withheld prompts no words are stated, and only their openings can be checked here.
    if stated != found and any(words is not None for words in stated):
        raise BadPack(f"{place}: the skeletons are not those of the prompts ({ascii(stated)[:60]})")
    if one["split"]["rule"] == BY_TEMPLATE:
        explored = choose_explored_templates(found, one["split"]["salt"])
        flags = [explored[at] for at in one["template_of"]]
    else:
        flags = [is_exploratory_pair(row["clean"], row["corrupted"]) for row in rows]
    counts = [[0, 0] for _ in groups]
    for at, flag in zip(one["template_of"], flags, strict=True):
        counts[at][0 if flag else 1] += 1
    if counts != [[template["n_exploratory"], template["n_confirmatory"]] for template in one["templates"]]:
        raise BadPack(f"{place}: the templates have other prompts in each split than stated")
    if len({row["template"] for row in rows}) != one["n_labels"]:
        raise BadPack(f"{place}: the prompts have another number of template labels than stated")


def _check_beginning(documents: Documents, stated: Mapping[str, Any]) -> None:
    first = documents.entries[0]
    if first["seq"] != 0 or (first["log_id"], first["ts"]) != (stated["log_id"], stated["began_at"]):
        raise BadPack(f"{DISCLOSURE_MEMBER}: the log does not begin as stated")
    begun = sum(entry["action"] == "run.started" for entry in documents.entries)
    if stated["runs"] < begun:
        raise BadPack(f"{DISCLOSURE_MEMBER} counts {stated['runs']} runs, the log shows {begun}")


def _check_claim(documents: Documents, one: Mapping[str, Any]) -> None:
    claim_id, plan = one["claim_id"], documents.find_plan(one["claim_id"])
    if plan is None or one["n_split"] != plan["prompts"]["n_items"] or [one["seed"]["value"]] != plan["seeds"]:
        raise BadPack(f"{DISCLOSURE_MEMBER}: {claim_id} has another seed or number of prompts than its preregistration")
    if one["seed"]["derivation"] != ("default" if one["seed"]["value"] == 0 else "chosen"):
        raise BadPack(f"{DISCLOSURE_MEMBER}: the seed of {claim_id} is not derived as stated")
    if one["share_seen"] > one["share_touched"]:
        raise BadPack(f"{DISCLOSURE_MEMBER}: more of {claim_id} was seen than was touched")
    frozen = [
        entry
        for entry in documents.entries
        if entry["action"] == "prereg.frozen" and entry["payload"].get("claim_id") == claim_id
    ]
    if len(frozen) != 1 or frozen[0]["ts"] != one["frozen_at"]:
        raise BadPack(f"{DISCLOSURE_MEMBER}: {claim_id} was not frozen as stated")
    seen_sets, seen_share = (_read_logged(frozen[0], name) for name in ("seen_in_sets", "seen_share"))
    listed = [run for run in one["earlier_runs"] if run["is_this_model"] and run["shows_results"]]
    sets = sum(run["n_prompts"] > 1 for run in listed) + one["n_more"]
    # A run that had begun at the freeze and ended later is listed too, so that the log can have fewer and never more.
    if sets < seen_sets or round(one["share_seen"], 4) < seen_share:
        raise BadPack(
            f"{DISCLOSURE_MEMBER}: the log saw more earlier runs on the prompts of {claim_id} than are stated"
        )
    if seen_sets and frozen[0]["payload"].get("prior_access") not in SEEN:
        raise BadPack(f"the log saw earlier results on the prompts of {claim_id}, and its plan says there were none")


def _read_logged(entry: Mapping[str, Any], name: str) -> float:
    """Return a number of the freezing's event; 0 in logs of versions that did not record it."""
    value = entry["payload"].get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadPack(f"entry {entry['seq']} of the log has no number as {name}")
    return value


def _check_set(documents: Documents, one: Mapping[str, Any], salt: str | None) -> None:
    split, place = one["split"], f"{DISCLOSURE_MEMBER}, prompts/{one['sha256'][:16]}"
    if (split["rule"], split["salt"]) != ((BY_TEXT, None) if salt is None else (BY_TEMPLATE, salt)):
        raise BadPack(f"{place}: the split is another than the preregistration's")
    if split["derivation"] != SPLIT_DERIVATIONS[split["rule"]]:
        raise BadPack(f"{place}: the derivation of the split is described in other words")
    if salt is not None and documents.entries[0]["log_id"] != f"assay/{salt}":
        raise BadPack(f"{place}: the salt of the split is not the id of the log")
    if max(one["template_of"]) >= len(one["templates"]):
        raise BadPack(f"{place}: a prompt has a template that is not listed")
    sizes = Counter(one["template_of"])
    if [sizes[at] for at in range(len(one["templates"]))] != [
        template["n_exploratory"] + template["n_confirmatory"] for template in one["templates"]
    ]:
        raise BadPack(f"{place}: the templates have another number of prompts than stated")
    if salt is not None and any(t["n_exploratory"] and t["n_confirmatory"] for t in one["templates"]):
        raise BadPack(f"{place}: a template lies in both splits of a set that is divided by template")
    judged = sum(template["n_confirmatory"] for template in one["templates"])
    named = {plan["prompts"]["n_items"] for plan in documents.plans if plan["prompts"]["sha256"] == one["sha256"]}
    if named != {judged}:
        raise BadPack(
            f"{place}: {judged} prompts in the confirmatory split, the preregistration names {ascii(named)[:40]}"
        )
