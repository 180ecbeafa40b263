"""What a pack discloses of its prompts and of earlier runs: each contradiction is refused by what it is, and the genuine pack passes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from toy.disclosed import (
    DISCLOSURE,
    SHORT,
    change_file,
    disclosed_files,
    find_explored,
    fit_disclosure,
    read_files,
    tell_disclosed,
    write_rows,
)
from toy.packs import Story, build_files, check, dump, name_failure, seal

from audit_core.evidence.canonical import hash_document
from audit_core.verifier.container import BadPack
from audit_core.verifier.disclosure import (
    check_disclosed_prompts,
    check_disclosed_rows,
    check_disclosure,
    list_explored_rows,
)
from audit_core.verifier.semantics import check_semantics

PLANS, LOG = "prereg/prereg.json", "log/entries.jsonl"
FIRST, FREEZE = 0, 3
"""Places of the log's beginning and of the first plan's freezing among the entries shown."""
Change = Callable[[Any], object]


def refuse(files: Mapping[str, bytes], said: str) -> None:
    with pytest.raises(BadPack, match=re.escape(said)):
        check_disclosure(read_files(files), files)


def claim(number: int, **fields: Any) -> Change:
    return lambda found: found["claims"][number - 1].update(fields)


def of_set(number: int, **fields: Any) -> Change:
    return lambda found: found["sets"][number - 1].update(fields)


def count(number: int, template: int, explored: int, confirmed: int) -> Change:
    row = {"n_exploratory": explored, "n_confirmatory": confirmed}
    return lambda found: found["sets"][number - 1]["templates"][template].update(row)


CHOSEN = {"value": 1, "derivation": "chosen"}
NO_SALT = {"rule": 1, "salt": None}
DISCLOSURES: list[tuple[Change, str]] = [
    (lambda found: found["installation"].update(began_at="2020-01-01T00:00:00.000000Z"), "the log does not begin as stated"),
    (lambda found: found["installation"].update(log_id="assay/0000000000000000"), "the log does not begin as stated"),
    (lambda found: found["installation"].update(runs=3), "counts 3 runs, the log shows 4"),
    (lambda found: found["claims"].pop(), "about other claims than pack.json"),
    (lambda found: found["claims"].append(found["claims"][0]), "about other claims than pack.json"),
    (claim(2, seed=CHOSEN), "C-0002 has another seed or number of prompts"),
    (claim(2, seed={"value": 0, "derivation": "chosen"}), "the seed of C-0002 is not derived as stated"),
    (claim(2, n_split=3), "C-0002 has another seed or number of prompts"),
    (claim(2, share_seen=0.5), "more of C-0002 was seen than was touched"),
    (claim(2, frozen_at="2020-01-01T00:00:00.000000Z"), "C-0002 was not frozen as stated"),
    (claim(1, n_more=0), "the log saw more earlier runs on the prompts of C-0001"),
    (lambda found: found["claims"][0]["earlier_runs"].pop(0), "the log saw more earlier runs on the prompts of C-0001"),
    (claim(1, share_seen=0.6), "the log saw more earlier runs on the prompts of C-0001"),
    (lambda found: found["sets"].pop(), "about other prompts than the preregistrations"),
    (lambda found: found["sets"].append(found["sets"][0]), "about other prompts than the preregistrations"),
    (of_set(2, sha256="0" * 64), "about other prompts than the preregistrations"),
    (lambda found: found["sets"][0]["split"].update(NO_SALT), "the split is another than the preregistration's"),
    (lambda found: found["sets"][0]["split"].update(salt="0" * 16), "the split is another than the preregistration's"),
    (lambda found: found["sets"][1]["split"].update(rule=2), "the split is another than the preregistration's"),
    (lambda found: found["sets"][1]["split"].update(derivation="by chance"), "the derivation of the split is described in other words"),
    (of_set(2, template_of=[0, 0, 0, 1, 1, 2]), "a prompt has a template that is not listed"),
    (of_set(2, template_of=[0, 0, 0, 0, 1, 1]), "the templates have another number of prompts than stated"),
    (count(1, 0, 1, 2), "a template lies in both splits of a set that is divided by template"),
    (count(2, 0, 1, 2), "3 prompts in the confirmatory split, the preregistration names {4}"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), DISCLOSURES)
def test_a_disclosure_that_contradicts_plans_or_log_is_refused(change: Change, said: str) -> None:
    """Even where the preparer wrote the log's last event to fit: what is checked is what the other documents say."""
    files = disclosed_files()
    check_disclosure(read_files(files), files)
    refuse(change_file(files, DISCLOSURE, change), said)


