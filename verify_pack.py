"""Checks an evidence pack of Assay with the standard library alone: python -I -S verify_pack.py PACK.zip --trust trust.toml

Needs Python 3.11 or newer. It reads the pack, the trust file and a saved checkpoint, writes to standard output, and opens
nothing else. Take this file from the people you trust, never from inside a pack.

Exit codes: 0 integrity and signer verified, 2 wrong usage, 3 a requested check could not be done, 4 integrity or
authenticity failed, 5 internal error.

Made from audit_core/verifier/*.py by: python -m audit_core verifier --out verify_pack.py
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    # An import error would exit with 1, which other commands use for: evaluated and not met.
    sys.stderr.write("Python 3.11 or newer is needed.\n")
    sys.exit(2)

import argparse
import base64
import binascii
import hashlib
import io
import json
import re
import struct
import tomllib
import traceback
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, TypeGuard, TypeVar


####################################################################################################
# answer_numbers.py: Find numbers of an audit's result by the path that a policy gives, such as `labels[label=grounded].share`.
####################################################################################################

_STEP = re.compile(r"(?P<name>[\w-]+)(\[(?P<pick>[^\[\]]+)\])?")
_PARTS = {"value", "low", "high", "n", "unit", "level"}
_MOST_ITEMS = 1_000


def find_answer_numbers(result: Any, path: str) -> list[dict[str, Any]]:
    """Return rows as `metrics.json` has them: a number with its interval, or the reason why there is none; at least one.

    Args:
        result: the parsed result of an audit.
        path: names joined by dots. After the name of a list, `[KEY=VALUE]` picks the one item whose field has that text or
            number, and `[*]` takes every item.
    """
    found = [result]
    for step in path.split("."):
        found = [inner for one in found for inner in _follow_step(one, step)]
    if not 0 < len(found) <= _MOST_ITEMS:
        return [{"estimate": None, "reason": f"the result has {len(found) or 'no'} numbers at {path}"}]
    return [_read_number(one, path) for one in found]


def list_answer_fields(path: str) -> tuple[str, ...]:
    """Return the names of the fields on a path, without the choice of items."""
    return tuple(step.partition("[")[0] for step in path.split("."))


def _follow_step(found: Any, step: str) -> list[Any]:
    parts = _STEP.fullmatch(step)
    if parts is None or not isinstance(found, dict) or parts["name"] not in found:
        return []
    inner = found[parts["name"]]
    if parts["pick"] is None:
        return [inner]
    items = [item for item in inner if isinstance(item, dict)] if isinstance(inner, list) else []
    if parts["pick"] == "*":
        return items
    key, _, wanted = parts["pick"].partition("=")
    matching = [item for item in items if key in item and str(item[key]) == wanted]
    # Two items with the name that a policy gives are not the one that it means.
    return matching if len(matching) == 1 else []


def _read_number(found: Any, path: str) -> dict[str, Any]:
    if not isinstance(found, dict) or not found.keys() >= _PARTS:
        return {"estimate": None, "reason": f"not measured: the result has no estimate at {path}"}
    templates = found.get("templates")
    return {
        "estimate": found["value"],
        "ci_low": found["low"],
        "ci_high": found["high"],
        "ci_level": found["level"],
        "n": found["n"],
        # Without clusters, n counts independent units.
        "n_templates": found["n"] if templates is None else templates,
        "unit": found["unit"],
        "reason": None,
    }


####################################################################################################
# container.py: Step 1, container: reads a pack as a zip archive, strictly and in memory only.
####################################################################################################

MAX_PACK_BYTES = 128 << 20
MAX_TOTAL_BYTES = 256 << 20
MAX_MEMBER_BYTES = 64 << 20
MAX_MEMBERS = 5_000
MAX_NAME_BYTES = 240
MAX_RATIO = 200
"""Compression ratio of members above RATIO_FROM_BYTES: DEFLATE reaches 1032 on zeros, documents stay below 50."""
RATIO_FROM_BYTES = 1 << 20
SUFFIXES = (
    ".json",
    ".jsonl",
    ".txt",
    ".md",
    ".toml",
    ".xml",
    ".html",
    ".pdf",
    ".parquet",
    ".sha256",
    ".tsr",
    ".tlog-proof",
)
"""Allowed file types; archives, databases, programs and pickles are excluded."""
FOREIGN_STARTS = {b"PK\x03\x04": "a zip archive", b"PK\x05\x06": "a zip archive", b"\x1f\x8b": "a gzip archive"}
"""First bytes of excluded file types, which detect renamed members."""
_DUCKDB_MARK = slice(8, 12), b"DUCK"
_NAME = re.compile(r"[A-Za-z0-9._/+@=-]+\Z")
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK, _DESCRIPTOR_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x07\x08"
_STREAMED, _KNOWN_FLAGS = 0x0008, 0x0008 | 0x0006 | 0x0800
"""Flags: sizes after the data; compression effort and UTF-8 names. Encryption and patches are other bits."""
_STORED, _DEFLATED = 0, 8
_ZIP64_FIELD, _UNICODE_NAME_FIELD = 0x0001, 0x7075
_FULL = 0xFFFFFFFF


class BadPack(ValueError):
    """The pack violates its format; the message states where."""


@dataclass(frozen=True)
class Entry:
    """One row of the central directory."""

    name: str
    flags: int
    method: int
    checksum: int
    packed_bytes: int
    size_bytes: int
    start: int


def read_pack(path: Path) -> bytes:
    """Return the file's bytes, truncated to one more than a pack may have.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(MAX_PACK_BYTES + 1)


def read_members(data: bytes) -> Mapping[str, bytes]:
    """Return every member by name.

    The archive must consist of its entries, its directory and its end record, without bytes before, between or after.
    Then all programs read the same members.

    Raises:
        BadPack: any other layout, or a name, type or size that packs do not allow.
    """
    if len(data) > MAX_PACK_BYTES:
        raise BadPack(f"the file is larger than {MAX_PACK_BYTES:,} bytes")
    entries, directory = _read_directory(data)
    _check_names([entry.name for entry in entries])
    if (total := sum(entry.size_bytes for entry in entries)) > MAX_TOTAL_BYTES:
        raise BadPack(f"{total:,} bytes unpacked; at most {MAX_TOTAL_BYTES:,}")
    members, position = {}, 0
    for entry in sorted(entries, key=lambda entry: entry.start):
        if entry.start != position:
            raise BadPack(f"overlapping members, or bytes outside any member, before {entry.name}")
        members[entry.name], position = _read_member(data, directory, entry)
    if position != directory:
        raise BadPack("bytes outside any member before the directory")
    return dict(sorted(members.items()))


def check_name(name: str) -> None:
    """Reject a member name that a file system could resolve to another file or to a path outside the pack.

    Raises:
        BadPack: with the reason.
    """
    shown = ascii(name[:80])
    if not 0 < len(name) <= MAX_NAME_BYTES or not _NAME.match(name):
        raise BadPack(f"unsafe member name {shown}")
    for part in name.split("/"):
        if not part.strip(".") or part.endswith(".") or part.split(".")[0].upper() in _DEVICES:
            raise BadPack(f"unsafe member name {shown}")
    if not name.endswith(SUFFIXES):
        raise BadPack(f"a file type that packs do not allow: {shown}")


def _check_names(names: list[str]) -> None:
    folded: dict[str, str] = {}
    for name in names:
        check_name(name)
        if twin := folded.get(name.casefold()):
            raise BadPack(f"two members have the same name: {twin} and {name}")
        folded[name.casefold()] = name
    for name in names:
        for end in (place for place, letter in enumerate(name) if letter == "/"):
            if name[:end].casefold() in folded:
                raise BadPack(f"{name[:end]} is both a member and a folder")


def _read_directory(data: bytes) -> tuple[list[Entry], int]:
    """Return the rows of the central directory, and its offset."""
    end = len(data) - _END.size
    if end < 0 or data[end : end + 4] != _END_MARK:
        raise BadPack("not a zip archive, or bytes after its end")
    _, disk, first_disk, here, count, size_bytes, directory, comment = _END.unpack(data[end:])
    if disk or first_disk or here != count or comment:
        raise BadPack("an archive in parts, or with a comment")
    if count > MAX_MEMBERS:
        raise BadPack(f"{count:,} members or zip64; at most {MAX_MEMBERS:,}")
    if directory + size_bytes != end:
        raise BadPack(
            "the directory does not extend from its stated offset to the end: zip64, or bytes before the archive"
        )
    entries, position = [], directory
    for _ in range(count):
        entry, position = _read_row(data, position, end)
        entries.append(entry)
    if position != end:
        raise BadPack("the directory contains more than its members")
    return entries, directory


def _read_row(data: bytes, position: int, end: int) -> tuple[Entry, int]:
    if position + _CENTRAL.size > end or data[position : position + 4] != _CENTRAL_MARK:
        raise BadPack("the directory contains fewer members than it states")
    (_, _, _, flags, method, _, _, checksum, packed, size_bytes, name_len, extra_len, comment, disk, _, attributes, start) = (
        _CENTRAL.unpack_from(data, position)
    )  # fmt: skip
    name_at = position + _CENTRAL.size
    following = name_at + name_len + extra_len + comment
    name = data[name_at : name_at + name_len].decode("latin-1")
    shown = ascii(name[:80])
    if flags & ~_KNOWN_FLAGS:
        raise BadPack(f"{shown} is encrypted or uses zip features that packs do not allow")
    if method not in (_STORED, _DEFLATED):
        raise BadPack(f"{shown} is compressed by method {method}; stored and DEFLATE are supported")
    if attributes >> 16 & 0o170000 not in (0, 0o100000) or attributes & 0x10:
        raise BadPack(f"{shown} is a link, a folder or a device, not a file")
    if _FULL in (packed, size_bytes, start) or disk or comment:
        raise BadPack(f"{shown} uses zip64, another disk or a comment")
    _check_extra(data[name_at + name_len : name_at + name_len + extra_len], shown)
    if size_bytes > MAX_MEMBER_BYTES or (size_bytes > RATIO_FROM_BYTES and size_bytes > packed * MAX_RATIO):
        raise BadPack(f"{shown} would unpack to {size_bytes:,} bytes from {packed:,}")
    return Entry(name, flags, method, checksum, packed, size_bytes, start), following


def _check_extra(extra: bytes, shown: str) -> None:
    """Ignore extra fields such as times and owners; reject those that repeat a size or a name."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind in (_ZIP64_FIELD, _UNICODE_NAME_FIELD):
            raise BadPack(f"{shown} has a second size or name (zip64)")
        position += 4 + length
    if position != len(extra):
        raise BadPack(f"{shown} has a truncated extra field")


def _read_member(data: bytes, directory: int, entry: Entry) -> tuple[bytes, int]:
    """Return the unpacked bytes and the offset of the next entry; all data precedes the directory."""
    if data[entry.start : entry.start + 4] != _LOCAL_MARK:
        raise BadPack(f"{entry.name} does not begin at the offset in the directory")
    _, _, flags, method, _, _, checksum, packed, size_bytes, name_len, extra_len = _LOCAL.unpack_from(data, entry.start)
    name_at = entry.start + _LOCAL.size
    body = name_at + name_len + extra_len
    stated = (data[name_at : name_at + name_len], flags, method)
    sizes = (checksum, packed, size_bytes)
    wanted = (entry.checksum, entry.packed_bytes, entry.size_bytes)
    if stated != (entry.name.encode(), entry.flags, entry.method) or (
        sizes != wanted and not (flags & _STREAMED and sizes == (0, 0, 0))
    ):
        raise BadPack(f"{entry.name} has other properties than the directory states")
    _check_extra(data[name_at + name_len : body], entry.name)
    end = body + entry.packed_bytes
    if end > directory:
        raise BadPack(f"{entry.name} is truncated")
    content = _unpack(data[body:end], entry)
    return content, end + (_measure_descriptor(data[end : end + 16], wanted, entry.name) if flags & _STREAMED else 0)


def _measure_descriptor(found: bytes, wanted: tuple[int, int, int], name: str) -> int:
    plain = struct.pack("<3I", *wanted)
    for form in (_DESCRIPTOR_MARK + plain, plain):
        if found.startswith(form):
            return len(form)
    raise BadPack(f"{name} is followed by other sizes than the directory states")


def _unpack(packed: bytes, entry: Entry) -> bytes:
    content = packed
    if entry.method == _DEFLATED:
        reader = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = reader.decompress(packed, entry.size_bytes + 1)
        except zlib.error as error:
            raise BadPack(f"{entry.name} cannot be unpacked: {error}") from error
        if not reader.eof or reader.unused_data:
            raise BadPack(f"{entry.name} unpacks to another size than the directory states")
    if len(content) != entry.size_bytes or zlib.crc32(content) != entry.checksum:
        raise BadPack(f"{entry.name} unpacks to another checksum than the directory states")
    for start, kind in FOREIGN_STARTS.items():
        if content.startswith(start):
            raise BadPack(f"{entry.name} is {kind}")
    place, mark = _DUCKDB_MARK
    if content[place] == mark:
        raise BadPack(f"{entry.name} is a DuckDB database")
    return content


####################################################################################################
# canonical_json.py: Canonical JSON (RFC 8785) with the standard library, for values that `load_strict` returns.
####################################################################################################

_TEXTS = json.JSONEncoder(ensure_ascii=False)


class NotCanonical(ValueError):
    """The value has no canonical form, or the bytes are not canonical."""


def encode_canonical(value: Any) -> bytes:
    """Return the canonical bytes of a document.

    Raises:
        NotCanonical: an integer of 2^53 or more, NaN or infinity, an unpaired surrogate, or not a JSON value.
    """
    try:
        return _write(value).encode("utf-8")
    except (UnicodeEncodeError, RecursionError) as error:
        raise NotCanonical(f"no canonical form: {str(error)[:120]}") from error


def _write(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _TEXTS.encode(value)
    if isinstance(value, int):
        if abs(value) >= 2**53:
            raise NotCanonical("an integer of 2^53 or more must be text")
        return str(value)
    if isinstance(value, float):
        return _write_double(value)
    if isinstance(value, list):
        return "[" + ",".join(_write(item) for item in value) + "]"
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        # RFC 8785, 3.2.3: keys in the order of their UTF-16 code units.
        keys = sorted(value, key=None if all(map(str.isascii, value)) else _order_key)
        return "{" + ",".join(f"{_write(key)}:{_write(value[key])}" for key in keys) + "}"
    raise NotCanonical(f"not a JSON value: {type(value).__name__}")


def _order_key(key: str) -> bytes:
    return key.encode("utf-16-be")


def _write_double(value: float) -> str:
    """Return the shortest digits that parse back, as ECMAScript: plain between 1e-6 and 1e21, else with an exponent."""
    if value != value or value in (float("inf"), float("-inf")):
        raise NotCanonical("NaN and infinity are not JSON numbers")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.strip("0")
    if 0 < point <= 21:
        text = digits.ljust(point, "0")
        return sign + text[:point] + ("." + text[point:] if text[point:] else "")
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    tail = "." + digits[1:] if digits[1:] else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


####################################################################################################
# policy_table.py: Strict reader for acceptance policies: all keys known, every threshold with source and rationale.
####################################################################################################

POLICY_SCHEMA = "assay/policy/1"
CLAIM_KINDS = ("sufficiency", "necessity", "mediation", "absence_of_effect", "stability", "transfer", "calibration")
ABLATION_NAMES = ("resample", "mean", "mean_template", "zero")
THRESHOLD_SOURCES = ("default", "organisation", "regulator")
PROCESS_CRITERIA = ("prereg_frozen_before_run", "attempts_disclosed", "rerun")
"""Criteria answered from a pack's documents, without a threshold; their meaning is fixed."""
GATE_CRITERIA = ("integrity", "four_eyes")
"""Criteria answered by the gate that checks the pack, not by the pack itself."""
NEVER_WAIVED = ("integrity", "prereg_frozen_before_run", "attempts_disclosed", "four_eyes")
STRICT_AGGREGATE = {">=": "min", "<=": "max"}
"""Over ablations: the worst case; the other end would select the most favourable ablation."""
_STRICT_BOUND = {">=": "lower", "<=": "upper"}
_POLICY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")
_CRITERION_ID = re.compile(r"[a-z][a-z0-9_]{0,59}\Z")
_MOST_POLICY_TEXT = 600
MAX_SEVERITIES = 12
ANSWER_EVIDENCE = ("causal", "estimated", "observational")
"""Kind of evidence of a number that a policy compares; the product refuses another word than the audit declares."""
_STEP_OF_PATH = r"\w[\w-]{0,59}(\[(\*|\w{1,40}=[^\[\]=.*]{1,60})\])?"
_NUMBER_PATH = re.compile(rf"{_STEP_OF_PATH}(\.{_STEP_OF_PATH}){{0,7}}\Z")


class PolicyMalformed(ValueError):
    """The policy cannot be applied; states what was found, what was wanted and what to do."""

    def __init__(self, found: str, *, wanted: str, remedy: str) -> None:
        self.found, self.wanted, self.remedy = found, wanted, remedy
        super().__init__(f"{found} Wanted: {wanted} What to do: {remedy}")


def resolve_policy(table: Any) -> dict[str, Any]:
    """Return the policy with all defaults filled in; a resolved policy is returned unchanged.

    Args:
        table: the parsed TOML or JSON file.

    Raises:
        PolicyMalformed: unknown or missing keys, values out of range, or a rule that is weaker than it appears.
    """
    _refuse_unknown(
        table, ("schema", "id", "applies_to", "gate", "criteria", "answers", "approval", "findings"), "the policy"
    )
    if table.get("schema") != POLICY_SCHEMA:
        raise PolicyMalformed(
            f"schema = {_quote_short(table.get('schema'))}.",
            wanted=f'"{POLICY_SCHEMA}".',
            remedy="use the schema that this version supports.",
        )
    applies_to = _resolve_scope(table.get("applies_to", {}))
    gate = _resolve_gate(table.get("gate"))
    tables, answer_tables = table.get("criteria", {} if "answers" in table else None), table.get("answers", {})
    if not isinstance(tables, dict) or not isinstance(answer_tables, dict):
        raise PolicyMalformed(
            "No criteria.", wanted="[criteria.NAME] tables, or [answers.NAME] tables.", remedy="add them."
        )
    criteria = {name: _resolve_criterion(name, tables[name], gate, applies_to["claim_kind"]) for name in tables}
    answers = {name: _resolve_answer_criterion(name, answer_tables[name], gate) for name in answer_tables}
    _check_lists(gate, criteria, answers)
    approval = _resolve_approval(table.get("approval", {}))
    if "four_eyes" in (*gate["required"], *gate["optional"]) and not (
        approval["preparer_ne_reviewer"] or approval["reviewer_ne_approver"]
    ):
        raise PolicyMalformed(
            "four_eyes is required, but one person may act in all roles.",
            wanted="preparer_ne_reviewer or reviewer_ne_approver.",
            remedy="set one of them, or remove four_eyes.",
        )
    resolved = {
        "schema": POLICY_SCHEMA,
        "id": _take_matching(table, "id", _POLICY_ID, "the policy"),
        "applies_to": applies_to,
        "gate": gate,
        "criteria": criteria,
        "approval": approval,
    }
    # Without defaults: a policy that has no such table keeps the resolved form that older packs contain.
    resolved |= {"answers": answers} if answers else {}
    return resolved | ({"findings": _resolve_findings(table["findings"])} if "findings" in table else {})


def _resolve_scope(scope: Any) -> dict[str, Any]:
    _refuse_unknown(scope, ("model", "claim_kind"), "applies_to")
    models = scope.get("model", "*")
    models = [models] if isinstance(models, str) else models
    if not isinstance(models, list) or not models or not all(isinstance(m, str) and m for m in models):
        raise PolicyMalformed(
            f"applies_to.model = {_quote_short(models)}.", wanted='"*" or ids of models.', remedy="name the models."
        )
    kinds = _take_names(scope, "claim_kind", CLAIM_KINDS, "applies_to", list(CLAIM_KINDS))
    return {"model": models, "claim_kind": kinds}


def _resolve_gate(gate: Any) -> dict[str, Any]:
    keys = ("required", "optional", "ci_level", "multiplicity", "max_waivers", "waiver_max_days")
    _refuse_unknown(gate, keys, "gate")
    _refuse_unknown(gate.get("multiplicity"), ("method", "alpha"), "gate.multiplicity")
    multiplicity = gate["multiplicity"]
    return {
        "required": _take_names(gate, "required", None, "gate", None),
        "optional": _take_names(gate, "optional", None, "gate", [], may_be_empty=True),
        "ci_level": _take_number(gate, "ci_level", 0.5, 0.9999, "gate"),
        "multiplicity": {
            "method": _take_choice(multiplicity, "method", ("holm", "none"), "gate.multiplicity"),
            "alpha": _take_number(multiplicity, "alpha", 1e-9, 0.5, "gate.multiplicity"),
        },
        "max_waivers": _take_count(gate, "max_waivers", 0, 100, "gate", 0),
        "waiver_max_days": _take_count(gate, "waiver_max_days", 1, 366, "gate", 30),
    }


def _resolve_criterion(name: str, found: Any, gate: dict[str, Any], kinds: list[str]) -> dict[str, Any]:
    where = f"criteria.{name[:60]}"
    if name in PROCESS_CRITERIA or name in GATE_CRITERIA:
        raise PolicyMalformed(
            f"A table {where}.",
            wanted="tables for measured criteria only; the meaning of this one is fixed.",
            remedy="remove the table; its name in gate.required suffices.",
        )
    if not _CRITERION_ID.match(name):
        raise PolicyMalformed(
            f"A criterion named {_quote_short(name)}.", wanted="lower-case letters, digits and _.", remedy="rename it."
        )
    keys = ("metric", "op", "threshold", "bound", "min_n", "min_templates", "min_gap_logit", "over_ablations")
    _refuse_unknown(found, (*keys, "aggregate", "ci_level", "claim_kind", "source", "why"), where)
    op = _take_choice(found, "op", tuple(STRICT_AGGREGATE), where)
    bound = _take_choice(found, "bound", (_STRICT_BOUND[op], "estimate"), where)
    over = found.get("over_ablations")
    if over is not None:
        over = _take_names(found, "over_ablations", ABLATION_NAMES, where, None)
        _take_choice(found, "aggregate", (STRICT_AGGREGATE[op],), where)
    elif found.get("aggregate") is not None:
        raise PolicyMalformed(
            f"{where}.aggregate without over_ablations.", wanted="both or neither.", remedy="add over_ablations."
        )
    gap = found.get("min_gap_logit")
    return {
        "metric": _take_matching(found, "metric", _CRITERION_ID, where),
        "op": op,
        "threshold": _take_number(found, "threshold", -1e9, 1e9, where),
        "bound": bound,
        "min_n": _take_count(found, "min_n", 1, 10**9, where, None),
        "min_templates": _take_count(found, "min_templates", 1, 10**9, where, None),
        "min_gap_logit": None if gap is None else _take_number(found, "min_gap_logit", 0, 1e6, where),
        "over_ablations": over,
        "aggregate": found.get("aggregate"),
        "ci_level": _take_number({"ci_level": gate["ci_level"], **found}, "ci_level", 0.5, 0.9999, where),
        "claim_kind": _take_names(found, "claim_kind", tuple(kinds), where, kinds),
        "source": _take_choice(found, "source", THRESHOLD_SOURCES, where),
        "why": _take_sentence(found, "why", where),
    }


def _resolve_answer_criterion(name: str, found: Any, gate: dict[str, Any]) -> dict[str, Any]:
    """Return a threshold on one number of an audit's result, as `answer_numbers` finds it."""
    where = f"answers.{name[:60]}"
    if not _CRITERION_ID.match(name) or name in (*PROCESS_CRITERIA, *GATE_CRITERIA):
        raise PolicyMalformed(
            f"A criterion named {_quote_short(name)}.",
            wanted="lower-case letters, digits and _, and no criterion with a fixed meaning.",
            remedy="rename it.",
        )
    keys = ("audit", "number", "evidence", "op", "threshold", "bound", "min_n", "min_templates", "ci_level")
    _refuse_unknown(found, (*keys, "source", "why"), where)
    op = _take_choice(found, "op", tuple(_STRICT_BOUND), where)
    return {
        "audit": _take_matching(found, "audit", _CRITERION_ID, where),
        "number": _take_matching(found, "number", _NUMBER_PATH, where),
        "evidence": _take_choice(found, "evidence", ANSWER_EVIDENCE, where),
        "op": op,
        "threshold": _take_number(found, "threshold", -1e9, 1e9, where),
        "bound": _take_choice(found, "bound", (_STRICT_BOUND[op], "estimate"), where),
        "min_n": _take_count(found, "min_n", 1, 10**9, where, None),
        "min_templates": _take_count(found, "min_templates", 1, 10**9, where, None),
        "ci_level": _take_number({"ci_level": gate["ci_level"], **found}, "ci_level", 0.5, 0.9999, where),
        "source": _take_choice(found, "source", THRESHOLD_SOURCES, where),
        "why": _take_sentence(found, "why", where),
    }


def _resolve_approval(approval: Any) -> dict[str, Any]:
    _refuse_unknown(approval, ("preparer_ne_reviewer", "reviewer_ne_approver", "max_age_days"), "approval")
    flags = {key: approval.get(key, True) for key in ("preparer_ne_reviewer", "reviewer_ne_approver")}
    for key, value in flags.items():
        if not isinstance(value, bool):
            raise PolicyMalformed(
                f"approval.{key} = {_quote_short(value)}.", wanted="true or false.", remedy="use one of them."
            )
    return flags | {"max_age_days": _take_count(approval, "max_age_days", 1, 3660, "approval", 180)}


def _resolve_findings(found: Any) -> dict[str, Any]:
    """Return severities with the days to the due date, the most severe first."""
    _refuse_unknown(found, ("severities", "notice_days", "source", "why"), "findings")
    rows = found.get("severities")
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_SEVERITIES:
        raise PolicyMalformed(
            f"findings.severities = {_quote_short(rows)}.",
            wanted=f"1 to {MAX_SEVERITIES} tables with name and days, the most severe first.",
            remedy="list them.",
        )
    severities = []
    for at, row in enumerate(rows, 1):
        where = f"findings.severities {at}"
        _refuse_unknown(row, ("name", "days"), where)
        days = _take_number(row, "days", 1, 3660, where)
        if days % 1:
            raise PolicyMalformed(f"{where}.days = {days}.", wanted="a whole number.", remedy="set days.")
        severities.append({"name": _take_matching(row, "name", _CRITERION_ID, where), "days": int(days)})
    names = [row["name"] for row in severities]
    if len(set(names)) < len(names):
        raise PolicyMalformed(
            f"findings.severities names {', '.join(map(str, names))[:200]}.", wanted="each name once.", remedy="rename one."
        )  # fmt: skip
    return {
        "severities": severities,
        "notice_days": _take_count(found, "notice_days", 0, 366, "findings", 14),
        "source": _take_choice(found, "source", THRESHOLD_SOURCES, "findings"),
        "why": _take_sentence(found, "why", "findings"),
    }


