"""What says the same counts once: in a file, in a set built in code, and under a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from toy.planted import make_induction

from audit_core.claim import Claim
from audit_core.component import head
from audit_core.confirm import freeze_claim
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet, drop_repeats, parse_prompts, take_split
from audit_core.shipped import load_shipped_policy
from audit_core.store import keep_prompts, load_kept_prompts
from audit_core.store.claims.register import Register
from audit_core.subjects.transformer import TransformerSubject

ROW = {
    "id": "r1", "clean": "Then Mary saw John, and John gave a ball to", "corrupted": "Then Mary saw John, and Mary gave a ball to",
    "answer": " Mary", "foil": " John", "template": "t",
}  # fmt: skip
SAME: dict[str, dict[str, Any]] = {
    "another id": {},
    "another template, group and source": {"template": "u", "group": "g", "source": "s"},
    "white space": {
        "clean": ROW["clean"].replace(" ", "  "),
        "corrupted": " " + ROW["corrupted"].replace(" ", "\u00a0"),
    },
    "line breaks at the end": {"clean": ROW["clean"] + "\n"},
    "a mark at the end": {"clean": ROW["clean"] + ":"},
    "invisible signs": {"clean": ROW["clean"].replace("ball", "ba\u200bll")},
    "variation selectors and fillers": {"clean": ROW["clean"].replace("ball", "b\ufe0fa\u034fl\u3164l\U000e0100")},
    "answers in another order": {},
    "space before the answer": {"answer": "Mary"},
}
OTHER: dict[str, dict[str, Any]] = {
    "clean and corrupted exchanged": {
        "clean": ROW["corrupted"], "corrupted": ROW["clean"], "answer": ROW["foil"], "foil": ROW["answer"],
    },
    "another word": {"clean": ROW["clean"].replace("ball", "book")},
    "case": {"clean": ROW["clean"].replace("Then", "then")},
    "another foil": {"foil": " Paul"},
    "further answers": {"answer": [" Mary", " Anna"]},
    "a sign inside": {"clean": ROW["clean"].replace("ball", "b+ll")},
}  # fmt: skip


def parse(*rows: dict[str, Any]) -> PromptSet:
    return parse_prompts("\n".join(map(json.dumps, rows)).encode(), name="set")


@pytest.mark.parametrize("how", SAME)
def test_a_row_that_says_the_same_is_left_out_and_named(how: str) -> None:
    found = parse(ROW, {**ROW, **SAME[how], "id": "r2"})
    assert [prompt.id for prompt in found.prompts] == ["r1"]
    assert found.sha256 == parse(ROW).sha256
    assert found.notices == ("1 prompt says the same as an earlier one and counts once: 'r2' repeats 'r1'.",)


@pytest.mark.parametrize("how", OTHER)
def test_a_row_that_says_something_else_stays(how: str) -> None:
    found = parse(ROW, {**ROW, **OTHER[how], "id": "r2"})
    assert len(found) == 2
    assert found.notices == ()


def test_unicode_forms_of_one_text_and_answers_in_another_order_are_one() -> None:
    row = {**ROW, "clean": "At the caf\u00e9 John saw", "answer": [" Mary", " Anna"]}
    assert (
        len(parse(row, {**row, "id": "r2", "clean": "At the cafe\u0301 John saw", "answer": [" Anna", " Mary"]})) == 1
    )


def test_prompts_that_are_marks_alone_are_not_one() -> None:
    rows = [{**ROW, "id": mark, "clean": f"( {mark}", "answer": mark, "foil": "?"} for mark in ("!", ".", ";")]
    assert len(parse(*rows)) == 3


def test_the_notice_names_five_and_counts_the_rest() -> None:
    (notice,) = parse(*({**ROW, "id": f"r{at}"} for at in range(24))).notices
    assert notice.startswith("23 prompts say the same as an earlier one and count once: 'r1' repeats 'r0'; ")
    assert notice.endswith("'r5' repeats 'r0' (and 18 more).")


def test_a_set_built_in_code_counts_repeats_once_when_it_is_tokenised(planted: TransformerSubject) -> None:
    rows = make_induction(4, change="query").prompts
    again = [replace(row, id=f"again {row.id}", template=f"other {at}") for at, row in enumerate(rows)]
    found = tokenise(PromptSet("built", (*rows, *again)), planted.tokenizer)
    assert [pair.prompt.id for pair in found.pairs] == [row.id for row in rows]
    assert [(one.prompt, one.template) for one in found.set_aside] == [(row.id, row.template) for row in again]
    assert "4 prompts say the same" in found.notices[-1]


def test_a_tokenizer_that_cannot_distinguish_two_texts_makes_them_one(planted: TransformerSubject) -> None:
    class Coarse:
        """Every word it does not know is the same token."""

        bos_id = planted.tokenizer.bos_id

        def encode(self, text: str) -> list[int]:
            return planted.tokenizer.encode(text.replace("w30", "w20"))

        def encode_each(self, texts: Sequence[str]) -> list[list[int]]:
            return [self.encode(text) for text in texts]

        def piece(self, token_id: int) -> str:
            return planted.tokenizer.piece(token_id)

        limits = planted.tokenizer.limits
        render_chat = planted.tokenizer.render_chat

    (row,) = make_induction(1, change="query").prompts
    first, second = (
        replace(row, id=word, clean=f"{word} {row.clean}", corrupted=f"{word} {row.corrupted}")
        for word in ("w20", "w30")
    )
    assert len(tokenise(PromptSet("two", (first, second)), Coarse())) == 1


def test_splits_of_a_set_without_repeats_share_no_prompt_that_says_the_same() -> None:
    rows = [
        {**ROW, "id": f"{word} {at}", "clean": " " * at + ROW["clean"].replace("ball", word)}
        for word in ("ball", "book", "bird", "boat", "bell", "box", "bag")
        for at in range(3)
    ]
    whole = parse(*rows)
    halves = [take_split(whole, exploratory=half).prompts for half in (True, False)]
    assert sum(map(len, halves)) == len(whole) == 7


def test_a_claim_is_frozen_on_distinct_prompts(planted: TransformerSubject, own_home: Any) -> None:
    rows = make_induction(60, change="query", n_templates=6).prompts
    again = tuple(replace(row, id=f"again {row.id}") for row in rows)
    claim = Claim("the copying head is needed", (head(1, 0),))
    plans = [
        freeze_claim(
            Register(own_home), planted, claim, PromptSet("toy", made), load_shipped_policy(), owner="a", model="m"
        )
        for made in (rows, (*rows, *again))
    ]
    assert plans[0].pins == plans[1].pins


def test_a_set_kept_with_repeats_by_an_earlier_version_is_read_as_it_was_kept(planted: TransformerSubject) -> None:
    rows = make_induction(3, change="query").prompts
    whole = PromptSet("old", (*rows, replace(rows[0], id="again")))
    kept = load_kept_prompts(keep_prompts(whole))
    assert kept.sha256 == whole.sha256
    assert len(tokenise(kept, planted.tokenizer)) == 3


def test_what_was_dropped_before_is_still_named_in_a_split(planted: TransformerSubject) -> None:
    rows = make_induction(12, change="query").prompts
    whole = drop_repeats(PromptSet("toy", (*rows, replace(rows[0], id="again"))))
    half = tokenise(take_split(whole, exploratory=False), planted.tokenizer)
    assert any("'again' repeats 'p0'" in notice for notice in half.notices)


def test_templates_are_found_over_the_whole_set_so_that_splits_name_them_alike(planted: TransformerSubject) -> None:
    rows = [replace(row, template="") for row in make_induction(40, change="query").prompts]
    same = [replace(row, clean="w01 " + row.clean, corrupted="w01 " + row.corrupted, id=f"b{row.id}") for row in rows]
    whole = PromptSet("toy", (*rows, *same))
    halves = [tokenise(take_split(whole, exploratory=half), planted.tokenizer) for half in (True, False)]
    by_text = {
        pair.prompt.id.removeprefix("b"): name for half in halves for pair, name in zip(half.pairs, half.templates)
    }
    for half in halves:
        assert [by_text[pair.prompt.id.removeprefix("b")] for pair in half.pairs] == list(half.templates)
