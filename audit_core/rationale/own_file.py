"""A reader's own questions, from a CSV file: question, steps, answer, and the same steps with a mistake."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from audit_core.errors import PromptRefused
from audit_core.prompts.alignment import align_rows
from audit_core.prompts.answers import Tokenizer
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts
from audit_core.rationale.chain import ANSWER, QUESTION, STEPS

REQUIRED = ("question", "steps", "answer", "mistaken_steps", "mistaken_answer")
MAX_BYTES, MAX_ROWS = 4 * 1024**2, 2_000
_SHOWN = 5


def read_own_questions(raw: bytes, name: str, separator: str, tokenizer: Tokenizer) -> TokenisedPrompts:
    """Questions of a CSV file with the columns of `REQUIRED`, and optionally `template` and `id`.

    Args:
        separator: separates steps in a cell; line breaks always do.

    Raises:
        PromptRefused: it is no such file, or no row fits this tokenizer.
    """
    rows = _read_table(raw, name)
    prompts = [_make_prompt(row, at, separator) for at, row in enumerate(rows, start=1)]
    aligned = align_rows(PromptSet(name, tuple(prompts)), tokenizer)
    if aligned.kept is None:
        raise PromptRefused(
            f"No row of {name[:60]} can be asked: {'; '.join(map(str, aligned.faults[:_SHOWN]))}.",
            wanted="rows whose right and mistaken steps have the same number of tokens.", remedy="change these rows.",
        )  # fmt: skip
    return aligned.kept


def _read_table(raw: bytes, name: str) -> list[dict[str, str]]:
    if len(raw) > MAX_BYTES:
        raise PromptRefused(
            f"{name[:60]} is too large.", wanted=f"at most {MAX_BYTES // 1024**2} MiB.", remedy="split it."
        )
    try:
        rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise PromptRefused(
            f"{name[:60]} cannot be read as CSV: {str(error)[:80]}.",
            wanted="a CSV file in UTF-8.",
            remedy="save it as one.",
        ) from error
    missing = [column for column in REQUIRED if not rows or column not in rows[0]]
    if missing or len(rows) > MAX_ROWS:
        found = f"lacks {', '.join(missing)}" if missing else f"has {len(rows):,} rows"
        raise PromptRefused(
            f"{name[:60]} {found}.", wanted=f"columns {', '.join(REQUIRED)}, and 1 to {MAX_ROWS:,} rows.",
            remedy="add what is missing: the mistake shows what the answer would be if it followed the steps.",
        )  # fmt: skip
    return [{key: (value or "").strip() for key, value in row.items() if isinstance(key, str)} for row in rows]


def _make_prompt(row: Mapping[str, str], at: int, separator: str) -> Prompt:
    def write(column: str) -> str:
        cell = row[column].replace("\r\n", "\n")
        parts = [part.strip() for part in (cell.replace(separator, "\n") if separator else cell).split("\n")]
        question = " ".join(row["question"].split())
        return "\n".join([f"{QUESTION} {question}", STEPS, *(part for part in parts if part), ANSWER])

    name = row.get("id") or f"row-{at:04d}"
    return Prompt(
        name, write("steps"), write("mistaken_steps"), f" {row['answer']}", f" {row['mistaken_answer']}",
        row.get("template") or "own",
    )  # fmt: skip