@pytest.mark.parametrize("change", [lambda found: found["installation"].update(runs=3), of_set(1, n_labels=5)])
def test_what_is_disclosed_is_part_of_what_a_pack_is_checked_for(change: Change) -> None:
    changed = change_file(disclosed_files(), DISCLOSURE, change)
    with pytest.raises(BadPack, match=r"prereg/disclosure\.json"):
        check_semantics(read_files(changed), changed, None)


def freeze(**fields: Any) -> Change:
    return lambda rows: rows[FREEZE]["payload"].update(fields)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.pop(FIRST), "the log does not begin as stated"),
        (lambda rows: rows[FIRST].update(seq=1), "the log does not begin as stated"),
        (lambda rows: rows.pop(FREEZE), "C-0001 was not frozen as stated"),
        (lambda rows: rows.insert(FREEZE + 1, rows[FREEZE]), "C-0001 was not frozen as stated"),
        (freeze(claim_id="C-0009"), "C-0001 was not frozen as stated"),
        (freeze(seen_in_sets=3), "the log saw more earlier runs on the prompts of C-0001"),
        (freeze(seen_share=0.6668), "the log saw more earlier runs on the prompts of C-0001"),
        (freeze(prior_access="nothing_run"), "the log saw earlier results on the prompts of C-0001, and its plan says"),
        (freeze(seen_in_sets=True), "entry 3 of the log has no number as seen_in_sets"),
        (freeze(seen_in_sets="2"), "entry 3 of the log has no number as seen_in_sets"),
        (freeze(seen_share=None), "entry 3 of the log has no number as seen_share"),
    ],
)
def test_a_log_that_saw_more_than_is_disclosed_is_refused(change: Change, said: str) -> None:
    refuse(change_file(disclosed_files(), LOG, change), said)


def test_a_log_that_saw_less_passes_and_one_of_another_id_does_not() -> None:
    """A run that had begun at the freeze and ended later is listed too; the salt is the log's id, which no person chooses."""
    files = change_file(disclosed_files(), LOG, freeze(seen_in_sets=1, seen_share=0.5))
    check_disclosure(read_files(files), files)
    files = change_file(disclosed_files(), LOG, lambda rows: rows[FIRST].update(log_id="assay/0000000000000000"))
    moved = change_file(files, DISCLOSURE, lambda found: found["installation"].update(log_id="assay/0000000000000000"))
    refuse(moved, "the salt of the split is not the id of the log")


def test_a_set_is_divided_by_one_rule() -> None:
    def share(plans: Any) -> None:
        plans[1]["prompts"]["sha256"] = plans[0]["prompts"]["sha256"]

    refuse(change_file(disclosed_files(), PLANS, share), "two preregistrations divide 'toy' by different rules")


def test_a_claim_of_two_plans_has_no_seed() -> None:
    changed = change_file(disclosed_files(), PLANS, lambda plans: plans[1]["claims"].append(plans[0]["claims"][0]))
    refuse(changed, "C-0001 has another seed or number of prompts")


def test_a_disclosure_left_out_or_replaced_is_refused() -> None:
    files = disclosed_files()
    refuse(
        {name: data for name, data in files.items() if name != DISCLOSURE},
        "is not the one that the export was logged with",
    )
    found = json.loads(files[DISCLOSURE])
    found["installation"]["runs"] += 1
    refuse(files | {DISCLOSURE: dump(DISCLOSURE, found)}, "is not the one that the export was logged with")
    without = fit_disclosure({name: data for name, data in files.items() if name != DISCLOSURE})
    refuse(without, "a set is divided by template, and prereg/disclosure.json is missing")


def test_templates_of_shown_prompts_are_checked_beside_withheld_ones() -> None:
    files = disclosed_files(1)
    check_disclosed_prompts(read_files(files), files)
    other = change_file(files, DISCLOSURE, of_set(2, n_labels=1))
    with pytest.raises(BadPack, match="another number of template labels than stated"):
        check_disclosed_prompts(read_files(other), other)
    none = change_file(files, f"prompts/{SHORT[2]}/items.jsonl", lambda rows: rows[5].pop("clean"))
    with pytest.raises(BadPack, match="contains a row that is not a prompt"):
        check_disclosed_prompts(read_files(none), none)


