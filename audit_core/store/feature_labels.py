"""Labels that people give to features: versions that are only ever appended, each with its author and its test, if it has one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.canonical import hash_document
from audit_core.governance.approval import name_person
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event, list_events, read_clock
from audit_core.store.findings.finding import check_line

if TYPE_CHECKING:
    import duckdb

MAX_LABEL, MAX_VERSIONS, MAX_LABELS = 120, 200, 20_000
"""Longest label in characters, most versions of one feature's label, and most versions in one data directory."""


@dataclass(frozen=True)
class LabelEvidence:
    """The test of a label by detection on held-out texts; the texts are kept as a digest alone."""

    verdict: str
    auroc: float
    low: float | None
    high: float | None
    n: int
    templates: int
    texts_sha256: str


@dataclass(frozen=True)
class FeatureLabel:
    """One version of the label of a feature."""

    dictionary: str
    """Digest of the dictionary's weights."""
    component: str
    version: int
    text: str
    by: str
    at: str
    test: LabelEvidence | None
    """None: the label is untested."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class FeatureLabels:
    """Labels in one data directory; every version is logged in the same transaction."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def write(
        self, dictionary: str, component: str, text: str, *, by: str, based_on: int, test: LabelEvidence | None
    ) -> FeatureLabel:
        """Append a version.

        Args:
            based_on: version that the author saw, 0 for none; a later one refuses the change.

        Raises:
            Refused: an unusable text, a newer version, or too many of them.
        """
        shown = check_line(text, "label", MAX_LABEL)
        with open_database(self.home) as connection:
            known = _read(connection)
            mine = [one for one in known if (one.dictionary, one.component) == (dictionary, component)]
            if len(mine) != based_on:
                raise Refused(
                    f"The label of {component} has version {len(mine)}.", wanted=f"version {based_on}, which was shown.",
                    remedy="read the newer label, then write yours.",
                )  # fmt: skip
            if len(mine) >= MAX_VERSIONS or len(known) >= MAX_LABELS:
                raise Refused(
                    f"{len(mine)} versions of this label, {len(known):,} of all.",
                    wanted=f"fewer than {MAX_VERSIONS} and {MAX_LABELS:,}.", remedy="use another data directory.",
                )  # fmt: skip
            label = FeatureLabel(dictionary, component, len(mine) + 1, shown, name_person(by), read_clock(), test)
            body, name = label.to_json(), _name(label)
            connection.execute(
                "INSERT INTO feature_label VALUES (?, ?, ?)",
                [len(known) + 1, name, json.dumps(body, ensure_ascii=False, sort_keys=True)],
            )
            append_event(
                connection, actor=label.by, action=Action.FEATURE_LABELLED, object_id=name,
                payload={"version": label.version, "tested": test is not None, "row_sha256": hash_document(body)},
            )  # fmt: skip
            return label

    def list_versions(self, dictionary: str) -> tuple[FeatureLabel, ...]:
        """Every version of every label of a dictionary, oldest first.

        Raises:
            IntegrityError: a row differs from its event, or one of them is missing.
        """
        with open_database(self.home) as connection:
            return tuple(one for one in _read(connection) if one.dictionary == dictionary)


def list_current(versions: tuple[FeatureLabel, ...]) -> Mapping[str, FeatureLabel]:
    """Component → its newest label."""
    return {one.component: one for one in versions}


def _name(label: FeatureLabel) -> str:
    return f"{label.dictionary[:12]}/{label.component}"


def _read(connection: duckdb.DuckDBPyConnection) -> tuple[FeatureLabel, ...]:
    rows = connection.execute("SELECT object_id, body FROM feature_label ORDER BY number").fetchall()
    bodies = [(name, json.loads(body)) for name, body in rows]
    stored = [(name, hash_document(body)) for name, body in bodies]
    events = list_events(connection, action=Action.FEATURE_LABELLED)
    if stored != [(event.object_id, event.payload["row_sha256"]) for event in events]:
        raise IntegrityError(
            f"The {len(bodies)} labels of features differ from the {len(events)} in the audit log. "
            "What to do: run `log verify`, and restore the file from a backup."
        )
    return tuple(
        FeatureLabel(**{**body, "test": None if body["test"] is None else LabelEvidence(**body["test"])})
        for _, body in bodies
    )
