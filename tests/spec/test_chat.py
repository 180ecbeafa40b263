"""Prompts in the form in which chat models are used: the template's own text, its own tokens, nothing put before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from toy.tokenizers import CHATML, INSTRUCT, make_bytes, make_sentencepiece, wrap

from audit_core.errors import ModelRefused
from audit_core.models import chat_template
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.chat import render_chat
from audit_core.prompts.prompt_set import Prompt, PromptForm, PromptSet, TokenPair

SPECIAL = ("<|im_start|>", "<|im_end|>")
LOOPS = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"
ROW = Prompt("r", "Who came, Ma or Jo?", "Who came, Jo or Ma?", " Ma", " Jo", "t", more_answers=(" Mab",))


def by_bytes(template: str | None = CHATML) -> Any:
    return make_bytes([("M", "a"), ("J", "o"), ("Ġ", "M"), ("ĠM", "a")], template=template, special=SPECIAL)


def spaced() -> Any:
    return make_sentencepiece(
        ["▁Who", "▁came,", "▁Ma", "▁or", "▁Jo?", "▁Jo", "▁Ma?", "▁Mab", "▁[INST]", "▁[/INST]"], template=INSTRUCT
    )


def align(inner: Any) -> TokenPair:
    tokenizer = wrap(inner)
    return tokenise(render_chat(PromptSet("s", (ROW,)), tokenizer), tokenizer).pairs[0]


@pytest.mark.parametrize("make", [by_bytes, spaced])
def test_the_tokens_are_those_of_the_template_and_an_answer_is_what_follows_there(make: Callable[[], Any]) -> None:
    """Held against the library's own rendering to tokens, of the question alone and with the reply."""
    inner, pair = make(), align(make())
    question = [{"role": "user", "content": ROW.clean}]
    wanted = inner.apply_chat_template(question, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert list(pair.clean_ids) == wanted
    replied = inner.apply_chat_template(
        [*question, {"role": "assistant", "content": "Ma"}], tokenize=True, return_dict=False
    )
    assert replied[len(wanted)] == pair.answer_id


def test_an_answer_is_written_as_the_template_writes_it() -> None:
    """ChatML goes on in a new line, without a space; Mistral's form puts one."""
    for inner, answers in ((by_bytes(), ("Ma", "Mab")), (spaced(), (" Ma", " Mab"))):
        (prompt,) = render_chat(PromptSet("s", (ROW,)), wrap(inner)).prompts
        assert prompt.answers == answers
        assert prompt.form is PromptForm.VERBATIM


def test_a_template_that_writes_more_before_a_reply_leaves_the_answer_as_it_is() -> None:
    thinking = CHATML.replace(
        "+ m['content'] +", "+ ('<think></think>' if m['role'] == 'assistant' else '') + m['content'] +"
    )
    (prompt,) = render_chat(PromptSet("s", (ROW,)), wrap(by_bytes(thinking))).prompts
    assert prompt.answer == "Ma"


def test_the_rendered_set_is_another_set_with_a_digest_of_its_own() -> None:
    whole = PromptSet("s", (ROW,))
    found = render_chat(whole, wrap(by_bytes()))
    assert found.sha256 != whole.sha256
    assert found.name == "s, as chat"
    assert "Who came, Ma or Jo?<|im_end|>" in found.prompts[0].clean


@pytest.mark.parametrize(
    "template",
    [
        None, "{{ raise_exception('no users here') }}", "{% for", "{{ messages[9].content }}", "{{ 1 / 0 }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 99999999999999999 }}", "{{ '{:>99999999999999999}'.format('a') }}", "{% include 'secret' %}",
    ],
)  # fmt: skip
def test_a_model_without_a_template_that_can_be_rendered_is_refused(
    template: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template is a program from outside: also one that would run for hours ends in a refusal."""
    monkeypatch.setattr(chat_template, "RENDER_S", 0.2)
    with pytest.raises(ModelRefused, match="chat template"):
        render_chat(PromptSet("s", (ROW,)), wrap(by_bytes(template)))
