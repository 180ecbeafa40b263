"""A model behind an address on the pages Documents and Tools: the command is filled in, and nothing is sent or read."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_core.cli.parser import build_parser
from audit_core.endpoints import Address
from tests.pages.test_robustness_page import open_page
from ui.flow.closed_command import write_command

SHIPPED = {"documents": "data/documents/questions.csv", "tools": "data/tools/requests.csv"}


@pytest.mark.parametrize("page", SHIPPED)
def test_a_page_fills_in_the_command_and_refuses_a_key_in_the_place_of_its_name(
    page: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.flow.model_question.settle", lambda name: False)
    monkeypatch.setattr(Address, "read_key", lambda self: pytest.fail("the key is read where the command runs"))
    test = open_page(page)
    assert not any("--endpoint" in one.value for one in test.code)
    for key, text in (("closed-url", "https://api.example.org/v1"), ("closed-name", "small"), ("closed-key", "MY_KEY")):
        test.text_input(key=key).set_value(text)
    test.run()
    assert not test.exception
    (command,) = (one.value for one in test.code if "--endpoint" in one.value)
    options = build_parser().parse_args(command.split()[3:])
    assert (options.audit, str(options.file)) == (f"closed_{page}", SHIPPED[page])
    assert (options.endpoint, options.model_name, options.key_from) == ("https://api.example.org/v1", "small", "MY_KEY")
    test.text_input(key="closed-key").set_value("sk-very-secret-value").run()
    assert not any("--endpoint" in one.value for one in test.code)
    shown = " ".join(one.value for one in (*test.error, *test.markdown, *test.code))
    assert "no name of an environment variable" in shown
    assert "very-secret" not in shown


def test_a_name_of_a_file_cannot_add_a_command() -> None:
    command = write_command("closed_tools", "a; rm -rf ~ $(x) `y`.csv", Address("http://127.0.0.1:8099/v1", "default"))
    assert "--file 'a; rm -rf ~ $(x) `y`.csv' --endpoint" in command
