"""Prompt sets: rows, answers, tokenisation, templates, and selection of measurable rows."""

from audit_core.prompts.alignment import Alignment, align_rows, tokenise
from audit_core.prompts.chat import CHAT_SUFFIX, render_chat
from audit_core.prompts.found_templates import find_templates
from audit_core.prompts.measurable import keep_measurable
from audit_core.prompts.prompt_set import (
    SEQUENCE_METRIC,
    Prompt,
    PromptForm,
    PromptSet,
    SetAside,
    TokenisedPrompts,
    TokenPair,
    choose_metric,
    drop_repeats,
    is_exploratory,
    keep_valid,
    load_prompts,
    parse_prompts,
    take_split,
    take_tokenised_split,
)
from audit_core.prompts.row_check import (
    CheckedRow,
    RowCheck,
    RowStatus,
    SplitCounts,
    check_each,
    check_set,
    count_splits,
    describe_split_rule,
)

__all__ = [
    "CHAT_SUFFIX",
    "SEQUENCE_METRIC",
    "Alignment",
    "CheckedRow",
    "Prompt",
    "PromptForm",
    "PromptSet",
    "RowCheck",
    "RowStatus",
    "SetAside",
    "SplitCounts",
    "TokenPair",
    "TokenisedPrompts",
    "align_rows",
    "check_each",
    "check_set",
    "choose_metric",
    "count_splits",
    "describe_split_rule",
    "drop_repeats",
    "find_templates",
    "is_exploratory",
    "keep_measurable",
    "keep_valid",
    "load_prompts",
    "parse_prompts",
    "render_chat",
    "take_split",
    "take_tokenised_split",
    "tokenise",
]
