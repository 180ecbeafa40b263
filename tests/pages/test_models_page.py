"""Model cards opened by Streamlit's own test driver: a model that is there, one that is not, claims, and sentences of a card."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy.packs import genuine_members, write_trust, zip_up
from toy.register import PINS, freeze_by_hand, tell_attempt

from audit_core.review.desk import take_pack
from audit_core.store.claims.card_claims import add_card_claim, list_card_claims
from tests.pages.test_claims_page import HOSTILE, open_page
from ui.parts.header import counted


@pytest.fixture
def carded(home: Path) -> Path:
    """Two tested claims about a model that is not on this machine, a pack about them, and a hostile sentence."""
    for run, state in enumerate(("supported", "negligible")):
        tell_attempt(home, freeze_by_hand(home, name=HOSTILE), f"{run:032d}", state)
    (home / "trust.toml").write_bytes(write_trust())
    take_pack(home, zip_up(genuine_members()), by="anna")
    add_card_claim(home, "toy", HOSTILE, card_sha256="", by="anna")
    return home


def test_a_site_s_model_that_cannot_be_read_is_said_on_its_card(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_DEFAULT_MODEL", str(home / "nothing"))
    test = open_page("models", model="default")
    assert not test.exception
    assert any("nothing does not exist" in one.value for one in test.info)


def test_a_model_that_is_not_here_says_how_to_get_it_and_still_shows_its_claims(carded: Path) -> None:
    test = open_page("models", model="toy")
    assert not test.exception
    assert any("not on this machine yet" in one.value for one in test.info)
    table = next(one.value for one in test.dataframe if "status" in one.value.columns)
    assert list(table["status"]) == ["negligible", "supported"]
    assert PINS.model_digest not in "".join(one.value for one in test.markdown)


def test_a_planted_model_shows_identity_and_what_attention_cannot_show(home: Path, load_planted) -> None:  # type: ignore[no-untyped-def]
    load_planted("planted-induction")
    freeze_by_hand(home)
    add_card_claim(home, "planted-induction", "It attends.", card_sha256="", by="anna")
    test = open_page("models", model="planted-induction")
    assert not test.exception
    identity = next(one.value for one in test.dataframe if "as read from its files" in one.value.columns)
    assert "weights, SHA-256" in list(identity[""])
    assert any("Attention reveals" in one.value for one in test.markdown)
    capabilities = next(one.value for one in test.dataframe if "done here" in one.value.columns)
    assert "missing" in list(capabilities["done here"])


def test_what_the_system_does_adds_evidence_to_ask_for(home: Path) -> None:
    plain, around = open_page("models"), open_page("models", around="retrieval,nonsense")
    assert not around.exception
    counts = [
        len(next(one.value for one in page.dataframe if "evidence to demand" in one.value.columns))
        for page in (plain, around)
    ]
    assert counts[0] < counts[1]


def test_a_pack_is_on_the_card_with_its_state_and_its_numbers(carded: Path) -> None:
    test = open_page("models", model="toy")
    packs = next(one.value for one in test.dataframe if "review desk" in one.value.columns)
    assert list(packs["review desk"]) == ["waiting for review"]
    figures = next(one.value for one in test.dataframe if "threshold" in one.value.columns)
    assert list(figures["estimate"]) == ["0.620", "0.410"]
    assert all("[" in text and "95%" in text for text in figures["interval"])


def test_hostile_words_are_shown_as_words(carded: Path) -> None:
    test = open_page("models", model="toy")
    assert not [one.value for one in test.markdown if "<img" in one.value and "\\<" not in one.value]


def test_a_sentence_is_typed_kept_and_linked(carded: Path) -> None:
    test = open_page("models", model="toy")
    test.text_input(key="typed").set_value("Its head moves the name.").run()
    test.button(key="keep").click().run()
    assert not test.exception
    assert list_card_claims(carded)[-1].text == "Its head moves the name."
    test.selectbox(key="linked").set_value(2)
    test.selectbox(key="tested_by").set_value("C-0002")
    next(one for one in test.button if one.label == "Link").click().run()
    table = next(one.value for one in test.dataframe if "sentence" in one.value.columns)
    assert list(table["state"]) == ["untested", "contradicted"]


def test_a_card_in_a_language_that_is_not_read_says_so(carded: Path) -> None:
    test = open_page("models", model="toy")
    card = "---\nlicense:\n- mit\nbase_model: [x/y]\n---\n模型使用注意力机制来解释答案。\n\nThe head attends to the name.\n"
    test.file_uploader(key="card").set_value(("README.md", card.encode(), "text/markdown")).run()
    assert not test.exception
    assert any("Chinese" in one.value and "not read" in one.value for one in test.info)
    said = next(one.value.replace("\\", "") for one in test.markdown if "Licence in its metadata" in one.value)
    assert "mit. Base model: x/y. 1 sentence about" in said
    assert list(test.multiselect(key="kept").options) == ["The head attends to the name."]


def test_one_of_a_thing_has_no_plural() -> None:
    assert [counted(n, "run") for n in (0, 1, 2, 1000)] == ["0 runs", "1 run", "2 runs", "1,000 runs"]
