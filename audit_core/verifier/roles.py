"""Separation of duties: rejects one person in two roles; the gate checks which roles must sign."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from audit_core.verifier.container import BadPack
from audit_core.verifier.trust import Signer, show


def check_roles(signers: Sequence[Signer], approval: Mapping[str, Any]) -> None:
    """Reject a person who signed in two roles that the policy separates.

    Args:
        approval: the table `approval` of a resolved policy.

    Raises:
        BadPack: with the person's name.
    """
    people = {
        role: {_fold_name(row.person) for row in signers if row.role == role}
        for role in ("preparer", "reviewer", "approver")
    }
    apart = []
    if approval["preparer_ne_reviewer"]:
        apart += [("preparer", "reviewer"), ("preparer", "approver")]
    if approval["reviewer_ne_approver"]:
        apart.append(("reviewer", "approver"))
    for one, other in apart:
        if both := sorted(people[one] & people[other]):
            raise BadPack(f"{show(both[0])} signed as {one} and as {other}")


def _fold_name(name: str) -> str:
    """Normalise a name, so that spellings of one name count as one person."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
