"""Each row of a user's own file is accepted or refused, with the remedy, with and without a tokenizer."""

from __future__ import annotations

from toy.additive import WordTokenizer

from audit_core.prompt_files import add_header, add_spaces, count_unspaced, has_header, read_rows
from audit_core.prompts import RowCheck, RowStatus, check_each, check_set, count_splits, is_exploratory

HEADER = "clean,corrupted,answer,foil\n"


def check(text: str, *, with_model: bool = False) -> RowCheck:
    return check_each(read_rows(text.encode(), name="own"), WordTokenizer() if with_model else None)


def statuses(found: RowCheck) -> list[tuple[str, str]]:
    return [(row.place, row.status.value) for row in found.rows]


def test_every_row_has_its_place_and_status_in_the_order_of_the_file() -> None:
    found = check(HEADER + "the cat,the dog, up, down\nthe cat,the dog,, down\nthe cat,the dog, up, down\n")
    assert statuses(found) == [("line 2", "accepted"), ("line 3", "refused"), ("line 4", "repeat, counts once")]
    assert not found.is_tokenised
    assert found.prompts is not None
    assert len(found.prompts) == 1


def test_a_row_with_equal_id_and_text_is_a_repeat_and_one_with_other_text_is_refused() -> None:
    found = check(
        "id," + HEADER + "a,the cat,the dog, up, down\na,the cat,the dog, up, down\na,a cat,a dog, up, down\n"
    )
    assert [status for _, status in statuses(found)] == ["accepted", "repeat, counts once", "refused"]
    assert found.rows[2].remedy == "use a unique id for each row"


def test_what_the_tokenizer_refuses_is_refused_in_its_row_alone() -> None:
    text = HEADER + "the cat,the dog, up, down\nthe cat sat,the dog, up, down\na cat,a dog,up, down\n"
    assert check(text).count(RowStatus.ACCEPTED) == 3
    found = check(text, with_model=True)
    assert found.is_tokenised
    assert [row.status for row in found.rows] == [RowStatus.ACCEPTED, RowStatus.REFUSED, RowStatus.REFUSED]
    assert found.rows[1].found == "clean has 4 tokens and corrupted 3"
    assert found.rows[2].remedy == "write ' up'"


def test_no_usable_row_gives_no_set() -> None:
    assert check(HEADER + "the cat,the dog,, down\n").prompts is None
    assert check(HEADER + "the cat sat,the dog, up, down\n", with_model=True).prompts is None


def test_a_stored_set_is_checked_the_same_way() -> None:
    stored = check(HEADER + "the cat,the dog, up, down\nthe cat sat,the dog, up, down\n").prompts
    assert stored is not None
    found = check_set(stored, WordTokenizer())
    assert statuses(found) == [("1", "accepted"), ("2", "refused")]
    assert found.prompts is not None
    assert [prompt.id for prompt in found.prompts.prompts] == ["1"]


def test_long_texts_and_lists_are_cut_for_display_alone() -> None:
    found = check('[{"clean": "%s", "corrupted": "b", "answer": ["x", "y"], "foil": "z"}]' % ("a" * 3000))
    assert len(found.rows[0].clean) == 301
    assert found.rows[0].answer == "x | y"
    assert found.prompts is not None
    assert len(found.prompts.prompts[0].clean) == 3000


def test_splits_are_counted_by_the_hash_of_the_text() -> None:
    prompts = check("template," + HEADER + "".join(f"t,cat {n},dog {n}, up, down\n" for n in range(40))).prompts
    assert prompts is not None
    found = count_splits(prompts)
    assert found.exploratory == sum(map(is_exploratory, prompts.prompts))
    assert found.exploratory + found.confirmatory == 40
    assert found.confirmatory_templates == 1


def test_a_pasted_table_without_names_gets_them_in_order() -> None:
    assert not has_header("a\tb\tx\ty")
    assert has_header("Clean\tb\tx\ty")
    assert add_header("a\tb\tx\ty\n") == "clean\tcorrupted\tanswer\tfoil\na\tb\tx\ty\n"
    assert add_header("a,b,x,y,t,i,7").startswith("clean,corrupted,answer,foil,template,id,column 7\n")


def test_a_space_is_added_only_where_the_answer_would_continue_a_word() -> None:
    read = read_rows(
        (HEADER + "the cat,the dog,up, down\nin 18,in 19,93,17\nhe said (,she said (,yes,no\n").encode(), name="own"
    )
    assert count_unspaced(read) == 1
    spaced = add_spaces(read)
    assert [row.answers + row.foils for row in spaced.rows] == [(" up", " down"), ("93", "17"), ("yes", "no")]
    assert [row.answer for row in check_each(spaced).rows] == [" up", "93", "yes"]
