"""Prompts in the form in which a chat model is used: each text as a user's message, under the tokenizer's own template."""

from __future__ import annotations

from dataclasses import replace

from audit_core.prompts.answers import Tokenizer
from audit_core.prompts.prompt_set import Prompt, PromptForm, PromptSet

CHAT_SUFFIX = ", as chat"
"""Of the name of a set that was rendered."""


def render_chat(prompts: PromptSet, tokenizer: Tokenizer) -> PromptSet:
    """The set with every prompt as a user's message, up to where the assistant begins to answer.

    Answers are written as the template writes them there, mostly without a space before them. The rendered text is the
    prompt from then on: it is what is hashed, split into halves, run, shown and packed, and nothing is put before it.

    Raises:
        ModelRefused: the tokenizer has no chat template, or it cannot be rendered.
    """
    rows = tuple(_render(prompt, tokenizer) for prompt in prompts.prompts)
    return PromptSet(f"{prompts.name}{CHAT_SUFFIX}", rows, prompts.notices)


def _render(prompt: Prompt, tokenizer: Tokenizer) -> Prompt:
    clean, corrupted = (tokenizer.render_chat(text) for text in (prompt.clean, prompt.corrupted))
    before = _find_space(prompt.answer.strip(), prompt.clean, clean, tokenizer)
    answers, foils = (tuple(before + text.strip() for text in texts) for texts in (prompt.answers, prompt.foils))
    return replace(
        prompt, clean=clean, corrupted=corrupted, answer=answers[0], foil=foils[0], more_answers=answers[1:],
        more_foils=foils[1:], form=PromptForm.VERBATIM,
    )  # fmt: skip


def _find_space(reply: str, message: str, rendered: str, tokenizer: Tokenizer) -> str:
    """The white space that the template puts before an assistant's words."""
    before, found, _ = tokenizer.render_chat(message, reply).removeprefix(rendered).partition(reply)
    # A template that closes what it opened (such as a place to think in) writes more than white space there.
    return before if found and not before.strip() else ""
