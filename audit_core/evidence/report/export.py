"""Export one result or one claim as an unsigned HTML file with the layout of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from audit_core.evidence.canonical import hash_document
from audit_core.evidence.kind import Evidence, Node, find_evidence
from audit_core.evidence.report.blocks import (
    Block,
    Bullets,
    Facts,
    Figure,
    Finding,
    Line,
    Paragraph,
    Report,
    Seal,
    Section,
    Table,
    line,
    theirs,
)
from audit_core.evidence.report.cells import cell, digest_cell, estimate_table
from audit_core.evidence.report.html import write_html
from audit_core.evidence.report.pack_view import as_table
from audit_core.evidence.report.plot import draw_intervals
from audit_core.evidence.report.quantity import Quantity, format_number, number, read_estimate
from audit_core.evidence.report.words_for import STATES, find_word

MOST_DRAWN, MOST_LISTED = 40, 400
_ESTIMATE = {"value", "low", "high", "n", "unit", "level"}
_IDENTITY = (
    ("model", "Model"), ("weights_sha256", "Weights, SHA-256"), ("tokenizer_sha256", "Tokenizer, SHA-256"), ("config_sha256", "Configuration, SHA-256"),
    ("dtype", "Number format"), ("attention", "Attention implementation"), ("quantisation", "Quantisation"), ("licence", "Licence"),
    ("device", "Device"), ("device_name", "Device, by its own name"), ("prompts", "Prompts"), ("prompts_sha256", "Prompts, SHA-256"), ("n_prompts", "Number of prompts"), ("seed", "Seed"), ("versions", "Versions"),
)  # fmt: skip
"""An allow-list, to keep local file paths private."""
_DESCRIBED = {"identity", "claim", "state", "reason", "sentence", "finding", "conditions", "estimate"}
UNKNOWN = "kind of evidence unknown; the type of this result does not declare the field."
"""For results of older versions: their numbers are shown without a badge."""
_READING = "a mark is the value and its bar the interval at the level given in the table; zero is no effect."


@dataclass(frozen=True)
class _Found:
    """A value and its path in the document."""

    path: tuple[str, ...]
    value: Any
    keys: tuple[str, ...]
    """The path without list items."""

    @property
    def name(self) -> str:
        return " · ".join(self.path)


def export_html(document: Mapping[str, Any], *, evidence: Node, title: str = "") -> bytes:
    """Return a result (as `dump_result` gives it, with identity and conditions) or a claim as one HTML file.

    Args:
        document: ready for `json.dumps`.
        evidence: kinds of evidence of the fields, from `read_evidence`; empty for a claim.
        title: heading; defaults to the claim's name, or "Result".

    Raises:
        Refused: a value that JSON does not support.
    """
    return write_html(build_export(document, evidence=evidence, title=title))


def build_export(document: Mapping[str, Any], *, evidence: Node, title: str = "") -> Report:
    """Return the content of `export_html`."""
    claim = as_table(document.get("claim")) or (document if "components" in document and "delta" in document else {})
    identity = as_table(document.get("identity"))
    rows = [
        (words, (digest_cell if key.endswith("sha256") else _spell)(identity[key]))
        for key, words in _IDENTITY
        if key in identity
    ]
    sections = [_explain(), *_describe_claim(claim), *_describe_finding(document)]
    if claim is not document:
        sections += [*_draw_numbers(document, claim, evidence), *_list_rest(document)]
    named = title or str(claim.get("name") or claim.get("statement") or "Result")
    digest = Seal("SHA-256 of the source JSON; not signed", hash_document(dict(document)))
    return Report("Result", line(theirs(named)), Facts(tuple(rows)), digest, tuple(sections), None)  # fmt: skip


def _explain() -> Section:
    return Section(
        "what",
        "What this is, and what it is not",
        (
            Bullets(
                (
                    line("One result of one run, or one claim. It applies to the model, prompts and intervention named here only."),
                    line("It is not an evidence pack: it is unsigned, omits other attempts, and applies no policy."),
                )
            ),
        ),
    )  # fmt: skip


def _spell(value: Any) -> Line:
    if isinstance(value, Mapping):
        return line(theirs(", ".join(f"{key} {inner}" for key, inner in sorted(value.items()))))
    return cell(value)


def _describe_claim(claim: Mapping[str, Any]) -> Iterator[Section]:
    if claim:
        rows = tuple(
            (key.replace("_", " "), (digest_cell if key == "sha256" else _spell)(value))
            for key, value in claim.items()
            if key not in ("evidence", "counter_evidence")
        )
        yield Section("claim", "Claim", (Facts(tuple((_own(name), value) for name, value in rows)),))  # fmt: skip


def _own(name: str) -> str:
    """Return a document's key as a label, with hidden characters as code points."""
    return theirs(name).text


