"""Rows of numbers as prompts, so that logs, packs and content keys read a row as any other prompt."""

from __future__ import annotations

import numpy as np

from audit_core.prompts.answers import Contrast
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair
from audit_core.tabular.table import TableTask

YES_ID, NO_ID = 2**31, 2**31 + 1
"""Token ids of the two decisions, above those of all numbers."""
YES_WORD, NO_WORD = "yes", "no"


def number_id(word: str) -> int:
    """Token id of a number: the upper 31 bits of its float32.

    Raises:
        ValueError: the word is no number.
    """
    with np.errstate(over="ignore"):
        return int(np.float32(float(word)).view(np.uint32)) >> 1


def ask_rows(task: TableTask) -> TokenisedPrompts:
    """A number is a word; the other run of each row is the next row, which is not read."""
    texts = [" ".join(f"{value:.9g}" for value in row) for row in task.rows]
    ids = [tuple(number_id(word) for word in text.split()) for text in texts]
    pairs = []
    for at, (text, own) in enumerate(zip(texts, ids, strict=True)):
        prompt = Prompt(f"row-{at + 1:04d}", text, texts[at - 1], f" {YES_WORD}", f" {NO_WORD}", f"row {at + 1}")
        contrast = Contrast((), ((YES_ID,),), ((NO_ID,),))
        pairs.append(TokenPair(prompt, own, ids[at - 1], contrast, (), (), True))
    digest = PromptSet(task.name, tuple(pair.prompt for pair in pairs)).sha256
    return TokenisedPrompts(task.name, tuple(pairs), digest, task.notices)
