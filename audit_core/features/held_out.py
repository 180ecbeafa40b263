"""Texts that a dictionary is evaluated and compared on: shipped prompts that it was not trained on, or the lines of a file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.documents.reading import read_csv
from audit_core.errors import Refused
from audit_core.features.evaluation import LabelledRows
from audit_core.probes.reading import ask_labelled
from audit_core.probes.results import ProbesRequest
from audit_core.probes.texts import list_texts
from audit_core.prompts.alignment import MAX_TOKENS
from audit_core.prompts.answers import Tokenizer, Tokens
from audit_core.prompts.prompt_set import take_split
from audit_core.shipped import list_prompt_sets, load_prompt_set

MOST, MOST_LABELLED = 240, 400
_SHORTEST = 3
"""Tokens, so that two are left without the first."""


@dataclass(frozen=True)
class HeldOutTexts:
    """Texts as tokens, and the group of each, over which intervals are taken."""

    rows: tuple[Tokens, ...]
    names: tuple[str, ...]


def list_shipped_texts(tokenizer: Tokenizer, *, most: int = MOST) -> HeldOutTexts:
    """Clean texts of the confirmatory split of the shipped prompt sets, grouped by template, spread over the sets."""
    found: dict[Tokens, str] = {}
    for key in list_prompt_sets():
        for prompt in take_split(load_prompt_set(key), exploratory=False).prompts:
            found[_encode(prompt.clean, tokenizer)] = f"{key} {prompt.template}"
    return _thin(list(found.items()), most)


def read_text_file(raw: bytes, name: str, tokenizer: Tokenizer, *, most: int = MOST) -> HeldOutTexts:
    """Texts of a CSV file with the column text, and group where texts are not independent.

    Raises:
        Refused: it is no such file, or no text has a fitting length.
    """
    longest = min(MAX_TOKENS, tokenizer.limits.n_positions or MAX_TOKENS)
    found = {}
    for number, row in enumerate(read_csv(raw, name, ("text",)), 2):
        ids = _encode((row.get("text") or "").strip(), tokenizer)
        if _SHORTEST <= len(ids) <= longest:
            found[ids] = (row.get("group") or "").strip() or f"line {number}"
    if not found:
        raise Refused(
            "No text of this file can be used.",
            wanted=f"texts of {_SHORTEST} to {longest} tokens.",
            remedy="change them.",
        )
    return _thin(list(found.items()), most)


def read_labelled_file(raw: bytes, name: str, tokenizer: Tokenizer) -> LabelledRows:
    """Labelled texts as the audit of probes takes them; raises as `ask_labelled`."""
    prompts, source = ask_labelled(raw, name, tokenizer, most=MOST_LABELLED)
    texts = list_texts(ProbesRequest(prompts, source=source))
    return LabelledRows(source.name, texts.ids, np.array(texts.is_second), texts.templates)


def _encode(text: str, tokenizer: Tokenizer) -> Tokens:
    first = () if tokenizer.bos_id is None else (tokenizer.bos_id,)
    return (*first, *tokenizer.encode(text))


def _thin(found: list[tuple[Tokens, str]], most: int) -> HeldOutTexts:
    n = min(most, len(found))
    kept = sorted((found[at * len(found) // n] for at in range(n)), key=lambda one: len(one[0]))
    return HeldOutTexts(tuple(ids for ids, _ in kept), tuple(name for _, name in kept))
