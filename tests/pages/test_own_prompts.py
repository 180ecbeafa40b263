"""A file of prompts on the page: columns are asked for, what is set aside is shown, and a file's texts are never markup."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

HEADER = "clean,corrupted,answer,foil\n"


def offer(raw: str) -> AppTest:
    def page(raw: str) -> None:
        from ui.flow.own_prompts import offer_file

        offer_file(raw.encode())

    return AppTest.from_function(page, kwargs={"raw": raw}, default_timeout=60).run()


def test_a_good_file_can_be_used() -> None:
    test = offer(HEADER + "a,b, x, y\n")
    assert not test.exception
    assert [button.label for button in test.button] == ["Use this file"]
    assert not test.warning


def test_what_is_set_aside_is_shown_before_the_good_rows_are_used() -> None:
    test = offer(HEADER + "a,b, x, y\na,b,, y\n")
    assert "1 of 2 rows are usable" in test.warning[0].value
    assert test.dataframe[0].value["Found"].tolist() == ["answer is missing"]
    assert [button.label for button in test.button] == ["Use the 1 valid rows"]


def test_columns_whose_names_do_not_match_are_asked_for() -> None:
    test = offer(HEADER.replace("answer", "label").replace("foil", "wrong") + "a,b, x, y\n")
    assert [box.label for box in test.selectbox] == ["Column for answer", "Column for foil"]
    assert not test.button
    test.selectbox[0].set_value("label")
    test.selectbox[1].set_value("wrong")
    test.run()
    assert [button.label for button in test.button] == ["Use this file"]


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
