"""A hidden tab computes nothing, and a tab that is opened draws its content."""

from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from ui.parts.tabs import lazy_tabs

    def draw(name: str) -> None:
        st.session_state.setdefault("drawn", []).append(name)
        st.markdown(f"content of {name}")

    st.session_state.drawn = []
    lazy_tabs({name: (lambda name=name: draw(name)) for name in ("one", "two", "three")}, key="tab", default="two")


def test_only_the_open_tab_is_computed() -> None:
    test = AppTest.from_function(page).run()
    assert not test.exception
    assert test.session_state.drawn == ["two"]
    assert [m.value for m in test.markdown] == ["content of two"]


def test_another_tab_is_computed_once_it_is_opened() -> None:
    test = AppTest.from_function(page)
    test.session_state.tab = "three"
    test.run()
    assert test.session_state.drawn == ["three"]


def test_a_tab_that_is_not_offered_leaves_none_closed() -> None:
    test = AppTest.from_function(page)
    test.session_state.tab = "gone"
    test.run()
    assert test.session_state.drawn == ["two"]