def _describe_finding(document: Mapping[str, Any]) -> Iterator[Section]:
    blocks: list[Block] = []
    sentence = document.get("sentence") or document.get("finding")
    if document.get("state") or document.get("sentence"):
        word = find_word(STATES, document.get("state"))
        blocks.append(Finding(word.shape, word.text, cell(sentence), word.tone))
    elif sentence:
        # The audits that judge nothing state what they found without a verdict.
        blocks.append(Paragraph(cell(sentence), is_lead=True))
    if document.get("reason"):
        blocks.append(Paragraph(line("Reason: ", theirs(document["reason"]), ".")))
    conditions = document.get("conditions")
    pairs = (
        conditions.items()
        if isinstance(conditions, Mapping)
        else conditions
        if isinstance(conditions, list | tuple)
        else ()
    )
    rows = tuple((_own(str(name)), cell(value)) for name, value in pairs)
    if rows:
        blocks.append(Facts(rows))
    if blocks:
        yield Section("finding", "Finding and conditions", tuple(blocks))


def _draw_numbers(document: Mapping[str, Any], claim: Mapping[str, Any], evidence: Node) -> Iterator[Section]:
    """Draw one figure per field, unit and kind of evidence; the claim's ablations are compared with δ."""
    groups: dict[tuple[str, str, Evidence | None], list[_Found]] = {}
    for found in _walk(document):
        if _is_estimate(found.value) and found.path[0] not in ("identity", "estimate"):
            key = (found.path[0], str(found.value["unit"]), find_evidence(evidence, found.keys))
            groups.setdefault(key, []).append(found)
    blocks: list[Block] = []
    for (field, unit, kind), members in groups.items():
        delta = number(claim.get("delta")) if field == "families" else None
        lines = [] if delta is None else [(delta, "δ")]
        bounds = tuple(bound for bound, _ in lines)
        rows = [
            (" · ".join(found.path[1:]) or field, replace(read_estimate(found.value), beside=bounds))
            for found in members
        ]
        blocks += _show_numbers(field, unit, rows[:MOST_LISTED], lines, kind)
        if len(rows) > MOST_LISTED:
            blocks.append(Paragraph(line(f"{len(rows) - MOST_LISTED} more are in the JSON.")))
    if blocks:
        yield Section("numbers", "Numbers", tuple(blocks))


def _show_numbers(
    field: str,
    unit: str,
    rows: list[tuple[str, Quantity]],
    lines: list[tuple[float, str]],
    kind: Evidence | None,
) -> list[Block]:
    name = _own(field.replace("_", " "))
    table = estimate_table(name, "", [(line(theirs(label)), quantity) for label, quantity in rows])
    if kind is None:
        return [Paragraph(line(theirs(name), f": {UNKNOWN}")), table]
    if len(rows) > MOST_DRAWN:
        return [Paragraph(line(f"{name} [{kind}]: too many to draw.")), table]
    plot = draw_intervals(f"{field}-{unit}-{kind}", name, rows, unit=unit, lines=lines)
    return [Figure(line(theirs(name)), kind, _READING, plot, table)]


def _list_rest(document: Mapping[str, Any]) -> Iterator[Section]:
    """List everything that no other section shows, by its path in the document."""
    rest = {key: value for key, value in document.items() if key not in _DESCRIBED}
    found = [item for item in _walk(rest) if not _is_estimate(item.value)]
    if not found:
        return
    rows = tuple((line(theirs(item.name)), _summarise(item.value)) for item in found[:MOST_LISTED])
    blocks: list[Block] = [Table("All other recorded values", ("field", "value"), rows, widths=(40, 60))]
    if len(found) > MOST_LISTED:
        blocks.append(Paragraph(line(f"{len(found) - MOST_LISTED} more are in the JSON.")))
    yield Section("rest", "Everything else", tuple(blocks))


def _summarise(value: Any) -> Line:
    numbers = [number(item) for item in value] if isinstance(value, list | tuple) else []
    known = [item for item in numbers if item is not None]
    if len(known) > 12 and len(known) == len(numbers):
        return line(f"{len(known)} numbers from {format_number(min(known), 4)} to {format_number(max(known), 4)}")
    return cell(value)


def _walk(value: Any, path: tuple[str, ...] = (), keys: tuple[str, ...] = ()) -> Iterator[_Found]:
    """Iterate over the leaves of a document: estimates, lists of plain values, and plain values."""
    if _is_estimate(value) or _is_plain(value):
        yield _Found(path, value, keys)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key != "folder":
                yield from _walk(inner, (*path, str(key)), (*keys, str(key)))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _walk(inner, (*path, _name_item(inner, i)), keys)


def _name_item(item: Any, index: int) -> str:
    named = (
        next((item[key] for key in ("component", "name", "source") if item.get(key)), None)
        if isinstance(item, Mapping)
        else None
    )
    return str(named) if isinstance(named, str) else str(index + 1)


def _is_estimate(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) >= _ESTIMATE


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(not isinstance(item, Mapping | list | tuple) for item in value)
    return not isinstance(value, Mapping) or not value
