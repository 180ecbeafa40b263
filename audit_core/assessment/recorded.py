"""Recorded answers about shipped circuits, so that a page shows them before it has loaded the model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from audit_core.claim import Universe
from audit_core.component import Component
from audit_core.data_folder import DATA, read_record
from audit_core.errors import IntegrityError
from audit_core.intervention import Replacement
from audit_core.judging.verdict import RULE_VERSION
from audit_core.models import ModelIdentity
from audit_core.models.known import find_known
from audit_core.registry import get_plugin
from audit_core.story import MeasuredWith

RECORDS = DATA / "circuit_answers"
MAX_RECORD_BYTES = 4 << 20


@dataclass(frozen=True)
class RecordedAnswer:
    """The result of one audit of a circuit, as the run log stores it."""

    audit: str
    role: str
    """Role of the claim of a `claim_test`; empty for other audits."""
    version: int
    """Version of the audit's result; another version is not shown."""
    n: int
    """Prompts it was asked on."""
    is_quick: bool
    """Whether it is the quick form, which is exploratory."""
    method: str
    """Discovery method of an audit that searches; empty for others."""
    wall_s: float
    result: dict[str, Any]

    @property
    def key(self) -> str:
        """Role of a verdict, else the audit's name."""
        return self.role or self.audit

    def read(self) -> Any:
        """The result as the audit returned it.

        Raises:
            IntegrityError: it does not parse.
        """
        shape: Any = get_plugin("audits", self.audit).result
        adapter: TypeAdapter[Any] = TypeAdapter(shape)
        try:
            return adapter.validate_python(self.result)
        except ValueError as error:
            raise IntegrityError(f"A recorded {self.audit} does not parse: {str(error)[:300]}") from error


@dataclass(frozen=True)
class RecordedCircuit:
    """All recorded answers about one circuit, with everything that they depend on."""

    circuit: str
    """Id of the shipped circuit."""
    components: tuple[str, ...]
    task: str
    """Name of the prompt set."""
    prompts_sha256: str
    """Hash of the whole set; its two splits follow from it."""
    universe: Universe
    replacement: Replacement
    model_file_sha256: str
    """Digest of the file that the known model is converted from: identifies it before it is loaded."""
    measured_with: MeasuredWith
    answers: tuple[RecordedAnswer, ...]

    def is_of_known(self, name: str) -> bool:
        """Whether this is a record of the known model of that name, which need not be loaded."""
        known = find_known(name)
        return known is not None and known.member_sha256 == self.model_file_sha256

    def is_of(self, identity: ModelIdentity) -> bool:
        """Whether this is a record of exactly this loaded model."""
        return self.measured_with.identity.get("short") == identity.short

    def is_about(self, components: Collection[Component], universe: Universe, replacement: Replacement) -> bool:
        """Whether circuit, universe and ablation are those of the record."""
        same = frozenset(map(str, components)) == frozenset(self.components)
        return same and universe is self.universe and replacement is self.replacement

    def is_on(self, task: str, prompts_sha256: str) -> bool:
        """Whether the whole prompt set is that of the record."""
        return (task, prompts_sha256) == (self.task, self.prompts_sha256)

    def list_current(self) -> tuple[RecordedAnswer, ...]:
        """Answers that the audits of today would store in the same form, or whose missing fields pages report as not measured;
        none under another verdict rule."""
        if self.measured_with.rule_version != RULE_VERSION:
            return ()
        return tuple(a for a in self.answers if get_plugin("audits", a.audit).shows(a.version))


@cache
def list_recorded() -> tuple[RecordedCircuit, ...]:
    """Every record that ships.

    Raises:
        IntegrityError: a record is too large or does not parse.
    """
    return tuple(load_recorded(path) for path in sorted(RECORDS.glob("*.json")))


def load_recorded(path: Path) -> RecordedCircuit:
    """One record.

    Raises:
        IntegrityError: it is too large or does not parse.
    """
    found: RecordedCircuit = read_record(path, RecordedCircuit, max_bytes=MAX_RECORD_BYTES)
    return found
