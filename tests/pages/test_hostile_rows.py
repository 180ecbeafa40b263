"""Markdown in an uploaded row, a link or a model's name stays text on the page: nothing in it is an image, a link or a heading."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit_core import parse_prompts
from audit_core.store import keep_prompts

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "![x](http://127.0.0.1:9/pixel.png)"
HOSTILE = [
    IMAGE, "<img src=http://127.0.0.1:9/pixel.png>", "[x](http://127.0.0.1:9)", "# heading", "**bold**", ":material/error:", "`code`",
    ":red[x]", "$x$", "![][a]\n\n[a]: http://127.0.0.1:9/pixel.png", "<style>*{background:url(http://127.0.0.1:9)}</style>", "~~x~~", "| a | b |",
]  # fmt: skip
ACTIVE = re.compile(r"(?<!\\)!\[|(?<!\\)\]\(|(?<!\\)<(img|style|a)\b")
"""What would be drawn as an image, a link or a tag."""


def list_texts(test: AppTest) -> list[str]:
    """Everything that is drawn as Markdown."""
    drawn = (
        *test.markdown,
        *test.error,
        *test.warning,
        *test.info,
        *test.success,
        *test.header,
        *test.subheader,
        *test.title,
        *test.caption,
    )
    labels = [str(one.label) for kind in ("button", "expander", "radio", "selectbox") for one in test.get(kind)]
    return [*(str(one.value) for one in drawn), *labels]


def open_page(**query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "ui/shell/main.py"), default_timeout=60)
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def row(**changes: str) -> dict[str, str]:
    return {"id": "r", "clean": "a b", "corrupted": "a c", "answer": " x", "foil": " y", "template": "t"} | changes


def upload(test: AppTest, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """As if the file lay in the box: the test driver fills none."""
    import streamlit as st

    data = "\n".join(json.dumps(one) for one in rows).encode()
    monkeypatch.setattr(
        st, "file_uploader", lambda *_, **__: SimpleNamespace(getvalue=lambda: data, name=f"{IMAGE}.jsonl")
    )
    return test.button(key="bring-own").click().run()


def refuse_markup(test: AppTest) -> None:
    assert not test.exception
    assert [text for text in list_texts(test) if ACTIVE.search(text)] == []


@pytest.mark.parametrize("field", ["id", "clean", "answer", "template", "a field of its own"])
def test_a_refused_upload_is_reported_in_text(home: Path, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    rows = [row(**{field: text, "foil": ""}) for text in HOSTILE] + [row(id=IMAGE), row(id=IMAGE)]
    test = upload(open_page(model="./none"), rows, monkeypatch)
    refused = f"**{len(HOSTILE)}** refused"
    assert refused in " ".join(one.value for one in test.markdown), "bad rows are set aside"
    refuse_markup(test)
    (button,) = [one for one in test.button if one.label.startswith("Use the ")]
    refuse_markup(button.click().run())


def test_a_refusal_names_the_row_by_what_it_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = upload(open_page(model="./none"), [row(id=IMAGE, foil=""), row()], monkeypatch)
    assert [IMAGE in str(one.value.to_dict()) for one in test.dataframe] == [True], "in a table, which draws no markup"
    refuse_markup(test)


@pytest.mark.parametrize("text", HOSTILE)
def test_an_accepted_row_is_drawn_as_text(home: Path, text: str) -> None:
    rows = [row(id=text, clean=f"a {text} b", corrupted=f"a {text} c", template=text), row(id="s")]
    key = keep_prompts(parse_prompts("\n".join(map(json.dumps, rows)).encode(), name="uploaded"))
    test = open_page(model="./none", set=key, prompt=text)
    assert test.session_state["prompt"] == text
    refuse_markup(test)


@pytest.mark.parametrize("key", ["model", "set", "prompt", "c", "scope", "ab", "head"])
def test_an_address_is_drawn_as_text(home: Path, key: str) -> None:
    refuse_markup(open_page(**{"model": "./none", key: " ".join(HOSTILE)}))


def test_the_check_sees_what_is_not_escaped() -> None:
    from ui.parts.header import plain

    assert ACTIVE.search(IMAGE)
    assert ACTIVE.search("<img src=x>")
    assert not any(ACTIVE.search(plain(text)) for text in HOSTILE)
