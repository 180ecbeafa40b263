"""A pack of the desk, opened for review: what it contains, and the decisions about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from audit_core.errors import Refused
from audit_core.governance.policy import Policy
from audit_core.review.desk import assemble_pack, list_cases
from audit_core.review.desk_record import consult_desk
from audit_core.review.desk_rules import Case
from audit_core.review.reading import PackReading, read_pack


@dataclass(frozen=True)
class CaseFile(PackReading):
    """An opened pack of the desk."""

    case: Case

    def list_hidden(self, names: frozenset[str]) -> Collection[str]:
        """People whose reviews a person may not see before giving their own."""
        seen = self.case.show_to(names)
        return {one.person for one in self.case.decisions if one not in seen}


def open_case(home: Path, root_digest: str, *, policy: Policy | None = None, now: datetime) -> CaseFile:
    """Open one pack of the desk.

    Args:
        policy: the caller's policy; the pack's own unless given.

    Raises:
        Refused: the desk has no such pack.
        IntegrityError: the stored file was changed.
    """
    case = next((one for one in list_cases(home) if one.pack.root_digest == root_digest), None)
    if case is None:
        raise Refused(
            f"No pack {root_digest[:16]!r} on this desk.", wanted="a pack of this desk.", remedy="choose from the list."
        )
    data = assemble_pack(home, root_digest)
    found = read_pack(home, data, policy=policy, now=now, desk=consult_desk(home, root_digest))
    return CaseFile(**vars(found), case=case)


def find_case(home: Path, claim_id: str) -> Case | None:
    """Return the newest pack of the desk that contains a claim."""
    return next((one for one in list_cases(home) if claim_id in one.pack.claim_ids), None)
