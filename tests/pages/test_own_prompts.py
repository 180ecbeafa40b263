"""A user's own prompts on the page: columns are asked for, every row is accepted or refused, and a file's texts are never markup."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]
HEADER = "clean,corrupted,answer,foil\n"


def offer(raw: str) -> AppTest:
    def page(raw: str) -> None:
        from ui.flow.own_prompts import offer_rows

        offer_rows(raw.encode())

    return AppTest.from_function(page, kwargs={"raw": raw}, default_timeout=60).run()


def open_dialog(way: str) -> AppTest:
    def page() -> None:
        from ui.flow.own_prompts import bring_own

        bring_own()

    test = AppTest.from_function(page, default_timeout=60).run()
    test.button(key="bring-own").click().run()
    return test.radio(key="own-way").set_value(way).run()


def rows(test: AppTest) -> list[tuple[str, ...]]:
    return [tuple(map(str, row)) for row in test.dataframe[0].value.itertuples(index=False)]


def said(test: AppTest) -> str:
    return " ".join(one.value for kind in (test.markdown, test.error, test.caption) for one in kind)


def test_a_good_file_can_be_used() -> None:
    test = offer(HEADER + "a,b, x, y\n")
    assert not test.exception
    assert [button.label for button in test.button] == ["Use the accepted row"]
    assert rows(test) == [("line 2", "accepted", "", "a", "b", "' x'", "' y'")]


def test_each_row_is_accepted_or_refused_with_its_remedy_before_any_is_used() -> None:
    test = offer(HEADER + "a,b, x, y\na,b,, y\n\na,b, x, y, z\n")
    assert "**3** rows: **1** accepted · **2** refused" in said(test)
    assert [row[:3] for row in rows(test)] == [
        ("line 5", "refused", "5 cells for 4 column names. Quote cells that contain the separator, a quotation mark or a "
         "line break, and close the quotes."),
        ("line 2", "accepted", ""),
        ("line 3", "refused", "answer is missing. Give it."),
    ]  # fmt: skip
    assert [button.label for button in test.button] == ["Use the accepted row"]


def test_what_needs_the_model_is_announced_until_it_is_loaded() -> None:
    assert "are checked when the model is loaded" in said(offer(HEADER + "a,b, x, y\n"))


def test_a_file_of_many_rows_is_shown_a_page_at_a_time() -> None:
    test = offer(HEADER + "".join(f"a {n},b {n}, x, y\n" for n in range(450)))
    assert len(rows(test)) == 200
    test.number_input[0].set_value(3).run()
    assert [row[0] for row in rows(test)][-1] == "line 451"
    assert len(rows(test)) == 50


def test_the_splits_and_their_rule_are_said_before_the_model_is_loaded() -> None:
    text = said(offer(HEADER + "".join(f"a {n},b {n}, x, y\n" for n in range(24))))
    assert "**24** prompts: " in text
    assert "Whole templates go to one split; a hash of their words decides" in text.replace("\\", "")
    assert "A verdict needs 20 confirmatory prompts over 5 templates" in text


def test_missing_spaces_are_added_on_request() -> None:
    test = offer(HEADER + "The capital of France is,The capital of Italy is,Paris,Rome\n")
    assert rows(test)[0][5:] == ("' Paris'", "' Rome'")
    test.checkbox(key="own-spaces").uncheck().run()
    assert rows(test)[0][5:] == ("'Paris'", "'Rome'")


def test_columns_whose_names_do_not_match_are_asked_for() -> None:
    test = offer(HEADER.replace("answer", "label").replace("foil", "wrong") + "a,b, x, y\n")
    assert [box.label for box in test.selectbox] == [
        "Column for answer",
        "Column for foil",
        "Column for template, if any",
    ]
    assert not test.button
    test.selectbox[0].set_value("label")
    test.selectbox[1].set_value("wrong")
    test.run()
    assert [button.label for button in test.button] == ["Use the accepted row"]


@pytest.mark.parametrize("table", ["a\tb\t x\t y\nc\td\t x\t y", HEADER + "a,b, x, y\nc,d, x, y", '[{"clean": "a", "corrupted": "b", "answer": "x", "foil": "y"}, {"clean": "c", "corrupted": "d", "answer": "x", "foil": "y"}]'])  # fmt: skip
def test_a_pasted_table_is_read_with_or_without_column_names(table: str) -> None:
    test = open_dialog("Paste a table")
    test.text_area(key="own-paste").set_value(table).run()
    assert [(row[3], row[4]) for row in rows(test)] == [("a", "b"), ("c", "d")]


def test_rows_of_a_pasted_table_with_foreign_column_names_are_mapped() -> None:
    test = open_dialog("Paste a table")
    test.text_area(key="own-paste").set_value("q\tw\tright\twrong\na\tb\t x\t y").run()
    test.checkbox(key="own-header").check().run()
    asked = [f"Column for {field}" for field in ("clean", "corrupted", "answer", "foil")]
    assert [box.label for box in test.selectbox] == [*asked, "Column for template, if any"]


def test_typed_rows_keep_their_number_and_empty_ones_are_left_out() -> None:
    from ui.flow.own_prompts import _write_rows

    row = {"clean": "a", "corrupted": "b", "answer": " x", "foil": None}
    assert _write_rows([row, {"clean": ""}, row]).decode().split("\n")[1] == ""
    assert _write_rows([{"clean": "", "foil": None}]) == b""


def test_a_pair_that_lacks_a_field_is_refused_with_the_remedy() -> None:
    test = open_dialog("Type one pair")
    test.text_area[0].set_value("a")
    next(one for one in test.button if one.label == "Use this pair").click().run()
    assert "corrupted is missing" in said(test)


def test_the_texts_of_a_file_are_never_markup() -> None:
    image = "![x](http://localhost/a.png)"
    for raw in (
        f"id,{HEADER}{image},a,b,, y\n",
        f"{image},{HEADER}z,a,b, x, y\n",
        f"{image}\n1\n",
        f"{image}\n",
        f'{{"{image}": [{{}}], "b": [{{}}]}}',
    ):
        test = offer(raw)
        shown = [one.value for kind in (test.error, test.caption, test.warning, test.markdown) for one in kind]
        assert not [text for text in shown if image in text]


def open_live(rows: list[tuple[str, str, str, str]]) -> AppTest:
    """The live audit on own rows under a planted model, once it is loaded."""
    from audit_core import Prompt, PromptSet, audit_home
    from audit_core.store import keep_prompts, note_opened

    note_opened(audit_home(), "planted-and")
    prompts = tuple(Prompt(f"p{n}", *row, "t") for n, row in enumerate(rows))
    test = AppTest.from_file(str(ROOT / "ui/shell/main.py"), default_timeout=60)
    for key, value in {"model": "planted-and", "set": keep_prompts(PromptSet("own", prompts)), "c": "L1.H0"}.items():
        test.query_params[key] = value
    test.run()
    deadline = time.monotonic() + 60
    while "loading" in said(test) and time.monotonic() < deadline:
        time.sleep(0.1)
        test.run()
    assert not test.exception
    return test


PAIR = ("w01 w02 w03 w04 w05 w06 w01", "w01 w02 w03 w04 w05 w06 w04")


def test_answers_of_several_tokens_are_measured_in_nats(home: Path) -> None:
    test = open_live([(*PAIR, " w02 w03", " w05 w06")])
    assert "Effects are in **nats**" in said(test)
    assert " nats." in said(test).replace("\\", "")
    assert not [one.value for one in test.error]


def test_answers_of_one_token_are_measured_in_logits(home: Path) -> None:
    test = open_live([(*PAIR, " w02", " w05")])
    assert "nats" not in said(test)
    assert " logits." in said(test).replace("\\", "")


def test_rows_that_do_not_fit_the_model_are_named_and_the_others_can_be_used(home: Path) -> None:
    test = open_live([(*PAIR, " w02", " w05"), ("w01 w02 w01", "w01 w02", " w02", " w05")])
    assert "**2** rows: **1** accepted · **1** refused" in said(test)
    assert (
        rows(test)[1][2] == "clean has 4 tokens and corrupted 3. Use words that tokenise to the same number of tokens."
    )
    test.button(key="own-fit").click().run()
    assert not test.exception
    assert "**1** prompt:" in said(test)


def test_a_folder_of_the_datasets_library_asks_for_its_split_and_columns() -> None:
    row = b'{"good": "a", "corrupted": "b", "answer": " x", "foil": " y"}\n'
    files = {"mine/dataset_dict.json": b'{"splits": ["train", "test"]}'} | {
        f"mine/{split}/rows.jsonl": row for split in ("train", "test")
    }
    test = open_dialog("Upload a folder")
    test.file_uploader(key="own-folder").set_value([(name, raw, "") for name, raw in files.items()]).run()
    assert not test.exception
    assert test.selectbox(key="own-split").options == ["train", "test"]
    test.selectbox(key="column for clean").set_value("good").run()
    assert rows(test) == [("line 1", "accepted", "", "a", "b", "' x'", "' y'")]
    test.file_uploader(key="own-folder").set_value([("mine/../x.csv", row, "")]).run()
    assert "plain names" in said(test)
