"""Step 5, schema: every document parses unambiguously and matches its schema."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.verifier.canonical_json import NotCanonical, encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.policy_table import PolicyMalformed, resolve_policy
from audit_core.verifier.schema import find_violation
from audit_core.verifier.schema_words import Schema
from audit_core.verifier.schemas_answers import ANSWER, ANSWERS
from audit_core.verifier.schemas_claims import CLAIMS, DEVIATION, PACK, PREREGISTRATION
from audit_core.verifier.schemas_crosswalk import CROSSWALK
from audit_core.verifier.schemas_disclosure import DISCLOSURE, DISCLOSURE_MEMBER
from audit_core.verifier.schemas_findings import FINDINGS, FINDINGS_MEMBER
from audit_core.verifier.schemas_log import CONSISTENCY, ENTRY, INCLUSION
from audit_core.verifier.schemas_policy import RESOLVED_POLICY, VERDICT
from audit_core.verifier.schemas_runs import ITEM, METRICS, RERUNS, RESULT, RUN_MANIFEST
from audit_core.verifier.schemas_signed import APPROVAL_STATEMENT, ENVELOPE, PACK_STATEMENT
from audit_core.verifier.schemas_withheld import OPENINGS, WITHHELD
from audit_core.verifier.strict_json import MAX_JSON_VALUES, NotStrictJson, count_values, load_strict
from audit_core.verifier.strict_toml import load_toml

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