def test_a_prompt_of_a_template_that_is_not_listed_is_refused_before_it_is_looked_up() -> None:
    files = change_file(disclosed_files(), DISCLOSURE, lambda found: found["sets"][0]["template_of"].insert(0, 4))
    sets = json.loads(files[DISCLOSURE])["sets"]
    with pytest.raises(BadPack, match="a prompt has a template that is not listed"):
        list_explored_rows(read_files(files), sets[0]["sha256"])
    genuine = read_files(disclosed_files())
    assert list_explored_rows(genuine, sets[0]["sha256"]) == find_explored(1)
    assert list_explored_rows(genuine, sets[1]["sha256"]) is None, "of the first rule"
    few = change_file(disclosed_files(), DISCLOSURE, count(1, 1, 1, 0))
    assert list_explored_rows(read_files(few), sets[0]["sha256"]) == find_explored(1), "one prompt makes it exploratory"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one["template_of"].pop(), "11 prompts have a template, the set has 12"),
        (lambda one: one.update(n_labels=5), "another number of template labels than stated"),
        (lambda one: one["templates"][1].update(skeleton="some other words"), "the skeletons are not those of the prompts"),
        (lambda one: one["templates"][1].update(skeleton=None), "the skeletons are not those of the prompts"),
        (lambda one: one["templates"][1].update(n_exploratory=2, n_confirmatory=1), "other prompts in each split than stated"),
        (lambda one: one["split"].update(salt="2" * 16), "other prompts in each split than stated"),
        (lambda one: one["split"].update(rule=1), "other prompts in each split than stated"),
        (lambda one: (one.update(template_of=[0, 0, 4, *one["template_of"][3:]]), one["templates"].append(one["templates"][0])),
         "listed as several templates"),
    ],
)  # fmt: skip
def test_templates_and_splits_are_those_of_the_texts(change: Change, said: str) -> None:
    one, hidden = (json.loads(disclosed_files(*numbers)[DISCLOSURE])["sets"][0] for numbers in ((), (1,)))
    for genuine in (one, hidden):
        check_disclosed_rows(genuine, write_rows(1))
    change(one)
    with pytest.raises(BadPack, match=re.escape(said)):
        check_disclosed_rows(one, write_rows(1))


@pytest.mark.parametrize(
    ("stated", "logged", "is_refused"),
    [
        ("results_seen", "results_seen", False), ("results_seen", "results_not_opened", False), ("results_seen", "else", False),
        ("results_not_opened", "results_seen", True), ("nothing_run", "no_results_seen", True), ("nothing_run", "results_seen", True),
    ],
)  # fmt: skip
def test_a_plan_states_no_less_access_to_results_than_the_log_of_its_freezing(
    stated: str, logged: str, is_refused: bool
) -> None:
    """The verdict reads the plan: with less stated there, a number that was known before could meet a policy."""
    story = tell_disclosed()
    plan = story.documents[PLANS][0]
    old = plan.pop("digest")
    plan["prior_access"] = stated
    plan["digest"] = hash_document(plan)
    story.events[FREEZE][2].update(prior_access=logged, seen_in_sets=0)
    text = json.dumps([story.documents, story.events]).replace(old, plan["digest"])
    documents, events = json.loads(text)
    found = check(seal(build_files(Story(documents, [tuple(event) for event in events]))))
    said = f"semantics: P-0001 states {stated}, the log of its freezing {logged}"
    assert (found.exit_code, name_failure(found)) == ((4, said) if is_refused else (0, ""))


def test_other_events_and_plans_of_other_claims_say_nothing_of_a_plans_access() -> None:
    """The first entry is in every pack, whatever it is about."""
    story = tell_disclosed()
    story.events[0] = ("prereg.frozen", "P-0009", {"claim_id": "C-0009", "prior_access": "results_seen"}, True)
    story.events[2] = (*story.events[2][:2], {"claim_id": "C-0002", "prior_access": "results_seen"}, True)
    found = check(seal(build_files(story)))
    assert (found.exit_code, name_failure(found)) == (0, "")
