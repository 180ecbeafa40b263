"""What of a chosen set was set aside stands beside the choice, as plain text."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def read_notices(test: AppTest) -> list[str]:
    return [text.value for box in test.expander if "excluded" in box.label for text in box.markdown]


def test_notices_are_under_the_choice_and_nothing_of_them_is_markup() -> None:
    def page() -> None:
        from ui.flow.own_prompts import show_notices

        show_notices(("1 prompt says the same: '![x](http://a.b/c.png)' repeats 'p0'.", "12 templates are named."))

    test = AppTest.from_function(page).run()
    assert [box.label for box in test.expander] == ["Some prompts were excluded or changed"]
    first, second = read_notices(test)
    assert "![x](" not in first
    assert "\\!\\[x\\]\\(" in first
    assert second.startswith("12 templates are named")


def test_a_set_without_notices_shows_none() -> None:
    def page() -> None:
        from ui.flow.own_prompts import show_notices

        show_notices(())

    assert not AppTest.from_function(page).run().expander


def test_repeats_dropped_from_an_upload_are_reported_with_that_set_alone() -> None:
    def page() -> None:
        import streamlit as st

        from ui.flow.own_prompts import show_notices

        st.session_state["set_aside"] = ("own-1", ("2 prompts say the same.",))
        show_notices(())

    test = AppTest.from_function(page)
    test.session_state["set"] = "own-1"
    assert read_notices(test.run()) == ["2 prompts say the same\\."]
    test.session_state["set"] = "indirect_object"
    assert not read_notices(test.run())
