"""The phrases a governance tool must never say: each is found, its honest neighbours are not, and quoted text is left to others."""

from __future__ import annotations

import pytest
from toy.sample_pack import ROOT_DIGEST, sample_documents

from audit_core.evidence.report.html import TEMPLATES, render_html
from audit_core.evidence.words import NEVER, drop_quoted, find_overclaims

SAID = (
    "The system is compliant.", "non-compliance", "certified by us", "conforms to the AI Act", "it satisfies Article 9", "an approved model",
    "the model is safe", "this circuit is aligned", "an unbiased model", "no deception was found", "this proves the claim", "the cause of the answer",
    "the head explains the model", "the model understands names", "a tamper-proof log", "immutable records", "thresholds fixed before testing",
    "The result is verified.", "fully reproducible", "audited by Assay", "an independent review", "we guarantee it", "100 % sure", "risk-free",
    "an industry standard threshold", "✅ done",
)  # fmt: skip
NOT_SAID = (
    "legal assessment not performed", "mediates 46 % of the effect", "tamper-evident up to checkpoint 3", "INTEGRITY_VERIFIED", "status unverified",
    "prompts of one template are not independent", "safetensors only", "aligned under the tokenizer", "approved_by", "reviewed by X",
    "within tolerance on the same environment class", "at level 95 %", "100 % of 12 prompts", "no assurance conclusion",
)  # fmt: skip


@pytest.mark.parametrize("text", SAID)
def test_what_must_never_be_said_is_found_with_what_to_say_instead(text: str) -> None:
    found = find_overclaims(text)
    assert found
    assert all(hit.instead for hit in found)


@pytest.mark.parametrize("text", NOT_SAID)
def test_what_may_be_said_is_not_found(text: str) -> None:
    assert find_overclaims(text) == []


def test_every_phrase_of_the_list_is_found_by_an_example() -> None:
    said = " | ".join(SAID)
    assert [
        phrase.pattern for phrase in NEVER if not any(hit.instead == phrase.instead for hit in find_overclaims(said))
    ] == []


def test_a_banned_word_put_into_a_template_is_found_in_the_template_and_in_the_report() -> None:
    """The mutation: without it the check could pass because it reads nothing."""
    template = (TEMPLATES / "report.html.j2").read_text()
    assert find_overclaims(template) == []
    assert find_overclaims(template.replace("<main>", "<main><p>This system is compliant.</p>"))
    page = render_html(sample_documents(), root_digest=ROOT_DIGEST).decode()
    assert find_overclaims(drop_quoted(page)) == []
    assert find_overclaims(drop_quoted(page.replace("<main>", "<main><p>This system is compliant.</p>")))


def test_what_people_filed_is_quoted_and_not_ours_to_forbid() -> None:
    documents = sample_documents()
    documents["claims/claims.json"][0]["statement"] = "The model is certified and 100 % safe."
    page = render_html(documents, root_digest=ROOT_DIGEST).decode()
    assert find_overclaims(page)
    assert find_overclaims(drop_quoted(page)) == []
