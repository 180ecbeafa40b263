"""Try a policy on packs at hand: what it would decide on their claims. A trial decides nothing and is not logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from audit_core.errors import IntegrityError
from audit_core.evidence.container import read_archive
from audit_core.governance.gate import GateResult, GateRow, PackCheck, PackDocuments, decide_gate
from audit_core.governance.latest import DeskRecord
from audit_core.governance.policy import Policy, parse_policy
from audit_core.review.checked_pack import load_home_trust, read_check, read_evidence
from audit_core.review.desk import assemble_pack, list_cases
from audit_core.review.desk_record import consult_desk
from audit_core.verifier.walk import verify_pack


@dataclass(frozen=True, eq=False)
class TrialPack:
    """A pack of the desk, checked once."""

    root_digest: str
    claim_ids: tuple[str, ...]
    own: Policy
    """The policy that it was prepared under."""
    _check: PackCheck
    _documents: PackDocuments
    _desk: DeskRecord | None

    def decide(self, policy: Policy, *, now: datetime) -> GateResult:
        """The gate's decision under a policy."""
        return decide_gate(policy, self._check, self._documents, now=now, desk=self._desk)


@dataclass(frozen=True)
class TriedRow:
    """One criterion of one claim under two policies; None where a policy has no such row."""

    pack: str
    """Digest of the pack."""
    claim_id: str
    """Empty for a row about the whole pack."""
    criterion: str
    before: GateRow | None
    after: GateRow | None

    @property
    def is_changed(self) -> bool:
        """Whether the result, or whether it counts, differs."""
        return _read(self.before) != _read(self.after)


@dataclass(frozen=True)
class TriedPack:
    """Overall results of one pack under two policies, with the rows behind them."""

    root_digest: str
    claim_ids: tuple[str, ...]
    before: str
    after: str
    rows: tuple[TriedRow, ...]


def read_trial_packs(home: Path) -> tuple[TrialPack, ...]:
    """Every pack of the desk, newest first; see `read_trial_pack`."""
    return tuple(read_trial_pack(home, case.pack.root_digest) for case in list_cases(home))


def read_trial_pack(home: Path, root_digest: str) -> TrialPack:
    """Check one pack of the desk, and keep what a policy is decided on.

    Raises:
        Refused: the desk has no such pack.
        IntegrityError: the stored pack was changed.
    """
    data = assemble_pack(home, root_digest)
    found = verify_pack(data, load_home_trust(home))
    documents = read_evidence(found)
    if documents is None:
        raise IntegrityError(f"The pack {root_digest[:12]}… cannot be read: {found.integrity}.")
    own = parse_policy(read_archive(data, str(found.pack_id))["policy/policy.toml"], "policy.toml")
    claim_ids = tuple(str(claim["claim_id"]) for claim in documents.claims)
    return TrialPack(root_digest, claim_ids, own, read_check(found), documents, consult_desk(home, root_digest))


def try_policy(
    packs: Sequence[TrialPack], before: Policy | None, after: Policy, *, now: datetime
) -> tuple[TriedPack, ...]:
    """Decide each pack under two policies.

    Args:
        before: None for the policy that each pack was prepared under.
    """
    return tuple(_try(pack, before or pack.own, after, now) for pack in packs)


def _try(pack: TrialPack, before: Policy, after: Policy, now: datetime) -> TriedPack:
    old, new = pack.decide(before, now=now), pack.decide(after, now=now)
    rows = [{(row.claim_id or "", row.id): row for row in one.rows} for one in (old, new)]
    tried = tuple(
        TriedRow(
            pack.root_digest,
            claim_id,
            criterion,
            rows[0].get((claim_id, criterion)),
            rows[1].get((claim_id, criterion)),
        )
        for claim_id, criterion in dict.fromkeys((*rows[0], *rows[1]))
    )
    return TriedPack(pack.root_digest, pack.claim_ids, old.overall, new.overall, tried)


def _read(row: GateRow | None) -> tuple[str, bool] | None:
    return None if row is None else (row.result, row.is_required)
