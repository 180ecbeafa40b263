"""A policy: thresholds for evidence, each with source and reason; read from TOML, hashed as written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from audit_core.errors import PolicyRefused
from audit_core.verifier.policy_table import PolicyMalformed, resolve_policy
from audit_core.verifier.strict_toml import load_toml

MAX_FILE_BYTES = 256_000


class ThresholdSource(StrEnum):
    """Source of a threshold, shown wherever the threshold is."""

    DEFAULT = "default"
    ORGANISATION = "organisation"
    REGULATOR = "regulator"


@dataclass(frozen=True)
class Criterion:
    """One metric with its threshold."""

    id: str
    metric: str
    comparator: str
    """>= or <=."""
    threshold: float
    bound: str
    """lower or upper: the whole interval must lie beyond the threshold; estimate: no interval is needed."""
    claim_kinds: tuple[str, ...]
    source: ThresholdSource
    why: str
    is_required: bool


@dataclass(frozen=True)
class Policy:
    """A policy with all defaults filled in and the digest of its file."""

    id: str
    sha256: str
    criteria: tuple[Criterion, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]
    max_waivers: int
    waiver_max_days: int
    max_age_days: int
    """Of an approval."""
    preparer_ne_reviewer: bool
    reviewer_ne_approver: bool
    resolved_json: str
    text: bytes
    """The file's bytes, which the digest covers."""

    def resolved(self) -> dict[str, Any]:
        """The policy as `evaluate_policy` takes it and a pack stores it; a new dict on each call."""
        table: dict[str, Any] = json.loads(self.resolved_json)
        return table


def load_policy(path: Path | str) -> Policy:
    """Read a policy from a TOML file.

    Raises:
        PolicyRefused: no such file, not TOML, unknown or missing keys, a threshold without source and reason, or a rule
            that is laxer than it reads.
    """
    path = Path(path)
    if not path.is_file():
        raise PolicyRefused(f"No file {path}.", wanted="a policy in TOML.", remedy="check the path.")
    with path.open("rb") as file:
        return parse_policy(file.read(MAX_FILE_BYTES + 1), path.name)


def parse_policy(data: bytes, name: str) -> Policy:
    """Read a policy from the bytes of a TOML file; see `load_policy`."""
    if len(data) > MAX_FILE_BYTES:
        raise PolicyRefused(
            f"{name} is larger than {MAX_FILE_BYTES:,} bytes.", wanted="one policy.", remedy="shorten it."
        )
    try:
        table = resolve_policy(load_toml(data))
    except PolicyMalformed as error:
        raise PolicyRefused(f"{name}: {error.found}", wanted=error.wanted, remedy=error.remedy) from error
    except ValueError as error:
        raise PolicyRefused(
            f"{name} is not TOML: {str(error)[:200]}", wanted="a policy in TOML.", remedy="fix that line."
        ) from error
    gate, approval = table["gate"], table["approval"]
    return Policy(
        table["id"],
        hashlib.sha256(data).hexdigest(),
        tuple(_read_criterion(key, found, gate) for key, found in table["criteria"].items()),
        tuple(gate["required"]),
        tuple(gate["optional"]),
        gate["max_waivers"],
        gate["waiver_max_days"],
        approval["max_age_days"],
        approval["preparer_ne_reviewer"],
        approval["reviewer_ne_approver"],
        json.dumps(table),
        data,
    )


def _read_criterion(key: str, found: dict[str, Any], gate: dict[str, Any]) -> Criterion:
    return Criterion(
        key,
        found["metric"],
        found["op"],
        found["threshold"],
        found["bound"],
        tuple(found["claim_kind"]),
        ThresholdSource(found["source"]),
        found["why"],
        key in gate["required"],
    )
