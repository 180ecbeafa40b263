"""The page of experts: what was sent where beside what each expert does, and a model without experts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.store import note_opened
from tests.pages.test_dead_hook_on_the_page import wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def open_experts(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AppTest]:
    def opened(model: str, prompts: str, **more: str) -> AppTest:
        subject = load_planted(model)
        monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
        note_opened(home, model)
        test = AppTest.from_file(str(ROOT / "pages/experts.py"), default_timeout=60)
        for key, value in ({"model": model, "set": prompts, "scope": "exploratory"} | more).items():
            test.query_params[key] = value
        test.run()
        wait_for(test, lambda t: bool(t.info) or "takes away" in read(t) or bool(t.exception))
        assert not test.exception
        return test

    return opened


def read(test: AppTest) -> str:
    return " ".join(text.value for text in test.markdown).replace("\\", "")


def test_the_answer_names_the_expert_that_acts_and_the_busiest_that_does_not(
    open_experts: Callable[..., AppTest],
) -> None:
    test = open_experts("planted-mixture", "planted-lookup")
    assert "Removing L0.E5 takes away 0.50" in read(test)
    assert "Removing L0.E0, which receives 44% of its layer's choices, takes away 0.00" in read(test)
    assert "as Spearman ρ: load " in read(test)
    for tab, words in (
        ("One expert", "Received **54**"), ("Together", "All experts of a layer"), ("Forced route", "chosen in the place"), ("Token weight", "Times 1 is a control"), ("Routing", "Nothing was changed"),
        ("Conditions", "Experts ran as"), ("Mask in three parts", "The three bars add up"),
    ):  # fmt: skip
        test.session_state["experts-tabs"] = tab
        test.run()
        assert not test.exception, tab
        assert words in read(test), tab


def test_an_expert_that_received_nothing_is_said_to_be_untested(open_experts: Callable[..., AppTest]) -> None:
    test = open_experts("planted-mixture", "planted-lookup", expert="L0.E6")
    test.session_state["experts-tabs"] = "One expert"
    test.run()
    assert "not routed" in read(test)
    assert any("zero by construction" in box.value for box in test.info)


def test_an_expert_named_for_its_weight_has_a_curve(open_experts: Callable[..., AppTest]) -> None:
    test = open_experts("planted-mixture", "planted-lookup", weigh="L0.E5 L0.E6")
    test.session_state["experts-tabs"] = "Token weight"
    test.run()
    assert not test.exception
    assert "**L0.E5**: the metric: rises with the weight." in read(test)
    assert "**L0.E6**: it received no token of these prompts." in read(test)
    assert [table.value["weight times"].tolist() for table in test.dataframe] == [[0, 0.5, 1, 1.5, 2]]


def test_a_dense_model_has_a_reason_and_a_way_to_a_mixture(open_experts: Callable[..., AppTest]) -> None:
    test = open_experts("planted-induction", "planted-query")
    assert "no mixture layers" in test.info[0].value.replace("\\", "")
    assert any("Open a mixture of experts" in button.label for button in test.button)
