"""Schema version 6: labels of features."""

from __future__ import annotations

VERSION_6 = (
    "CREATE TABLE feature_label (number BIGINT PRIMARY KEY, object_id VARCHAR NOT NULL, body VARCHAR NOT NULL)",
    "CREATE TRIGGER feature_label_kept BEFORE DELETE ON feature_label FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: feature_label')",
    "CREATE TRIGGER feature_label_fixed BEFORE UPDATE ON feature_label FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: feature_label')",
)
