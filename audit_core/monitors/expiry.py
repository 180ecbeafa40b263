"""How long a monitor's false-alarm rate may be relied on: until a date, for a number of texts, or until the traffic drifts."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from audit_core.errors import Refused
from audit_core.evidence.whole_file import write_whole
from audit_core.monitors.monitor import Monitor

MAX_BYTES = 4_096


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Use:
    """What a monitor has scored so far, kept between runs in a file of its own."""

    monitor: str
    """Digest of the monitor."""
    n_texts: int = 0
    total: float = 0.0
    """The CUSUM after these texts, from which the next run goes on."""
    drifted_at: int | None = None
    """Text, from 1, at which it passed its limit; None if it never did."""


_USE = TypeAdapter(Use)


def load_use(path: Path, monitor: Monitor) -> Use:
    """What a file says of earlier runs; nothing yet where there is no file.

    Raises:
        Refused: it cannot be read, or is of another monitor.
    """
    if not path.exists():
        return Use(monitor.sha256)
    try:
        if path.is_symlink() or path.stat().st_size > MAX_BYTES:
            raise ValueError
        found = _USE.validate_json(path.read_bytes(), strict=True)
        if found.n_texts < 0 or found.total < 0:
            raise ValueError
    except (OSError, ValueError, RecursionError, ValidationError) as error:
        raise Refused(
            f"{path.name[:60]!r} cannot be read.",
            wanted="a file that `monitor run --state` wrote.",
            remedy="name a new file.",
        ) from error
    if found.monitor != monitor.sha256:
        raise Refused(
            f"{path.name[:60]!r} counts the texts of monitor {found.monitor[:12]!a}, not of {monitor.sha256[:12]}.",
            wanted="one file for each monitor.", remedy="name another file.",
        )  # fmt: skip
    return found


def save_use(use: Use, path: Path) -> None:
    """Write what was scored so far, in place of what was there."""
    write_whole(path, (json.dumps(asdict(use)) + "\n").encode())


def find_end(monitor: Monitor) -> datetime | None:
    """When it expires; None if it names no time."""
    days = monitor.recipe.valid_days
    return datetime.fromisoformat(monitor.made_at) + timedelta(days=days) if days else None


def list_expired(monitor: Monitor, use: Use, *, now: datetime | None = None) -> tuple[str, ...]:
    """Why the false-alarm rate may no longer be relied on; empty while it may.

    Args:
        use: up to and with the texts that were just scored.
    """
    found, end, most = [], find_end(monitor), monitor.recipe.valid_texts
    if end is not None and (now or datetime.now(UTC)) >= end:
        found.append(f"it was valid until {end:%Y-%m-%d}, {monitor.recipe.valid_days} days after it was made")
    if most and use.n_texts > most:
        found.append(f"it was valid for {most:,} texts, and has scored {use.n_texts:,}")
    if use.drifted_at is not None:
        found.append(f"the traffic drifted at text {use.drifted_at:,}: the calibration no longer describes it")
    return tuple(found)


def say_validity(monitor: Monitor) -> str:
    """How long it is valid, in one sentence."""
    end, most = find_end(monitor), monitor.recipe.valid_texts
    limits = [f"until {end:%Y-%m-%d}"] if end is not None else []
    limits += [f"for {most:,} texts"] if most else []
    limits.append("until the traffic drifts")
    return f"Valid {', and '.join(limits)}; then calibrate it again."
