"""Labelled texts from the bytes of a CSV file: bounded, nothing executed, every refusal with what to do."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit_core.documents.form import flatten
from audit_core.documents.reading import MAX_CHARACTERS, read_csv
from audit_core.errors import PromptRefused, Refused
from audit_core.probes.results import LabelSource
from audit_core.prompts.alignment import MAX_TOKENS, align_rows
from audit_core.prompts.answers import Contrast, Tokenizer, Tokens
from audit_core.prompts.prompt_set import NO_TEMPLATE, Prompt, PromptSet, TokenisedPrompts, TokenPair
from audit_core.prompts.template_labels import check_template_labels

_NEEDED = ("text", "label")
_LONGEST_NAME = 60
"""Characters of a label, a template or an answer."""


@dataclass(frozen=True)
class LabelledRow:
    """A row of a file, with its tokens."""

    id: str
    text: str
    label: str
    template: str
    answer: str
    foil: str
    ids: Tokens


def ask_labelled(raw: bytes, name: str, tokenizer: Tokenizer, *, most: int) -> tuple[TokenisedPrompts, LabelSource]:
    """Pairs of a text and the nearest text of the other label, with the same template and number of tokens.

    Columns: text and label (two values); optional template, and answer (what the text continues with) with foil (another
    continuation; without it the answer of the pair's other text).

    Raises:
        Refused: as `read_csv`, or no row is usable.
        PromptRefused: not two labels, or no text has a partner.
    """
    shown, left = flatten(name)[:120], Counter[str]()
    rows, n_in_file = _read_rows(raw, shown, tokenizer, left)
    rows = [rows[at * len(rows) // min(most, len(rows))] for at in range(min(most, len(rows)))]
    has_answers = all(row.answer for row in rows)
    if not has_answers and any(row.answer for row in rows):
        raise PromptRefused(
            f"{shown}: some texts have an answer and {sum(not row.answer for row in rows)} have none.",
            wanted="an answer for every text, or for none.", remedy="fill the column, or remove it.",
        )  # fmt: skip
    _require_two(sorted({row.label for row in rows}), shown)
    prompts = _pair(rows, has_answers, left)
    if not prompts:
        raise PromptRefused(
            f"{shown}: {'; '.join(left)}.", wanted="texts in pairs that differ in their label.",
            remedy="write each text with both labels, in the same number of tokens.",
        )  # fmt: skip
    pairs = _align(PromptSet(shown, tuple(prompts)), {row.id: row.ids for row in rows}, tokenizer, has_answers, left)
    source = LabelSource(
        shown, hashlib.sha256(raw).hexdigest(), n_in_file, has_answers, tuple(sorted(left.items())),
    )  # fmt: skip
    return pairs, source


def _read_rows(raw: bytes, shown: str, tokenizer: Tokenizer, left: Counter[str]) -> tuple[list[LabelledRow], int]:
    found: dict[Tokens, LabelledRow] = {}
    cells = read_csv(raw, shown, _NEEDED)
    most = min(MAX_TOKENS, tokenizer.limits.n_positions or MAX_TOKENS)
    for number, cell in enumerate(cells, 2):
        row = {key: flatten(value or "") for key, value in cell.items() if key and isinstance(value, str | None)}
        text, label = row.get("text", ""), row.get("label", "")
        names = (label, row.get("template", ""), row.get("answer", ""), row.get("foil", ""))
        if not text or not label:
            left["a text or a label is missing"] += 1
        elif len(text) > MAX_CHARACTERS or max(map(len, names)) > _LONGEST_NAME:
            left[f"a text of more than {MAX_CHARACTERS:,} characters, or a name of more than {_LONGEST_NAME}"] += 1
        else:
            bos = tokenizer.bos_id
            ids = (*(() if bos is None else (bos,)), *tokenizer.encode(text))
            if len(ids) > most:
                left[f"longer than {most} tokens"] += 1
            elif ids in found:
                left["the same text as an earlier row"] += 1
            else:
                found[ids] = LabelledRow(f"row {number}", text, label, names[1] or NO_TEMPLATE, *names[2:], ids)
    if not found:
        raise Refused(
            f"{shown}: no row can be used: {'; '.join(left) or 'it has none'}.", wanted="rows with a text and a label.",
            remedy="fix these rows.",
        )  # fmt: skip
    return list(found.values()), len(cells)


def _require_two(labels: Sequence[str], shown: str) -> None:
    if len(labels) != 2:
        raise PromptRefused(
            f"{shown} has {len(labels)} labels: {', '.join(one[:30] for one in labels[:6])}.",
            wanted="two: a probe tells one label from the other.",
            remedy="keep two labels; mark every other text with one of them.",
        )  # fmt: skip


def _pair(rows: Sequence[LabelledRow], has_answers: bool, left: Counter[str]) -> list[Prompt]:
    """A prompt for each text, against the text of the other label that differs from it in the fewest tokens."""
    alike: dict[tuple[str, int], list[LabelledRow]] = {}
    for row in rows:
        alike.setdefault((row.template, len(row.ids)), []).append(row)
    prompts = []
    for members in alike.values():
        table = np.array([row.ids for row in members])
        labels = np.array([row.label for row in members])
        for at, row in enumerate(members):
            others = np.flatnonzero(labels != row.label)
            if not others.size:
                left["no text of the other label with its template and number of tokens"] += 1
                continue
            near = members[int(others[(table[others] != table[at]).sum(1).argmin()])]
            foil = row.foil or near.answer
            if has_answers and foil == row.answer:
                left["no foil, and both texts of the pair have the same answer"] += 1
                continue
            prompts.append(
                Prompt(row.id, row.text, near.text, f" {row.answer}", f" {foil}", row.template, group=row.label)
            )
    return prompts


def _align(
    prompts: PromptSet, ids: dict[str, Tokens], tokenizer: Tokenizer, has_answers: bool, left: Counter[str]
) -> TokenisedPrompts:
    """The pairs as tokens; without answers, nothing that could be scored follows them."""
    if has_answers:
        aligned = align_rows(prompts, tokenizer)
        for fault in aligned.faults:
            left[str(fault).partition(": ")[2][:120] or str(fault)[:120]] += 1
        if aligned.kept is None:
            raise PromptRefused(
                f"{prompts.name}: no text can be used: {'; '.join(left)[:400]}.",
                wanted="answers that can follow their texts.", remedy="change the answers, or remove the column.",
            )  # fmt: skip
        return aligned.kept
    by_text = {prompt.clean: ids[prompt.id] for prompt in prompts.prompts}
    names = check_template_labels(prompts.prompts).names
    pairs = tuple(
        TokenPair(
            replace(prompt, answer="", foil=""), by_text[prompt.clean], by_text[prompt.corrupted], Contrast((), (), ()),
            (), (), cluster=name if name != prompt.template else "",
        )
        for prompt, name in zip(prompts.prompts, names, strict=True)
    )  # fmt: skip
    return TokenisedPrompts(prompts.name, pairs, prompts.sha256)
