"""The router. It must not be in the parent folder of `pages/`: Streamlit would then serve the pages without it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from ui.parts.sample_mark import mark_page  # noqa: E402
from ui.shell import auth, history, link, navigation, return_to, theme  # noqa: E402

SIDE_BAR = 210
"""Pixels: the menu's longest title, so that both maps fit beside it on a laptop."""
GROUP = "menu_group"
"""Session key: the group of the page shown, whose pages the menu lists."""

st.set_page_config(
    page_title="Assay",
    page_icon=str(ROOT / "ui/shell/static/favicon.png"),
    layout="wide",
    initial_sidebar_state=SIDE_BAR,
)
st.html(ROOT / "ui/shell/static/style.css")
person, refusal = auth.find_visitor()
if person is None or refusal is not None:
    # Register every page, so that the visitor's address survives the sign-in, but run none.
    page = st.navigation(navigation.menu(None, ""), position="hidden")
    if refusal is not None:
        auth.show_sign_in(person, refusal, page.title)
    st.stop()
# Which page is asked for is known from the first call alone. The group of the run before is right but for a change of group.
menu = navigation.menu(person, st.session_state.get(GROUP, ""))
page = st.navigation(menu, expanded=True)
if (group := navigation.find_group(page.title)) != st.session_state.get(GROUP):
    st.session_state[GROUP] = group
    menu = navigation.menu(person, group)
    page = st.navigation(menu, expanded=True)
st.set_page_config(page_title=f"{page.title} · Assay")
return_to.resume([one for pages in menu.values() for one in pages])
with st.sidebar:
    auth.show_person(person, page.title)
    history.keep_one_entry()
    theme.follow_theme()
permission = navigation.find_permission(page.title)
if not person.may(permission):
    auth.show_refused_page(person, permission, page.title)
    st.stop()
link.enter(page.title)
mark_page(None)
page.run()
