"""Chat form: each prompt as a user's message in the tokenizer's chat template."""

from __future__ import annotations

from dataclasses import replace

from audit_core.prompts.answers import Tokenizer
from audit_core.prompts.prompt_set import Prompt, PromptForm, PromptSet, divide_by_template

CHAT_SUFFIX = ", as chat"
"""Suffix of the name of a rendered set."""


def render_chat(prompts: PromptSet, tokenizer: Tokenizer) -> PromptSet:
    """Return the set with every prompt as a user's message, up to the assistant's turn.

    Answers follow as the template writes them, mostly without a leading space. The rendered text replaces the prompt: it is
    hashed, assigned to a split, run, shown and packed, and nothing is prepended.

    Raises:
        ModelRefused: the tokenizer has no chat template, or it cannot be rendered.
    """
    rows = tuple(_render(prompt, tokenizer) for prompt in prompts.prompts)
    rendered = PromptSet(f"{prompts.name}{CHAT_SUFFIX}", rows, prompts.notices)
    return divide_by_template(rendered, prompts.split_salt) if prompts.split_salt else rendered


def _render(prompt: Prompt, tokenizer: Tokenizer) -> Prompt:
    clean, corrupted = (tokenizer.render_chat(text) for text in (prompt.clean, prompt.corrupted))
    before = _find_space(prompt.answer.strip(), prompt.clean, clean, tokenizer)
    answers, foils = (tuple(before + text.strip() for text in texts) for texts in (prompt.answers, prompt.foils))
    return replace(
        prompt, clean=clean, corrupted=corrupted, answer=answers[0], foil=foils[0], more_answers=answers[1:],
        more_foils=foils[1:], form=PromptForm.VERBATIM,
    )  # fmt: skip


def _find_space(reply: str, message: str, rendered: str, tokenizer: Tokenizer) -> str:
    """Return the white space that the template puts before the assistant's text."""
    before, found, _ = tokenizer.render_chat(message, reply).removeprefix(rendered).partition(reply)
    # Some templates write more than white space there, for example an empty thinking block.
    return before if found and not before.strip() else ""
