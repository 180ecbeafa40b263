"""Render a tokenizer's chat template, which is untrusted code: sandboxed and with a time limit."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from audit_core.errors import ModelRefused

RENDER_S = 2.0
"""Time limit per conversation; usual templates take about a millisecond."""


class OutOfTime(Exception):
    """A template exceeded its time limit."""


def render_template(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, is_open: bool) -> str:
    """Render a conversation with the template of a `transformers` tokenizer.

    Args:
        is_open: whether the assistant is to answer next.

    Raises:
        ModelRefused: there is no template, or it cannot be rendered.
    """
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise ModelRefused(
            "This model's tokenizer has no chat template.",
            wanted="a chat model.",
            remedy="do not use the chat form, or write the prompts in the model's training format.",
        )
    faults = (
        TemplateError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
        RecursionError,
        MemoryError,
        OutOfTime,
    )
    try:
        with _stopping_after(RENDER_S):
            return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=is_open))
    except faults as error:
        raise ModelRefused(
            f"The chat template cannot be rendered: {type(error).__name__}: {str(error)[:200]}",
            wanted="a template that accepts one user message.",
            remedy="render the prompts yourself and load them as verbatim.",
        ) from error


@contextmanager
def _stopping_after(seconds: float) -> Iterator[None]:
    """Stop Python code in this thread after a time limit; jinja compiles templates to Python code."""
    end, outer = time.monotonic() + seconds, sys.gettrace()

    def watch(frame: FrameType, event: str, arg: object) -> Any:
        if time.monotonic() > end:
            raise OutOfTime(f"it ran for more than {seconds:g} s")
        return watch

    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(outer)
