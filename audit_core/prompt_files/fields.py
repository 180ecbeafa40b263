"""Validation of a row's values: bounded texts, answers as text or list of texts, numbers as labels."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.prompt_files.layouts import NEEDED
from audit_core.prompt_files.table import MAX_ANSWERS, MAX_CHARACTERS, Row, RowFault, Table

FORMS = ("", "verbatim")
_LABELS = ("id", "template", "group", "source")
_LISTS = ("answer", "foil")
_PYTHON_TEXT = r"""'[^'\\]*'|"[^"\\]*\""""
_PYTHON_LIST = re.compile(rf"\[\s*(?:{_PYTHON_TEXT})(?:\s*,\s*(?:{_PYTHON_TEXT}))*\s*\]")
"""A list as written to CSV by pandas. Texts without commas between them (NumPy's form) would join to one text in Python."""
_LIKE_A_LIST = re.compile(r"""\[(['"]).*\1\]""", re.DOTALL)


@dataclass(frozen=True)
class RowFields:
    """The texts of one row; template, group and source are empty if absent."""

    id: str
    clean: str
    corrupted: str
    answers: tuple[str, ...]
    foils: tuple[str, ...]
    template: str
    group: str
    source: str
    form: str
    """Prompt form: empty, or `verbatim`."""
    place: str = dataclasses.field(default="", compare=False)
    """Location in the file, such as `line 3`."""


def check_rows(table: Table) -> tuple[tuple[RowFields, ...], tuple[RowFault, ...]]:
    """Split rows into valid ones and faults."""
    faults: list[RowFault] = []
    checked = [(row, _check(row, table.is_text_only, faults)) for row in table.rows]
    fields = [(row, found) for row, found in checked if found is not None]
    if any(found.template for _, found in fields):
        remedy = "name the template in every row or in none"
        faults += [
            RowFault(found.id, "template is missing", remedy, "missing", row.place)
            for row, found in fields
            if not found.template
        ]
        fields = [(row, found) for row, found in fields if found.template]
    return tuple(found for _, found in fields), (*table.faults, *faults)


def _check(row: Row, is_text_only: bool, faults: list[RowFault]) -> RowFields | None:
    found = {field: value for field, value in row.values.items() if value is not None}
    if is_text_only:
        found = {field: value for field, value in found.items() if value != ""}
    label = _as_label(found.get("id")) or ""
    before = len(faults)

    def refuse(text: str, remedy: str, reason: str) -> None:
        faults.append(RowFault(label[:60], text, remedy, reason, row.place))

    for field in NEEDED:
        if field not in found:
            refuse(f"{field} is missing", "give it", "missing")
    texts: dict[str, object] = {
        field: _as_label(value) if field in _LABELS else value for field, value in found.items()
    }
    lists = {field: _as_list(texts.pop(field), is_text_only) for field in _LISTS if field in texts}
    for field, values in lists.items():
        value = found[field]
        if is_text_only and values == (value,) and _LIKE_A_LIST.fullmatch(str(value)):
            refuse(f"{field} is a list in an unsupported notation", 'write it as ["a", "b"] or as one text', "not_text")
        elif isinstance(value, list) and not _are_texts(values):
            refuse(f"{field} is not a list of 1 to {MAX_ANSWERS} texts", "use texts, the best first", "not_text")
        elif not _are_texts(values):
            texts[field] = ""
    for field, value in texts.items():
        if not is_text(value) or (value == "" and field in (*NEEDED, "id")):
            refuse(f"{field} is not text of 1 to {MAX_CHARACTERS} characters", "correct it", "not_text")
    if texts.get("form", "") not in FORMS:
        refuse("form is not 'verbatim'", "use verbatim, or remove the value", "not_text")
    if len(faults) > before:
        return None
    plain = {field: str(value) for field, value in texts.items()}
    return RowFields(
        plain.get("id", str(row.number)), plain["clean"], plain["corrupted"],
        tuple(map(str, lists["answer"])), tuple(map(str, lists["foil"])),
        plain.get("template", ""), plain.get("group", ""), plain.get("source", ""),
        plain.get("form", ""), row.place,
    )  # fmt: skip


def _as_label(value: object) -> str | None:
    """Return text, or an integer as text; None for other values."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        # pandas writes integers in columns with missing values as 1.0.
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _as_list(value: object, is_text_only: bool) -> Sequence[object]:
    if isinstance(value, list):
        return tuple(dict.fromkeys(value)) if all(isinstance(one, str) for one in value) else value
    if is_text_only and isinstance(value, str) and value.startswith("[") and len(value) <= MAX_CHARACTERS:
        if _PYTHON_LIST.fullmatch(value):
            return tuple(dict.fromkeys(text[1:-1] for text in re.findall(_PYTHON_TEXT, value)))
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return (value,)
        if isinstance(found, list) and _are_texts(found):
            return tuple(dict.fromkeys(found))
    return (value,)


def _are_texts(values: Sequence[object]) -> bool:
    return 0 < len(values) <= MAX_ANSWERS and all(value != "" and is_text(value) for value in values)


def is_text(value: object) -> bool:
    """Check that text can be encoded: JSON can contain an unpaired surrogate, UTF-8 cannot."""
    if not isinstance(value, str) or len(value) > MAX_CHARACTERS:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)
