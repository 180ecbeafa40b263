"""Waivers: a person accepts one unmet criterion until a date; a waived row keeps its result and is counted apart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from audit_core.errors import PolicyRefused
from audit_core.governance.approval import name_person, parse_time
from audit_core.governance.policy import Policy
from audit_core.verifier.policy_table import NEVER_WAIVED
from audit_core.verifier.strict_toml import load_toml

WAIVER_SCHEMA = "assay/waivers/1"
MAX_FILE_BYTES = 64_000
_FIELDS = ("criterion", "claim_id", "by", "reason", "given_at", "expires_at")


@dataclass(frozen=True)
class Waiver:
    """One criterion of one claim."""

    criterion: str
    claim_id: str
    by: str
    """The person who waives; not a preparer of the pack."""
    reason: str
    given_at: str
    """RFC 3339, with its time zone."""
    expires_at: str

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def load_waivers(path: Path | str) -> tuple[Waiver, ...]:
    """Read waivers from a TOML file.

    Raises:
        PolicyRefused: no such file, not TOML, unknown or missing fields.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
        raise PolicyRefused(
            f"No file {path.name}, or one above {MAX_FILE_BYTES:,} bytes.",
            wanted="waivers in TOML.",
            remedy="check the path.",
        )
    try:
        table = load_toml(path.read_bytes())
    except ValueError as error:
        raise PolicyRefused(
            f"{path.name} is not TOML: {str(error)[:200]}", wanted="waivers in TOML.", remedy="fix that line."
        ) from error
    rows = table.get("waivers")
    if set(table) != {"schema", "waivers"} or table["schema"] != WAIVER_SCHEMA or not isinstance(rows, list):
        raise PolicyRefused(
            f"{path.name} contains {', '.join(sorted(table))[:100] or 'nothing'}.",
            wanted=f'schema = "{WAIVER_SCHEMA}" and [[waivers]].',
            remedy="write both and nothing else.",
        )
    return tuple(_read_waiver(row) for row in rows)


def select_waivers(
    policy: Policy, waivers: Sequence[Waiver], *, claim_ids: Collection[str], preparers: Collection[str], now: datetime
) -> tuple[Waiver, ...]:
    """Waivers in force, without expired ones.

    Args:
        preparers: persons who signed as preparer.

    Raises:
        PolicyRefused: a criterion that cannot be waived, an unknown criterion or claim, a waiver by the preparer, a
            duplicate, a duration that is too long, a future date, or more waivers than the policy allows.
    """
    signed = {name_person(person) for person in preparers}
    in_force: list[Waiver] = []
    for waiver in waivers:
        _check_waiver(policy, waiver, claim_ids, signed, now)
        if any((one.criterion, one.claim_id) == (waiver.criterion, waiver.claim_id) for one in in_force):
            raise PolicyRefused(
                f"Two waivers of {waiver.criterion}, {waiver.claim_id}.", wanted="one.", remedy="remove the other."
            )
        until = parse_time(waiver.expires_at)
        if until is not None and now < until:
            in_force.append(waiver)
    if len(in_force) > policy.max_waivers:
        raise PolicyRefused(
            f"{len(in_force)} waivers in force.",
            wanted=f"at most {policy.max_waivers}, by policy {policy.id}.",
            remedy="gather the evidence instead.",
        )
    return tuple(in_force)


def _check_waiver(
    policy: Policy, waiver: Waiver, claim_ids: Collection[str], preparers: set[str], now: datetime
) -> None:
    what = f"A waiver of {waiver.criterion[:60]}, {waiver.claim_id[:60]}"
    if waiver.criterion in NEVER_WAIVED:
        raise PolicyRefused(
            f"{what}.",
            wanted=f"any criterion but {', '.join(NEVER_WAIVED)}.",
            remedy="remove the waiver: these criteria cannot be waived.",
        )
    if waiver.criterion not in (*policy.required, *policy.optional) or waiver.claim_id not in claim_ids:
        raise PolicyRefused(
            f"{what}, which this policy or pack does not contain.",
            wanted="a criterion of the policy and a claim of the pack.",
            remedy="correct the waiver.",
        )
    if name_person(waiver.by) in preparers:
        raise PolicyRefused(
            f"{what} by {waiver.by[:60]}, who prepared the pack.", wanted="another person.", remedy="ask one."
        )
    given, until = parse_time(waiver.given_at), parse_time(waiver.expires_at)
    longest = timedelta(days=policy.waiver_max_days)
    if given is None or until is None or not given <= now or not given < until <= given + longest:
        raise PolicyRefused(
            f"{what} from {waiver.given_at[:30]} to {waiver.expires_at[:30]}.",
            wanted=f"times with a zone, given in the past, for at most {policy.waiver_max_days} days.",
            remedy="correct the times.",
        )


def _read_waiver(row: Any) -> Waiver:
    if not isinstance(row, dict) or set(row) != set(_FIELDS):
        raise PolicyRefused("A waiver with other fields.", wanted=", ".join(_FIELDS) + ".", remedy="write all of them.")
    texts = [row[name].isoformat() if isinstance(row[name], datetime) else row[name] for name in _FIELDS]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise PolicyRefused("A waiver with an empty field.", wanted="text in each.", remedy="fill it in.")
    return Waiver(*texts)
