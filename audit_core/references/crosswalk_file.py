"""Reads a crosswalk file strictly, with the rules that a schema cannot express."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from audit_core.data_folder import DATA
from audit_core.errors import Refused
from audit_core.references.crosswalk import (
    Act,
    ClauseCheck,
    Crosswalk,
    CrosswalkRow,
    EvidenceItem,
    Framework,
    Relation,
    SecondReader,
    TextCopy,
)
from audit_core.verifier.schema import find_violation
from audit_core.verifier.schemas_crosswalk import CROSSWALK, CROSSWALK_FORMS
from audit_core.verifier.strict_json import NotStrictJson, load_strict

SHIPPED_CROSSWALK = DATA / "crosswalk/crosswalk.json"
MAX_CROSSWALK_BYTES = 2 << 20
_SECOND_FORM_ONLY = ("quote", "copy", "entry", "not_known", "second_reader")


def load_crosswalk(path: Path | None = None) -> Crosswalk:
    """Read a crosswalk; by default the shipped one.

    Raises:
        Refused: larger than 2 MiB, not strict JSON, or not the format of docs/reference/governance.md.
    """
    if path is None:
        return _load_shipped()
    with path.open("rb") as file:
        return parse_crosswalk(file.read(MAX_CROSSWALK_BYTES + 1), path.name)


def parse_crosswalk(data: bytes, name: str = "crosswalk.json") -> Crosswalk:
    """Read a crosswalk from bytes; see `load_crosswalk`."""
    if len(data) > MAX_CROSSWALK_BYTES:
        raise _refuse(name, f"more than {MAX_CROSSWALK_BYTES:,} bytes")
    try:
        document = load_strict(data)
    except NotStrictJson as error:
        raise _refuse(name, str(error)) from error
    if found := find_violation(document, CROSSWALK) or _find_newer_field(document):
        raise _refuse(name, found)
    made = Crosswalk(
        document["as_of"],
        document["notice"],
        tuple(Framework(**row) for row in document["frameworks"]),
        tuple(EvidenceItem(**row) for row in document["evidence"]),
        tuple(_read_row(row) for row in document["rows"]),
        tuple(TextCopy(**row) for row in document.get("copies", ())),
        tuple(_read_act(row) for row in document.get("acts", ())),
    )
    if wrong := _find_contradiction(made):
        raise _refuse(name, wrong)
    return made


@cache
def _load_shipped() -> Crosswalk:
    return load_crosswalk(SHIPPED_CROSSWALK)


def _find_newer_field(document: Any) -> str:
    """A file of the first form has none of the second form's fields, so that its readers miss nothing."""
    if document["schema"] != CROSSWALK_FORMS[0]:
        return ""
    newer = [name for name in ("copies", "acts") if name in document]
    for number, row in enumerate(document["rows"]):
        newer += [f"rows[{number}].{name}" for name in _SECOND_FORM_ONLY if name in row]
        newer += [f"rows[{number}].status {row['status']}"] if row["status"] == ClauseCheck.COPY else []
    return f"{newer[0]} needs the form {CROSSWALK_FORMS[1]}" if newer else ""


def _read_row(fields: dict[str, Any]) -> CrosswalkRow:
    read: dict[str, Any] = {"relation": Relation(fields["relation"]), "status": ClauseCheck(fields["status"])}
    if second := fields.get("second_reader"):
        read["second_reader"] = SecondReader(**second | {"relation": Relation(second["relation"])})
    return CrosswalkRow(**fields | read)


def _read_act(fields: dict[str, Any]) -> Act:
    return Act(**fields | {"clauses": tuple(fields["clauses"]), "status": ClauseCheck(fields["status"])})


def _find_contradiction(made: Crosswalk) -> str:
    """Check rules that a schema cannot express; returns the first violation, or an empty text."""
    if not _is_date(made.as_of):
        return f"as_of {made.as_of} is not a date"
    for described in (made.frameworks, made.evidence, made.copies, made.acts):
        if twice := [one for one, times in Counter(row.id for row in described).items() if times > 1]:
            return f"{twice[0]} is described twice"
    return _find_unknown_name(made) or _find_wrong_reading(made)