def _check_lists(gate: dict[str, Any], criteria: dict[str, Any], answers: dict[str, Any]) -> None:
    """Check that the gate lists exactly the defined criteria, and requires at least one measurement by intervention."""
    if both := sorted(set(criteria) & set(answers)):
        raise PolicyMalformed(
            f"{both[0]} is a criterion of claims and of answers.", wanted="each name once.", remedy="rename one."
        )
    defined = {**criteria, **answers}
    listed = [*gate["required"], *gate["optional"]]
    for name in listed:
        if name not in defined and name not in PROCESS_CRITERIA and name not in GATE_CRITERIA:
            raise PolicyMalformed(
                f"gate lists {_quote_short(name)}, which is not a criterion.",
                wanted=f"a table [criteria.{name[:60]}], or one of {', '.join((*GATE_CRITERIA, *PROCESS_CRITERIA))}.",
                remedy="add the table or correct the name.",
            )
        if listed.count(name) > 1:
            raise PolicyMalformed(
                f"{name} is listed twice.", wanted="each criterion once.", remedy="remove one of them."
            )
    for name in defined:
        if name not in listed:
            raise PolicyMalformed(
                f"{'criteria' if name in criteria else 'answers'}.{name} is not listed in the gate.",
                wanted="every criterion in gate.required or gate.optional.",
                remedy="list it, or remove its table.",
            )
    measured = {*criteria, *(name for name, one in answers.items() if one["evidence"] == "causal")}
    if not any(name in measured for name in gate["required"]):
        raise PolicyMalformed(
            "No required criterion is a measurement.",
            wanted="at least one required criterion with a table, of claims or on a causal number of an answer.",
            remedy="add one to gate.required.",
        )


def _refuse_unknown(found: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(found, dict):
        raise PolicyMalformed(f"No {where}.", wanted=f"a table with {', '.join(known)}.", remedy="add it.")
    for key in found:
        if key not in known:
            raise PolicyMalformed(
                f"Unknown key {_quote_short(key)} in {where}.",
                wanted=", ".join(known) + ".",
                remedy="remove or rename it.",
            )


def _take_choice(found: dict[str, Any], key: str, choices: tuple[str, ...], where: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or value not in choices:
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.", wanted=f"{' or '.join(choices)}.", remedy=f"set {key}."
        )
    return value


def _take_number(found: dict[str, Any], key: str, least: float, most: float, where: str) -> float:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.",
            wanted=f"a number from {least:g} to {most:g}.",
            remedy=f"set {key}.",
        )
    return float(value)


def _take_count(found: dict[str, Any], key: str, least: int, most: int, where: str, default: int | None) -> int | None:
    value = found.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.",
            wanted=f"a whole number from {least} to {most}.",
            remedy=f"set {key}.",
        )
    return value


def _take_names(
    found: dict[str, Any],
    key: str,
    choices: tuple[str, ...] | None,
    where: str,
    default: list[str] | None,
    *,
    may_be_empty: bool = False,
) -> list[str]:
    value: Any = found.get(key, default)
    is_list = isinstance(value, list) and all(isinstance(name, str) for name in value)
    if not is_list or (not value and not may_be_empty) or len(set(value)) != len(value):
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.", wanted="a list of names, each once.", remedy=f"set {key}."
        )
    unknown = [name for name in value if choices is not None and name not in choices]
    if unknown:
        raise PolicyMalformed(
            f"{where}.{key} names {_quote_short(unknown[0])}.",
            wanted=f"names among {', '.join(choices or ())}.",
            remedy="correct it.",
        )
    return list(value)


def _take_matching(found: dict[str, Any], key: str, pattern: re.Pattern[str], where: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not pattern.match(value):
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.", wanted="a name without spaces.", remedy=f"set {key}."
        )
    return value


def _take_sentence(found: dict[str, Any], key: str, where: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _MOST_POLICY_TEXT:
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.",
            wanted=f"a sentence of at most {_MOST_POLICY_TEXT} characters that justifies this threshold.",
            remedy=f"write {key}.",
        )
    return value


def _quote_short(value: object) -> str:
    return repr(value)[:60]


####################################################################################################
# schema.py: Validator for the subset of JSON Schema (2020-12) used by a pack's documents; rejects other keywords.
####################################################################################################

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
}
_ANNOTATIONS = {"$schema", "$id", "title", "description"}


class UnknownKeyword(ValueError):
    """The schema uses a keyword that this validator does not implement."""


def find_violation(value: Any, schema: Mapping[str, Any], place: str = "") -> str | None:
    """Return the first violation of the schema by a document, or None.

    Raises:
        UnknownKeyword: the schema uses a keyword that is not implemented here.
    """
    for keyword, wanted in schema.items():
        if keyword in _ANNOTATIONS:
            continue
        if keyword not in _RULES:
            raise UnknownKeyword(keyword)
        if found := _RULES[keyword](value, wanted, schema, place):
            return found
    return None


def _say(place: str, text: str) -> str:
    return f"{place[:160] or 'the document'} {text}"


def _quote(value: Any) -> str:
    return ascii(value)[:60]


