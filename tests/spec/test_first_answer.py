"""The recorded first answer: shown for exactly its question, and equal to what is measured live."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from audit_core import load_prompt_set
from audit_core.errors import IntegrityError
from audit_core.first_answer import FirstAnswer, load_first_answer


def is_about(found: FirstAnswer, **change: object) -> bool:
    asked = {
        "model": "default", "prompts": load_prompt_set("indirect_object"), "prompt": "io-0001", "components": ("L23.H3",),
    }  # fmt: skip
    return found.is_about(**(asked | change))  # type: ignore[arg-type]


def test_it_answers_exactly_its_own_question() -> None:
    found = load_first_answer()
    assert is_about(found)
    prompts = load_prompt_set("indirect_object")
    for change in (
        {"model": "planted-strict"},
        {"prompt": "io-0002"},
        {"components": ("L24.H4",)},
        {"components": ()},
        {"prompts": load_prompt_set("gender_pronoun")},
        {"prompts": replace(prompts, prompts=prompts.prompts[1:])},
    ):
        assert not is_about(found, **change), change


def test_it_is_not_shown_once_an_audit_stores_another_form() -> None:
    found = load_first_answer()
    assert not is_about(replace(found, versions=found.versions | {"sweep": 0}))


def test_a_record_that_does_not_parse_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    monkeypatch.setattr("audit_core.first_answer.RECORD", broken)
    load_first_answer.cache_clear()
    try:
        with pytest.raises(IntegrityError, match="is not a record that this version reads"):
            load_first_answer()
    finally:
        load_first_answer.cache_clear()