def _find_unknown_name(made: Crosswalk) -> str:
    frameworks, evidence = {row.id for row in made.frameworks}, {row.id for row in made.evidence}
    described = [(copy.id, copy.framework) for copy in made.copies] + [(act.id, act.framework) for act in made.acts]
    if unknown := [f"{name} names {framework}" for name, framework in described if framework not in frameworks]:
        return f"{unknown[0]}, which is not described"
    seen: set[tuple[str, str, str, str]] = set()
    for number, row in enumerate(made.rows):
        key = (row.evidence, row.framework, row.version, row.clause)
        if key in seen:
            return f"rows[{number}] is a duplicate: {row.evidence}, {row.clause}"
        seen.add(key)
        if row.framework not in frameworks or row.evidence not in evidence:
            return f"rows[{number}] names {row.framework} and {row.evidence}, one of which is not described"
    return ""


def _find_wrong_reading(made: Crosswalk) -> str:
    for number, row in enumerate(made.rows):
        wrong = _find_wrong_check(row, made.as_of) or _find_wrong_quote(row, made.copies) or _find_wrong_digest(row)
        if wrong := wrong or _find_wrong_second(row, made.as_of):
            return f"rows[{number}] {wrong}"
    for act in made.acts:
        if wrong := _find_wrong_check(act, made.as_of) or _find_wrong_quote(act, made.copies):
            return f"{act.id} {wrong}"
        if act.date is not None and not _is_date(act.date):
            return f"{act.id} has the date {act.date}, which does not exist"
    return ""


def _find_wrong_check(row: CrosswalkRow | Act, as_of: str) -> str:
    if (row.checked_at is None) != (row.checked_by is None):
        return "needs both checked_at and checked_by, or neither"
    if row.checked_at is not None and (not _is_date(row.checked_at) or row.checked_at > as_of):
        return f"was checked on {row.checked_at}, which is not a date up to {as_of}"
    if row.status is not ClauseCheck.UNVERIFIED and row.checked_at is None:
        return f"has status {row.status} but no check"
    return ""


def _find_wrong_quote(row: CrosswalkRow | Act, copies: Sequence[TextCopy]) -> str:
    parts = (row.quote, row.copy, row.entry)
    if any(parts) != all(parts):
        return "needs quote, copy and entry together, or none of them"
    if row.quote is not None and not row.quote.strip():
        return "has a quote of blanks"
    if row.copy is not None and (row.copy, row.framework) not in {(copy.id, copy.framework) for copy in copies}:
        return f"names the copy {row.copy}, which is not described for {row.framework}"
    if row.status is ClauseCheck.COPY and row.quote is None:
        return "was read in a copy but lacks the quote"
    return ""


def _find_wrong_digest(row: CrosswalkRow) -> str:
    if row.status is ClauseCheck.PRIMARY and (row.quote_sha256 is None or row.source_url is None):
        return "was read in the primary source but lacks quote_sha256 or source_url"
    if row.quote is not None and hashlib.sha256(row.quote.encode()).hexdigest() != row.quote_sha256:
        return "has a quote that is not the text of quote_sha256"
    return ""


def _find_wrong_second(row: CrosswalkRow, as_of: str) -> str:
    second = row.second_reader
    if second is None:
        return ""
    if row.checked_by is None or second.by == row.checked_by:
        return "has a second reader who is the first, or no first reader"
    if not _is_date(second.at) or second.at > as_of:
        return f"was read a second time on {second.at}, which is not a date up to {as_of}"
    return ""


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _refuse(name: str, found: str) -> Refused:
    return Refused(
        f"{name}: {found}.",
        wanted="a crosswalk in the format of docs/reference/governance.md.",
        remedy="fix the file; rows without a check have status unverified and are not counted.",
    )
