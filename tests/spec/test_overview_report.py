"""The printed overview: one page, every count on it, foreign text as text, and the word sample where it is one."""

from __future__ import annotations

from dataclasses import replace

from toy.pdf_text import read_pages

from audit_core.home import OverviewClaim, OverviewFacts, OverviewModel, render_overview

STATES = ("untested", "supported", "negligible", "reversed", "inconclusive", "exploratory", "stale", "withdrawn")
FACTS = OverviewFacts(
    made_at="2026-01-02T03:04:05+00:00",
    states=STATES,
    models=(OverviewModel(model="a <b>model</b>", policy="not met", by_state={"supported": 3, "stale": 1}),),
    open_claims=(OverviewClaim(statement="L1.H1 is needed", state="stale", why="the policy expired"),),
    n_claims=4,
    unconfirmed_entries=1234,
)


def read(facts: OverviewFacts) -> tuple[int, str]:
    pages = read_pages(render_overview(facts))
    return len(pages), " ".join("\n".join(pages).split())


def test_every_count_is_on_one_page_and_foreign_text_stays_text() -> None:
    pages, text = read(FACTS)
    assert pages == 1
    for wanted in ("0 of 1", "1 of 4", "1,234", "a <b>model</b>", "not met", "L1.H1 is needed", "the policy expired"):
        assert wanted in text, wanted


def test_what_does_not_fit_is_counted_and_the_page_stays_one() -> None:
    many = replace(FACTS, models=FACTS.models * 30, open_claims=FACTS.open_claims * 50)
    pages, text = read(many)
    assert pages == 1
    assert "22 more models" in text
    assert "44 more claims" in text


def test_a_sample_says_so() -> None:
    assert "SAMPLE ORGANISATION" in read(replace(FACTS, is_sample=True))[1]
    assert "SAMPLE" not in read(FACTS)[1]
