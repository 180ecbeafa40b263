"""Another model by form: what would be loaded is shown first, and a part of a listed title picks that model."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ui.flow.model_question import match_listed


@pytest.mark.parametrize(
    "typed, name",
    [
        ("smollm2", "default"),
        ("  SmolLM2-135M  ", "default"),
        ("DEFAULT", "default"),
        ("planted-and", "planted-and"),
        ("Small mixture of experts, trained", "moe-tiny"),
        ("two heads that are BOTH", "planted-and"),
        ("two heads", "two heads"),
        ("organisation/model", "organisation/model"),
        ("./folder", "./folder"),
        ("", ""),
    ],
)
def test_a_part_of_one_listed_title_picks_that_model(typed: str, name: str) -> None:
    assert match_listed(typed) == name


def open_form(typed: str) -> AppTest:
    def page() -> None:
        from ui.flow.model_question import use_another

        use_another()

    test = AppTest.from_function(page, default_timeout=60).run()
    test.button(key="use-another").click().run()
    return test.text_input(key="another-model").set_value(typed).run()


def said(test: AppTest) -> str:
    return " ".join(one.value for kind in (test.markdown, test.error, test.warning) for one in kind).replace("\\", "")


def test_a_folder_is_described_before_it_is_loaded(home: Path, tmp_path: Path) -> None:
    from spec.test_model_preview import write_model

    test = open_form(str(write_model(tmp_path / "m")))
    assert not test.exception
    text = said(test)
    assert "Architecture: **TinyForCausalLM**" in text
    assert "Parameters: **36**, stored as F16" in text
    assert "can hold it" in text
    assert test.button(key="load-another").label == "Load it"


def test_a_model_that_this_machine_cannot_hold_is_said_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spec.test_model_preview import write_model

    from ui.flow import model_question

    monkeypatch.setattr(model_question, "read_free_memory", lambda: 100)
    assert "This machine cannot hold it" in said(open_form(str(write_model(tmp_path / "m"))))


def test_a_hub_model_is_unknown_until_the_press(home: Path) -> None:
    text = said(open_form("someone/unknown-model"))
    assert "Architecture, parameters and memory: **unknown before it is loaded**" in text
    assert "Hugging Face hub" in text


def test_what_is_neither_listed_nor_a_folder_nor_a_hub_id_has_no_button(home: Path) -> None:
    test = open_form("no such name")
    assert not [one for one in test.button if one.key == "load-another"]
