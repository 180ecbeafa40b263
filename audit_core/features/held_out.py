"""Texts that a dictionary is evaluated and compared on: shipped prompts that it was not trained on, or the lines of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from audit_core.documents.form import flatten
from audit_core.documents.reading import read_csv
from audit_core.documents.results import DocumentSource
from audit_core.errors import Refused
from audit_core.features.evaluation import LabelledRows
from audit_core.probes.reading import ask_labelled
from audit_core.probes.results import ProbesRequest
from audit_core.probes.texts import list_texts
from audit_core.prompts.alignment import MAX_TOKENS
from audit_core.prompts.answers import Contrast, Tokenizer, Tokens
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair, take_split
from audit_core.request import Ask
from audit_core.shipped import list_prompt_sets, load_prompt_set

MOST, MOST_LABELLED = 240, 400
MOST_TEXTS = 2_000
SHIPPED_TEXTS, EXPLORED_TEXTS = "shipped prompts, confirmatory split", "shipped prompts, exploratory split"
_SHORTEST = 3
"""Tokens, so that two are left without the first."""
_SIZE = "fewer than 3 tokens, or too many"


@dataclass(frozen=True)
class TextsFile:
    """How a file of texts is asked, beside the fields of a request."""

    most_texts: Annotated[int, Ask("Texts", "At most, spread over the file.")] = MOST


@dataclass(frozen=True)
class HeldOutTexts:
    """Texts as tokens, and the group of each, over which intervals are taken."""

    rows: tuple[Tokens, ...]
    names: tuple[str, ...]


def list_rows(prompts: TokenisedPrompts) -> HeldOutTexts:
    """Each clean text of some prompts once, with its template."""
    found = {pair.clean_ids: name for pair, name in zip(prompts.pairs, prompts.templates, strict=True)}
    return HeldOutTexts(tuple(found), tuple(found.values()))


def list_shipped_texts(tokenizer: Tokenizer, *, exploratory: bool = False, most: int | None = None) -> TokenisedPrompts:
    """Texts of a split of the shipped prompt sets, grouped by template, spread over the sets: for an evaluation the clean ones of
    the confirmatory split, and to make a dictionary both texts of each prompt of the exploratory one.

    Args:
        most: texts, at most; by default `MOST` to evaluate on, and all to make a dictionary of.
    """
    found: dict[Tokens, tuple[str, str]] = {}
    for key in list_prompt_sets():
        for prompt in take_split(load_prompt_set(key), exploratory=exploratory).prompts:
            for text in (prompt.clean, prompt.corrupted) if exploratory else (prompt.clean,):
                found[_encode(text, tokenizer)] = (text, f"{key} {prompt.template}")
    name = EXPLORED_TEXTS if exploratory else SHIPPED_TEXTS
    return _ask(name, found, most or (len(found) if exploratory else MOST))


def read_text_file(
    raw: bytes, name: str, tokenizer: Tokenizer, *, most: int = MOST
) -> tuple[TokenisedPrompts, DocumentSource]:
    """Texts of a CSV file with the column text, and group where texts are not independent.

    Raises:
        Refused: it is no such file, or no text has a fitting length.
    """
    if not 4 <= most <= MOST_TEXTS:
        raise Refused(f"{most} texts.", wanted=f"4 to {MOST_TEXTS:,}.", remedy="change the number.")
    longest = min(MAX_TOKENS, tokenizer.limits.n_positions or MAX_TOKENS)
    found, left, rows = {}, 0, read_csv(raw, name, ("text",))
    for number, row in enumerate(rows, 2):
        text = flatten(row.get("text") or "").strip()
        ids = _encode(text, tokenizer)
        if _SHORTEST <= len(ids) <= longest:
            found[ids] = (text, flatten(row.get("group") or "").strip()[:60] or f"line {number}")
        else:
            left += 1
    if not found:
        raise Refused(
            "No text of this file can be used.",
            wanted=f"texts of {_SHORTEST} to {longest} tokens.",
            remedy="change them.",
        )
    shown = flatten(name)[:120]
    source = DocumentSource(shown, hashlib.sha256(raw).hexdigest(), len(rows), ((_SIZE, left),) if left else ())
    return _ask(shown, found, most), source


def read_labelled_file(raw: bytes, name: str, tokenizer: Tokenizer) -> LabelledRows:
    """Labelled texts as the audit of probes takes them; raises as `ask_labelled`."""
    prompts, source = ask_labelled(raw, name, tokenizer, most=MOST_LABELLED)
    texts = list_texts(ProbesRequest(prompts, source=source))
    return LabelledRows(source.name, texts.ids, np.array(texts.is_second), texts.templates)


def describe_prompts(prompts: TokenisedPrompts) -> DocumentSource:
    """Prompts in the place of a file."""
    return DocumentSource(prompts.name, prompts.sha256, len(prompts))


def ask_texts(name: str, texts: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> TokenisedPrompts:
    """Texts with the group of each, as prompts without an answer."""
    return _ask(name, {_encode(text, tokenizer): (text, group) for text, group in texts}, len(texts))


def _encode(text: str, tokenizer: Tokenizer) -> Tokens:
    first = () if tokenizer.bos_id is None else (tokenizer.bos_id,)
    return (*first, *tokenizer.encode(text))


def _ask(name: str, found: dict[Tokens, tuple[str, str]], most: int) -> TokenisedPrompts:
    """Prompts without an answer, in the order of their lengths, so that a batch has texts of one length."""
    every = list(found.items())
    n = min(most, len(every))
    kept = sorted((every[at * len(every) // n] for at in range(n)), key=lambda one: len(one[0]))
    pairs = tuple(
        TokenPair(Prompt(f"text-{at:04d}", text, text, "", "", group), ids, ids, Contrast((), (), ()), (), ())
        for at, (ids, (text, group)) in enumerate(kept, 1)
    )
    return TokenisedPrompts(name, pairs, PromptSet(name, tuple(pair.prompt for pair in pairs)).sha256)
