"""Prompts of a pack, shown, withheld or opened: each contradiction is refused by what it is, and the genuine pack passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from toy.disclosed import (
    DISCLOSURE,
    SHORT,
    change_file,
    commit,
    disclosed_files,
    make_openings,
    open_items,
    read_files,
    salt_of,
)
from toy.packs import PACK_ID, RUNS, check, dump, name_failure, seal

from audit_core.verifier import withheld
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.withheld import (
    BadOpenings,
    Openings,
    PromptsFinding,
    check_openings,
    check_prompt_sets,
    read_openings,
)

WITHHELD = {number: f"prompts/{short}/withheld.json" for number, short in SHORT.items()}
SHOWN = {number: f"prompts/{short}/items.jsonl" for number, short in SHORT.items()}
MEASURED = [f"runs/{run}/items.jsonl" for run in RUNS]
Change = Callable[[Any], object]


@pytest.mark.parametrize("hidden", [(), (1,), (2,), (1, 2)])
def test_a_genuine_pack_passes_whatever_it_withholds(hidden: tuple[int, ...]) -> None:
    found = check(seal(disclosed_files(*hidden)))
    assert (found.exit_code, name_failure(found)) == (0, "")
    assert found.prompts.result == ("PROMPTS_NOT_CHECKED" if hidden else "PROMPTS_MATCH")


@pytest.mark.parametrize(
    ("hidden", "name", "change", "said"),
    [
        ((1, 2), "pack.json", lambda one: one.update(withheld_count=17), "counts 17 withheld items, 18 are listed"),
        ((1, 2), WITHHELD[2], lambda one: one.update(sha256="0" * 64), "contains prompts that no run of this pack names"),
        ((1, 2), WITHHELD[1], lambda one: one.update(n_whole=13), "another number of items than it states"),
        ((1, 2), WITHHELD[1], lambda one: one["items"][1].update(item_id="item-0"), "lists an item twice"),
        ((1, 2), WITHHELD[1], lambda one: one.update(n_items=9), "lists 6 items, the set has 9"),
        ((1, 2), MEASURED[0], lambda rows: rows.pop(), "lists 5 items, the set has 6"),
        ((1, 2), MEASURED[0], lambda rows: rows[1].update(item_id="item-99"), "names an item that is not withheld: 'item-99'"),
        ((1, 2), MEASURED[0], lambda rows: rows[1].update(item_commitment="0" * 64), "another commitment for 'item-1'"),
        ((1, 2), MEASURED[0], lambda rows: rows[1].update(item_commitment=None), "another commitment for 'item-1'"),
        ((1, 2), MEASURED[0], lambda rows: [row.update(item_commitment=None) for row in rows], "another commitment for 'item-0'"),
        ((1, 2), MEASURED[0], lambda rows: rows[1].update(clean=1.0), "discloses withheld fields of 'item-1'"),
        ((1, 2), MEASURED[0], lambda rows: rows[1].update(effect=1.0), "discloses withheld fields of 'item-1'"),
        ((1, 2), MEASURED[0], lambda rows: rows[1].update(template="t0"), "discloses withheld fields of 'item-1'"),
        ((1,), MEASURED[1], lambda rows: rows[1].update(item_commitment="00"), "another commitment for 'p1'"),
        ((), SHOWN[1], lambda rows: rows[5].update(clean=5), "contains a row that is not a prompt"),
        ((), SHOWN[1], lambda rows: rows.pop(), "another number of prompts than its division by template"),
        ((), SHOWN[1], lambda rows: rows[0].update(answer=" Paul"), "does not contain the prompts that its runs name"),
        ((), SHOWN[2], lambda rows: rows.pop(0), "does not contain the prompts that its runs name"),
    ],
)  # fmt: skip
def test_counts_lists_and_references_must_agree(hidden: tuple[int, ...], name: str, change: Change, said: str) -> None:
    files = disclosed_files(*hidden)
    check_prompt_sets(read_files(files), files)
    changed = change_file(files, name, change)
    with pytest.raises(BadPack, match=said):
        check_prompt_sets(read_files(changed), changed)


def test_a_set_is_shown_or_withheld_and_a_run_may_leave_its_items_out() -> None:
    files = disclosed_files(1)
    both = files | {SHOWN[1]: disclosed_files()[SHOWN[1]]}
    with pytest.raises(BadPack, match="is both shown and withheld"):
        check_prompt_sets(read_files(both), both)
    short = {name: data for name, data in files.items() if name != MEASURED[0]}
    check_prompt_sets(read_files(short), short)


def open_with(items: list[dict[str, Any]], *hidden: int, pack_id: str = PACK_ID, **files: bytes) -> PromptsFinding:
    members = disclosed_files(*hidden) | files
    return check_openings(read_files(members), members, Openings(pack_id, tuple(items)))


def test_what_was_opened_is_said_and_no_more() -> None:
    members = disclosed_files(1, 2)
    documents = read_files(members)
    every = open_items(1) + open_items(2)
    assert open_with(every, 1, 2).result == "PROMPTS_MATCH"
    assert open_with(every, 1, 2).detail.startswith("18 of 18 withheld items opened; they match")
    assert open_with(every[:2], 1, 2).result == "PROMPTS_PARTLY_OPENED"
    assert open_with(every[:2], 1, 2).detail.startswith("2 of 18 withheld items opened")
    none = check_openings(documents, members, None)
    assert (none.result, none.detail[:43]) == ("PROMPTS_NOT_CHECKED", "18 items are withheld and none was opened: ")
    bare = {name: data for name, data in disclosed_files().items() if name not in SHOWN.values()}
    assert check_openings(read_files(bare), bare, None).detail == "the pack contains no prompts"


def replace_text(items: list[dict[str, Any]]) -> None:
    items[0]["item"]["prompt"] |= {"answer": " Paul"}


def replace_template(items: list[dict[str, Any]]) -> None:
    """The commitment is made to fit, and the list in the pack has another template."""
    items[0]["item"]["template"] = "template-t9"


def repeat(items: list[dict[str, Any]]) -> None:
    items.append(items[0])


def put_a_number_without_form(items: list[dict[str, Any]]) -> None:
    items[0]["item"]["runs"] = [{"clean": 2**60}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (replace_text, "the opening of 'item-0' does not match its commitment"),
        (lambda items: items[0].update(salt="00" * 16), "the opening of 'item-0' does not match its commitment"),
        (lambda items: items[0].update(set=SHORT[2]), "does not match its commitment"),
        (lambda items: items[0].update(set="0" * 16), "an item that is not withheld, or a repeated one: 'item-0'"),
        (lambda items: items[0]["item"].update(item_id="item-99"), "not withheld, or a repeated one: 'item-99'"),
        (repeat, "not withheld, or a repeated one: 'item-0'"),
        (put_a_number_without_form, "the opening of 'item-0': "),
    ],
)
def test_an_opening_of_something_else_is_refused(change: Change, said: str) -> None:
    items = make_openings(1)["items"]
    change(items)
    with pytest.raises(BadPack, match=said):
        open_with(items, 1, 2)


def test_openings_of_another_pack_are_refused_and_the_pack_stays_whole() -> None:
    with pytest.raises(BadPack, match=f"the openings belong to pack {'0' * 26}"):
        open_with(open_items(1), 1, pack_id="0" * 26)
    with pytest.raises(BadPack, match="not withheld"):
        open_with(open_items(1))


def test_a_template_that_the_list_does_not_have_is_refused_though_the_commitment_fits() -> None:
    items = open_items(1)
    items[0]["item"]["template"] = "template-t9"
    fitting = commit(items[0]["salt"], items[0]["item"])
    changed = change_file(disclosed_files(1), WITHHELD[1], lambda one: one["items"][0].update(commitment=fitting))
    with pytest.raises(BadPack, match="'item-0' does not match its commitment"):
        check_openings(read_files(changed), changed, Openings(PACK_ID, tuple(items)))


@pytest.mark.parametrize("others", [[], open_items(1)[:3], open_items(1)])
def test_what_was_committed_to_and_not_run_is_found_once_its_set_is_open(others: list[dict[str, Any]]) -> None:
    """A preparer may commit to anything; only a whole set has a digest that was fixed before the run."""
    items = open_items(2)
    items[0]["item"]["prompt"] = items[0]["item"]["prompt"] | {"answer": " Paul"}
    fitting = commit(salt_of(2, 0), items[0]["item"])
    changed = change_file(disclosed_files(1, 2), WITHHELD[2], lambda one: one["items"][0].update(commitment=fitting))
    documents = read_files(changed)
    partly = check_openings(documents, changed, Openings(PACK_ID, (*others, *items[:-1])))
    assert partly.result == "PROMPTS_PARTLY_OPENED"
    with pytest.raises(BadPack, match="do not form the set that was run"):
        check_openings(documents, changed, Openings(PACK_ID, (*others, *items)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one["template_of"].append(0), "another number of prompts than its division by template"),
        (lambda one: one.update(n_labels=5), "another number of template labels"),
    ],
)
def test_what_is_disclosed_of_a_withheld_set_is_checked_once_it_is_open(change: Change, said: str) -> None:
    changed = change_file(disclosed_files(1, 2), DISCLOSURE, lambda found: change(found["sets"][0]))
    documents = read_files(changed)
    with pytest.raises(BadPack, match=said):
        check_openings(documents, changed, Openings(PACK_ID, tuple(open_items(1))))
    earlier = replace(documents, parsed={n: d for n, d in documents.parsed.items() if n != DISCLOSURE})
    found = check_openings(earlier, changed, Openings(PACK_ID, tuple(open_items(2))))
    assert found.result == "PROMPTS_PARTLY_OPENED", "a pack of an earlier version discloses nothing"


def test_a_file_of_openings_is_read_strictly(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_canonical(make_openings(1))
    assert len(read_openings(data).items) == 12
    with pytest.raises(BadOpenings, match="not JSON"):
        read_openings(b"{")
    with pytest.raises(BadOpenings, match="salt"):
        read_openings(dump("", make_openings(1) | {"items": [open_items(1)[0] | {"salt": "00"}]}))
    monkeypatch.setattr(withheld, "MAX_OPENINGS_BYTES", len(data))
    assert read_openings(data).pack_id == PACK_ID
    with pytest.raises(BadOpenings, match="larger than"):
        read_openings(data + b" ")
