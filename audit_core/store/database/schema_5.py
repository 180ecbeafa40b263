"""Schema version 5: changes of findings."""

from __future__ import annotations

VERSION_5 = (
    "CREATE TABLE finding_change (number BIGINT PRIMARY KEY, finding_id VARCHAR NOT NULL, body VARCHAR NOT NULL)",
    "CREATE TRIGGER finding_change_kept BEFORE DELETE ON finding_change FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: finding_change')",
    "CREATE TRIGGER finding_change_fixed BEFORE UPDATE ON finding_change FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: finding_change')",
)
