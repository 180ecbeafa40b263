"""Prompt sets: rows, answers, tokenisation, templates, and selection of measurable rows."""

from audit_core.prompts.alignment import Alignment, align_rows, tokenise
from audit_core.prompts.chat import CHAT_SUFFIX, render_chat
from audit_core.prompts.found_templates import find_templates
from audit_core.prompts.measurable import keep_measurable
from audit_core.prompts.prompt_set import (
    Prompt,
    PromptForm,
    PromptSet,
    SetAside,
    TokenisedPrompts,
    TokenPair,
    drop_repeats,
    is_exploratory,
    keep_valid,
    load_prompts,
    parse_prompts,
    take_split,
)

__all__ = [
    "CHAT_SUFFIX",
    "Alignment",
    "Prompt",
    "PromptForm",
    "PromptSet",
    "SetAside",
    "TokenPair",
    "TokenisedPrompts",
    "align_rows",
    "drop_repeats",
    "find_templates",
    "is_exploratory",
    "keep_measurable",
    "keep_valid",
    "load_prompts",
    "parse_prompts",
    "render_chat",
    "take_split",
    "tokenise",
]