def _check_type(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    return None if _TYPES[wanted](value) else _say(place, f"is {_quote(value)}, not of type {wanted}")


def _check_const(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    return None if _is_equal(value, wanted) else _say(place, f"is {_quote(value)}, not {_quote(wanted)}")


def _check_enum(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    if any(_is_equal(value, choice) for choice in wanted):
        return None
    return _say(place, f"is {_quote(value)}, not one of {', '.join(map(str, wanted))}")


def _check_required(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    if isinstance(value, dict) and (missing := [name for name in wanted if name not in value]):
        return _say(place, f"lacks {missing[0]}")
    return None


def _check_properties(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    for name, inner in wanted.items() if isinstance(value, dict) else ():
        if name in value and (found := find_violation(value[name], inner, f"{place}.{name}".lstrip("."))):
            return found
    return None


def _check_additional(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    """Check fields that `properties` does not name: `false` forbids them, a schema describes them."""
    if not isinstance(value, dict):
        return None
    others = [name for name in value if name not in schema.get("properties", {})]
    if wanted is False:
        return _say(place, f"has a field {_quote(others[0])} that is not described") if others else None
    for name in others:
        if found := find_violation(value[name], wanted, f"{place}.{name[:40]!a}".lstrip(".")):
            return found
    return None


def _check_pattern(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    """Match a pattern with `$` at the end of text, as in ECMAScript; in Python it also matches before a final line break."""
    if not isinstance(value, str) or re.search(re.sub(r"\$\Z", r"\\Z", wanted), value):
        return None
    return _say(place, f"is {_quote(value)}, which does not match {wanted}")


def _check_items(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    for number, item in enumerate(value if isinstance(value, list) else ()):
        if found := find_violation(item, wanted, f"{place}[{number}]"):
            return found
    return None


def _check_min_items(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    short = isinstance(value, list) and len(value) < wanted
    return _say(place, f"has {len(value)} items, at least {wanted} wanted") if short else None


def _check_max_items(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    long = isinstance(value, list) and len(value) > wanted
    return _say(place, f"has {len(value)} items, at most {wanted} wanted") if long else None


def _check_min_length(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    return _say(place, "is empty or too short") if isinstance(value, str) and len(value) < wanted else None


def _check_minimum(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    low = _TYPES["number"](value) and value < wanted
    return _say(place, f"is {_quote(value)}, at least {wanted} wanted") if low else None


def _check_maximum(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    high = _TYPES["number"](value) and value > wanted
    return _say(place, f"is {_quote(value)}, at most {wanted} wanted") if high else None


def _check_any_of(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    first = None
    for choice in wanted:
        if (found := find_violation(value, choice, place)) is None:
            return None
        first = first or found
    return first


def _is_equal(a: Any, b: Any) -> bool:
    """Compare values as JSON: 1 equals 1.0, and true does not equal 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_is_equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_is_equal(a[key], b[key]) for key in a)
    return bool(a == b)


_RULES: dict[str, Callable[[Any, Any, Mapping[str, Any], str], str | None]] = {
    "type": _check_type,
    "const": _check_const,
    "enum": _check_enum,
    "required": _check_required,
    "properties": _check_properties,
    "additionalProperties": _check_additional,
    "pattern": _check_pattern,
    "items": _check_items,
    "minItems": _check_min_items,
    "maxItems": _check_max_items,
    "minLength": _check_min_length,
    "minimum": _check_minimum,
    "maximum": _check_maximum,
    "anyOf": _check_any_of,
}


####################################################################################################
# clock.py: Times in documents: RFC 3339 in UTC, ending in Z.
####################################################################################################

TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"
_TIME = re.compile(TIME_PATTERN.replace("$", r"\Z"))


class NotATime(ValueError):
    """The text is not a time in UTC."""


def read_time(text: str) -> datetime:
    """Parse a time.

    Raises:
        NotATime: another format, another time zone, or an invalid date.
    """
    if not _TIME.match(text):
        raise NotATime(f"{text[:40]!a} is not a time such as 2026-11-21T09:30:00Z")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise NotATime(f"{text[:40]!a}: {error}") from error


####################################################################################################
# schema_words.py: Building blocks of the schemas of all documents.
####################################################################################################

Schema = Mapping[str, Any]


def record(fields: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of an object with exactly these fields."""
    return {
        "type": "object",
        "required": list(fields),
        "properties": {**fields, **(optional or {})},
        "additionalProperties": False,
    }


def list_of(item: Schema, least: int = 0, most: int | None = None) -> Schema:
    limits = ({"minItems": least} if least else {}) | ({} if most is None else {"maxItems": most})
    return {"type": "array", "items": item, **limits}


def table_of(item: Schema) -> Schema:
    """Return the schema of an object whose keys are ids or names."""
    return {"type": "object", "additionalProperties": item}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def matching(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


ANYTHING: Schema = {}
TEXT: Schema = {"type": "string"}
WORDS: Schema = {"type": "string", "minLength": 1}
TRUTH: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
POSITIVE: Schema = {"type": "integer", "minimum": 1}
AMOUNT: Schema = {"type": "number", "minimum": 0}
SHA256: Schema = matching("^[0-9a-f]{64}$")
GIT_COMMIT: Schema = matching("^[0-9a-f]{40}$")
SPLIT_SALT: Schema = matching("^[0-9a-f]{16}$")
"""The last part of the id of a log."""
KEY_ID: Schema = matching("^sha256:[0-9a-f]{64}$")
TIME: Schema = matching(TIME_PATTERN)
DATE: Schema = matching("^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
ULID: Schema = matching("^[0-9A-HJKMNP-TV-Z]{26}$")
CLAIM_ID: Schema = matching("^C-[0-9]{4,9}$")
ID: Schema = matching("^[0-9A-Za-z][0-9A-Za-z._-]{0,79}$")
UNIT: Schema = WORDS


####################################################################################################
# schemas_answers.py: Schema of a pack's answers: results of audits that test no registered claim.
####################################################################################################

ANSWERS = "answers/*.json"
ANSWER: Schema = record(
    {
        "schema": {"const": "assay/answer/1"},
        "run_id": ID,
        "audit": ID,
        "question": WORDS,
        "started_at": TIME,
        "wall_s": AMOUNT,
        "model_digest": ID,
        "prompts_sha256": SHA256,
        "identity": table_of(ANYTHING),
        "request": table_of(ANYTHING),
        # As text, because the log has the digest of exactly these characters.
        "result": WORDS,
    }
)


####################################################################################################
# schemas_claims.py: Schemas of pack header, claims, preregistrations and deviations.
####################################################################################################

PRIOR_ACCESS = ("nothing_run", "no_results_seen", "results_not_opened", "results_seen")
SEEN = PRIOR_ACCESS[2:]
"""Access to results that makes a change to a frozen plan a deviation; without it, the change is an amendment."""
MAX_CLAIMS, MAX_RUNS = 200, 1_000
"""Bounds the work, which grows with claims times attempts."""

PACK: Schema = record(
    {
        "schema": {"const": "assay/pack/1"},
        "pack_id": ULID,
        "created_at": TIME,
        "organisation": TEXT,
        "system_name": TEXT,
        "intended_purpose": TEXT,
        "producer": record(
            {
                "name": WORDS,
                "version": WORDS,
                "git_commit": or_null(GIT_COMMIT),
                "git_dirty": or_null(TRUTH),
                "wheel_sha256": or_null(SHA256),
            }
        ),
        "claim_ids": list_of(CLAIM_ID, most=MAX_CLAIMS),
        "run_ids": list_of(ID, most=MAX_RUNS),
        "supersedes": or_null(SHA256),
        "attempts": record({"total": COUNT, "completed": COUNT, "failed": COUNT, "abandoned": COUNT}),
        "withheld_count": COUNT,
        "limitations": list_of(WORDS, least=1),
        "not_assessed": list_of(WORDS, least=1),
        "disclaimer_id": WORDS,
    },
    optional={"personal_data": record({"acknowledged_by": WORDS, "places": list_of(WORDS, least=1)})},
)
_FIXED_CLAIM = record(
    {
        "name": WORDS,
        "components": list_of(WORDS, least=1),
        "universe": WORDS,
        "role": one_of("necessary", "sufficient"),
        "metric": WORDS,
        "ablation": one_of("resample", "mean", "zero"),
        "delta": NUMBER,
        "alpha": NUMBER,
        "sha256": SHA256,
    }
)
_SCOPE = record(
    {
        "model_id": WORDS,
        "prompt_set_id": WORDS,
        "intervention": WORDS,
        "positions": TEXT,
        "dtype": WORDS,
        "languages": list_of(WORDS),
    }
)
_RELATIVE = record(
    {
        "claim_id": CLAIM_ID,
        "name": WORDS,
        "state": one_of("supported", "negligible", "reversed", "inconclusive", "not run"),
        "holds_among": COUNT,
        "n_shared": COUNT,
        "is_withdrawn": TRUTH,
    }
)
CLAIMS: Schema = list_of(
    record(
        {
            "claim_id": CLAIM_ID,
            "statement": WORDS,
            "kind": one_of(
                "sufficiency", "necessity", "mediation", "absence_of_effect", "stability", "transfer", "calibration"
            ),
            "scope": _SCOPE,
            "estimand": record(
                {"name": WORDS, "formula": TEXT, "unit": one_of("logit", "nat", "probability", "ratio", "count")}
            ),
            "status": one_of("draft", "preregistered", "tested", "superseded", "withdrawn"),
            "evidence": list_of(WORDS),
            "counter_evidence": list_of(WORDS),
            "owner": WORDS,
            "reviewer": or_null(WORDS),
            "expires_at": or_null(DATE),
            "claim": _FIXED_CLAIM,
        },
        optional={"family": list_of(_RELATIVE, most=MAX_CLAIMS)},
    )
)
_METRIC = record({"name": WORDS, "formula": TEXT, "unit": UNIT})
_PLAN = record(
    {
        "schema": {"const": "assay/prereg/1"},
        "prereg_id": ID,
        "version": POSITIVE,
        "title": WORDS,
        "authors": list_of(WORDS, least=1),
        "created_at": TIME,
        "frozen_at": TIME,
        "research_question": WORDS,
        "hypotheses": list_of(record({"id": WORDS, "text": WORDS, "directional": TRUTH, "null": TEXT}), least=1),
        "claims": list_of(record({"claim_id": CLAIM_ID, "claim_sha256": SHA256}), least=1),
        "prior_access": one_of(*PRIOR_ACCESS),
        "model": record(
            {"repo": WORDS, "revision": or_null(WORDS), "weights_tree_sha256": SHA256},
            optional={"dictionary_sha256": SHA256},
        ),
        "prompts": record(
            {"set_id": WORDS, "sha256": SHA256, "n_items": COUNT, "split": WORDS},
            optional={"split_rule": {"const": 2}, "split_salt": SPLIT_SALT},
        ),
        "interventions": list_of(
            record(
                {
                    "type": WORDS,
                    "site": WORDS,
                    "value_source": TEXT,
                    "direction": one_of("denoise", "noise"),
                    "ablation": one_of("mean", "resample", "zero"),
                }
            ),
            least=1,
        ),
        "primary_metrics": list_of(_METRIC, least=1),
        "secondary_metrics": list_of(_METRIC),
        "policy_sha256": SHA256,
        "sample_size": record(
            {"n": COUNT, "rationale": TEXT, "mde": or_null(NUMBER), "power": or_null(SHARE)},
        ),
        "exclusions": list_of(WORDS),
        "stopping_rule": TEXT,
        "multiplicity": record({"family": TEXT, "method": WORDS, "alpha": SHARE}),
        "seeds": list_of(COUNT),
        "analysis_code": record({"git_commit": or_null(GIT_COMMIT), "path": TEXT, "sha256": or_null(SHA256)}),
        "exploratory": list_of(WORDS),
        "digest": SHA256,
    }
)
PREREGISTRATION: Schema = {"anyOf": [_PLAN, list_of(_PLAN, most=MAX_CLAIMS)]}
"""One preregistration, several if the pack's claims were preregistered separately, or none in a pack of answers alone."""
DEVIATION: Schema = record(
    {
        "id": ID,
        "prereg_version": POSITIVE,
        "at": TIME,
        "by": WORDS,
        "field": WORDS,
        "before": ANYTHING,
        "after": ANYTHING,
        "reason": WORDS,
        "class": one_of("error", "feasibility", "scope", "other"),
        "prior_access": one_of(*PRIOR_ACCESS),
        "approved_by": or_null(WORDS),
        "effect_on_claims": list_of(CLAIM_ID),
    },
    optional={"prereg_id": ID},
)


####################################################################################################
# schemas_crosswalk.py: Schema of the crosswalk: relation of evidence items to framework clauses, with quote, source and check.
####################################################################################################

RELATIONS = ("supports", "partially supports", "context for", "does not address")
"""Relations, the strongest first. None states that a duty is met: people judge that."""
CHECKS = ("verified", "read_in_copy", "title_only", "unverified")
CROSSWALK_FORMS = ("assay/crosswalk/1", "assay/crosswalk/2")
"""The second form adds quotes, copies, second readers and acts; packs of the first stay readable."""
MAX_CROSSWALK_ROWS = 2_000
_ADDRESS = matching("^https://[!-~]{1,400}$")
_QUOTE = {"quote": or_null(WORDS), "copy": or_null(ID), "entry": or_null(WORDS)}
"""A clause's own words, the copy that they were read in, and the entry of the copy where they are."""
_CHECK = {"checked_at": or_null(DATE), "checked_by": or_null(WORDS), "status": one_of(*CHECKS)}
_SECOND_READER = record({"by": WORDS, "at": DATE, "relation": one_of(*RELATIONS), "note": WORDS})
_COPY = record(
    {
        "id": ID,
        "framework": ID,
        "title": WORDS,
        "file": WORDS,
        "sha256": SHA256,
        "origin": WORDS,
        "publisher_url": _ADDRESS,
        "note": WORDS,
    }
)
_ACT = record(
    {
        "id": ID,
        "framework": ID,
        "act": WORDS,
        "what": WORDS,
        "clauses": list_of(WORDS, most=100),
        "date": or_null(DATE),
        "source": WORDS,
        **_QUOTE,
        **_CHECK,
    }
)
_CROSSWALK_ROW = record(
    {
        "evidence": ID,
        "framework": ID,
        "version": WORDS,
        "clause": WORDS,
        "quote_sha256": or_null(SHA256),
        "relation": one_of(*RELATIONS),
        "rationale": WORDS,
        "source_url": or_null(_ADDRESS),
        **_CHECK,
    },
    optional={**_QUOTE, "not_known": or_null(WORDS), "second_reader": or_null(_SECOND_READER)},
)
CROSSWALK: Schema = record(
    {
        "schema": one_of(*CROSSWALK_FORMS),
        "as_of": DATE,
        "notice": WORDS,
        "frameworks": list_of(record({"id": ID, "title": WORDS, "note": WORDS}), least=1, most=100),
        "evidence": list_of(record({"id": ID, "title": WORDS}), least=1, most=200),
        "rows": list_of(_CROSSWALK_ROW, least=1, most=MAX_CROSSWALK_ROWS),
    },
    optional={"copies": list_of(_COPY, most=100), "acts": list_of(_ACT, most=200)},
)


####################################################################################################
# schemas_disclosure.py: Schema of a pack's disclosure: beginning of the log, earlier runs on the prompts, templates as found, split and seed.
####################################################################################################

DISCLOSURE_MEMBER = "prereg/disclosure.json"
MAX_EARLIER_RUNS = 500
"""Earlier runs that are listed for a claim, newest first; the others are counted."""
MAX_DISCLOSED_PROMPTS = 20_000
SEED_DERIVATIONS = ("default", "chosen")
SPLIT_DERIVATIONS = {
    1: "each prompt by the hash of its two texts: another word in one text can move that prompt",
    2: "whole templates, every second one in the order of the hash of log id and skeleton: another filler word moves nothing",
}
"""How each rule divides a set, for readers."""

_INSTALLATION = record({"log_id": WORDS, "began_at": TIME, "runs": COUNT})
_EARLIER_RUN = record(
    {
        "run_id": ID,
        "audit": WORDS,
        "started_at": WORDS,
        "model_digest": WORDS,
        "is_this_model": TRUTH,
        "shows_results": TRUTH,
        "n_prompts": COUNT,
        "n_shared": COUNT,
        "n_templates_shared": COUNT,
    }
)
_CLAIM = record(
    {
        "claim_id": CLAIM_ID,
        "frozen_at": TIME,
        "runs_before": COUNT,
        "seed": record({"value": COUNT, "derivation": one_of(*SEED_DERIVATIONS)}),
        "n_split": COUNT,
        "share_seen": SHARE,
        "share_touched": SHARE,
        "earlier_runs": list_of(_EARLIER_RUN, most=MAX_EARLIER_RUNS),
        "n_more": COUNT,
    }
)
_TEMPLATE = record({"skeleton": or_null(WORDS), "n_exploratory": COUNT, "n_confirmatory": COUNT})
_SET = record(
    {
        "sha256": SHA256,
        "split": record({"rule": {"enum": [1, 2]}, "salt": or_null(SPLIT_SALT), "derivation": WORDS}),
        "templates": list_of(_TEMPLATE, least=1, most=MAX_DISCLOSED_PROMPTS),
        "template_of": list_of(COUNT, least=1, most=MAX_DISCLOSED_PROMPTS),
        "n_labels": POSITIVE,
    }
)
DISCLOSURE: Schema = record(
    {
        "schema": {"const": "assay/disclosure/1"},
        "installation": _INSTALLATION,
        "claims": list_of(_CLAIM),
        "sets": list_of(_SET),
    }
)


####################################################################################################
# schemas_findings.py: Schema of a pack's findings: the current state of each, and the changes that it follows from.
####################################################################################################

FINDINGS_MEMBER = "claims/findings.json"
FINDING_STEPS = ("recorded", "changed", "closed", "accepted", "reopened")
FINDING_STATUSES = ("open", "in_remediation", "closed", "accepted")
MAX_FINDINGS, MAX_FINDING_CHANGES = 1_000, 1_000
FINDING_ID: Schema = matching("^F-[0-9]{4,9}$")
_FIELDS: dict[str, Schema] = {
    "severity": WORDS,
    "days": POSITIVE,
    "title": WORDS,
    "finding": WORDS,
    "remediation": TEXT,
    "owner": WORDS,
    "due": DATE,
    "status": one_of(*FINDING_STATUSES),
    "model": TEXT,
    "claims": list_of(CLAIM_ID),
    "runs": list_of(ID),
    "basis": TEXT,
    "policy_sha256": SHA256,
}
_CHANGE: Schema = record(
    {
        "finding_id": FINDING_ID,
        "version": POSITIVE,
        "at": TIME,
        "by": WORDS,
        "step": one_of(*FINDING_STEPS),
        "reason": TEXT,
        "fields": record({}, optional=_FIELDS),
    }
)
FINDINGS: Schema = list_of(
    record(
        {
            "finding_id": FINDING_ID,
            "state": record(_FIELDS),
            "history": list_of(_CHANGE, least=1, most=MAX_FINDING_CHANGES),
        }
    ),
    most=MAX_FINDINGS,
)


####################################################################################################
# schemas_log.py: Schemas of log entries and their proofs.
####################################################################################################

ENTRY: Schema = record(
    {
        "v": {"const": 1},
        "log_id": WORDS,
        "seq": COUNT,
        "ts": TIME,
        "tenant": WORDS,
        "actor": WORDS,
        "action": WORDS,
        "object_id": {"type": "string"},
        "payload": {"type": "object"},
        "prev": SHA256,
    }
)
INCLUSION: Schema = list_of(record({"seq": COUNT, "leaf": SHA256, "proof": list_of(SHA256)}))
CONSISTENCY: Schema = or_null(record({"from_size": POSITIVE, "to_size": POSITIVE, "proof": list_of(SHA256)}))


####################################################################################################
# schemas_policy.py: Schemas of a resolved policy, the output of `resolve_policy`, and of the verdict under it.
####################################################################################################

_KINDS: Schema = list_of(one_of(*CLAIM_KINDS), least=1)
_CRITERION: Schema = record(
    {
        "metric": WORDS,
        "op": one_of(">=", "<="),
        "threshold": NUMBER,
        "bound": one_of("lower", "upper", "estimate"),
        "min_n": or_null(POSITIVE),
        "min_templates": or_null(POSITIVE),
        "min_gap_logit": or_null(NUMBER),
        "over_ablations": or_null(list_of(one_of(*ABLATION_NAMES), least=1)),
        "aggregate": or_null(one_of("min", "max")),
        "ci_level": SHARE,
        "claim_kind": _KINDS,
        "source": one_of(*THRESHOLD_SOURCES),
        "why": WORDS,
    }
)
_ANSWER_CRITERION: Schema = record(
    {
        "audit": WORDS,
        "number": WORDS,
        "evidence": one_of(*ANSWER_EVIDENCE),
        "op": one_of(">=", "<="),
        "threshold": NUMBER,
        "bound": one_of("lower", "upper", "estimate"),
        "min_n": or_null(POSITIVE),
        "min_templates": or_null(POSITIVE),
        "ci_level": SHARE,
        "source": one_of(*THRESHOLD_SOURCES),
        "why": WORDS,
    }
)
RESOLVED_POLICY: Schema = record(
    {
        "schema": {"const": POLICY_SCHEMA},
        "id": WORDS,
        "applies_to": record({"model": list_of(WORDS, least=1), "claim_kind": _KINDS}),
        "gate": record(
            {
                "required": list_of(WORDS, least=1),
                "optional": list_of(WORDS),
                "ci_level": SHARE,
                "multiplicity": record({"method": one_of("holm", "none"), "alpha": SHARE}),
                "max_waivers": COUNT,
                "waiver_max_days": POSITIVE,
            }
        ),
        "criteria": table_of(_CRITERION),
        "approval": record({"preparer_ne_reviewer": TRUTH, "reviewer_ne_approver": TRUTH, "max_age_days": POSITIVE}),
    },
    optional={
        "answers": table_of(_ANSWER_CRITERION),
        "findings": record(
            {
                "severities": list_of(record({"name": WORDS, "days": POSITIVE}), least=1, most=MAX_SEVERITIES),
                "notice_days": COUNT,
                "source": one_of(*THRESHOLD_SOURCES),
                "why": WORDS,
            }
        ),
    },
)
RESULTS = ("MEETS", "DOES_NOT_MEET", "INCONCLUSIVE", "NOT_EVALUATED")

VERDICT: Schema = record(
    {
        "policy_sha256": SHA256,
        "evaluated_at": TIME,
        "evaluator": WORDS,
        "criteria": list_of(
            record(
                {
                    "id": WORDS,
                    # The run's id for an answer; null where the pack lacks one.
                    "claim_id": or_null(ID),
                    "metric": or_null(WORDS),
                    "comparator": or_null(WORDS),
                    "threshold": or_null(NUMBER),
                    "estimate": or_null(NUMBER),
                    "ci_low": or_null(NUMBER),
                    "ci_high": or_null(NUMBER),
                    "n": or_null(COUNT),
                    "n_required": or_null(COUNT),
                    "result": one_of(*RESULTS),
                    "reason": or_null(WORDS),
                }
            )
        ),
        "overall": one_of(*RESULTS),
        "waived": list_of(record({"criterion": WORDS, "by": WORDS, "reason": WORDS, "expires_at": WORDS})),
        "coverage": record({"required": COUNT, "evaluated": COUNT}),
    }
)


####################################################################################################
# schemas_runs.py: Schemas of run manifests, metrics, items, results and reruns.
####################################################################################################

OUTCOMES = ("done", "refused", "not_measured", "failed", "cancelled", "abandoned")
_SEED = {"anyOf": [COUNT, TEXT, {"type": "null"}]}
"""Seeds of 2^53 or more are text."""
_IDENTITY = record(
    {
        "run_id": ID,
        "claim_ids": list_of(CLAIM_ID, least=1, most=20),
        "prereg_digest": SHA256,
        "attempt_no": POSITIVE,
        "started_at": TIME,
        "ended_at": or_null(TIME),
        "duration_s": or_null(AMOUNT),
        "status": one_of(*OUTCOMES),
    }
)
_MODEL = record(
    {
        "repo": WORDS,
        "revision": or_null(WORDS),
        "weights_tree_sha256": SHA256,
        "files": list_of(record({"path": WORDS, "sha256": SHA256, "bytes": COUNT})),
        "param_count": or_null(COUNT),
        "dtype_on_disk": or_null(WORDS),
        "dtype_run": WORDS,
        "quantisation": or_null(TEXT),
        "adapters": list_of(WORDS),
        "config_sha256": or_null(SHA256),
        "tokenizer_tree_sha256": or_null(SHA256),
        "chat_template_sha256": or_null(SHA256),
        "remote_code": {"const": False},
    }
)
_DETERMINISM = record(
    {
        "use_deterministic_algorithms": or_null(TRUTH),
        "cublas_workspace": or_null(TEXT),
        "tf32": or_null(TRUTH),
        "attention_impl": or_null(WORDS),
        "batch_size": or_null(COUNT),
        "padding_side": or_null(WORDS),
        "num_threads": or_null(COUNT),
        "compile": or_null(TRUTH),
    }
)
_ENVIRONMENT_TEXTS = (
    "os", "kernel", "cpu_model", "gpu_model", "driver", "cuda", "torch", "transformers", "numpy", "blas", "python", "container_digest",
)  # fmt: skip
_ENVIRONMENT = record(
    {name: or_null(TEXT) for name in _ENVIRONMENT_TEXTS}
    | {
        "n_cpu": or_null(COUNT),
        "gpu_count": or_null(COUNT),
        "lock_sha256": or_null(SHA256),
        "git_commit": or_null(GIT_COMMIT),
        "git_dirty": or_null(TRUTH),
        "diff_sha256": or_null(SHA256),
    }
)
RUN_MANIFEST: Schema = record(
    {
        "schema": {"const": "assay/run/1"},
        "identity": _IDENTITY,
        "model": _MODEL,
        "prompts": record(
            {"set_id": WORDS, "prompt_set_sha256": SHA256, "n_items": COUNT, "tokenised_sha256": or_null(SHA256)}
        ),
        "config": record(
            {"resolved_config": {"type": "object"}, "config_sha256": SHA256, "interventions_sha256": or_null(SHA256)}
        ),
        "seeds": record(
            {name: _SEED for name in ("python", "numpy", "torch", "cuda", "data_order")}
            | {"generator": table_of(_SEED)}
        ),
        "determinism": _DETERMINISM,
        "environment": _ENVIRONMENT,
        "cost": record(
            {
                "wall_s": or_null(AMOUNT),
                "gpu_s": or_null(AMOUNT),
                "peak_rss_bytes": or_null(COUNT),
                "peak_vram_bytes": or_null(COUNT),
                "energy_j": or_null(AMOUNT),
            }
        ),
        "outputs": table_of(record({"sha256": SHA256, "bytes": COUNT})),
    }
)
_METRIC_ROW = record(
    {
        "metric": WORDS,
        "claim_id": CLAIM_ID,
        "ablation": or_null(one_of("resample", "mean", "mean_template", "zero")),
        "estimate": or_null(NUMBER),
        "unit": UNIT,
        "n": or_null(COUNT),
        "n_templates": or_null(COUNT),
        "ci_low": or_null(NUMBER),
        "ci_high": or_null(NUMBER),
        "ci_level": or_null(SHARE),
        "ci_method": or_null(WORDS),
        "reason": or_null(WORDS),
        "denominator_abs_min": or_null(NUMBER),
    },
    optional={
        "n_boot": or_null(COUNT),
        "missing": COUNT,
        "excluded": COUNT,
        "tolerance": or_null(record({"abs": AMOUNT, "rel": AMOUNT, "source": WORDS})),
    },
)
METRICS: Schema = list_of(
    {
        **_METRIC_ROW,
        "anyOf": [
            {"properties": {"estimate": NUMBER, "reason": {"type": "null"}}},
            {"properties": {"estimate": {"type": "null"}, "reason": WORDS}},
        ],
    }
)
ITEM: Schema = record(
    {
        "item_id": WORDS,
        "item_commitment": or_null(WORDS),
        "clean": or_null(NUMBER),
        "corrupt": or_null(NUMBER),
        "patched": or_null(NUMBER),
        "effect": or_null(NUMBER),
        "unit": UNIT,
        "excluded_reason": or_null(WORDS),
    },
    optional={"ablation": or_null(WORDS), "template": or_null(WORDS), "empty": or_null(NUMBER)},
)
RESULT: Schema = record(
    {
        "claim_id": CLAIM_ID,
        "state": one_of("supported", "negligible", "reversed", "inconclusive"),
        "reason": or_null(WORDS),
        "sentence": WORDS,
        "conditions": {"type": "object"},
    },
    optional={
        "null": or_null({"type": "object"}),
        "repair": or_null({"type": "object"}),
        "holds_among": COUNT,
        "these_templates": or_null({"type": "object"}),
        "by_template": or_null({"type": "object"}),
        "members": list_of({"type": "object"}),
        "identification": list_of(
            record(
                {
                    "name": WORDS,
                    "rests_on": WORDS,
                    "status": one_of("checked", "doubtful", "not checked", "for the reader to judge"),
                    "found": WORDS,
                }
            )
        ),
    },
)
RERUNS: Schema = list_of(
    record(
        {
            "at": TIME,
            "by": WORDS,
            "environment": TEXT,
            "L0": one_of("COMPARABLE", "NOT_COMPARABLE"),
            "L1": one_of("BITWISE_EQUAL", "NOT_BITWISE_EQUAL", "NOT_EVALUATED"),
            "L2": one_of("WITHIN_TOLERANCE", "OUTSIDE_TOLERANCE", "NOT_EVALUATED"),
            "L3": one_of("DECISION_EQUAL", "DECISION_FLIPPED", "NOT_EVALUATED"),
        }
    )
)


####################################################################################################
# schemas_signed.py: Schemas of signed data: envelope, pack statement and approval statement.
####################################################################################################

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PACK_PREDICATE_TYPE = "https://assay.example/evidence-pack/v1"
APPROVAL_PREDICATE_TYPE = "https://assay.example/approval/v1"

ENVELOPE: Schema = record(
    {
        "payloadType": WORDS,
        "payload": TEXT,
        "signatures": list_of(record({"keyid": KEY_ID, "sig": TEXT}), least=1, most=20),
    }
)


def _describe_statement(predicate_type: str, predicate: Schema) -> Schema:
    subject = list_of(record({"name": WORDS, "digest": record({"sha256": SHA256})}), least=1, most=1)
    return record(
        {
            "_type": {"const": STATEMENT_TYPE},
            "subject": subject,
            "predicateType": {"const": predicate_type},
            "predicate": predicate,
        }
    )


PACK_STATEMENT: Schema = _describe_statement(
    PACK_PREDICATE_TYPE,
    record({"pack_id": ULID, "role": {"const": "preparer"}, "person": WORDS, "organisation": TEXT, "at": TIME}),
)
APPROVAL_STATEMENT: Schema = _describe_statement(
    APPROVAL_PREDICATE_TYPE,
    record(
        {
            "role": one_of("reviewer", "approver"),
            "person": WORDS,
            "organisation": TEXT,
            "decision": one_of("approve", "reject", "approve_with_conditions"),
            "conditions": list_of(WORDS),
            "independence_statement": TEXT,
            "conflicts": TEXT,
            "evidence_viewed": list_of(WORDS),
            "at": TIME,
            "expires_at": or_null(TIME),
        },
        # Optional: decisions signed by older versions lack it, and adding it would break their signatures.
        {"decisions_seen": list_of(SHA256, most=50)},
    ),
)


####################################################################################################
# schemas_withheld.py: Schemas of withheld prompts: commitments in the pack, and the file that opens them.
####################################################################################################

MAX_WITHHELD = 2_000
"""Largest number of prompts in a set."""

WITHHELD: Schema = record(
    {
        "schema": {"const": "assay/withheld/1"},
        "sha256": SHA256,
        "n_items": POSITIVE,
        "whole_sha256": SHA256,
        "n_whole": POSITIVE,
        "items": list_of(record({"item_id": ID, "template": ID, "commitment": SHA256}), least=1, most=MAX_WITHHELD),
    }
)
_ANSWERS: Schema = {"anyOf": [WORDS, list_of(WORDS, least=2)]}
PROMPT_ROW: Schema = record(
    {name: WORDS for name in ("id", "clean", "corrupted", "template")} | dict.fromkeys(("answer", "foil"), _ANSWERS),
    optional={"group": TEXT, "source": TEXT, "form": {"const": "verbatim"}},
)
_MEASURED = record(
    {"run_id": ID, "ablation": WORDS} | {name: NUMBER for name in ("clean", "corrupt", "patched", "empty", "effect")}
)
OPENINGS: Schema = record(
    {
        "schema": {"const": "assay/openings/1"},
        "pack_id": ULID,
        "items": list_of(
            record(
                {
                    "set": matching("^[0-9a-f]{16}$"),
                    "salt": matching("^[0-9a-f]{32}$"),
                    "item": record({"item_id": ID, "template": ID, "prompt": PROMPT_ROW, "runs": list_of(_MEASURED)}),
                }
            ),
            least=1,
        ),
    }
)


####################################################################################################
# strict_json.py: Strict JSON parser: no duplicate keys, NaN or unpaired surrogates; bounded depth and size.
####################################################################################################

MAX_JSON_DEPTH = 64
MAX_JSON_BYTES = 64 << 20
MAX_JSON_VALUES = 500_000
"""Parsing and validating a value takes about 10 microseconds, and a value of two bytes takes a hundred in memory."""
MAX_JSON_DIGITS = 400
"""Digits of one number; Python's own limit of 4300 digits applies later and is slower."""


_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
"""A string up to its end or the text's; possessive, so that matching does not backtrack."""
_BRACKETS = re.compile(r"[\[{\]}]")


class NotStrictJson(ValueError):
    """The bytes are not an unambiguous JSON document."""


def load_strict(data: bytes) -> Any:
    """Parse UTF-8 bytes.

    Raises:
        NotStrictJson: not UTF-8, not JSON, a duplicate key, NaN or Infinity, an unpaired surrogate, or too deep.
    """
    if len(data) > MAX_JSON_BYTES:
        raise NotStrictJson(f"{len(data):,} bytes of JSON; at most {MAX_JSON_BYTES:,}")
    if (values := count_values(data)) > MAX_JSON_VALUES:
        raise NotStrictJson(f"up to {values:,} values in one document; at most {MAX_JSON_VALUES:,}")
    try:
        text = data.decode("utf-8")
        _check_depth(text)
        value = _DECODER.decode(text)
        if "\\u" in text:
            # UTF-8 cannot encode an unpaired surrogate: only an escape can.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except NotStrictJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotStrictJson(f"not JSON: {str(error)[:120]}") from error
    return value


def count_values(data: bytes) -> int:
    """Return an upper bound of a document's values before parsing; commas and brackets in strings count too."""
    return 1 + data.count(b",") + data.count(b"[") + data.count(b"{")


def _check_depth(text: str) -> None:
    """Check the nesting depth outside strings before parsing, because the parser recurses."""
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_JSON_DEPTH:
            raise NotStrictJson(f"nested more than {MAX_JSON_DEPTH} deep")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise NotStrictJson(f"duplicate key {key[:60]!r} in an object")
        found[key] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise NotStrictJson(f"{name} is not a number")


def _parse_int(text: str) -> int:
    if len(text) > MAX_JSON_DIGITS:
        raise NotStrictJson(f"a number of {len(text)} digits")
    return int(text)


def _parse_float(text: str) -> float:
    if len(text) > MAX_JSON_DIGITS:
        raise NotStrictJson(f"a number of {len(text)} digits")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise NotStrictJson(f"{text[:30]} is outside the range of a double")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_refuse_twins, parse_constant=_refuse_constant, parse_int=_parse_int, parse_float=_parse_float
)


####################################################################################################
# strict_toml.py: TOML parser with bounded time: the standard library's is quadratic in dotted keys, and recurses.
####################################################################################################

MAX_TOML_BYTES = 256 << 10
MAX_TOML_DOTS = 32
"""Dots in one line; a key cannot span lines."""


def load_toml(data: bytes) -> dict[str, Any]:
    """Parse UTF-8 bytes.

    Raises:
        ValueError: not UTF-8, not TOML, too large, or nested too deeply.
    """
    if len(data) > MAX_TOML_BYTES:
        raise ValueError(f"{len(data):,} bytes of TOML; at most {MAX_TOML_BYTES:,}")
    if any(line.count(b".") > MAX_TOML_DOTS for line in data.split(b"\n")):
        raise ValueError(f"a line with more than {MAX_TOML_DOTS} dots")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


####################################################################################################
# documents.py: Step 5, schema: every document parses unambiguously and matches its schema.
####################################################################################################

MAX_DOCUMENT_BYTES = 8 << 20
MAX_LINE_BYTES = 1 << 20
MAX_ALL_DOCUMENTS_BYTES = 32 << 20
"""Parsing takes about a second for 8 MiB; the limit bounds the time that a hostile pack can take."""
MAX_LINES = 100_000
"""Limit for all JSON Lines members together; even an empty line takes about 10 microseconds."""
MAX_POLICY_BYTES = 256_000
FOLDERS = (
    "answers", "attestations", "claims", "crosswalk", "environment", "log", "models", "policy", "prereg", "prompts", "report", "runs", "schemas",
    "verdict",
)  # fmt: skip
TOP_FILES = ("MANIFEST.sha256", "README.txt", "pack.json", "ro-crate-metadata.json")
REQUIRED = (
    "README.txt", "pack.json", "claims/claims.json", "prereg/prereg.json", "policy/policy.toml", "policy/policy.resolved.json",
    "verdict/verdict.json", "log/entries.jsonl", "log/checkpoint.txt", "log/inclusion.json", "log/consistency.json",
)  # fmt: skip
FORMS: tuple[tuple[str, str, Schema], ...] = (
    ("pack", "pack.json", PACK),
    ("claims", "claims/claims.json", CLAIMS),
    ("findings", FINDINGS_MEMBER, FINDINGS),
    ("prereg", "prereg/prereg.json", PREREGISTRATION),
    ("deviation", "prereg/deviations.jsonl", DEVIATION),
    ("disclosure", DISCLOSURE_MEMBER, DISCLOSURE),
    ("policy", "policy/policy.resolved.json", RESOLVED_POLICY),
    ("run", "runs/*/manifest.json", RUN_MANIFEST),
    ("metrics", "runs/*/metrics.json", METRICS),
    ("item", "runs/*/items.jsonl", ITEM),
    ("result", "runs/*/result.json", RESULT),
    ("reruns", "runs/*/reruns.json", RERUNS),
    ("answer", ANSWERS, ANSWER),
    ("withheld", "prompts/*/withheld.json", WITHHELD),
    ("verdict", "verdict/verdict.json", VERDICT),
    ("entry", "log/entries.jsonl", ENTRY),
    ("inclusion", "log/inclusion.json", INCLUSION),
    ("consistency", "log/consistency.json", CONSISTENCY),
    ("crosswalk", "crosswalk/crosswalk.json", CROSSWALK),
)
"""Name of the schema, path of its documents (in .jsonl, one per line), and the schema; all canonical JSON."""
SCHEMAS: Mapping[str, Schema] = {name: schema for name, _, schema in FORMS} | {
    "envelope": ENVELOPE,
    "statement": PACK_STATEMENT,
    "approval": APPROVAL_STATEMENT,
    "openings": OPENINGS,
}
_KEPT_LINES = ("prereg/deviations.jsonl", "log/entries.jsonl")


@dataclass(frozen=True)
class Documents:
    """The pack's parsed documents."""

    parsed: Mapping[str, Any]
    """By member name; for .jsonl, the list of lines."""
    policy: dict[str, Any]
    """The policy in `policy.toml` with all defaults filled in."""
    lines: tuple[bytes, ...]
    """Bodies of the log's entries, byte-identical to what was hashed."""

    @property
    def pack(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.parsed["pack.json"]
        return found

    @property
    def claims(self) -> list[dict[str, Any]]:
        return list(self.parsed["claims/claims.json"])

    @property
    def plans(self) -> list[dict[str, Any]]:
        """Preregistrations; most packs contain one."""
        found = self.parsed["prereg/prereg.json"]
        return [found] if isinstance(found, dict) else list(found)

    def find_plan(self, claim_id: str) -> Mapping[str, Any] | None:
        """Return the preregistration of the claim."""
        naming = [plan for plan in self.plans if any(row["claim_id"] == claim_id for row in plan["claims"])]
        return naming[0] if len(naming) == 1 else None

    @property
    def deviations(self) -> list[dict[str, Any]]:
        return list(self.parsed.get("prereg/deviations.jsonl", []))

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Findings about the claims; none in packs without that document."""
        return list(self.parsed.get(FINDINGS_MEMBER, []))

    @property
    def answers(self) -> dict[str, dict[str, Any]]:
        """Results of audits that test no registered claim, by the name of their member; none in most packs."""
        paths = [path for path in self.parsed if path.startswith("answers/")]
        return {path.removeprefix("answers/").removesuffix(".json"): self.parsed[path] for path in paths}

    @property
    def entries(self) -> list[dict[str, Any]]:
        return list(self.parsed["log/entries.jsonl"])

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Return the rows of all runs, in the header's order of runs."""
        return [row for run_id in self.pack["run_ids"] for row in self.parsed[f"runs/{run_id}/metrics.json"]]

    def find_manifest(self, run_id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.parsed[f"runs/{run_id}/manifest.json"]
        return found


def read_documents(members: Mapping[str, bytes], without: tuple[str, ...] = ()) -> Documents:
    """Parse and check every document.

    The schemas are part of this program; copies inside the pack are not used.

    Args:
        without: required members that an unfinished pack does not contain yet.

    Raises:
        BadPack: a file outside the layout, or a document that is missing, ambiguous, malformed or not canonical.
    """
    for name in members:
        if ("/" in name and name.split("/")[0] not in FOLDERS) or ("/" not in name and name not in TOP_FILES):
            raise BadPack(f"{name} is not part of a pack's layout")
    if absent := [name for name in REQUIRED if name not in members and name not in without]:
        raise BadPack(f"{absent[0]} is missing")
    _check_amounts(members)
    parsed: dict[str, Any] = {}
    for name, data in members.items():
        schema = _find_form(name)
        if name.endswith(".jsonl"):
            rows = _read_lines(name, data, schema, keep=name in _KEPT_LINES)
            parsed.update({name: rows} if name in _KEPT_LINES else {})
        elif name.endswith(".json"):
            document = _read_one(name, data, schema, MAX_DOCUMENT_BYTES)
            parsed.update({} if schema is None else {name: document})
    policy = _read_policy("policy/policy.toml", members["policy/policy.toml"])
    _check_runs(parsed["pack.json"]["run_ids"], members)
    return Documents(parsed, policy, tuple(members["log/entries.jsonl"].split(b"\n")[:-1]))


def _check_amounts(members: Mapping[str, bytes]) -> None:
    """Check the total size from the bytes, before any document is parsed."""
    lines = {name: data.count(b"\n") for name, data in members.items() if name.endswith(".jsonl")}
    documents = [data for name, data in members.items() if name.endswith((".json", ".jsonl"))]
    if (total := sum(map(len, documents))) > MAX_ALL_DOCUMENTS_BYTES:
        raise BadPack(f"{total:,} bytes of documents; at most {MAX_ALL_DOCUMENTS_BYTES:,}")
    if (total := sum(lines.values())) > MAX_LINES:
        longest = max(lines, key=lambda name: lines[name])
        raise BadPack(f"{total:,} lines of JSON, most of them in {longest}; at most {MAX_LINES:,}")
    if (total := sum(map(count_values, documents)) + sum(lines.values())) > MAX_JSON_VALUES:
        raise BadPack(f"up to {total:,} values in all documents; at most {MAX_JSON_VALUES:,}")


def _find_form(name: str) -> Schema | None:
    for _, place, schema in FORMS:
        if re.fullmatch(re.escape(place).replace(r"\*", "[^/]+"), name):
            return schema
    return None


def _read_one(name: str, data: bytes, schema: Schema | None, most: int) -> Any:
    if len(data) > most:
        raise BadPack(f"{name} is larger than {most:,} bytes")
    try:
        document = load_strict(data)
        canonical = data if schema is None else encode_canonical(document)
    except (NotStrictJson, NotCanonical) as error:
        raise BadPack(f"{name}: {error}") from error
    if schema is not None and (found := find_violation(document, schema)):
        raise BadPack(f"{name}: {found}")
    if canonical != data:
        raise BadPack(f"{name} is not in canonical form")
    return document


def _read_lines(name: str, data: bytes, schema: Schema | None, *, keep: bool) -> list[Any]:
    if keep and len(data) > MAX_DOCUMENT_BYTES:
        raise BadPack(f"{name} is larger than {MAX_DOCUMENT_BYTES:,} bytes")
    if data and not data.endswith(b"\n"):
        raise BadPack(f"the last line of {name} has no line break")
    kept = []
    for number, line in enumerate(io.BytesIO(data), 1):
        row = _read_one(f"line {number} of {name}", line[:-1], schema, MAX_LINE_BYTES)
        if keep:
            kept.append(row)
    return kept


def _read_policy(name: str, data: bytes) -> dict[str, Any]:
    if len(data) > MAX_POLICY_BYTES:
        raise BadPack(f"{name} is larger than {MAX_POLICY_BYTES:,} bytes")
    try:
        return resolve_policy(load_toml(data))
    except PolicyMalformed as error:
        raise BadPack(f"{name} cannot be applied: {error}") from error
    except ValueError as error:
        raise BadPack(f"{name} is not TOML: {str(error)[:120]}") from error


def _check_runs(named: list[str], members: Mapping[str, bytes]) -> None:
    """Check that the pack contains exactly the runs that the header names."""
    for run_id in named:
        for part in ("manifest", "metrics"):
            if f"runs/{run_id}/{part}.json" not in members:
                raise BadPack(f"runs/{run_id}/{part}.json is missing")
    if unexpected := sorted({name.split("/")[1] for name in members if name.startswith("runs/")} - set(named)):
        raise BadPack(f"runs/{unexpected[0]} is not among the runs that pack.json names")
    if len(set(named)) < len(named):
        raise BadPack("pack.json names a run twice")


####################################################################################################
# answers.py: Step 6, answers: each result of an audit is the one that the log recorded, and none was left out of the export.
####################################################################################################

def check_answers(documents: Documents) -> None:
    """Check the answers of a pack against its log.

    Raises:
        BadPack: an answer is missing, renamed, changed, or not in the log.
    """
    answers = documents.answers
    exported = _read_exported_answers(documents)
    if sorted(answers) != sorted(exported):
        raise BadPack(f"the pack has {len(answers)} answers, the export was logged with {ascii(exported)[:120]}")
    for name, answer in answers.items():
        _check_answer(name, answer, documents.entries)


def _read_exported_answers(documents: Documents) -> list[str]:
    """Return the ids of the runs that the pack's export event names; empty if it names none."""
    last = documents.entries[-1] if documents.entries else None
    if last is None or last["action"] != "pack.exported" or last["object_id"] != documents.pack["pack_id"]:
        return []
    found = last["payload"].get("answers", [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BadPack("the export was logged with answers that are no list of runs")
    return found


def _check_answer(name: str, answer: Mapping[str, Any], entries: list[dict[str, Any]]) -> None:
    if answer["run_id"] != name:
        raise BadPack(f"answers/{name}.json belongs to run {answer['run_id']}")
    own = [entry for entry in entries if entry["object_id"] == name]
    started = [entry for entry in own if entry["action"] == "run.started"]
    ended = [entry for entry in own if entry["action"] == "run.ended"]
    if (len(started), len(ended)) != (1, 1):
        raise BadPack(f"the log shows {len(started)} starts and {len(ended)} ends of run {name}")
    start, end = started[0]["payload"], ended[0]["payload"]
    for field, key in (("audit", "kind"), ("prompts_sha256", "prompts_sha256"), ("model_digest", "model_digest")):
        if answer[field] != start.get(key):
            raise BadPack(f"answers/{name}.json and the log differ in {field}")
    if answer["model_digest"] != compute_model_digest(answer["identity"]):
        raise BadPack(f"the identity in answers/{name}.json is not the one of its model digest")
    if start.get("claim_id") is not None:
        raise BadPack(f"run {name} tested a claim: it belongs to the claim's attempts")
    if end.get("outcome") != "done":
        raise BadPack(f"run {name} ended with {ascii(end.get('outcome'))[:40]}")
    if hashlib.sha256(answer["result"].encode()).hexdigest() != end.get("result_sha256"):
        raise BadPack(f"the result in answers/{name}.json is not the one in the log")
    try:
        load_strict(answer["result"].encode())
    except NotStrictJson as error:
        raise BadPack(f"the result in answers/{name}.json: {error}") from error


def compute_model_digest(identity: Mapping[str, Any]) -> str:
    """Return the twelve digits over what determines a model's numbers, as the product computes them at each run."""
    parts = [identity.get(f"{name}_sha256") for name in ("weights", "tokenizer", "config")]
    parts += [identity.get("dtype"), identity.get("attention")]
    parts += [identity["dictionary_sha256"]] if identity.get("dictionary_sha256") else []
    parts += [f"device {identity['device']}", identity.get("device_name")] if "device" in identity else []
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


####################################################################################################
# attempts.py: Attempts at a claim as numbered by the log, so that an omitted attempt is detected.
####################################################################################################

@dataclass(frozen=True)
class Attempt:
    """One confirmatory run that was started, whatever its outcome."""

    claim_id: str
    run_id: str
    number: Any
    """Number from the log; an integer from 1 if the log is valid."""
    seq: int
    prereg_digest: Any
    outcome: str | None
    """None: no end is recorded."""


def list_attempts(entries: Iterable[Mapping[str, Any]], claim_ids: Sequence[str]) -> tuple[Attempt, ...]:
    """Return the attempts in the order of the log."""
    started, ended = [], {}
    for entry in entries:
        if entry["action"] == "run.started" and entry["payload"].get("claim_id") in claim_ids:
            started.append(entry)
        elif entry["action"] == "run.ended":
            ended[entry["object_id"]] = str(entry["payload"].get("outcome"))
    return tuple(
        Attempt(
            entry["payload"]["claim_id"],
            entry["object_id"],
            entry["payload"].get("attempt_no"),
            entry["seq"],
            entry["payload"].get("prereg_digest"),
            ended.get(entry["object_id"]),
        )
        for entry in started
    )


def count_attempts(attempts: Iterable[Attempt]) -> dict[str, int]:
    """Return the counts for `attempts` in `pack.json`."""
    outcomes = [attempt.outcome for attempt in attempts]
    completed, abandoned = outcomes.count("done"), outcomes.count(None) + outcomes.count("abandoned")
    return {
        "total": len(outcomes),
        "completed": completed,
        "failed": len(outcomes) - completed - abandoned,
        "abandoned": abandoned,
    }


def find_gap(attempts: Sequence[Attempt], claim_id: str, exported: Any) -> str | None:
    """Return why the attempts at a claim are incomplete, or None.

    Args:
        exported: number of attempts at this claim in the signed export event.
    """
    numbers = [attempt.number for attempt in attempts if attempt.claim_id == claim_id]
    if numbers != list(range(1, len(numbers) + 1)) or any(type(number) is not int for number in numbers):
        return f"attempts at {claim_id} are numbered {numbers[:12]!a}, not from 1 on without a gap"
    if type(exported) is not int or exported != len(numbers):
        return f"{len(numbers)} attempts at {claim_id} are shown, and the export was logged with {ascii(exported)[:20]}"
    return None


def read_exported(entries: Sequence[Mapping[str, Any]], pack_id: str) -> dict[str, Any]:
    """Return the attempts by claim from this pack's export event; empty if that is not the last event."""
    last = entries[-1] if entries else None
    if last is None or last["action"] != "pack.exported" or last["object_id"] != pack_id:
        return {}
    claims = last["payload"].get("claims")
    if not isinstance(claims, dict) or not all(isinstance(row, dict) for row in claims.values()):
        return {}
    return {claim_id: row.get("attempts") for claim_id, row in claims.items()}


####################################################################################################
# ed25519.py: Ed25519 signature verification (RFC 8032, section 5.1.7); handles no secrets, so timing is not critical.
####################################################################################################

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]
"""Point in extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z."""


def is_signed_by(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Check a signature over a message; malformed input counts as an invalid signature.

    Args:
        public_key: 32 bytes.
        signature: 64 bytes.
    """
    if len(public_key) != 32 or len(signature) != 64:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % _ORDER
    return _fulfils(public_key, signature, challenge)


@lru_cache(maxsize=1_000)
def _fulfils(public_key: bytes, signature: bytes, challenge: int) -> bool:
    """Check the signature's equation, with a cache: one checkpoint is often checked several times."""
    key, commitment = _read_point(public_key), _read_point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= _ORDER:
        return False
    if _is_same(_multiply(8, key), (0, 1, 1, 0)):
        # A key of small order signs anything.
        return False
    return _is_same(_multiply(scalar, _BASE), _add(commitment, _multiply(challenge, key)))


def _find_x(y: int, sign: int) -> int | None:
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    if square == 0:
        return None if sign else 0
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P:
        return None
    return _P - x if x & 1 != sign else x


def _read_point(encoded: bytes) -> _Point | None:
    number = int.from_bytes(encoded, "little")
    y = number & ((1 << 255) - 1)
    x = _find_x(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % _P)


def _add(a: _Point, b: _Point) -> _Point:
    first, second = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    third, fourth = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, f, g, h = second - first, fourth - third, fourth + third, second + first
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int, point: _Point) -> _Point:
    """Multiply by a scalar below the order."""
    total: _Point = (0, 1, 1, 0)
    for place, doubled in enumerate(_list_doubled(point)):
        if scalar >> place & 1:
            total = _add(total, doubled)
    return total


@lru_cache(maxsize=32)
def _list_doubled(point: _Point) -> tuple[_Point, ...]:
    """The point times 1, 2, 4 and so on, as often as the order has bits: the base's and a key's serve many signatures."""
    doubled = [point]
    for _ in range(_ORDER.bit_length() - 1):
        doubled.append(_add(doubled[-1], doubled[-1]))
    return tuple(doubled)


def _is_same(a: _Point, b: _Point) -> bool:
    return (a[0] * b[2] - b[0] * a[2]) % _P == 0 and (a[1] * b[2] - b[1] * a[2]) % _P == 0


_BASE_Y = 4 * pow(5, _P - 2, _P) % _P
_BASE_X = _find_x(_BASE_Y, 0) or 0
_BASE: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)


####################################################################################################
# note.py: Log checkpoints as C2SP signed notes, checked with a key from outside the note.
####################################################################################################

MAX_NOTE_BYTES = 64 << 10
_MAX_SIGNATURES = 100
_ED25519_NOTE = b"\x01"
_HEAD_ENTRY = re.compile(r"[0-9a-f]{64}")
_NOTE_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")


class BadNote(ValueError):
    """The text is not a checkpoint signed by this key."""


class NoSigner(BadNote):
    """None of the given keys signed the note."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: number of entries in the log, and their Merkle root."""

    origin: str
    """Name of the log."""
    size: int
    root: bytes
    head: str
    """Hash of the last entry; 64 zeros for an empty log."""

    @property
    def text(self) -> str:
        """The signed text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n{self.head}\n"


def hash_note_key(name: str, public_key: bytes) -> bytes:
    """Return the four bytes that identify the key of a signature line (C2SP signed-note)."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519_NOTE + public_key).digest()[:4]


def read_checkpoint(note: str, *, origin: str, public_key: bytes) -> Checkpoint:
    """Return the checkpoint in a note of this log, signed with this key.

    Signatures by other keys are ignored, as the format requires; an invalid signature by this key makes the note invalid.

    Raises:
        BadNote: malformed, of another log, or not signed with this key.
    """
    checkpoint = read_unsigned(note)
    if checkpoint.origin != origin:
        raise BadNote(f"a checkpoint of {checkpoint.origin[:60]!r}, not of {origin!r}")
    list_signers(note, origin=origin, public_keys=[public_key])
    return checkpoint


def list_signers(note: str, *, origin: str, public_keys: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return which of a log's keys signed a note: usually one, two at a key rotation.

    Raises:
        NoSigner: signed by none of them.
        BadNote: malformed, or with an invalid signature.
    """
    text, signatures = split_note(note)
    found = []
    for key in public_keys:
        known = hash_note_key(origin, key)
        own = [signature[4:] for name, signature in signatures if name == origin and signature[:4] == known]
        if not all(is_signed_by(key, text.encode(), signature) for signature in own):
            raise BadNote("an invalid signature")
        found += [key] if own else []
    if not found:
        raise NoSigner("no signature of this log's key")
    return tuple(found)


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the signed text of a note, and name and bytes (key id, then signature) of each signature line.

    Raises:
        BadNote: not in the format of signed notes.
    """
    if len(note) > MAX_NOTE_BYTES or any(ord(character) < 32 and character != "\n" for character in note):
        raise BadNote("too long, or control characters")
    text, gap, below = note.rpartition("\n\n")
    if not gap or not below.endswith("\n"):
        raise BadNote("no signatures below a blank line")
    lines = below[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise BadNote(f"more than {_MAX_SIGNATURES} signatures")
    found = []
    for line in lines:
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise BadNote("a line that is not a signature")
        found.append((match[1], decode_exactly(match[2])))
    return text + "\n", found


def _read_body(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) != 4 or not lines[0] or not _NOTE_SIZE.fullmatch(lines[1]) or not _HEAD_ENTRY.fullmatch(lines[3]):
        raise BadNote("not origin, size, root and head, one per line")
    root = decode_exactly(lines[2])
    if len(root) != 32:
        raise BadNote(f"a root of {len(root)} bytes")
    return Checkpoint(lines[0], int(lines[1]), root, lines[3])


def decode_exactly(encoded: str) -> bytes:
    """Decode base64, accepting only the canonical encoding of the bytes."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise BadNote("not base64") from error
    if base64.b64encode(data).decode() != encoded:
        raise BadNote("base64 in a non-canonical encoding")
    return data


def read_unsigned(note: str) -> Checkpoint:
    """Return the checkpoint in a note without verifying signatures, for readers without a key.

    Raises:
        BadNote: malformed.
    """
    return _read_body(split_note(note)[0])


####################################################################################################
# cosignature.py: Cosignatures of witnesses on checkpoints (C2SP tlog-cosignature, Ed25519), and the keys that a reader lists for them.
####################################################################################################

WITNESSES_SCHEMA = "assay/witnesses/1"
MAX_WITNESSES = 32
MAX_WITNESSES_BYTES = 64 << 10
_COSIGNATURE_TYPE = b"\x04"
_COSIGNATURE_BYTES = 4 + 8 + 64
_LAST_SECOND = 253_402_300_799
"""31 December 9999: the last second that a date can name."""
_WITNESS_NAME = re.compile(r"[!-*,-~]{1,200}")
"""Printable ASCII without space and plus, a subset of the names that signed notes allow."""
_VKEY = re.compile(r"([!-*,-~]{1,200})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,100})")


class BadWitnessList(ValueError):
    """The witness list is unusable; a caller's error, not a fault of the pack."""


@dataclass(frozen=True)
class Witness:
    """A witness that the reader trusts."""

    name: str
    public_key: bytes
    """32 bytes."""
    url: str
    """Submission prefix, used by the log's owner only; may be empty."""

    @property
    def vkey(self) -> str:
        return write_vkey(self.name, self.public_key)


@dataclass(frozen=True)
class WitnessList:
    """Witnesses, and how many of them must have cosigned."""

    quorum: int
    witnesses: tuple[Witness, ...]


def hash_witness_key(name: str, public_key: bytes) -> bytes:
    """Return the four bytes that identify a witness's key in a signature line."""
    return hashlib.sha256(name.encode() + b"\n" + _COSIGNATURE_TYPE + public_key).digest()[:4]


def describe_cosigned(text: str, timestamp: int) -> bytes:
    """Return the bytes that a cosignature signs.

    Args:
        text: the checkpoint's signed text, with its final line break.
        timestamp: POSIX seconds.
    """
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def write_vkey(name: str, public_key: bytes) -> str:
    """Return a witness's key as a C2SP verifier key: name, key id and key."""
    encoded = base64.b64encode(_COSIGNATURE_TYPE + public_key).decode()
    return f"{name}+{hash_witness_key(name, public_key).hex()}+{encoded}"


def is_witness_name(name: str) -> bool:
    return bool(_WITNESS_NAME.fullmatch(name))


def find_cosignature(note: str, witness: Witness) -> int | None:
    """Return when this witness cosigned a checkpoint, in POSIX seconds; the earliest time, or None without a cosignature.

    Lines of other keys are ignored, as the format requires.

    Raises:
        BadNote: malformed, or an invalid cosignature under this witness's name and key id.
    """
    text, signatures = split_note(note)
    known, times = hash_witness_key(witness.name, witness.public_key), []
    for name, signature in signatures:
        if name != witness.name or signature[:4] != known:
            continue
        timestamp = int.from_bytes(signature[4:12], "big")
        if len(signature) != _COSIGNATURE_BYTES or timestamp > _LAST_SECOND:
            raise BadNote("a cosignature of the wrong size, or with an impossible time")
        if not is_signed_by(witness.public_key, describe_cosigned(text, timestamp), signature[12:]):
            raise BadNote(f"an invalid cosignature under the name {witness.name}")
        times.append(timestamp)
    return min(times, default=None)


def show_seconds(timestamp: int) -> str:
    """Return POSIX seconds as a time in UTC."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_witnesses(data: bytes) -> WitnessList:
    """Parse a witness list.

    Raises:
        BadWitnessList: not TOML, an unknown field, a key that does not match its id, one key twice, or an impossible quorum.
    """
    if len(data) > MAX_WITNESSES_BYTES:
        raise BadWitnessList(f"larger than {MAX_WITNESSES_BYTES:,} bytes")
    try:
        table = load_toml(data)
    except ValueError as error:
        raise BadWitnessList(f"not TOML: {str(error)[:120]}") from error
    if table.get("schema") != WITNESSES_SCHEMA or set(table) != {"schema", "quorum", "witnesses"}:
        raise BadWitnessList(f'wanted schema = "{WITNESSES_SCHEMA}", quorum and [[witnesses]], and nothing else')
    rows, quorum = table["witnesses"], table["quorum"]
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_WITNESSES:
        raise BadWitnessList(f"1 to {MAX_WITNESSES} [[witnesses]] are wanted")
    witnesses = tuple(_read_witness(row) for row in rows)
    for field in ("name", "public_key"):
        # The signed bytes do not name the witness, so that one key under two names would count twice.
        if len({getattr(one, field) for one in witnesses}) < len(witnesses):
            raise BadWitnessList(f"one {field} is listed twice")
    if type(quorum) is not int or not 0 < quorum <= len(witnesses):
        raise BadWitnessList(f"a quorum from 1 to the number of witnesses, {len(witnesses)}, is wanted")
    return WitnessList(quorum, witnesses)


def _read_witness(row: Any) -> Witness:
    if not isinstance(row, Mapping) or not {"key"} <= set(row) <= {"key", "url"}:
        raise BadWitnessList("a witness has the fields key and url, and no other")
    if not all(isinstance(value, str) for value in row.values()):
        raise BadWitnessList("key and url are text in quotes")
    name, public_key = read_vkey(row["key"])
    return Witness(name, public_key, row.get("url", ""))


def read_vkey(text: str) -> tuple[str, bytes]:
    """Return name and public key of a witness's verifier key.

    Raises:
        BadWitnessList: malformed, of another kind, or with an id that does not match.
    """
    found = _VKEY.fullmatch(text)
    if found is None:
        raise BadWitnessList(f"{text[:80]!a} is not a key as `witness key` prints it")
    try:
        material = decode_exactly(found[3])
    except BadNote as error:
        raise BadWitnessList(f"the key of {found[1]}: {error}") from error
    if len(material) != 33 or material[:1] != _COSIGNATURE_TYPE:
        raise BadWitnessList(f"the key of {found[1]} is not an Ed25519 key for cosignatures")
    if hash_witness_key(found[1], material[1:]).hex() != found[2]:
        raise BadWitnessList(f"the key of {found[1]} does not match its id")
    return found[1], material[1:]


####################################################################################################
# manifest.py: Step 2, manifest: it lists the SHA-256 of every file except itself and the signatures.
####################################################################################################

MANIFEST = "MANIFEST.sha256"
PACK_ENVELOPE = "attestations/pack.dsse.json"
MAX_MANIFEST_BYTES = MAX_MEMBERS * (64 + 2 + MAX_NAME_BYTES + 1)
"""Bound for one row per allowed member."""
_OUTSIDE = re.compile(
    r"attestations/(pack\.dsse\.json|approval-[a-z0-9-]{1,60}\.dsse\.json|time\.tsr|sigstore\.json|witnessed\.tlog-proof)\Z"
)
_APPROVAL = re.compile(r"attestations/approval-[a-z0-9-]{1,60}\.dsse\.json\Z")
_ROW = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/+@=-]+)\Z")


def is_outside_manifest(name: str) -> bool:
    """Check whether a member is outside the manifest: the manifest itself, and attestations made after it."""
    return name == MANIFEST or bool(_OUTSIDE.match(name))


def is_approval(name: str) -> bool:
    return bool(_APPROVAL.match(name))


def check_manifest(members: Mapping[str, bytes]) -> str:
    """Compare manifest and members in both directions.

    Returns:
        SHA-256 of the manifest, which identifies the pack.

    Raises:
        BadPack: no manifest, an invalid line, a file it does not list, a missing file, or changed bytes.
    """
    if len(members.get(MANIFEST, b"")) > MAX_MANIFEST_BYTES:
        raise BadPack(f"{MANIFEST} is larger than {MAX_MANIFEST_BYTES:,} bytes")
    if MANIFEST not in members:
        raise BadPack(f"no {MANIFEST}")
    listed = _read_manifest(members[MANIFEST])
    present = {name for name in members if not is_outside_manifest(name)}
    if unlisted := sorted(present - set(listed)):
        raise BadPack(f"{unlisted[0]} is not in the manifest ({len(unlisted)} such)")
    if missing := sorted(set(listed) - present):
        raise BadPack(f"{missing[0]} is in the manifest but not in the pack ({len(missing)} such)")
    changed = [name for name, digest in listed.items() if hashlib.sha256(members[name]).hexdigest() != digest]
    if changed:
        raise BadPack(f"{changed[0]} differs from its digest in the manifest ({len(changed)} such)")
    return hashlib.sha256(members[MANIFEST]).hexdigest()


def _read_manifest(data: bytes) -> dict[str, str]:
    lines = data.decode("latin-1").split("\n")
    if lines.pop() != "":
        raise BadPack("the manifest's last line has no line break")
    listed: dict[str, str] = {}
    before = ""
    for number, line in enumerate(lines, 1):
        found = _ROW.match(line)
        if not found:
            raise BadPack(f"line {number} of the manifest is not a digest, two spaces and a name")
        if found[2] <= before:
            raise BadPack(f"line {number} of the manifest is out of order or repeated")
        before = found[2]
        listed[before] = found[1]
    return listed


####################################################################################################
# statement.py: Step 3, statement: signed in-toto statements about this manifest, in DSSE envelopes.
####################################################################################################

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 1 << 20
MAX_APPROVALS = 50
"""Checking a signature takes about 40 ms."""


@dataclass(frozen=True)
class Statement:
    """A statement from an envelope, whose signatures are still unchecked."""

    member: str
    predicate: Mapping[str, Any]
    message: bytes
    """The signed bytes: DSSE's pre-authentication encoding of type and payload."""
    signatures: tuple[tuple[str, bytes], ...]
    """Key id and 64 bytes each."""
    sha256: str
    """SHA-256 of the envelope, by which later decisions reference this one."""


def encode_before_signing(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return DSSE's pre-authentication encoding, unambiguous because each part follows its length."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_statements(members: Mapping[str, bytes], manifest_sha256: str) -> tuple[Statement, ...]:
    """Read the pack's statement, then each approval.

    Raises:
        BadPack: no pack statement, or a statement about another manifest.
    """
    if PACK_ENVELOPE not in members:
        raise BadPack(f"no {PACK_ENVELOPE}")
    names = [PACK_ENVELOPE, *filter(is_approval, members)]
    if len(names) > 1 + MAX_APPROVALS:
        raise BadPack(f"{len(names) - 1} approvals; at most {MAX_APPROVALS}")
    return tuple(_read_statement(name, members[name], manifest_sha256) for name in names)


def _read_statement(member: str, data: bytes, manifest_sha256: str) -> Statement:
    envelope = _read_document(member, data, ENVELOPE)
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise BadPack(f"{member} has payload type {envelope['payloadType'][:60]!a}, not {PAYLOAD_TYPE}")
    payload = _decode_base64(member, envelope["payload"])
    form = PACK_STATEMENT if member == PACK_ENVELOPE else APPROVAL_STATEMENT
    statement = _read_document(f"the payload of {member}", payload, form)
    subject = statement["subject"][0]
    if subject["name"] != MANIFEST or subject["digest"]["sha256"] != manifest_sha256:
        raise BadPack(f"{member} is a statement about another manifest, not this pack")
    try:
        for field in ("at", "expires_at"):
            if statement["predicate"].get(field) is not None:
                read_time(statement["predicate"][field])
    except NotATime as error:
        raise BadPack(f"{member}: {error}") from error
    signatures = tuple((row["keyid"], _decode_base64(member, row["sig"])) for row in envelope["signatures"])
    if len({keyid for keyid, _ in signatures}) < len(signatures):
        raise BadPack(f"{member} is signed twice with the same key")
    digest = hashlib.sha256(data).hexdigest()
    return Statement(member, statement["predicate"], encode_before_signing(payload), signatures, digest)


def _read_document(name: str, data: bytes, form: Mapping[str, Any]) -> Any:
    if len(data) > MAX_ENVELOPE_BYTES:
        raise BadPack(f"{name} is larger than {MAX_ENVELOPE_BYTES:,} bytes")
    try:
        document = load_strict(data)
        canonical = encode_canonical(document)
    except (NotStrictJson, NotCanonical) as error:
        raise BadPack(f"{name}: {error}") from error
    if found := find_violation(document, form):
        raise BadPack(f"{name}: {found}")
    if canonical != data:
        raise BadPack(f"{name} is not in canonical form")
    return document


def _decode_base64(member: str, text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPack(f"{member}: not base64: {error}") from error
    if base64.b64encode(data).decode() != text:
        raise BadPack(f"{member}: base64 in a non-canonical encoding")
    return data


####################################################################################################
# trust.py: Step 4, signature: verifies signers with a trust file obtained separately from the pack.
####################################################################################################

TRUST_SCHEMA = "assay/trust/1"
ROLES = ("preparer", "reviewer", "approver")
MAX_TRUST_BYTES = 1 << 20
UNKNOWN = "by an unknown key: not counted"
_KEY_FIELDS = {"keyid", "public_key", "person", "roles", "valid_from", "valid_to", "revoked_at"}
_LOG_FIELDS = {"log_id", "keyid", "public_key", "valid_from", "valid_to", "revoked_at"}


class BadTrust(ValueError):
    """The trust file is unusable; a caller's error, not a fault of the pack."""


@dataclass(frozen=True)
class TrustedKey:
    """One person's key, with permitted roles and validity."""

    keyid: str
    public_key: bytes
    person: str
    roles: tuple[str, ...]
    valid_from: datetime
    valid_to: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class TrustedLogKey:
    """One key of a log, with its period of use."""

    log_id: str
    keyid: str
    public_key: bytes
    valid_from: datetime | None
    valid_to: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class Trust:
    """Trusted keys of people and logs."""

    keys: Mapping[str, TrustedKey]
    logs: Mapping[str, tuple[TrustedLogKey, ...]]
    """Keys of each log, by log id."""


@dataclass(frozen=True)
class Signer:
    """The signer of one statement with a valid signature."""

    member: str
    person: str
    role: str
    keyid: str
    at: str
    decision: str | None
    """approve | reject | approve_with_conditions; None for the preparer, who makes no decision."""
    expires_at: str | None
    sha256: str
    """SHA-256 of the envelope."""
    decisions_seen: tuple[str, ...] | None
    """SHA-256 of each decision in the pack at the time of signing; None if not recorded."""


@dataclass(frozen=True)
class Signatures:
    """Result of checking a pack's statements with a trust file."""

    signers: tuple[Signer, ...]
    uncounted: Mapping[str, str]
    """Members whose signature does not count, and why: an unknown key, or one revoked later."""


def name_key(public_key: bytes) -> str:
    """Return a key's id: its digest, which is unique."""
    return "sha256:" + hashlib.sha256(public_key).hexdigest()


def read_trust(data: bytes) -> Trust:
    """Parse a trust file.

    Raises:
        BadTrust: not TOML, an unknown field, or a key that does not match its id.
    """
    if len(data) > MAX_TRUST_BYTES:
        raise BadTrust(f"larger than {MAX_TRUST_BYTES:,} bytes")
    try:
        table = load_toml(data)
    except ValueError as error:
        raise BadTrust(f"not TOML: {str(error)[:120]}") from error
    if table.get("schema") != TRUST_SCHEMA or not set(table) <= {"schema", "keys", "logs"}:
        raise BadTrust(f'wanted schema = "{TRUST_SCHEMA}", [[keys]] and [[logs]], and nothing else')
    keys, logs = _list_tables(table, "keys"), _list_tables(table, "logs")
    try:
        trust = Trust(
            {row["keyid"]: _read_key(row) for row in keys}, _group_by_log([_read_log_key(row) for row in logs])
        )
    except (KeyError, TypeError, NotATime) as error:
        raise BadTrust(f"a row without {error}" if isinstance(error, KeyError) else str(error)) from error
    if len(trust.keys) < len(keys):
        raise BadTrust("a key is listed twice")
    return trust


def check_signatures(statements: Sequence[Statement], trust: Trust, last_event_at: datetime | None) -> Signatures:
    """Verify every statement with the keys trusted for its role.

    A signature cannot be older than the last event of the pack's log, whatever its stated date: a key that was revoked or
    expired by then is rejected, so backdating does not help a thief. If the key was revoked later, only the signature's own
    date places it before the revocation, and a thief could have chosen it: the signature does not count.

    Raises:
        BadPack: an invalid signature, or a key that is not trusted for the statement's person and role.
    """
    found = [(statement.member, _find_signer(statement, trust, last_event_at)) for statement in statements]
    return Signatures(
        tuple(signer for _, signer in found if isinstance(signer, Signer)),
        {member: signer for member, signer in found if isinstance(signer, str)},
    )


def _find_signer(statement: Statement, trust: Trust, last_event_at: datetime | None) -> Signer | str:
    """Return the signer, or why the signature does not count."""
    stated = statement.predicate
    at = read_time(stated["at"])
    known = [(trust.keys[keyid], signature) for keyid, signature in statement.signatures if keyid in trust.keys]
    for key, signature in known:
        if not is_signed_by(key.public_key, statement.message, signature):
            raise BadPack(f"{statement.member}: the signature of {show(key.person)} is invalid")
    fitting = [key for key, _ in known if stated["role"] in key.roles and stated["person"] == key.person]
    if known and not fitting:
        raise BadPack(
            f"{statement.member} names {show(stated['person'])} as {stated['role']}; its key is not trusted for that"
        )
    for key in fitting:
        _check_validity(key, max(at, last_event_at or at), at, statement.member)
        if key.revoked_at is None:
            return _name_signer(statement, key)
    return (
        f"by a key of {show(fitting[0].person)} that was revoked later: only its own date precedes the revocation"
        if fitting
        else UNKNOWN
    )


def _name_signer(statement: Statement, key: TrustedKey) -> Signer:
    stated = statement.predicate
    seen = stated.get("decisions_seen")
    return Signer(
        statement.member, key.person, stated["role"], key.keyid, stated["at"], stated.get("decision"), stated.get("expires_at"),
        statement.sha256, None if seen is None else tuple(seen),
    )  # fmt: skip


def _check_validity(key: TrustedKey, latest: datetime, at: datetime, member: str) -> None:
    if at < key.valid_from:
        raise BadPack(f"{member} was signed before the key of {show(key.person)} was valid")
    if key.valid_to is not None and latest > key.valid_to:
        raise BadPack(f"{member} was signed after the key of {show(key.person)} had expired")
    if key.revoked_at is not None and latest >= key.revoked_at:
        raise BadPack(f"{member} was signed after the key of {show(key.person)} was revoked")


def show(text: str) -> str:
    """Escape untrusted text for a terminal: control and direction characters become numbers."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text[:120])


def _list_tables(table: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = table.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadTrust(f"[[{name}]] is not a list of tables")
    return rows


def _read_key(row: Mapping[str, Any]) -> TrustedKey:
    _check_fields(row, _KEY_FIELDS)
    roles = row["roles"]
    if not isinstance(roles, list) or not roles or not set(roles) <= set(ROLES):
        raise BadTrust(f"roles are one or more of {', '.join(ROLES)}")
    if not row["person"]:
        raise BadTrust("a key without a person")
    return TrustedKey(
        row["keyid"], _read_public_key(row), row["person"], tuple(roles), read_time(row["valid_from"]),
        _read_end(row, "valid_to"), _read_end(row, "revoked_at"),
    )  # fmt: skip


def _read_log_key(row: Mapping[str, Any]) -> TrustedLogKey:
    _check_fields(row, _LOG_FIELDS)
    dates = [_read_end(row, name) for name in ("valid_from", "valid_to", "revoked_at")]
    return TrustedLogKey(row["log_id"], row["keyid"], _read_public_key(row), *dates)


def _read_end(row: Mapping[str, Any], name: str) -> datetime | None:
    return read_time(row[name]) if name in row else None


def _group_by_log(keys: Sequence[TrustedLogKey]) -> dict[str, tuple[TrustedLogKey, ...]]:
    logs = {key.log_id: tuple(one for one in keys if one.log_id == key.log_id) for key in keys}
    for log_id, own in logs.items():
        if len({key.keyid for key in own}) < len(own):
            raise BadTrust("a key is listed twice")
        if sum(key.valid_to is None and key.revoked_at is None for key in own) > 1:
            raise BadTrust(f"log {log_id[:80]!a} has two keys without an end, and one log signs with one")
    return logs


def _check_fields(row: Mapping[str, Any], fields: set[str]) -> None:
    if unknown := sorted(set(row) - fields):
        raise BadTrust(f"unknown field {unknown[0]!a}")
    if wrong := [name for name in row if name != "roles" and not isinstance(row[name], str)]:
        raise BadTrust(f"{wrong[0]} is not text in quotes")


def _read_public_key(row: Mapping[str, Any]) -> bytes:
    try:
        key = base64.b64decode(row["public_key"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadTrust(f"public_key is not base64: {error}") from error
    if len(key) != 32 or name_key(key) != row["keyid"]:
        raise BadTrust(f"public_key is not the 32 bytes that {row['keyid'][:80]!a} names")
    return key


####################################################################################################
# decisions.py: Completeness of signed decisions: each decision that a later one references must still be in the pack.
####################################################################################################

DECISIONS_COMPLETE, DECISIONS_MISSING = "DECISIONS_COMPLETE", "DECISIONS_MISSING"
DECISIONS_NOT_NAMED, DECISIONS_NONE = "DECISIONS_NOT_NAMED", "DECISIONS_NONE"
_LATER_NOT_KNOWN = "decisions made after this copy are not known"


@dataclass(frozen=True)
class DecisionsFinding:
    """Result of comparing the decisions in a pack with the references between them."""

    result: str
    """DECISIONS_COMPLETE | DECISIONS_MISSING | DECISIONS_NOT_NAMED (one was signed before this was recorded) | DECISIONS_NONE"""
    detail: str
    present: tuple[str, ...] = ()
    """SHA-256 of each decision in the pack, counted or not, without repeats."""
    missing: tuple[str, ...] = ()
    """For each missing decision, a sentence that names the signature that references it."""
    silent: tuple[str, ...] = ()
    """People who signed without referencing earlier decisions, each with the role."""


def check_decisions(statements: Sequence[Statement], counted: Collection[str] | None) -> DecisionsFinding:
    """Compare the decisions that signatures reference with those in the pack.

    Args:
        statements: every decision in the pack.
        counted: members whose signature counts under a trust file; only their references are used, since any user could add
            an envelope with invented references. None if no signature was checked: then all references are used.
    """
    present = tuple(sorted({one.sha256 for one in statements}))
    deciders = [one for one in statements if counted is None or one.member in counted]
    missing: dict[str, str] = {}
    for one in deciders:
        for digest in sorted(set(one.predicate.get("decisions_seen", ())) - set(present)):
            sentence = f"{_name_decider(one)} signed after a decision that is not in this pack: sha256 {digest}"
            missing.setdefault(digest, sentence)
    silent = tuple(sorted({_name_decider(one) for one in deciders if "decisions_seen" not in one.predicate}))
    result, detail = _describe_decisions(
        present, tuple(missing.values()), silent, _count_decisions(statements, counted)
    )
    return DecisionsFinding(result, detail, present, tuple(missing.values()), silent)


def _describe_decisions(
    present: Sequence[str], missing: Sequence[str], silent: Sequence[str], how_many: str
) -> tuple[str, str]:
    if missing:
        return DECISIONS_MISSING, "; ".join(missing)
    if not present:
        return DECISIONS_NONE, f"no decision in this pack; {_LATER_NOT_KNOWN}"
    if silent:
        sentence = f"{', '.join(silent)} did not reference earlier decisions, so a removed one would not be detected"
        return DECISIONS_NOT_NAMED, f"{how_many}; {sentence}; {_LATER_NOT_KNOWN}"
    return DECISIONS_COMPLETE, f"{how_many}; every decision that they reference is in the pack; {_LATER_NOT_KNOWN}"


def _count_decisions(statements: Sequence[Statement], counted: Collection[str] | None) -> str:
    total = len({one.sha256 for one in statements})
    if counted is None:
        return f"{total} in this pack; no signature was checked"
    return (
        f"{total} in this pack, {len({one.sha256 for one in statements if one.member in counted})} by keys that count"
    )


def _name_decider(statement: Statement) -> str:
    return f"{show(statement.predicate['person'])} ({statement.predicate['role']})"


####################################################################################################
# log_entry.py: Audit log entries: stored bytes, hash chain, and leaf of the Merkle tree.
####################################################################################################

GENESIS = "0" * 64
"""Previous hash of the first entry of a log."""
ENTRY_FIELDS = ("v", "log_id", "seq", "ts", "tenant", "actor", "action", "object_id", "payload", "prev")
ENTRY_VERSION = 1
_ENTRY_DOMAIN = b"audit-entry-v1\0"


class BadEntry(ValueError):
    """The bytes are not an entry of an audit log."""


def hash_entry(body: bytes) -> str:
    """Return the entry's hash, hexadecimal; the prefix separates it from tree nodes, leaves and signed data."""
    return hashlib.sha256(_ENTRY_DOMAIN + body).hexdigest()


def read_entry(body: bytes) -> Mapping[str, Any]:
    """Parse an entry.

    Raises:
        BadEntry: not an unambiguous JSON object with exactly the fields of an entry.
    """
    try:
        record = load_strict(body)
    except NotStrictJson as error:
        raise BadEntry(str(error)) from error
    if not isinstance(record, dict) or set(record) != set(ENTRY_FIELDS):
        raise BadEntry("missing or unknown fields")
    texts = ("log_id", "ts", "tenant", "actor", "action", "object_id", "prev")
    if not all(isinstance(record[name], str) for name in texts) or not isinstance(record["payload"], dict):
        raise BadEntry("a field of the wrong type")
    if record["v"] != ENTRY_VERSION or type(record["seq"]) is not int or record["seq"] < 0:
        raise BadEntry("another version, or no sequence number")
    return record


####################################################################################################
# merkle.py: Merkle tree of RFC 6962: roots, and verification of inclusion and consistency proofs.
####################################################################################################

_MAX_PROOF = 64
"""Largest number of nodes in a proof, enough for 2^63 leaves."""


def hash_leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def compute_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes, in order; for no leaves, the hash of empty input (RFC 6962, 2.1)."""
    return compute_roots(leaves, [len(leaves)])[len(leaves)]


def compute_roots(leaves: Sequence[bytes], sizes: Collection[int]) -> dict[int, bytes]:
    """Return the tree's roots at these sizes, in one pass; sizes beyond the leaves are left out."""
    wanted = set(sizes)
    roots = {0: hashlib.sha256(b"").digest()} if 0 in wanted else {}
    peaks: list[tuple[int, bytes]] = []
    for size, leaf in enumerate(leaves, 1):
        height, digest = 0, leaf
        while peaks and peaks[-1][0] == height:
            digest = hash_node(peaks.pop()[1], digest)
            height += 1
        peaks.append((height, digest))
        if size in wanted:
            roots[size] = _join_peaks(peaks)
    return roots


def is_included(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Verify that a leaf is at this index of the tree with this size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_digests([leaf, root, *proof]):
        return False
    position, last, digest = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            digest = hash_node(sibling, digest)
            position, last = _climb(position, last)
        else:
            digest = hash_node(digest, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and digest == root


def is_consistent(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Verify that the newer tree extends the older one (RFC 9162, 2.1.4.2).

    An empty older tree is rejected: every tree extends it.
    """
    if not 0 < old_size <= new_size or not _are_digests([old_root, new_root, *proof]):
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    if not proof:
        return False
    is_whole_subtree = old_size & (old_size - 1) == 0
    path = [old_root, *proof] if is_whole_subtree else list(proof)
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            older, newer = hash_node(sibling, older), hash_node(sibling, newer)
            position, last = _climb(position, last)
        else:
            newer = hash_node(newer, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and older == old_root and newer == new_root


def _join_peaks(peaks: Sequence[tuple[int, bytes]]) -> bytes:
    root = peaks[-1][1]
    for _, digest in reversed(peaks[:-1]):
        root = hash_node(digest, root)
    return root


def _climb(position: int, last: int) -> tuple[int, int]:
    """Skip the levels on which a node at the right edge has no sibling."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _are_digests(digests: Sequence[bytes]) -> bool:
    return len(digests) <= _MAX_PROOF + 2 and all(len(digest) == 32 for digest in digests)


####################################################################################################
# log_proof.py: Step 7, log: entries are included in the checkpoint's log, which extends the log of a saved checkpoint.
####################################################################################################

NO_TRUST = "the log's key is not in the trust file: the checkpoint could have been signed with any key"


class BadCheckpoint(ValueError):
    """The saved checkpoint is unusable; a caller's error, not a fault of the pack."""


@dataclass(frozen=True)
class LogFinding:
    """Result of the log step."""

    checkpoint: Checkpoint
    is_signed: bool
    """Signed by a key in the trust file that is not revoked."""
    is_anchored: bool
    """Whether the log extends a checkpoint that the reader saved."""
    detail: str


def check_log(documents: Documents, note: bytes, trust: Trust | None, saved: bytes | None) -> LogFinding:
    """Check entries against the pack's checkpoint, and the checkpoint against a saved one.

    Raises:
        BadPack: an invalid signature, proof or link.
        BadCheckpoint: the saved checkpoint is malformed.
    """
    try:
        text = note.decode("utf-8")
        checkpoint = read_unsigned(text)
        keys = () if trust is None else trust.logs.get(checkpoint.origin, ())
        signers = _find_keys(text, checkpoint.origin, keys) if keys else ()
    except (BadNote, UnicodeDecodeError) as error:
        raise BadPack(f"log/checkpoint.txt: {show(str(error))}") from error
    _check_entries(documents, checkpoint)
    last = max(read_time(entry["ts"]) for entry in documents.entries)
    doubts = [_judge_key(key, last) for key in signers]
    doubt = None if None in doubts else doubts[0] if doubts else NO_TRUST
    lack = _compare(documents.parsed["log/consistency.json"], checkpoint, keys, saved)
    return LogFinding(checkpoint, doubt is None, lack is None, doubt or lack or "it continues the saved checkpoint")


def _find_keys(note: str, origin: str, keys: Sequence[TrustedLogKey]) -> list[TrustedLogKey]:
    signed = list_signers(note, origin=origin, public_keys=[key.public_key for key in keys])
    return [key for key in keys if key.public_key in signed]


def _judge_key(key: TrustedLogKey, last: datetime) -> str | None:
    """Return why a checkpoint with this last event is not confirmed as the log's own; None if it is.

    Raises:
        BadPack: the key was not the log's key at that time.
    """
    if key.valid_from is not None and last < key.valid_from:
        raise BadPack("the log's last event is from before the key that signed its checkpoint")
    if key.valid_to is not None and last > key.valid_to:
        raise BadPack("the log's last event is from after the key that signed its checkpoint was replaced")
    if key.revoked_at is None:
        return None
    if last >= key.revoked_at:
        raise BadPack("the log's last event is from after the key that signed its checkpoint was revoked")
    return "the log's key was revoked later: its holder could have signed this since then, with an earlier date"


def _check_entries(documents: Documents, checkpoint: Checkpoint) -> None:
    entries, proofs = documents.entries, documents.parsed["log/inclusion.json"]
    if [entry["seq"] for entry in entries] != [row["seq"] for row in proofs]:
        raise BadPack("entries and proofs of the log have different sequence numbers")
    before: tuple[int, str] | None = None
    for entry, row, body in zip(entries, proofs, documents.lines, strict=True):
        seq, leaf = entry["seq"], hash_leaf(body)
        if entry["log_id"] != checkpoint.origin:
            raise BadPack(f"entry {seq} belongs to another log than the checkpoint")
        if before is not None and seq <= before[0]:
            raise BadPack(f"entry {seq} is out of order")
        if before is not None and seq == before[0] + 1 and entry["prev"] != before[1]:
            raise BadPack(f"entry {seq} does not follow entry {before[0]}")
        if leaf.hex() != row["leaf"] or not is_included(
            seq, checkpoint.size, leaf, _decode_proof(row["proof"]), checkpoint.root
        ):
            raise BadPack(f"entry {seq} is not in the checkpoint's log")
        before = seq, hash_entry(body)
    if before != (checkpoint.size - 1, checkpoint.head):
        raise BadPack("the entries shown do not end where the checkpoint does")


def _compare(
    step: Mapping[str, Any] | None, checkpoint: Checkpoint, keys: Sequence[TrustedLogKey], saved: bytes | None
) -> str | None:
    """Return why the log could not be compared with the saved checkpoint; None if it extends it."""
    if step is not None and step["to_size"] != checkpoint.size:
        raise BadPack("log/consistency.json leads to another size than the checkpoint's")
    if saved is None:
        return "no saved checkpoint was given"
    try:
        text = saved.decode("utf-8")
        old = read_unsigned(text)
        if keys and old.origin == checkpoint.origin:
            _find_keys(text, old.origin, keys)
    except (BadNote, UnicodeDecodeError) as error:
        raise BadCheckpoint(show(str(error))) from error
    if old.origin != checkpoint.origin:
        raise BadPack(f"the saved checkpoint is of {show(old.origin)}, the pack's of {show(checkpoint.origin)}")
    if old.size > checkpoint.size:
        return f"the saved checkpoint has {old.size:,} entries, the pack's {checkpoint.size:,}: the saved one is later"
    if old.size == checkpoint.size:
        if (old.root, old.head) != (checkpoint.root, checkpoint.head):
            raise BadPack("the log differs from the saved checkpoint of the same size")
        return None
    if step is None or step["from_size"] != old.size:
        return f"the pack contains no consistency proof from {old.size:,} entries on"
    if not is_consistent(old.size, checkpoint.size, _decode_proof(step["proof"]), old.root, checkpoint.root):
        raise BadPack("the log does not continue the saved checkpoint: entries were changed or removed")
    return None


def _decode_proof(proof: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(node) for node in proof]


####################################################################################################
# streams.py: Writing to standard output and standard error in any encoding, without losing results.
####################################################################################################

CLOSED = ("Standard output is closed.", "an open standard output.", "redirect it to a file, or to /dev/null.")
"""Found, wanted, remedy."""


def prepare_streams() -> bool:
    """Make both streams write characters that their encoding lacks as escapes such as ``\\u6a21``, instead of failing.

    Returns:
        False if standard output is closed, so that no result could be written.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    return sys.stdout is not None


def is_utf8(encoding: str | None) -> bool:
    """Check whether an encoding supports all characters; a stream without an encoding is a text buffer."""
    return encoding is None or encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig", "cp65001")


def write_result(text: str) -> None:
    """Write to standard output and flush, so that errors are raised here.

    Raises:
        OSError: the write failed, for example on a full disk. A closed pipe, as with `head`, is not an error.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_output()
    except OSError:
        abandon_output()
        raise


def write_message(text: str) -> None:
    """Write to standard error, if it is open."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        sys.stderr = None


def flush_output() -> bool:
    """Flush standard output, such as a parser's help; on failure write a message and return False."""
    try:
        write_result("")
    except OSError as error:
        write_message(f"Standard output: {error.strerror}.\n")
        return False
    return True


def abandon_output() -> None:
    """Discard further output: a failing flush at exit would change the exit code."""
    sys.stdout = None


####################################################################################################
# prompt_digest.py: Digest of a prompt set, and the split (exploratory or confirmatory) of each prompt.
####################################################################################################

def dump_prompt_rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the bytes that are hashed: one row per line, sorted keys, unchanged text."""
    return "".join(json.dumps(dict(row), ensure_ascii=False, sort_keys=True) + "\n" for row in rows).encode()


def is_exploratory_pair(clean: str, corrupted: str) -> bool:
    """Return whether a prompt belongs to the exploratory split; its text's hash decides, so no person can choose."""
    return hashlib.sha256(f"{clean}\0{corrupted}".encode()).digest()[0] % 2 == 0


def hash_prompt_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    return hashlib.sha256(dump_prompt_rows(rows)).hexdigest()


def hash_judged_half(rows: Sequence[Mapping[str, Any]], explored: Sequence[bool] | None = None) -> str:
    """Return the digest of the confirmatory split, which claims are judged on.

    Args:
        explored: which rows are exploratory in a set that is divided by template; the hash of their texts decides if not given.
    """
    if explored is None:
        explored = [is_exploratory_pair(row["clean"], row["corrupted"]) for row in rows]
    return hash_prompt_rows(row for row, flag in zip(rows, explored, strict=True) if not flag)


####################################################################################################
# skeletons.py: Skeletons of prompts: the words that remain of a text outside its slots, and the words that a template's prompts agree in.
####################################################################################################

MIN_FIXED = 2
"""Minimal number of fixed words of a skeleton."""
MIN_WORDS = 5
"""Minimal number of distinct words in a set; with fewer, texts of a few symbols agree by chance."""
MAX_WORDS = 256
"""Words compared per text; of a longer text, the first and last half of this number."""
ALIKE = 0.85
"""Fraction of fixed words in which two skeletons must agree to count as one."""
ALIKE_IF_RARE = 2 / 3
"""The same fraction if either has at most `RARE` prompts, too few to show that a word belongs to a template."""
RARE = 2
MIN_SHARED = 3
"""Minimal number of fixed words that two skeletons must share to count as one."""
_MOST_COMPARED = 20_000_000
"""Words that are compared to find skeletons that are alike; more would take the verifier minutes."""
_FRAME, _BODY = 12, 5
"""Minimal number of words that all texts begin and end with, and of words that remain, for the common words to count as a
frame (a chat form, few-shot examples) outside the skeletons."""
SLOT, NUMBER_SLOT = "_", "#"
# Scripts without spaces are read character by character.
_UNSPACED_SCRIPTS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SKELETON_WORD = re.compile(
    rf"[{_UNSPACED_SCRIPTS}]|[^\W{_UNSPACED_SCRIPTS}]+(?:['’][^\W{_UNSPACED_SCRIPTS}]+)*|[^\w\s]"
)


def read_masks(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the words of each prompt with its slots; of a set with fewer than `MIN_WORDS` words, the words as they are.

    Args:
        rows: prompts as stored: clean, corrupted, answer, foil; an answer is a text or a list of texts.
    """
    raw = [tuple(list_words(row["clean"])) for row in rows]
    if len({word for words in raw for word in words}) < MIN_WORDS:
        return raw
    return [_mask_slots(row, words) for row, words in zip(rows, remove_frame(raw), strict=True)]


def agree_on_skeleton(masks: Iterable[Sequence[str]]) -> str:
    """Return the words that more than half of a template's prompts share, among those of the usual length; else a slot.

    One changed word of one prompt does not change it, unless exactly half of the prompts have the word.
    """
    counted = Counter(tuple(mask) for mask in masks)
    lengths: Counter[int] = Counter()
    for mask, count in counted.items():
        lengths[len(mask)] += count
    usual = min(lengths, key=lambda length: (-lengths[length], length))
    columns: list[Counter[str]] = [Counter() for _ in range(usual)]
    for mask, count in counted.items():
        for column, word in zip(columns, mask if len(mask) == usual else (), strict=False):
            column[word] += count
    common = [column.most_common(1)[0] for column in columns]
    return " ".join(word if 2 * count > lengths[usual] else SLOT for word, count in common)


def has_alike_apart(masks: Sequence[tuple[str, ...]], template_of: Sequence[int]) -> bool:
    """Return whether two skeletons that are alike are listed as two templates; equal ones are always compared.

    A set whose comparison would take more than `_MOST_COMPARED` words is checked for equal skeletons only.
    """
    places: dict[tuple[str, ...], set[int]] = {}
    for mask, at in zip(masks, template_of, strict=True):
        places.setdefault(mask, set()).add(at)
    if any(len(found) > 1 for found in places.values()):
        return True
    known = [(mask, min(found)) for mask, found in places.items()]
    longest = max(map(len, places), default=0)
    has_few_words = len({word for mask in masks for word in mask if word != SLOT}) < MIN_WORDS
    if has_few_words or len(known) ** 2 * longest > 2 * _MOST_COMPARED:
        return False
    counts = Counter(masks)
    return any(
        one[1] != other[1] and _is_alike(one[0], other[0], min(counts[one[0]], counts[other[0]]) <= RARE)
        for number, one in enumerate(known)
        for other in known[:number]
    )


def _is_alike(one: Sequence[str], other: Sequence[str], is_rare: bool) -> bool:
    """Return whether two skeletons agree in enough fixed words, with at most one run of words inserted into the shorter."""
    sizes = count_fixed(one), count_fixed(other)
    needed = max((ALIKE_IF_RARE if is_rare else ALIKE) * max(sizes) - 1e-9, MIN_SHARED)
    if min(sizes) < needed:
        return False
    n = min(len(one), len(other))
    from_front = _count_in_line(one[:n], other[:n])
    from_back = _count_in_line(one[::-1][:n], other[::-1][:n])
    return max(from_front[at] + from_back[n - at] for at in range(n + 1)) >= needed


def _count_in_line(one: Sequence[str], other: Sequence[str]) -> list[int]:
    """Return how many fixed words are equal among the first 0, 1, 2, … words."""
    found = [0]
    for word, beside in zip(one, other, strict=True):
        found.append(found[-1] + (word == beside and word not in (SLOT, NUMBER_SLOT)))
    return found


def choose_explored_templates(skeletons: Sequence[str], salt: str) -> list[bool]:
    """Return which templates are exploratory under the rule of splits 2: every other one, in the order of a salted hash.

    Args:
        skeletons: of each template, from `agree_on_skeleton`.
        salt: id of the log of the installation, fixed before it contained any prompt.
    """
    order = sorted(
        range(len(skeletons)),
        key=lambda at: (hashlib.sha256(f"assay-split-2\0{salt}\0{skeletons[at]}".encode()).hexdigest(), at),
    )
    explored = {at for place, at in enumerate(order) if place % 2 == 0}
    return [at in explored for at in range(len(skeletons))]


def list_words(text: str) -> list[str]:
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    # Punctuation is dropped; meaningful symbols (+, =, <) are words.
    found = [
        word for word in _SKELETON_WORD.findall(text.casefold()) if word[0].isalnum() or not _is_only_punctuation(word)
    ]
    return found if len(found) <= MAX_WORDS else found[: MAX_WORDS // 2] + found[-MAX_WORDS // 2 :]


def _is_only_punctuation(word: str) -> bool:
    return all(unicodedata.category(sign).startswith("P") for sign in word)


def remove_frame(texts: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Remove the words that all texts begin and end with, if they are many and enough words remain."""
    shortest = min(map(len, texts))
    front = _count_common_words(texts, range(shortest))
    back = _count_common_words(texts, range(-1, front - shortest - 1, -1))
    if len(texts) < 2 or front + back < _FRAME or median(len(words) - front - back for words in texts) < _BODY:
        return list(texts)
    return [words[front : len(words) - back] for words in texts]


def _count_common_words(texts: Sequence[tuple[str, ...]], places: Iterable[int]) -> int:
    shared = 0
    for place in places:
        if len({words[place] for words in texts}) > 1:
            break
        shared += 1
    return shared


def _mask_slots(row: Mapping[str, Any], words: tuple[str, ...]) -> tuple[str, ...]:
    """Return a prompt's skeleton with slots, or its unchanged words if too few would remain."""
    texts = [text for name in ("answer", "foil") for text in ([row[name]] if isinstance(row[name], str) else row[name])]
    answer_words = {word for text in texts for word in list_words(text)}
    changed = _list_changed_words(list_words(row["clean"]), list_words(row["corrupted"]))
    masked = _put_slots(words, answer_words | changed)
    return masked if count_fixed(masked) >= MIN_FIXED else words


def _list_changed_words(clean: Sequence[str], corrupted: Sequence[str]) -> set[str]:
    if len(clean) == len(corrupted):
        differ = [pair for pair in zip(clean, corrupted, strict=True) if pair[0] != pair[1]]
        # If the whole text differs, the slots cannot be located.
        return {word for pair in differ for word in pair} if 2 * len(differ) <= len(clean) else set()
    one, other = Counter(clean), Counter(corrupted)
    return set(one - other) | set(other - one)


def _put_slots(words: Sequence[str], slots: set[str]) -> tuple[str, ...]:
    found: list[str] = []
    for word in words:
        shown = SLOT if word in slots else NUMBER_SLOT if word.isdecimal() else word
        # An answer of two words fills one slot.
        if shown != SLOT or found[-1:] != [SLOT]:
            found.append(shown)
    return tuple(found)


def count_fixed(words: Sequence[str]) -> int:
    return sum(word not in (SLOT, NUMBER_SLOT) for word in words)


####################################################################################################
# disclosure.py: Step 6, disclosure: what a pack says of earlier runs, templates, split and seed agrees with its prompts, plans and log.
####################################################################################################

BY_TEXT, BY_TEMPLATE = 1, 2
"""Rules of the split: by the hash of each prompt's texts, or by template."""


def check_disclosure(documents: Documents, members: Mapping[str, bytes]) -> None:
    """Check the disclosure of a pack without the texts; packs of earlier versions have none, and their export names none.

    Raises:
        BadPack: it is missing or changed, or contradicts the plans, the log or the prompts.
    """
    stated, data = documents.parsed.get(DISCLOSURE_MEMBER), members.get(DISCLOSURE_MEMBER)
    last = documents.entries[-1]["payload"] if documents.entries else {}
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    if digest != last.get("disclosure_sha256"):
        raise BadPack(f"{DISCLOSURE_MEMBER} is not the one that the export was logged with")
    ruled: dict[str, str | None] = {}
    for prompts in (plan["prompts"] for plan in documents.plans):
        if ruled.setdefault(prompts["sha256"], prompts.get("split_salt")) != prompts.get("split_salt"):
            raise BadPack(f"two preregistrations divide {prompts['set_id'][:40]!a} by different rules")
    if stated is None:
        if any(ruled.values()):
            raise BadPack(f"a set is divided by template, and {DISCLOSURE_MEMBER} is missing")
        return
    _check_beginning(documents, stated["installation"])
    if sorted(one["claim_id"] for one in stated["claims"]) != sorted(documents.pack["claim_ids"]):
        raise BadPack(f"{DISCLOSURE_MEMBER} is about other claims than pack.json")
    for one in stated["claims"]:
        _check_claim(documents, one)
    found = {one["sha256"]: one for one in stated["sets"]}
    if len(found) < len(stated["sets"]) or set(found) != set(ruled):
        raise BadPack(f"{DISCLOSURE_MEMBER} is about other prompts than the preregistrations")
    for sha256, one in found.items():
        _check_set(documents, one, ruled[sha256])


def check_disclosed_prompts(documents: Documents, members: Mapping[str, bytes]) -> None:
    """Check templates and splits against the texts that the pack shows.

    Raises:
        BadPack: as `check_disclosed_rows`.
    """
    for one in (documents.parsed.get(DISCLOSURE_MEMBER) or {"sets": []})["sets"]:
        name = f"prompts/{one['sha256'][:16]}/items.jsonl"
        if (data := members.get(name)) is None:
            continue
        rows = [json.loads(line) for line in data.splitlines()]
        if any(find_violation(row, PROMPT_ROW) for row in rows):
            raise BadPack(f"{name} contains a row that is not a prompt")
        check_disclosed_rows(one, rows)


def find_disclosed_set(documents: Documents, sha256: str) -> Mapping[str, Any] | None:
    """Return what is disclosed of a set; None in a pack of an earlier version."""
    stated = documents.parsed.get(DISCLOSURE_MEMBER) or {"sets": []}
    return next((one for one in stated["sets"] if one["sha256"] == sha256), None)


def list_explored_rows(documents: Documents, sha256: str) -> list[bool] | None:
    """Return which prompts of a set that is divided by template are exploratory, in its order; None for the first rule."""
    one = find_disclosed_set(documents, sha256)
    if one is None or one["split"]["rule"] != BY_TEMPLATE:
        return None
    explored = [template["n_exploratory"] > 0 for template in one["templates"]]
    if max(one["template_of"]) >= len(explored):
        raise BadPack(f"{DISCLOSURE_MEMBER}: a prompt has a template that is not listed")
    return [explored[at] for at in one["template_of"]]


def check_disclosed_rows(one: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Check a set's templates and split against the texts of its prompts.

    Raises:
        BadPack: prompts of one skeleton in several templates, another skeleton, or another split.
    """
    place = f"{DISCLOSURE_MEMBER}, prompts/{one['sha256'][:16]}"
    if len(rows) != len(one["template_of"]):
        raise BadPack(f"{place}: {len(one['template_of'])} prompts have a template, the set has {len(rows)}")
    masks = read_masks(rows)
    if has_alike_apart(masks, one["template_of"]):
        raise BadPack(f"{place}: prompts whose words agree outside their slots are listed as several templates")
    groups: list[list[tuple[str, ...]]] = [[] for _ in one["templates"]]
    for mask, at in zip(masks, one["template_of"], strict=True):
        groups[at].append(mask)
    found = [agree_on_skeleton(group) for group in groups]
    stated = [template["skeleton"] for template in one["templates"]]
    # Of withheld prompts no words are stated, and only their openings can be checked here.
    if stated != found and any(words is not None for words in stated):
        raise BadPack(f"{place}: the skeletons are not those of the prompts ({ascii(stated)[:60]})")
    if one["split"]["rule"] == BY_TEMPLATE:
        explored = choose_explored_templates(found, one["split"]["salt"])
        flags = [explored[at] for at in one["template_of"]]
    else:
        flags = [is_exploratory_pair(row["clean"], row["corrupted"]) for row in rows]
    counts = [[0, 0] for _ in groups]
    for at, flag in zip(one["template_of"], flags, strict=True):
        counts[at][0 if flag else 1] += 1
    if counts != [[template["n_exploratory"], template["n_confirmatory"]] for template in one["templates"]]:
        raise BadPack(f"{place}: the templates have other prompts in each split than stated")
    if len({row["template"] for row in rows}) != one["n_labels"]:
        raise BadPack(f"{place}: the prompts have another number of template labels than stated")


def _check_beginning(documents: Documents, stated: Mapping[str, Any]) -> None:
    first = documents.entries[0]
    if first["seq"] != 0 or (first["log_id"], first["ts"]) != (stated["log_id"], stated["began_at"]):
        raise BadPack(f"{DISCLOSURE_MEMBER}: the log does not begin as stated")
    begun = sum(entry["action"] == "run.started" for entry in documents.entries)
    if stated["runs"] < begun:
        raise BadPack(f"{DISCLOSURE_MEMBER} counts {stated['runs']} runs, the log shows {begun}")


def _check_claim(documents: Documents, one: Mapping[str, Any]) -> None:
    claim_id, plan = one["claim_id"], documents.find_plan(one["claim_id"])
    if plan is None or one["n_split"] != plan["prompts"]["n_items"] or [one["seed"]["value"]] != plan["seeds"]:
        raise BadPack(f"{DISCLOSURE_MEMBER}: {claim_id} has another seed or number of prompts than its preregistration")
    if one["seed"]["derivation"] != ("default" if one["seed"]["value"] == 0 else "chosen"):
        raise BadPack(f"{DISCLOSURE_MEMBER}: the seed of {claim_id} is not derived as stated")
    if one["share_seen"] > one["share_touched"]:
        raise BadPack(f"{DISCLOSURE_MEMBER}: more of {claim_id} was seen than was touched")
    frozen = [
        entry
        for entry in documents.entries
        if entry["action"] == "prereg.frozen" and entry["payload"].get("claim_id") == claim_id
    ]
    if len(frozen) != 1 or frozen[0]["ts"] != one["frozen_at"]:
        raise BadPack(f"{DISCLOSURE_MEMBER}: {claim_id} was not frozen as stated")
    seen_sets, seen_share = (_read_logged(frozen[0], name) for name in ("seen_in_sets", "seen_share"))
    listed = [run for run in one["earlier_runs"] if run["is_this_model"] and run["shows_results"]]
    sets = sum(run["n_prompts"] > 1 for run in listed) + one["n_more"]
    # A run that had begun at the freeze and ended later is listed too, so that the log can have fewer and never more.
    if sets < seen_sets or round(one["share_seen"], 4) < seen_share:
        raise BadPack(
            f"{DISCLOSURE_MEMBER}: the log saw more earlier runs on the prompts of {claim_id} than are stated"
        )
    if seen_sets and frozen[0]["payload"].get("prior_access") not in SEEN:
        raise BadPack(f"the log saw earlier results on the prompts of {claim_id}, and its plan says there were none")


def _read_logged(entry: Mapping[str, Any], name: str) -> float:
    """Return a number of the freezing's event; 0 in logs of versions that did not record it."""
    value = entry["payload"].get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadPack(f"entry {entry['seq']} of the log has no number as {name}")
    return value


def _check_set(documents: Documents, one: Mapping[str, Any], salt: str | None) -> None:
    split, place = one["split"], f"{DISCLOSURE_MEMBER}, prompts/{one['sha256'][:16]}"
    if (split["rule"], split["salt"]) != ((BY_TEXT, None) if salt is None else (BY_TEMPLATE, salt)):
        raise BadPack(f"{place}: the split is another than the preregistration's")
    if split["derivation"] != SPLIT_DERIVATIONS[split["rule"]]:
        raise BadPack(f"{place}: the derivation of the split is described in other words")
    if salt is not None and documents.entries[0]["log_id"] != f"assay/{salt}":
        raise BadPack(f"{place}: the salt of the split is not the id of the log")
    if max(one["template_of"]) >= len(one["templates"]):
        raise BadPack(f"{place}: a prompt has a template that is not listed")
    sizes = Counter(one["template_of"])
    if [sizes[at] for at in range(len(one["templates"]))] != [
        template["n_exploratory"] + template["n_confirmatory"] for template in one["templates"]
    ]:
        raise BadPack(f"{place}: the templates have another number of prompts than stated")
    if salt is not None and any(t["n_exploratory"] and t["n_confirmatory"] for t in one["templates"]):
        raise BadPack(f"{place}: a template lies in both splits of a set that is divided by template")
    judged = sum(template["n_confirmatory"] for template in one["templates"])
    named = {plan["prompts"]["n_items"] for plan in documents.plans if plan["prompts"]["sha256"] == one["sha256"]}
    if named != {judged}:
        raise BadPack(
            f"{place}: {judged} prompts in the confirmatory split, the preregistration names {ascii(named)[:40]}"
        )


####################################################################################################
# withheld.py: Prompts of a pack: shown, withheld behind salted commitments, or opened to a reader separately.
####################################################################################################

COMMITMENT_DOMAIN = b"assay-withheld-1\0"
SALT_BYTES = 16
"""128 bits: without a salt, a guessed prompt could be confirmed."""
MAX_OPENINGS_BYTES = 32 << 20
PROMPTS_MATCH, PROMPTS_PARTLY_OPENED = "PROMPTS_MATCH", "PROMPTS_PARTLY_OPENED"
PROMPTS_NOT_CHECKED, PROMPTS_FAILED = "PROMPTS_NOT_CHECKED", "PROMPTS_FAILED"
_NUMBERS = ("clean", "corrupt", "patched", "empty", "effect")


class BadOpenings(ValueError):
    """The openings file is unusable; a caller's error, not a fault of the pack."""


@dataclass(frozen=True)
class Openings:
    """Salts and text of withheld items, stored by the preparer."""

    pack_id: str
    items: tuple[Mapping[str, Any], ...]
    """{set, salt, item}; set is the first 16 characters of the set's digest."""


@dataclass(frozen=True)
class PromptsFinding:
    """Whether the prompts match the digests in the runs."""

    result: str
    """PROMPTS_MATCH | PROMPTS_PARTLY_OPENED | PROMPTS_NOT_CHECKED | PROMPTS_FAILED"""
    detail: str


def compute_commitment(salt: bytes, item: Mapping[str, Any]) -> str:
    """Return the SHA-256 over domain, salt and the item's canonical bytes."""
    return hashlib.sha256(COMMITMENT_DOMAIN + salt + encode_canonical(item)).hexdigest()


def read_openings(data: bytes) -> Openings:
    """Parse an openings file.

    Raises:
        BadOpenings: too large, not a JSON document, or malformed.
    """
    if len(data) > MAX_OPENINGS_BYTES:
        raise BadOpenings(f"larger than {MAX_OPENINGS_BYTES:,} bytes")
    try:
        document = load_strict(data)
    except NotStrictJson as error:
        raise BadOpenings(str(error)) from error
    if found := find_violation(document, OPENINGS):
        raise BadOpenings(found)
    return Openings(document["pack_id"], tuple(document["items"]))


def list_withheld(documents: Documents) -> dict[str, Mapping[str, Any]]:
    """Return `withheld.json` of each withheld set, by the first 16 characters of its digest."""
    return {
        name.split("/")[1]: document for name, document in documents.parsed.items() if name.endswith("/withheld.json")
    }


def check_prompt_sets(documents: Documents, members: Mapping[str, bytes]) -> None:
    """Check that shown sets have the digest in their runs, and that withheld sets are counted and referenced correctly.

    Raises:
        BadPack: two documents contradict each other.
    """
    withheld = list_withheld(documents)
    listed = sum(len(document["items"]) for document in withheld.values())
    if listed != documents.pack["withheld_count"]:
        raise BadPack(f"pack.json counts {documents.pack['withheld_count']} withheld items, {listed} are listed")
    by_run = {
        run_id: documents.find_manifest(run_id)["prompts"]["prompt_set_sha256"] for run_id in documents.pack["run_ids"]
    }
    digests = {digest[:16]: digest for digest in by_run.values()}
    for short, document in withheld.items():
        _check_listed(short, document, digests.get(short), members)
    for run_id, digest in by_run.items():
        _check_references(members, run_id, withheld.get(digest[:16]))
    for short, digest in digests.items():
        if (rows := members.get(f"prompts/{short}/items.jsonl")) is not None:
            _check_shown(f"prompts/{short}/items.jsonl", rows, digest, list_explored_rows(documents, digest))


def _check_listed(short: str, document: Mapping[str, Any], digest: str | None, members: Mapping[str, bytes]) -> None:
    place, items = f"prompts/{short}/withheld.json", document["items"]
    if f"prompts/{short}/items.jsonl" in members:
        raise BadPack(f"prompts/{short} is both shown and withheld")
    if document["sha256"] != digest:
        raise BadPack(f"{place} contains prompts that no run of this pack names")
    if len({item["item_id"] for item in items}) < len(items) or len(items) != document["n_whole"]:
        raise BadPack(f"{place} lists an item twice, or another number of items than it states")


def _check_references(members: Mapping[str, bytes], run_id: str, withheld: Mapping[str, Any] | None) -> None:
    """Check that a run's items reference all commitments of their set, or none."""
    name = f"runs/{run_id}/items.jsonl"
    if withheld is None and b'"item_commitment":"' not in members.get(name, b""):
        return
    known = {item["item_id"]: item for item in (withheld or {"items": ()})["items"]}
    rows = [json.loads(line) for line in members.get(name, b"").splitlines()]
    for row in rows:
        item = known.get(row["item_id"])
        if withheld is not None and item is None:
            raise BadPack(f"{name} names an item that is not withheld: {row['item_id'][:40]!a}")
        if row["item_commitment"] != (item["commitment"] if item else None):
            raise BadPack(f"{name} names another commitment for {row['item_id'][:40]!a} than withheld.json")
        if item and (any(row.get(field) is not None for field in _NUMBERS) or row.get("template") != item["template"]):
            raise BadPack(f"{name} discloses withheld fields of {row['item_id'][:40]!a}")
    named = len({row["item_id"] for row in rows})
    if withheld is not None and rows and named != withheld["n_items"]:
        raise BadPack(f"{name} lists {named} items, the set has {withheld['n_items']}")


def _check_shown(name: str, data: bytes, digest: str, explored: list[bool] | None) -> None:
    rows = [json.loads(line) for line in data.splitlines()]
    if any(find_violation(row, PROMPT_ROW) for row in rows):
        raise BadPack(f"{name} contains a row that is not a prompt")
    if explored is not None and len(explored) != len(rows):
        raise BadPack(f"{name} has another number of prompts than its division by template")
    if hash_judged_half(rows, explored) != digest:
        raise BadPack(f"{name} does not contain the prompts that its runs name")


def check_openings(documents: Documents, members: Mapping[str, bytes], openings: Openings | None) -> PromptsFinding:
    """Compare openings with the commitments; prompts that the pack shows are checked with its other documents.

    Raises:
        BadPack: an opening of another pack or of an unknown item, or one that does not match its commitment.
    """
    withheld = list_withheld(documents)
    total = sum(len(document["items"]) for document in withheld.values())
    opened = {} if openings is None else _open(documents, withheld, openings)
    shown = sum(name.startswith("prompts/") and name.endswith("/items.jsonl") for name in members)
    if not total:
        if not shown:
            return PromptsFinding(PROMPTS_NOT_CHECKED, "the pack contains no prompts")
        return PromptsFinding(PROMPTS_MATCH, "the text is in the pack and matches the digest in its runs")
    if len(opened) == total:
        return PromptsFinding(
            PROMPTS_MATCH,
            f"{total} of {total} withheld items opened; they match their commitments and together form the set that was run",
        )
    if not opened:
        return PromptsFinding(
            PROMPTS_NOT_CHECKED, f"{total} items are withheld and none was opened: text and set are unchecked"
        )
    return PromptsFinding(
        PROMPTS_PARTLY_OPENED,
        f"{len(opened)} of {total} withheld items opened; they match their commitments; the other texts and the set are unchecked",
    )


def _open(
    documents: Documents, withheld: Mapping[str, Mapping[str, Any]], openings: Openings
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return every opened item by set and id, and the digest of each completely opened set."""
    if openings.pack_id != documents.pack["pack_id"]:
        raise BadPack(f"the openings belong to pack {openings.pack_id}")
    listed = {(short, row["item_id"]): row for short, document in withheld.items() for row in document["items"]}
    opened: dict[tuple[str, str], Mapping[str, Any]] = {}
    for one in openings.items:
        item, place = one["item"], (one["set"], one["item"]["item_id"])
        row = listed.get(place)
        if row is None or place in opened:
            raise BadPack(f"an opening of an item that is not withheld, or a repeated one: {place[1][:40]!a}")
        try:
            is_what_was_committed = compute_commitment(bytes.fromhex(one["salt"]), item) == row["commitment"]
        except NotCanonical as error:
            raise BadPack(f"the opening of {place[1][:40]!a}: {error}") from error
        if not is_what_was_committed or item["template"] != row["template"]:
            raise BadPack(f"the opening of {place[1][:40]!a} does not match its commitment")
        opened[place] = item
    for short, document in withheld.items():
        rows = [
            opened[short, row["item_id"]]["prompt"] for row in document["items"] if (short, row["item_id"]) in opened
        ]
        if len(rows) < len(document["items"]):
            continue
        explored = list_explored_rows(documents, document["sha256"])
        if explored is not None and len(explored) != len(rows):
            raise BadPack(f"prompts/{short} has another number of prompts than its division by template")
        if (hash_prompt_rows(rows), hash_judged_half(rows, explored)) != (document["whole_sha256"], document["sha256"]):
            raise BadPack(f"the opened items of prompts/{short} do not form the set that was run")
        if (disclosed := find_disclosed_set(documents, document["sha256"])) is not None:
            check_disclosed_rows(disclosed, rows)
    return opened


####################################################################################################
# witnessed.py: Witnesses: whether a quorum of listed witnesses cosigned a log that contains the pack's whole log (C2SP tlog-proof).
####################################################################################################

WITNESSED_MEMBER = "attestations/witnessed.tlog-proof"
WITNESSED, UNWITNESSED = "WITNESSED", "UNWITNESSED"
WITNESSES_NOT_CHECKED, WITNESSES_FAILED = "WITNESSES_NOT_CHECKED", "WITNESSES_FAILED"
PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_MAX_PROOF_BYTES = MAX_NOTE_BYTES + (16 << 10)
_MAX_HASHES = 64
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,17})")
_EXTRA = re.compile(r"extra ([A-Za-z0-9+/=]{1,8000})")


@dataclass(frozen=True)
class WitnessFinding:
    """Result of checking a pack's cosigned checkpoint with the reader's witness list."""

    result: str
    """WITNESSED | UNWITNESSED | WITNESSES_NOT_CHECKED (no list, or an earlier step failed) | WITNESSES_FAILED (not of this log, or an invalid cosignature)"""
    detail: str
    names: tuple[str, ...] = ()
    """Listed witnesses that cosigned."""
    quorum: int | None = None
    listed: int | None = None
    size: int | None = None
    """Entries that the cosigned checkpoint covers; at least those of the pack's log."""
    at: str | None = None
    """Time of the cosignature that completed the quorum: the pack's log existed by then."""


@dataclass(frozen=True)
class TlogProof:
    """Inclusion of one entry in a cosigned checkpoint, with a consistency proof from the pack's checkpoint."""

    index: int
    inclusion: tuple[bytes, ...]
    extension: tuple[bytes, ...]
    """Consistency proof from the size `index + 1` to the cosigned checkpoint; empty where both are equal."""
    note: str


def check_witnesses(
    members: Mapping[str, bytes], log: LogFinding, last: bytes, trust: Trust | None, listed: WitnessList | None
) -> WitnessFinding:
    """Check that the cosigned checkpoint contains the pack's log, then count the cosignatures.

    Args:
        log: the log as checked against the pack's own checkpoint.
        last: body of the last entry of the pack's log.

    Raises:
        BadPack: the member is malformed, of another or a changed log, or has an invalid signature under a known key.
    """
    quorum, n_listed = (None, None) if listed is None else (listed.quorum, len(listed.witnesses))
    if WITNESSED_MEMBER not in members:
        of = "" if listed is None else f": by 0 of {n_listed}, quorum {quorum}"
        return WitnessFinding(UNWITNESSED, f"no cosigned checkpoint in this pack{of}", (), quorum, n_listed)
    try:
        proof = read_tlog_proof(members[WITNESSED_MEMBER])
        cosigned = read_unsigned(proof.note)
        _check_extends(proof, cosigned, log.checkpoint, last)
        is_known = _is_known(proof.note, cosigned.origin, trust)
        times = {} if listed is None else _list_times(proof.note, listed.witnesses)
    except BadNote as error:
        raise BadPack(f"{WITNESSED_MEMBER}: {show(str(error))}") from error
    size = cosigned.size
    if listed is None:
        detail = "no witness list was given: the cosigned checkpoint in this pack was compared with its log only"
        return WitnessFinding(WITNESSES_NOT_CHECKED, detail, size=size)
    if not is_known:
        detail = "the cosigned checkpoint is signed by none of the log's keys in the trust file"
        return WitnessFinding(UNWITNESSED, detail, (), quorum, n_listed, size)
    names = tuple(sorted(times, key=lambda name: (times[name], name)))
    detail = f"by {len(names)} of {len(listed.witnesses)}, quorum {listed.quorum}"
    if len(names) < listed.quorum:
        return WitnessFinding(UNWITNESSED, detail, names, quorum, n_listed, size)
    at = show_seconds(times[names[listed.quorum - 1]])
    return WitnessFinding(
        WITNESSED, f"{detail}: {', '.join(names)}; the log existed by {at}", names, quorum, n_listed, size, at
    )


def read_tlog_proof(data: bytes) -> TlogProof:
    """Parse a tlog-proof file.

    Raises:
        BadNote: malformed.
    """
    try:
        text = data[: _MAX_PROOF_BYTES + 1].decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadNote("not UTF-8") from error
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if len(data) > _MAX_PROOF_BYTES or not gap or lines[0] != PROOF_HEADER:
        raise BadNote(f"not a {PROOF_HEADER} file")
    extra = _EXTRA.fullmatch(lines[1]) if len(lines) > 1 else None
    rest = lines[2:] if extra else lines[1:]
    index = _INDEX.fullmatch(rest[0]) if rest else None
    if index is None:
        raise BadNote("no index line")
    return TlogProof(int(index[1]), _read_hashes(rest[1:]), _split_hashes(extra[1] if extra else ""), note)


def write_tlog_proof(proof: TlogProof) -> bytes:
    """Return the bytes that `read_tlog_proof` reads; the consistency proof is the extra data."""
    extra = f"extra {base64.b64encode(b''.join(proof.extension)).decode()}\n" if proof.extension else ""
    hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof.inclusion)
    return f"{PROOF_HEADER}\n{extra}index {proof.index}\n{hashes}\n{proof.note}".encode()


def _check_extends(proof: TlogProof, cosigned: Checkpoint, own: Checkpoint, last: bytes) -> None:
    """Check that the cosigned log contains the pack's log unchanged."""
    if cosigned.origin != own.origin:
        raise BadPack(f"the cosigned checkpoint is of {show(cosigned.origin)}, the pack's of {show(own.origin)}")
    if proof.index != own.size - 1:
        raise BadPack("the cosigned checkpoint's proof is not of the last entry of the pack's log")
    if cosigned.size < own.size:
        raise BadPack(f"the cosigned checkpoint covers {cosigned.size:,} entries, the pack's log has {own.size:,}")
    if not is_included(proof.index, cosigned.size, hash_leaf(last), proof.inclusion, cosigned.root):
        raise BadPack(
            "the last entry of the pack's log is not in the log that the witnesses cosigned: two versions of it exist"
        )
    if not is_consistent(own.size, cosigned.size, proof.extension, own.root, cosigned.root):
        raise BadPack("the log that the witnesses cosigned does not continue the pack's log: two versions of it exist")
    if cosigned.size == own.size and cosigned.head != own.head:
        raise BadPack("the cosigned checkpoint names another last entry than the pack's")


def _is_known(note: str, origin: str, trust: Trust | None) -> bool:
    """Check the log's own signature; True without a trust file, as the witnesses have checked it."""
    keys = () if trust is None else trust.logs.get(origin, ())
    if trust is None:
        return True
    try:
        return bool(list_signers(note, origin=origin, public_keys=[key.public_key for key in keys]))
    except NoSigner:
        return False


def _list_times(note: str, witnesses: Sequence[Witness]) -> dict[str, int]:
    found = {one.name: find_cosignature(note, one) for one in witnesses}
    return {name: at for name, at in found.items() if at is not None}


def _read_hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    hashes = tuple(decode_exactly(line) for line in lines[: _MAX_HASHES + 1])
    if len(hashes) > _MAX_HASHES or any(len(one) != 32 for one in hashes):
        raise BadNote("not hashes of 32 bytes, one per line")
    return hashes


def _split_hashes(encoded: str) -> tuple[bytes, ...]:
    joined = decode_exactly(encoded)
    if len(joined) % 32 or len(joined) > _MAX_HASHES * 32:
        raise BadNote("the extra data is not a consistency proof")
    return tuple(joined[start : start + 32] for start in range(0, len(joined), 32))


####################################################################################################
# verification.py: Result of verifying a pack: eight steps, and separate results for separate questions.
####################################################################################################

STEPS = ("container", "manifest", "statement", "signature", "schema", "semantics", "log", "time")
PASSED, FAILED, NOT_CHECKED = "PASSED", "FAILED", "NOT_CHECKED"
EXIT_VERIFIED, EXIT_USAGE, EXIT_UNDECIDED, EXIT_FAILED, EXIT_INTERNAL = 0, 2, 3, 4, 5


@dataclass(frozen=True)
class Step:
    """One step and its result."""

    name: str
    result: str
    """PASSED | FAILED | NOT_CHECKED"""
    detail: str


@dataclass(frozen=True)
class Verification:
    """Results of a verification; each answers a separate question."""

    steps: tuple[Step, ...]
    integrity: str
    """INTEGRITY_VERIFIED | INTEGRITY_FAILED: whether the pack is complete and unchanged, and its documents agree."""
    authenticity: str
    """SIGNER_VERIFIED | SIGNER_NOT_CHECKED (no trust file, or a preparer it does not name) | SIGNER_FAILED"""
    time: str
    """ANCHORED | UNANCHORED: whether the log extends a checkpoint that the reader saved."""
    reproduction: str
    """Result of the reruns recorded in the pack; no rerun is made here."""
    judgement: str
    """Recomputed result of the pack's policy on its metrics; NOT_EVALUATED if integrity failed."""
    prompts: PromptsFinding
    """Whether the prompts match the runs, as far as they are shown or opened."""
    decisions: DecisionsFinding
    """Whether every decision that a later one references is in the pack."""
    witnesses: WitnessFinding
    """Whether a quorum of the reader's witnesses cosigned a log that contains the pack's."""
    signers: tuple[Signer, ...]
    pack_id: str | None
    manifest_sha256: str | None
    exit_code: int
    documents: Documents | None
    """The pack's documents; None if integrity failed."""

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        plain = (
            "pack_id", "manifest_sha256", "integrity", "authenticity", "time", "reproduction", "judgement", "exit_code",
        )  # fmt: skip
        return {name: getattr(self, name) for name in plain} | {
            "prompts": vars(self.prompts),
            "decisions": vars(self.decisions),
            "witnesses": vars(self.witnesses),
            "signers": [vars(signer) for signer in self.signers],
            "steps": [{"step": number, **vars(step)} for number, step in enumerate(self.steps, 1)],
        }


####################################################################################################
# criteria.py: Evaluation of policy criteria on intervals: one implementation for the product, the verifier and the gate.
####################################################################################################

MEETS = "MEETS"
DOES_NOT_MEET = "DOES_NOT_MEET"
INCONCLUSIVE = "INCONCLUSIVE"
NOT_EVALUATED = "NOT_EVALUATED"
INTEGRITY_FAILED = "INTEGRITY_FAILED"
WORST_FIRST = (INTEGRITY_FAILED, DOES_NOT_MEET, NOT_EVALUATED, INCONCLUSIVE, MEETS)
PREREGISTERED = "prereg_frozen_before_run"
"""Required of every claim, whether or not a policy lists it: without it a claim is exploratory."""
ROLE_KINDS = {"necessary": "necessity", "sufficient": "sufficiency"}
P_VALUE_METRICS = ("faithfulness_percentile_vs_random",)
"""Metrics of the form 1 − p, which Holm's step-down adjusts."""
_LIVE_STATUS = ("preregistered", "tested")
_ROUNDING = 1e-12
"""Tolerance: p-values of 199 draws are exact fractions, their floats are not."""


class DocumentsMalformed(ValueError):
    """Claims, metrics or facts do not have the format of a pack."""


def evaluate_policy(
    policy: dict[str, Any],
    claims: list[dict[str, Any]],
    metrics: list[dict[str, Any]],
    facts: dict[str, Any],
    answers: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Evaluate every claim under each criterion for its kind and every answer under those of its audit, except what only a gate can answer.

    Args:
        policy: as `resolve_policy` takes it.
        claims: items of `claims.json`.
        metrics: rows of every run's `metrics.json`; several rows of one claim, metric and ablation all count.
        facts: per claim id, {criterion: {result, reason}} of the process criteria.
        answers: results of audits, as `derive_answers` makes them.

    Returns:
        {criteria: [row], overall, coverage: {required, evaluated}}; a row is {id, claim_id, metric, comparator, threshold,
        estimate, ci_low, ci_high, n, n_required, result, reason}. The claim_id of an answer's row is the id of its run; it is
        None where the policy asks for an answer that there is not.

    Raises:
        PolicyMalformed: see `resolve_policy`.
        DocumentsMalformed: claims, metrics or facts without the format of a pack.
    """
    table = resolve_policy(policy)
    _check_documents(claims, metrics, facts)
    rows: list[dict[str, Any]] = []
    for claim in claims:
        own = [row for row in metrics if row.get("claim_id") == claim["claim_id"]]
        rows += _evaluate_claim(table, claim, own, facts.get(claim["claim_id"], {}))
    for answer in answers:
        rows += _evaluate_answer(table, answer)
    rows += _list_unanswered(table, answers)
    if table["gate"]["multiplicity"]["method"] == "holm":
        _step_down_by_claim(rows, table["gate"]["multiplicity"]["alpha"])
    required = [row for row in rows if is_required(table, row["id"])]
    evaluated = sum(row["result"] != NOT_EVALUATED for row in required)
    return {
        "criteria": rows,
        "overall": find_worst(row["result"] for row in required),
        "coverage": {"required": len(required), "evaluated": evaluated},
    }


def find_worst(results: Iterable[str]) -> str:
    """Return the worst of several results; NOT_EVALUATED if there are none."""
    found = set(results)
    return next((result for result in WORST_FIRST if result in found), NOT_EVALUATED)


def is_required(table: dict[str, Any], criterion: str) -> bool:
    """Check whether a row counts: all rows except those the policy lists as optional, including rows added here."""
    return criterion == PREREGISTERED or criterion not in table["gate"]["optional"]


def judge_interval(
    comparator: str, threshold: float, estimate: float, low: float | None, high: float | None
) -> tuple[str, str | None]:
    """Apply the three-valued rule: the whole interval lies on one side of the threshold, or the result is inconclusive.

    Args:
        low, high: ends of the interval; both None if the number has no interval, which compares the estimate itself.
    """
    low, high = estimate if low is None else low, estimate if high is None else high
    inside, outside = (
        (low >= threshold, high < threshold) if comparator == ">=" else (high <= threshold, low > threshold)
    )
    if inside:
        return MEETS, None
    if outside:
        return DOES_NOT_MEET, None
    return INCONCLUSIVE, "the interval reaches across the threshold"


def find_kind(claim: dict[str, Any]) -> str | None:
    """Return a claim's kind from its role; None if role and stated kind contradict each other."""
    stated, role = claim.get("kind"), claim["claim"].get("role")
    by_role = ROLE_KINDS.get(role) if isinstance(role, str) else None
    if by_role is None or stated is None:
        return by_role or (stated if isinstance(stated, str) else None)
    return by_role if stated == by_role else None


def _evaluate_claim(
    table: dict[str, Any], claim: dict[str, Any], own: list[dict[str, Any]], facts: dict[str, Any]
) -> list[dict[str, Any]]:
    claim_id, kind = claim["claim_id"], find_kind(claim)
    standing, why = _judge_standing(claim, facts)
    rows = [_make_row(PREREGISTERED, claim_id, standing, why)]
    listed = [name for name in (*table["gate"]["required"], *table["gate"]["optional"]) if name not in GATE_CRITERIA]
    for name in listed:
        if name in PROCESS_CRITERIA and name != PREREGISTERED:
            rows.append(_make_row(name, claim_id, *_read_fact(facts, name)))
    strayed = _find_mismatch(table, claim, kind)
    measured = (
        [] if strayed else [n for n in listed if n in table["criteria"] and kind in table["criteria"][n]["claim_kind"]]
    )
    for name in measured:
        rows.append(_evaluate_number(name, table["criteria"][name], claim, own, standing))
    if not any(name in table["gate"]["required"] for name in measured):
        reason = strayed or f"no required criterion of the policy is about claims of kind {kind}"
        rows.append(_make_row("applies_to", claim_id, NOT_EVALUATED, reason))
    return rows


def _judge_standing(claim: dict[str, Any], facts: dict[str, Any]) -> tuple[str, str | None]:
    """Return why a claim is exploratory: not frozen before its run, or changed since; None if neither."""
    result, why = _read_fact(facts, PREREGISTERED)
    if result == MEETS and "deviation" in facts:
        result, why = _read_fact(facts, "deviation")
        why = None if result == MEETS else f"affected by a deviation: {why}"
    if result == MEETS and claim.get("status") not in _LIVE_STATUS:
        return INCONCLUSIVE, f"the claim's status is {claim.get('status')!r}"[:80]
    return result, why


def _find_mismatch(table: dict[str, Any], claim: dict[str, Any], kind: str | None) -> str | None:
    """Return why the policy does not apply to a claim; None if it applies."""
    scope, models = claim.get("scope"), table["applies_to"]["model"]
    model = scope.get("model_id") if isinstance(scope, dict) else None
    if kind is None:
        return "the claim's role and its kind contradict each other, or neither is known"
    if kind not in table["applies_to"]["claim_kind"]:
        return f"the policy does not apply to claims of kind {kind[:40]}"
    if "*" not in models and model not in models:
        return "the policy does not apply to this model"
    return None


def _evaluate_number(
    name: str, criterion: dict[str, Any], claim: dict[str, Any], own: list[dict[str, Any]], standing: str
) -> dict[str, Any]:
    wanted = criterion["over_ablations"] or [None]
    findings: list[tuple[str, str | None, dict[str, Any]]] = []
    for ablation in wanted:
        found = [row for row in own if row.get("metric") == criterion["metric"] and _is_under(row, ablation, claim)]
        of = "" if ablation is None else f"{ablation}: "
        if not found:
            findings.append((NOT_EVALUATED, f"{of}the pack holds no row of {criterion['metric']}", {}))
        for row in found:
            result, why = _judge_metric_row(criterion, row)
            findings.append((result, None if why is None else of + why, row))
    result = find_worst(result for result, _, _ in findings)
    reasons = [why for found, why, _ in findings if found == result and why is not None]
    if result == MEETS and standing != MEETS:
        result, reasons = (
            INCONCLUSIVE,
            ["exploratory: the number would meet the threshold, and the claim was not fixed before"],
        )
    row = _make_row(name, claim["claim_id"], result, "; ".join(dict.fromkeys(reasons)) or None)
    measured = [found for _, _, found in findings if _is_number(found.get("estimate"))]
    return row | {
        "metric": criterion["metric"],
        "comparator": criterion["op"],
        "threshold": criterion["threshold"],
        "n_required": criterion["min_n"],
        **_show_least_flattering(criterion["op"], measured),
    }


def list_answer_rows(table: dict[str, Any], answer: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the numbers of an answer that a resolved policy compares, by criterion, as rows of `metrics.json`."""
    criteria = table.get("answers", {})
    return {
        name: [
            row | {"claim_id": answer["run_id"], "metric": _name_number(criteria[name])}
            for row in find_answer_numbers(answer["result"], criteria[name]["number"])
        ]
        for name in (*table["gate"]["required"], *table["gate"]["optional"])
        if name in criteria and criteria[name]["audit"] == answer["audit"]
    }


def _name_number(criterion: dict[str, Any]) -> str:
    return f"{criterion['audit']}: {criterion['number']} ({criterion['evidence']})"


def _evaluate_answer(table: dict[str, Any], answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return no rows for an answer of an audit that the policy has no threshold for."""
    found = list_answer_rows(table, answer)
    status, why = _read_fact({PREREGISTERED: answer["freeze"]}, PREREGISTERED)
    rows = [_make_row(PREREGISTERED, answer["run_id"], status, why)] if found else []
    for name, numbers in found.items():
        # A ratio's denominator is a matter of claims: no audit reports one beside its numbers.
        criterion = table["answers"][name] | {"min_gap_logit": None}
        judged = [_judge_metric_row(criterion, row) for row in numbers]
        result = find_worst(one for one, _ in judged)
        reasons = [why for one, why in judged if one == result and why is not None]
        if result == MEETS and status != MEETS:
            result = INCONCLUSIVE
            reasons = ["exploratory: the number would meet the threshold, and the question was not fixed before"]
        measured = [row for row in numbers if _is_number(row["estimate"])]
        row = _make_row(name, answer["run_id"], result, "; ".join(dict.fromkeys(reasons)) or None)
        compared = {"comparator": criterion["op"], "threshold": criterion["threshold"]}
        shown = _show_least_flattering(criterion["op"], measured)
        rows.append(row | compared | shown | {"metric": numbers[0]["metric"], "n_required": criterion["min_n"]})
    return rows


def _list_unanswered(table: dict[str, Any], answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    asked = {answer["audit"] for answer in answers}
    return [
        _make_row(name, None, NOT_EVALUATED, f"the pack has no answer of the audit {criterion['audit']}")
        | {"metric": _name_number(criterion), "comparator": criterion["op"], "threshold": criterion["threshold"]}
        for name, criterion in table.get("answers", {}).items()
        if criterion["audit"] not in asked
    ]


def _is_under(row: dict[str, Any], ablation: str | None, claim: dict[str, Any]) -> bool:
    """Check whether a row has this ablation; by default, the claim's own or none."""
    if ablation is not None:
        return row.get("ablation") == ablation
    return row.get("ablation") is None or row.get("ablation") == claim["claim"].get("ablation")


def _judge_metric_row(criterion: dict[str, Any], row: dict[str, Any]) -> tuple[str, str | None]:
    estimate, low, high, why = row.get("estimate"), row.get("ci_low"), row.get("ci_high"), row.get("reason")
    if estimate is None:
        return NOT_EVALUATED, why[:300] if isinstance(why, str) and why else "no number and no reason"
    ends = [end for end in (low, high) if end is not None]
    is_sound = why is None and all(map(_is_number, (estimate, *ends))) and len(ends) in (0, 2) and ends == sorted(ends)
    if not is_sound:
        return NOT_EVALUATED, "no measurement: a number that is none, half an interval, or a number with a reason"
    lacking = _find_lack(criterion, row, has_interval=bool(ends))
    if lacking:
        return INCONCLUSIVE, lacking
    slack = _ROUNDING * max(1.0, abs(estimate))
    if ends and not low - slack <= estimate <= high + slack:
        return INCONCLUSIVE, "the estimate lies outside its own interval"
    return judge_interval(criterion["op"], criterion["threshold"], estimate, low, high)


def _find_lack(criterion: dict[str, Any], row: dict[str, Any], *, has_interval: bool) -> str | None:
    """Return which requirement a measurement does not meet, regardless of its value; None if it meets all."""
    for key, column in (("min_n", "n"), ("min_templates", "n_templates"), ("min_gap_logit", "denominator_abs_min")):
        least, found = criterion[key], row.get(column)
        if least is not None and not (_is_number(found) and found >= least):
            return f"{column} is {found if _is_number(found) else 'not stated'}, {least:g} needed"
    level = row.get("ci_level")
    if criterion["bound"] != "estimate" and not has_interval:
        return "the number has no interval"
    if has_interval and not (_is_number(level) and criterion["ci_level"] - _ROUNDING <= level < 1):
        return (
            f"the interval's level is {level if _is_number(level) else 'not stated'}, {criterion['ci_level']:g} needed"
        )
    return None


def _show_least_flattering(comparator: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    pick = min if STRICT_AGGREGATE[comparator] == "min" else max
    shown: dict[str, Any] = {}
    for key in ("estimate", "ci_low", "ci_high"):
        values = [value for row in rows if _is_number(value := row.get(key))]
        shown[key] = pick(values) if values and len(values) == len(rows) else None
    counts = [count for row in rows if _is_number(count := row.get("n"))]
    return shown | {"n": min(counts) if counts and len(counts) == len(rows) else None}


def _step_down_by_claim(rows: list[dict[str, Any]], alpha: float) -> None:
    """Apply Holm's step-down over a pack's claims for metrics of the form 1 − p; a missing number counts as p = 1.

    Source: Holm 1979.
    """
    for name in dict.fromkeys(row["id"] for row in rows if row["metric"] in P_VALUE_METRICS):
        family = [row for row in rows if row["id"] == name]
        family.sort(key=lambda row: -(row["estimate"] if _is_number(row["estimate"]) else 0.0))
        still_stands = True
        for at, row in enumerate(family):
            least = 1 - alpha / (len(family) - at)
            still_stands &= _is_number(row["estimate"]) and row["estimate"] >= least - _ROUNDING
            if not still_stands and row["result"] == MEETS:
                row["result"] = INCONCLUSIVE
                row["reason"] = (
                    f"not among the {len(family)} claims of this pack: Holm's step-down asks for {least:.4f}"
                )


def _read_fact(facts: dict[str, Any], name: str) -> tuple[str, str | None]:
    found = facts.get(name)
    if not isinstance(found, dict) or found.get("result") not in (MEETS, DOES_NOT_MEET, INCONCLUSIVE, NOT_EVALUATED):
        return NOT_EVALUATED, f"the pack does not say: {name}"
    why = found.get("reason")
    return found["result"], why[:300] if isinstance(why, str) and why else None


def _make_row(name: str, claim_id: str | None, result: str, reason: str | None) -> dict[str, Any]:
    empty = ("metric", "comparator", "threshold", "estimate", "ci_low", "ci_high", "n", "n_required")
    return {"id": name, "claim_id": claim_id, **dict.fromkeys(empty), "result": result, "reason": reason}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _check_documents(claims: Any, metrics: Any, facts: Any) -> None:
    if not isinstance(claims, list) or not isinstance(metrics, list) or not isinstance(facts, dict):
        raise DocumentsMalformed("claims and metrics are lists, facts an object")
    if not all(isinstance(row, dict) for row in (*claims, *metrics, *facts.values())):
        raise DocumentsMalformed("every claim, metric row and fact is an object")
    ids = [claim.get("claim_id") for claim in claims]
    if not all(isinstance(found, str) and found for found in ids) or len(set(ids)) != len(ids):
        raise DocumentsMalformed("every claim has a unique id")
    if not all(isinstance(claim.get("claim"), dict) for claim in claims):
        raise DocumentsMalformed("every claim states its role and ablation under the key claim")


####################################################################################################
# facts.py: Process criteria of a policy, answered from the pack's documents instead of metrics.
####################################################################################################

Fact = dict[str, str | None]
_FREEZING = ("prereg.frozen", "prereg.amended", "prereg.deviated")
"""Events that freeze a version; changes after the first are in `deviations.jsonl`."""


def derive_facts(documents: Documents) -> dict[str, dict[str, Fact]]:
    """Return {criterion: {result, reason}} per claim, for `evaluate_policy`.

    prereg_frozen_before_run, attempts_disclosed and rerun are always present; deviation only if one affects the claim.
    """
    claim_ids = documents.pack["claim_ids"]
    attempts = list_attempts(documents.entries, claim_ids)
    exported = read_exported(documents.entries, documents.pack["pack_id"])
    facts = {}
    for claim_id in claim_ids:
        packed = [
            run_id
            for run_id in documents.pack["run_ids"]
            if claim_id in documents.find_manifest(run_id)["identity"]["claim_ids"]
        ]
        own = [attempt for attempt in attempts if attempt.claim_id == claim_id]
        facts[claim_id] = {
            "prereg_frozen_before_run": _judge_freeze(documents, claim_id, packed, own),
            "attempts_disclosed": _judge_attempts(attempts, claim_id, exported.get(claim_id)),
            "rerun": _judge_reruns(documents, packed),
            **_find_deviations(documents.deviations, claim_id),
        }
    return facts


def derive_answers(documents: Documents) -> list[dict[str, Any]]:
    """Return the answers for `evaluate_policy`: {run_id, audit, result, freeze}, in the order of their ids.

    The last says whether the question was frozen under the pack's policy before it was answered.
    """
    return [
        {
            "run_id": run_id,
            "audit": answer["audit"],
            "result": _load_result(answer["result"]),
            "freeze": _judge_question(documents, run_id),
        }
        for run_id, answer in sorted(documents.answers.items())
    ]


def _load_result(text: str) -> Any:
    """Return None for what is no strict JSON: `check_answers` refuses that pack, and no number is read from it."""
    try:
        return load_strict(text.encode())
    except NotStrictJson:
        return None


def _judge_question(documents: Documents, run_id: str) -> Fact:
    starts = [entry for entry in documents.entries if (entry["action"], entry["object_id"]) == ("run.started", run_id)]
    if not starts:
        return _fact(NOT_EVALUATED, "the log shows no start of this run")
    asked = [
        entry
        for entry in documents.entries
        if entry["action"] == "question.frozen"
        and entry["payload"].get("content_key") == starts[0]["payload"].get("content_key")
    ]
    if not asked:
        return _fact(NOT_EVALUATED, "EXPLORATORY: the log shows no freezing of this question")
    before = [entry for entry in asked if entry["seq"] < starts[0]["seq"]]
    if not before:
        return _fact(DOES_NOT_MEET, "the run started before its question was frozen")
    policy = hashlib.sha256(encode_canonical(documents.policy)).hexdigest()
    if all(entry["payload"].get("resolved_policy_sha256") != policy for entry in before):
        return _fact(INCONCLUSIVE, "EXPLORATORY: the question was frozen under another policy")
    access = before[0]["payload"].get("prior_access")
    if access not in PRIOR_ACCESS or access in SEEN:
        return _fact(INCONCLUSIVE, f"EXPLORATORY: when the question was fixed, {str(access)[:40].replace('_', ' ')}")
    number = before[0]["payload"].get("number")
    if number == 1:
        return _fact(MEETS)
    return _fact(
        MEETS, f"question {str(number)[:9]} of this audit on this model: earlier ones need not be in this pack"
    )


def list_reruns(documents: Documents, run_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the comparable reruns of these runs."""
    rows = [row for run_id in run_ids for row in documents.parsed.get(f"runs/{run_id}/reruns.json", [])]
    return [row for row in rows if row["L0"] == "COMPARABLE"]


def _fact(result: str, reason: str | None = None) -> Fact:
    return {"result": result, "reason": reason}


def _judge_freeze(documents: Documents, claim_id: str, packed: Sequence[str], attempts: Sequence[Attempt]) -> Fact:
    """Check that every run of the claim started after its preregistration was frozen, with its model and prompts."""
    plan = documents.find_plan(claim_id)
    if not packed or plan is None:
        return _fact(NOT_EVALUATED, f"the pack shows no {'preregistration' if packed else 'run'} of this claim")
    frozen = [entry["seq"] for entry in documents.entries if _freezes(entry, plan["digest"])]
    if not frozen:
        return _fact(DOES_NOT_MEET, "the log shows no freezing of this preregistration")
    for run_id in packed:
        started = [attempt.seq for attempt in attempts if attempt.run_id == run_id]
        if not started:
            return _fact(DOES_NOT_MEET, f"the log shows no start of run {run_id}")
        if min(started) < min(frozen):
            return _fact(DOES_NOT_MEET, f"run {run_id} started before the preregistration was frozen")
        manifest = documents.find_manifest(run_id)
        if manifest["model"]["weights_tree_sha256"] != plan["model"]["weights_tree_sha256"]:
            return _fact(DOES_NOT_MEET, f"run {run_id} used another model than the preregistration names")
        if manifest["prompts"]["prompt_set_sha256"] != plan["prompts"]["sha256"]:
            return _fact(DOES_NOT_MEET, f"run {run_id} used other prompts than the preregistration names")
    if plan["prior_access"] in SEEN:
        return _fact(INCONCLUSIVE, f"EXPLORATORY: when the plan was fixed, {plan['prior_access'].replace('_', ' ')}")
    return _fact(MEETS)


def _freezes(entry: Mapping[str, Any], digest: str) -> bool:
    return entry["action"] in _FREEZING and digest in (
        entry["payload"].get("digest"),
        entry["payload"].get("prereg_digest"),
    )


def _judge_attempts(attempts: Sequence[Attempt], claim_id: str, exported: Any) -> Fact:
    if not any(attempt.claim_id == claim_id for attempt in attempts):
        return _fact(NOT_EVALUATED, "the log shows no attempt at this claim")
    gap = find_gap(attempts, claim_id, exported)
    return _fact(MEETS) if gap is None else _fact(DOES_NOT_MEET, gap)


def _judge_reruns(documents: Documents, packed: Sequence[str]) -> Fact:
    """Check that at least one comparable rerun reached the same decision, and none another."""
    decided = [row for row in list_reruns(documents, packed) if row["L3"] != "NOT_EVALUATED"]
    if not decided:
        return _fact(NOT_EVALUATED, "the pack records no comparable rerun that came to a decision")
    flipped = [row for row in decided if row["L3"] == "DECISION_FLIPPED"]
    if any(row["L2"] != "WITHIN_TOLERANCE" for row in flipped):
        return _fact(DOES_NOT_MEET, "a rerun came to another decision")
    if flipped:
        return _fact(
            INCONCLUSIVE, "a rerun within tolerance came to another decision: the threshold lies inside the noise"
        )
    return _fact(MEETS)


def _find_deviations(deviations: Sequence[Mapping[str, Any]], claim_id: str) -> dict[str, Fact]:
    """Return the deviations of a claim: changes after results could be seen make it exploratory."""
    touching = [row for row in deviations if row["prior_access"] in SEEN and claim_id in row["effect_on_claims"]]
    if not touching:
        return {}
    changes = "; ".join(f"{row['id']} changed {row['field']}" for row in touching)
    return {"deviation": _fact(INCONCLUSIVE, changes[:200])}


####################################################################################################
# roles.py: Separation of duties: rejects one person in two roles; the gate checks which roles must sign.
####################################################################################################

def check_roles(signers: Sequence[Signer], approval: Mapping[str, Any]) -> None:
    """Reject a person who signed in two roles that the policy separates.

    Args:
        approval: the table `approval` of a resolved policy.

    Raises:
        BadPack: with the person's name.
    """
    people = {
        role: {_fold_name(row.person) for row in signers if row.role == role}
        for role in ("preparer", "reviewer", "approver")
    }
    apart = []
    if approval["preparer_ne_reviewer"]:
        apart += [("preparer", "reviewer"), ("preparer", "approver")]
    if approval["reviewer_ne_approver"]:
        apart.append(("reviewer", "approver"))
    for one, other in apart:
        if both := sorted(people[one] & people[other]):
            raise BadPack(f"{show(both[0])} signed as {one} and as {other}")


def _fold_name(name: str) -> str:
    """Normalise a name, so that spellings of one name count as one person."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


####################################################################################################
# findings.py: Step 6, findings: each state follows from its changes, and each change from an event of the log.
####################################################################################################

FINDING_ACTION = "finding."
"""Beginning of the actions of findings in the log; a step follows."""
STEP_STATUS = {"closed": "closed", "accepted": "accepted", "reopened": "open"}
"""Step → the status that it always leads to; the other steps lead to open or in remediation."""
_ACTIVE = ("open", "in_remediation")


def fold_finding(history: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a finding's state: the last value of each field."""
    state: dict[str, Any] = {}
    for change in history:
        state |= change["fields"]
    return state


def check_findings(documents: Documents) -> None:
    """Check the findings of a pack against its log.

    Raises:
        BadPack: a finding, or one of its changes, is missing, repeated, changed, or not in the log.
    """
    found = {one["finding_id"]: one for one in documents.findings}
    if len(found) < len(documents.findings):
        raise BadPack("claims/findings.json has a finding twice")
    counts = {name: len(one["history"]) for name, one in found.items()}
    if counts != (exported := _read_exported_findings(documents)):
        raise BadPack(
            f"claims/findings.json has the changes {ascii(counts)[:120]}, the export was logged with {ascii(exported)[:120]}"
        )
    logged: dict[str, list[Mapping[str, Any]]] = {}
    for entry in documents.entries:
        if entry["action"].startswith(FINDING_ACTION) and not _is_beginning_only(entry, documents.pack["claim_ids"]):
            logged.setdefault(entry["object_id"], []).append(entry)
    if unknown := sorted(set(logged) - set(found)):
        raise BadPack(f"the log shows finding {unknown[0][:20]!a}, which claims/findings.json lacks")
    for name, one in found.items():
        _check_finding(name, one, logged.get(name, []), documents.pack["claim_ids"])


def _is_beginning_only(entry: Mapping[str, Any], claim_ids: Iterable[str]) -> bool:
    """Whether an entry is in the pack only as the first of the log: it is about no claim of the pack."""
    claims = entry["payload"].get("claims")
    return entry["seq"] == 0 and isinstance(claims, list) and not any(claim_id in claims for claim_id in claim_ids)


def _read_exported_findings(documents: Documents) -> Any:
    """Return the number of changes by finding in the pack's export event; empty if it names none."""
    last = documents.entries[-1] if documents.entries else None
    return {} if last is None else last["payload"].get("findings", {})


def _check_finding(
    name: str, one: Mapping[str, Any], events: list[Mapping[str, Any]], claim_ids: Iterable[str]
) -> None:
    history = one["history"]
    if [(row["finding_id"], row["version"]) for row in history] != [(name, at) for at in range(1, len(history) + 1)]:
        raise BadPack(f"the changes of {name} are not numbered from 1 on without a gap")
    if len(events) != len(history):
        raise BadPack(f"{name} has {len(history)} changes, the log shows {len(events)}")
    for row, event in zip(history, events, strict=True):
        stated = (f"{FINDING_ACTION}{row['step']}", row["by"], hashlib.sha256(encode_canonical(row)).hexdigest())
        if stated != (event["action"], event["actor"], event["payload"].get("row_sha256")):
            raise BadPack(f"change {row['version']} of {name} is not the one in the log")
        status = row["fields"].get("status")
        if (row["step"] == "recorded") != (row["version"] == 1) or (
            status != STEP_STATUS[row["step"]] if row["step"] in STEP_STATUS else status not in (None, *_ACTIVE)
        ):
            raise BadPack(f"change {row['version']} of {name} cannot follow the one before")
    if fold_finding(history) != one["state"]:
        raise BadPack(f"the state of {name} does not follow from its changes")
    if not set(one["state"]["claims"]) & set(claim_ids):
        raise BadPack(f"{name} is about no claim of this pack")


####################################################################################################
# semantics.py: Step 6, semantics: documents agree with each other, with the log, and with the recomputed verdict.
####################################################################################################

PLAN_FIELDS = {
    "pins.model": ("model", "repo"),
    "pins.weights_sha256": ("model", "weights_tree_sha256"),
    "pins.dictionary_sha256": ("model", "dictionary_sha256"),
    "pins.prompts": ("prompts", "set_id"),
    "pins.prompts_sha256": ("prompts", "sha256"),
    "pins.n_prompts": ("prompts", "n_items"),
    "pins.split_salt": ("prompts", "split_salt"),
    "pins.policy_sha256": ("policy_sha256",),
    "pins.code_sha256": ("analysis_code", "sha256"),
}
"""Field of a deviation → its path in `prereg.json`; other fields have the same name there, or are absent."""


def check_semantics(documents: Documents, members: Mapping[str, bytes], signed_pack_id: str | None) -> None:
    """Check that documents which state the same fact agree.

    Args:
        signed_pack_id: pack id in the signed statement; None if there is no statement.

    Raises:
        BadPack: two documents contradict each other.
    """
    if signed_pack_id is not None and signed_pack_id != documents.pack["pack_id"]:
        raise BadPack(f"the signature is for pack {signed_pack_id}, the header names {documents.pack['pack_id']}")
    _check_claims(documents)
    _check_plans(documents, members["policy/policy.toml"])
    _check_access(documents)
    attempts = list_attempts(documents.entries, documents.pack["claim_ids"])
    _check_attempts(documents, attempts)
    starts: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in attempts:
        starts.setdefault((attempt.run_id, attempt.claim_id), []).append(attempt)
    for run_id in documents.pack["run_ids"]:
        _check_run(documents, members, run_id, starts)
    check_disclosure(documents, members)
    check_prompt_sets(documents, members)
    check_disclosed_prompts(documents, members)
    _check_deviations(documents)
    check_findings(documents)
    check_answers(documents)
    _check_verdict(documents)


def recompute_verdict(documents: Documents) -> dict[str, Any]:
    """Compute criteria, overall result and coverage from claims, metrics, policy and log.

    Raises:
        BadPack: claims or metrics that cannot be evaluated.
    """
    try:
        return evaluate_policy(
            documents.policy, documents.claims, documents.metrics, derive_facts(documents), derive_answers(documents)
        )
    except DocumentsMalformed as error:
        raise BadPack(f"the verdict cannot be computed: {error}") from error


def compute_plan_digest(preregistration: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a preregistration's canonical bytes without its `digest` field."""
    return hashlib.sha256(
        encode_canonical({name: value for name, value in preregistration.items() if name != "digest"})
    ).hexdigest()


def _check_claims(documents: Documents) -> None:
    named, there = documents.pack["claim_ids"], [claim["claim_id"] for claim in documents.claims]
    if sorted(named) != sorted(there) or len(set(named)) < len(named):
        raise BadPack("pack.json and claims.json name different claims, or one of them twice")
    for claim in documents.claims:
        if claim["owner"] == claim["reviewer"]:
            raise BadPack(f"{claim['claim_id']} has the same owner and reviewer")
        if claim["claim"]["sha256"] != _hash_claim(claim["claim"]):
            raise BadPack(f"{claim['claim_id']} does not match its digest")


def _hash_claim(claim: Mapping[str, Any]) -> str:
    """Return a claim's digest as the product computes it on freezing, with `delta` and `alpha` as floats."""
    fields = {name: value for name, value in claim.items() if name != "sha256"}
    fields |= {name: float(fields[name]) for name in ("delta", "alpha")}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _check_plans(documents: Documents, policy: bytes) -> None:
    """Check that preregistrations match digest and policy, and that exactly one names each claim."""
    policy_sha256 = hashlib.sha256(policy).hexdigest()
    for plan in documents.plans:
        if compute_plan_digest(plan) != plan["digest"]:
            raise BadPack(f"{plan['prereg_id']} does not match its digest: it was changed after it was frozen")
        if plan["policy_sha256"] != policy_sha256:
            raise BadPack(f"{plan['prereg_id']} names another policy than policy.toml")
    if _read_verdict(documents)["policy_sha256"] != policy_sha256:
        raise BadPack("verdict.json names another policy than policy.toml")
    if encode_canonical(documents.policy) != encode_canonical(documents.parsed["policy/policy.resolved.json"]):
        raise BadPack("policy.resolved.json is not the resolved policy.toml")
    named = sorted((row["claim_id"], row["claim_sha256"]) for plan in documents.plans for row in plan["claims"])
    if documents.claims and named != sorted(
        (claim["claim_id"], claim["claim"]["sha256"]) for claim in documents.claims
    ):
        raise BadPack("the preregistrations and claims.json name different claims, or one of them twice")


def _check_access(documents: Documents) -> None:
    """Check that no plan states less access to results than the log does of its freezing, or of an earlier version's."""
    for entry in documents.entries:
        logged, plan = entry["payload"].get("prior_access"), documents.find_plan(str(entry["payload"].get("claim_id")))
        if not entry["action"].startswith("prereg.") or logged not in PRIOR_ACCESS or plan is None:
            continue
        if PRIOR_ACCESS.index(logged) > PRIOR_ACCESS.index(plan["prior_access"]):
            raise BadPack(f"{plan['prereg_id']} states {plan['prior_access']}, the log of its freezing {logged}")


def _check_attempts(documents: Documents, attempts: tuple[Attempt, ...]) -> None:
    exported = read_exported(documents.entries, documents.pack["pack_id"])
    claim_ids = documents.pack["claim_ids"]
    if sorted(exported) != sorted(claim_ids):
        raise BadPack("the last entry of the log is not the export of this pack with these claims")
    for claim_id in claim_ids:
        if gap := find_gap(attempts, claim_id, exported[claim_id]):
            raise BadPack(gap)
    if (counted := count_attempts(attempts)) != documents.pack["attempts"]:
        raise BadPack(f"pack.json counts {documents.pack['attempts']} attempts, the log shows {counted}")


def _check_run(
    documents: Documents,
    members: Mapping[str, bytes],
    run_id: str,
    starts: Mapping[tuple[str, str], list[Attempt]],
) -> None:
    manifest = documents.find_manifest(run_id)
    identity, config = manifest["identity"], manifest["config"]
    if identity["run_id"] != run_id:
        raise BadPack(f"runs/{run_id}/manifest.json belongs to run {identity['run_id']}")
    for claim_id in identity["claim_ids"]:
        plan = documents.find_plan(claim_id)
        if plan is None or identity["prereg_digest"] != plan["digest"]:
            raise BadPack(f"run {run_id} names another preregistration than {claim_id} has")
        own = starts.get((run_id, claim_id), [])
        if len(own) != 1:
            raise BadPack(f"the log shows {len(own)} starts of run {run_id} for {claim_id}")
        logged = (own[0].number, own[0].prereg_digest, own[0].outcome or "abandoned")
        if logged != (identity["attempt_no"], identity["prereg_digest"], identity["status"]):
            raise BadPack(f"run {run_id} and the log differ in attempt, preregistration or outcome")
    if hashlib.sha256(encode_canonical(config["resolved_config"])).hexdigest() != config["config_sha256"]:
        raise BadPack(f"the configuration of run {run_id} does not match its digest")
    for path, output in manifest["outputs"].items():
        data = members.get(f"runs/{run_id}/{path}")
        found = None if data is None else {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        if found is not None and found != output:
            raise BadPack(f"runs/{run_id}/{path} does not match its digest in the run's manifest")
    about = {row["claim_id"] for row in documents.parsed[f"runs/{run_id}/metrics.json"]}
    result = documents.parsed.get(f"runs/{run_id}/result.json")
    if not about | ({result["claim_id"]} if result else set()) <= set(identity["claim_ids"]):
        raise BadPack(f"run {run_id} contains results of a claim that it did not test")


def _check_deviations(documents: Documents) -> None:
    """Check that each version after the first has its changes and its event, and that the plan has the last values."""
    steps: set[tuple[str, int, bool]] = set()
    for plan in documents.plans:
        rows = [row for row in documents.deviations if row.get("prereg_id", plan["prereg_id"]) == plan["prereg_id"]]
        if len(documents.plans) > 1 and any("prereg_id" not in row for row in rows):
            raise BadPack("deviations.jsonl does not state which preregistration a row belongs to")
        if {row["prereg_version"] for row in rows} != set(range(1, plan["version"])):
            raise BadPack(
                f"{plan['prereg_id']} is version {plan['version']}: deviations.jsonl does not state what each version changed"
            )
        steps |= {(plan["prereg_id"], row["prereg_version"], row["prior_access"] in SEEN) for row in rows}
        _check_changes(plan, rows)
    if any(
        row.get("prereg_id") not in (None, *(plan["prereg_id"] for plan in documents.plans))
        for row in documents.deviations
    ):
        raise BadPack("deviations.jsonl names a preregistration that is not in the pack")
    actions = [entry["action"] for entry in documents.entries]
    for action, is_late in (("prereg.amended", False), ("prereg.deviated", True)):
        shown = sum(late is is_late for _, _, late in steps)
        if shown != actions.count(action):
            raise BadPack(
                f"{shown} changes of a plan in deviations.jsonl, {actions.count(action)} events {action} in the log"
            )


def _check_changes(plan: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
    last: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: int(row["prereg_version"])):
        if row["field"] in last and last[row["field"]] != row["before"]:
            raise BadPack(
                f"{row['id']}: {row['field'][:60]!a} was not {ascii(row['before'])[:60]} before it was changed"
            )
        last[row["field"]] = row["after"]
    for field, after in last.items():
        *path, name = PLAN_FIELDS.get(field, (field,))
        part: Any = plan
        for step in path:
            part = part[step]
        if name in part and after not in (part[name], str(part[name])):
            raise BadPack(f"{field[:60]!a} of {plan['prereg_id']} does not have the value of its last change")


def _check_verdict(documents: Documents) -> None:
    stated = _read_verdict(documents)
    found = recompute_verdict(documents)
    for part in ("criteria", "overall", "coverage"):
        if encode_canonical(stated[part]) != encode_canonical(found[part]):
            raise BadPack(f"verdict.json differs from the recomputed verdict: {_name_difference(stated, found)}")


def _name_difference(stated: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    for computed, row in zip(found["criteria"], stated["criteria"], strict=False):
        if encode_canonical(computed) != encode_canonical(row):
            return f"{row['claim_id']} {row['id'][:40]!a} states {row['result']}, computed {computed['result']}"
    if len(found["criteria"]) != len(stated["criteria"]):
        return f"{len(stated['criteria'])} criteria, computed {len(found['criteria'])}"
    return f"overall {stated['overall']}, computed {found['overall']}"


def _read_verdict(documents: Documents) -> Mapping[str, Any]:
    found: Mapping[str, Any] = documents.parsed["verdict/verdict.json"]
    return found


####################################################################################################
# walk.py: Runs the eight verification steps in order; a step runs if its prerequisites passed, and every failure is reported.
####################################################################################################

TIME_TOKEN = "attestations/time.tsr"
_JUDGEMENTS = {
    MEETS: "MEETS_POLICY",
    DOES_NOT_MEET: "DOES_NOT_MEET_POLICY",
    INCONCLUSIVE: "INCONCLUSIVE",
    NOT_EVALUATED: "NOT_EVALUATED",
}
_Found = TypeVar("_Found")


def verify_pack(
    data: bytes,
    trust: Trust | None = None,
    saved: bytes | None = None,
    openings: Openings | None = None,
    witnesses: WitnessList | None = None,
) -> Verification:
    """Check a pack.

    Args:
        data: the pack's bytes.
        trust: trusted keys; None leaves signers and log key unchecked.
        saved: a checkpoint of the log that the reader saved earlier.
        openings: openings of withheld prompts, provided by the preparer.
        witnesses: witnesses that the reader trusts, and how many of them must have cosigned.

    Raises:
        BadCheckpoint: the saved checkpoint is malformed.
    """
    walk = _Walk(trust, saved, openings, witnesses)
    walk.go(data)
    return walk.conclude()


class _Walk:
    """One verification of one pack; keeps each step's result for later steps."""

    def __init__(
        self, trust: Trust | None, saved: bytes | None, openings: Openings | None, listed: WitnessList | None
    ) -> None:
        self.trust, self.saved, self.openings, self.listed = trust, saved, openings, listed
        self.steps: dict[str, Step] = {}
        self.manifest: str | None = None
        self.documents: Documents | None = None
        self.signatures = Signatures((), {})
        self.log: LogFinding | None = None
        self.prompts = PromptsFinding(PROMPTS_NOT_CHECKED, "an earlier step failed")
        self.decisions = DecisionsFinding(DECISIONS_NONE, "an earlier step failed: no decision was read")
        self.witnesses = WitnessFinding(WITNESSES_NOT_CHECKED, "an earlier step failed")

    def go(self, data: bytes) -> None:
        members = self._take("container", lambda: read_members(data), _count)
        if members is None:
            return
        manifest = self._take("manifest", lambda: check_manifest(members), "SHA-256 {}".format)
        if manifest is None:
            return
        self.manifest = manifest
        self._skip("time", _describe_token(members))
        statements = self._take("statement", lambda: read_statements(members, manifest), _count_statements)
        documents = self._take("schema", lambda: read_documents(members), _count_documents)
        if documents is None:
            return
        self.documents = documents
        pack_id = None if statements is None else statements[0].predicate["pack_id"]
        self._take("semantics", lambda: check_semantics(documents, members, pack_id), _describe_semantics)
        if self.steps["semantics"].result == PASSED:
            self.prompts = _find_prompts(documents, members, self.openings)
        note = members["log/checkpoint.txt"]
        self.log = self._take("log", lambda: check_log(documents, note, self.trust, self.saved), _describe_log)
        if self.log is not None:
            last = documents.lines[-1]
            self.witnesses = _find_witnesses(members, self.log, last, self.trust, self.listed)
        if self.log is not None and not self.log.is_signed:
            self.steps["log"] = Step("log", NOT_CHECKED, f"proofs hold; {self.log.detail}")
        if statements is not None:
            self._check_signers(statements, documents)
            is_checked = self.trust is not None and self.steps["signature"].result != FAILED
            counted = {signer.member for signer in self.signatures.signers} if is_checked else None
            self.decisions = check_decisions(statements[1:], counted)

    def conclude(self) -> Verification:
        for name in STEPS:
            self._skip(name, "an earlier step failed")
        steps = tuple(self.steps[name] for name in STEPS)
        failed = {step.name for step in steps if step.result == FAILED}
        documents = self.documents if failed <= {"signature"} else None
        return Verification(
            steps=steps,
            integrity="INTEGRITY_FAILED" if failed - {"signature"} else "INTEGRITY_VERIFIED",
            authenticity=self._name_authenticity(failed),
            time="ANCHORED" if documents and self.log and self.log.is_signed and self.log.is_anchored else "UNANCHORED",
            reproduction=_name_reproduction(documents),
            judgement=_JUDGEMENTS[documents.parsed["verdict/verdict.json"]["overall"] if documents else NOT_EVALUATED],
            signers=self.signatures.signers,
            pack_id=None if self.documents is None else self.documents.pack["pack_id"],
            manifest_sha256=self.manifest,
            prompts=self.prompts,
            decisions=self.decisions,
            witnesses=self.witnesses,
            exit_code=self._name_exit(failed),
            documents=documents,
        )

    def _name_exit(self, failed: set[str]) -> int:
        if failed or self.prompts.result == PROMPTS_FAILED or self.decisions.result == DECISIONS_MISSING:
            return EXIT_FAILED
        if self.witnesses.result == WITNESSES_FAILED:
            return EXIT_FAILED
        return EXIT_VERIFIED if self._is_decided() else EXIT_UNDECIDED

    def _is_decided(self) -> bool:
        """Check that all requested checks were done: preparer, log key, saved checkpoint and witnesses if given, and at least one claim or answer."""
        return bool(
            self._has_preparer
            and self.documents
            and (self.documents.claims or self.documents.answers)
            and self.log
            and self.log.is_signed
            and (self.saved is None or self.log.is_anchored)
            and (self.listed is None or self.witnesses.result == WITNESSED)
        )

    def _name_authenticity(self, failed: set[str]) -> str:
        if "signature" in failed:
            return "SIGNER_FAILED"
        return "SIGNER_VERIFIED" if self._has_preparer else "SIGNER_NOT_CHECKED"

    @property
    def _has_preparer(self) -> bool:
        return any(signer.role == "preparer" for signer in self.signatures.signers)

    def _check_signers(self, statements: tuple[Statement, ...], documents: Documents) -> None:
        trust = self.trust
        if trust is None:
            self._skip("signature", "no trust file was given: the signer is unknown")
            return

        def check() -> Signatures:
            last = max((read_time(entry["ts"]) for entry in documents.entries), default=None)
            found = check_signatures(statements, trust, last)
            check_roles(found.signers, documents.policy["approval"])
            return found

        self.signatures = self._take("signature", check, _name_signers) or self.signatures
        why = self.signatures.uncounted.get(statements[0].member)
        if why is not None:
            why = "the preparer's key is not in the trust file" if why == UNKNOWN else f"signed {why}"
            self.steps["signature"] = Step("signature", NOT_CHECKED, why)

    def _take(self, name: str, check: Callable[[], _Found], describe: Callable[[_Found], str]) -> _Found | None:
        try:
            found = check()
        except (BadPack, NotATime) as error:
            self.steps[name] = Step(name, FAILED, show(str(error)))
            return None
        self.steps[name] = Step(name, PASSED, describe(found))
        return found

    def _skip(self, name: str, why: str) -> None:
        self.steps.setdefault(name, Step(name, NOT_CHECKED, why))


def _find_prompts(documents: Documents, members: Mapping[str, bytes], openings: Openings | None) -> PromptsFinding:
    """Check the prompts; wrong openings are a separate result, because they are not a fault of the pack."""
    try:
        return check_openings(documents, members, openings)
    except BadPack as error:
        return PromptsFinding(PROMPTS_FAILED, show(str(error)))


def _find_witnesses(
    members: Mapping[str, bytes], log: LogFinding, last: bytes, trust: Trust | None, listed: WitnessList | None
) -> WitnessFinding:
    """Check the witnesses; a separate result, because the cosigned checkpoint is added after the preparer signed."""
    try:
        return check_witnesses(members, log, last, trust, listed)
    except BadPack as error:
        return WitnessFinding(WITNESSES_FAILED, show(str(error)))


def _name_reproduction(documents: Documents | None) -> str:
    """Return the worst result of the reruns recorded in the pack."""
    rows = [] if documents is None else list_reruns(documents, documents.pack["run_ids"])
    for level, word in (("L3", "DECISION_FLIPPED"), ("L2", "OUTSIDE_TOLERANCE"), ("L3", "DECISION_EQUAL")):
        if any(row[level] == word for row in rows):
            return word
    return NOT_EVALUATED


def _describe_token(members: Mapping[str, bytes]) -> str:
    if TIME_TOKEN not in members:
        return "the pack contains no third-party time stamp"
    return f"{TIME_TOKEN} is not checked here; check it with: assay timestamp check, or openssl ts -verify"


def _describe_log(found: LogFinding) -> str:
    return f"{found.checkpoint.size:,} entries; {found.detail}"


def _count(members: Mapping[str, bytes]) -> str:
    return f"{len(members)} members, {sum(map(len, members.values())):,} bytes"


def _count_statements(found: tuple[Statement, ...]) -> str:
    return f"{len(found)} about this manifest"


def _count_documents(found: Documents) -> str:
    return f"{len(found.parsed)} documents match their schemas"


def _describe_semantics(_: None) -> str:
    return "attempts, preregistration and verdict recomputed: equal"


def _name_signers(found: Signatures) -> str:
    names = [f"{show(row.person)} ({row.role})" for row in found.signers]
    return ", ".join([*names, *(f"{member} {why}" for member, why in found.uncounted.items())])


####################################################################################################
# command.py: Command `verify PACK.zip`: reads pack, trust file and checkpoint, and writes the results to standard output.
####################################################################################################

MEANINGS = {
    0: "integrity and signer verified; the reader judges what the findings mean",
    3: "not decided: a requested check could not be done",
    4: "integrity or authenticity failed: do not rely on this pack",
}


def run_verifier(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of the joined file; returns an exit code of `docs/reference/pack.md`."""
    parser = argparse.ArgumentParser(prog="verify_pack.py", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    if not prepare_streams():
        return _complain(*CLOSED)
    try:
        options = parser.parse_args(arguments)
    except SystemExit:
        # Flush the parser's help here, so that a failed write is reported before Python exits.
        if not flush_output():
            return EXIT_USAGE
        raise
    return verify_files(
        options.pack, options.trust, options.checkpoint, options.openings, options.witnesses, as_json=options.json
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pack", type=Path, metavar="PACK.zip")
    parser.add_argument(
        "--trust", type=Path, metavar="trust.toml", help="keys whose signatures count; do not take it from the pack"
    )
    parser.add_argument("--checkpoint", type=Path, metavar="F", help="a checkpoint of the log, saved earlier by you")
    parser.add_argument("--openings", type=Path, metavar="F", help="openings of prompts that the pack withholds")
    parser.add_argument(
        "--witnesses",
        type=Path,
        metavar="witnesses.toml",
        help="keys of witnesses and a quorum; do not take it from the pack",
    )


def verify_files(
    pack: Path,
    trust: Path | None,
    checkpoint: Path | None,
    openings: Path | None = None,
    witnesses: Path | None = None,
    *,
    as_json: bool,
) -> int:
    """Check a pack and write the results to standard output."""
    try:
        trusted: Trust | None = None if trust is None else read_trust(_read(trust, MAX_TRUST_BYTES))
        saved = None if checkpoint is None else _read(checkpoint, MAX_NOTE_BYTES)
        opened = None if openings is None else read_openings(_read(openings, MAX_OPENINGS_BYTES))
        listed = None if witnesses is None else read_witnesses(_read(witnesses, MAX_WITNESSES_BYTES))
        found = verify_pack(read_pack(pack), trusted, saved, opened, listed)
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}.", "readable files.", "check the path.")
    except BadTrust as error:
        return _complain(f"The trust file: {error}.", "the format of docs/reference/pack.md.", "fix that row.")
    except BadCheckpoint as error:
        return _complain(
            f"The saved checkpoint: {error}.", "an unmodified signed checkpoint of the log.", "use your saved copy."
        )
    except BadWitnessList as error:
        return _complain(f"The witness list: {error}.", "the format of docs/reference/pack.md.", "fix that row.")
    except BadOpenings as error:
        return _complain(f"The openings: {error}.", "what `openings` writes.", "ask the preparer for them again.")
    try:
        write_result(json.dumps(found.describe(), indent=1) + "\n" if as_json else describe_lines(found))
    except OSError as error:
        return _complain(
            f"The result could not be written to standard output: {error.strerror}.",
            "a writable standard output.",
            "redirect it to another file.",
        )
    return found.exit_code


def describe_lines(found: Verification) -> str:
    """Return one line per step, then the results."""
    lines = [f"{number} {step.name:<12} {step.result:<12} {step.detail}" for number, step in enumerate(found.steps, 1)]
    lines += ["", f"{'pack':<14} {found.pack_id or 'unknown'}", f"{'integrity':<14} {found.integrity}"]
    lines += [
        f"{'authenticity':<14} {found.authenticity}",
        f"{'time':<14} {found.time}",
        f"{'reproduction':<14} {found.reproduction} (as recorded; no rerun was made)",
        f"{'judgement':<14} {found.judgement} (by the pack's own policy)",
        f"{'prompts':<14} {found.prompts.result} ({found.prompts.detail})",
        f"{'decisions':<14} {found.decisions.result} ({found.decisions.detail})",
        f"{'witnesses':<14} {found.witnesses.result} ({found.witnesses.detail})",
        "",
        f"exit {found.exit_code}: {_name_meaning(found)}",
    ]
    return "\n".join(lines) + "\n"


def _name_meaning(found: Verification) -> str:
    if any(step.result == FAILED for step in found.steps):
        return MEANINGS[found.exit_code]
    if found.decisions.result == DECISIONS_MISSING:
        return "a signed decision was removed from this pack after a later one was signed; all other checks passed"
    if found.witnesses.result == WITNESSES_FAILED:
        return "the cosigned checkpoint does not match this pack's log; all other checks passed"
    if found.prompts.result == PROMPTS_FAILED:
        return "the openings do not match this pack; all other checks passed"
    return MEANINGS[found.exit_code]


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most + 1)


def _complain(found: str, wanted: str, remedy: str) -> int:
    write_message(f"{show(found)} Wanted: {wanted} What to do: {remedy}\n")
    return EXIT_USAGE


if __name__ == "__main__":
    try:
        code = run_verifier()
    except Exception:
        # An uncaught error would exit with 1, which other commands use for: evaluated and not met.
        traceback.print_exc()
        code = EXIT_INTERNAL
    sys.exit(code)
