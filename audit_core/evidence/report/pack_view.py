"""Lookup of a pack's documents for reports; missing or malformed parts count as absent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Documents = Mapping[str, Any]
"""Path in the pack → parsed JSON; for JSON Lines, the list of lines."""
_RUN = re.compile(r"runs/([^/]+)/(?:manifest|metrics|result)\.json")


@dataclass(frozen=True)
class Run:
    """One run in the pack."""

    run_id: str
    manifest: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...]
    results: tuple[Mapping[str, Any], ...]

    def metrics_of(self, claim_id: str) -> tuple[Mapping[str, Any], ...]:
        return tuple(row for row in self.metrics if row.get("claim_id") == claim_id)

    def result_of(self, claim_id: str) -> Mapping[str, Any] | None:
        return next((result for result in self.results if result.get("claim_id") == claim_id), None)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Id, attempt and plan of the run."""
        return as_table(self.manifest.get("identity"))

    @property
    def claim_ids(self) -> tuple[str, ...]:
        """Ids of the claims in the manifest, the metrics or the results."""
        named = [item for item in as_list(self.identity.get("claim_ids")) if isinstance(item, str)]
        named += [str(row["claim_id"]) for row in (*self.metrics, *self.results) if row.get("claim_id")]
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True)
class PackView:
    """The documents that a report uses."""

    documents: Documents

    def table(self, path: str) -> Mapping[str, Any]:
        """Return a document that is an object; empty if it is absent."""
        return as_table(self.documents.get(path))

    def tables(self, path: str) -> tuple[Mapping[str, Any], ...]:
        """Return a document as a list of objects."""
        found = self.documents.get(path)
        return as_tables([found] if isinstance(found, Mapping) else found)

    @property
    def header(self) -> Mapping[str, Any]:
        return self.table("pack.json")

    @property
    def claims(self) -> tuple[Mapping[str, Any], ...]:
        return self.tables("claims/claims.json")

    @property
    def answers(self) -> tuple[Mapping[str, Any], ...]:
        """Results of audits without a claim, in the order of their runs' ids."""
        paths = sorted(path for path in self.documents if path.startswith("answers/") and path.endswith(".json"))
        return as_tables([self.documents[path] for path in paths])

    @property
    def verdict(self) -> Mapping[str, Any]:
        return self.table("verdict/verdict.json")

    @property
    def policy(self) -> Mapping[str, Any]:
        return self.table("policy/policy.resolved.json")

    @property
    def entries(self) -> tuple[Mapping[str, Any], ...]:
        """Entries of the audit log, in order."""
        return self.tables("log/entries.jsonl")

    @property
    def runs(self) -> tuple[Run, ...]:
        names = dict.fromkeys(found[1] for path in sorted(self.documents) if (found := _RUN.fullmatch(path)))
        return tuple(
            Run(
                name,
                self.table(f"runs/{name}/manifest.json"),
                self.tables(f"runs/{name}/metrics.json"),
                self.tables(f"runs/{name}/result.json"),
            )
            for name in names
        )

    def runs_of(self, claim_id: str) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if claim_id in run.claim_ids)

    def criteria_of(self, claim_id: str | None) -> tuple[Mapping[str, Any], ...]:
        return tuple(row for row in as_tables(self.verdict.get("criteria")) if row.get("claim_id") == claim_id)

    def models(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Return id and identity of each model."""
        return self._folder("models", "identity.json")

    def prompt_sets(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Return id and description of each prompt set."""
        return self._folder("prompts", "set.json")

    def _folder(self, room: str, file: str) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        found = re.compile(rf"{room}/(.+)/{re.escape(file)}")
        return tuple((hit[1], self.table(path)) for path in sorted(self.documents) if (hit := found.fullmatch(path)))


def as_table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def as_tables(value: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(item for item in as_list(value) if isinstance(item, Mapping))


def parse_members(members: Mapping[str, bytes]) -> dict[str, Any]:
    """Parse the JSON members of a pack."""
    return {
        name: [json.loads(row) for row in data.splitlines()] if name.endswith(".jsonl") else json.loads(data)
        for name, data in members.items()
        if name.endswith((".json", ".jsonl"))
    }
