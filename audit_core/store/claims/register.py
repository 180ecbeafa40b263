"""The claims register: claims, their frozen plans, and deviations; append-only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.claim import Claim, parse_claim
from audit_core.errors import ClaimRefused, IntegrityError
from audit_core.preregistration import ChangeKind, Deviation, Pins, Preregistration, PriorAccess, amend
from audit_core.store.claims.earlier_runs import Sought, read_sightings
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event, list_events, read_clock

if TYPE_CHECKING:
    import duckdb

MAX_EXPIRY_DAYS = 180
"""Days until a claim needs revalidation, as for approvals; see docs/reference/policy.md."""


@dataclass(frozen=True)
class RegisteredClaim:
    """A claim with its frozen plans."""

    claim_id: str
    created_at: str
    owner: str
    expires_at: str
    """Date, UTC."""
    model: str
    """Name that opens the model."""
    prompts: str
    """Id of the whole prompt set in the data directory."""
    plans: tuple[Preregistration, ...]
    """Every version, oldest first."""
    deviations: tuple[Deviation, ...]
    withdrawn: str
    """Why it was withdrawn; empty for an active claim."""

    @property
    def plan(self) -> Preregistration:
        """The current version, which runs must follow."""
        return self.plans[-1]

    @property
    def has_deviated(self) -> bool:
        return any(row.is_deviation for row in self.deviations)


Draft = Callable[[str, str, PriorAccess], Preregistration]
"""Claim id, time and prior access → the plan to freeze."""
_COUNT_CLAIMS = "SELECT count(*) FROM claim"
_COUNT_DEVIATIONS = "SELECT count(*) FROM deviation"


class Register:
    """Register, freeze, amend and find claims of one data directory."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def freeze(
        self,
        draft: Draft,
        *,
        owner: str,
        declared: PriorAccess,
        expires_at: str,
        model: str,
        model_digest: str,
        prompts: str,
        sought: Sought,
    ) -> Preregistration:
        """Register a claim and freeze its plan; prior access to its split is looked up in the same transaction.

        Args:
            declared: the owner's statement of prior access; the log can only add to it.
            sought: the split by its texts and skeletons: another id, order, file or filler word hides no prompt.
        """
        with open_database(self.home) as connection:
            seen = read_sightings(connection, model_digest, sought)
            access = max(declared, seen.access, key=list(PriorAccess).index)
            claim_id, now = f"C-{_follow(connection.execute(_COUNT_CLAIMS).fetchone()):04d}", read_clock()
            plan = draft(claim_id, now, access)
            connection.execute(
                "INSERT INTO claim VALUES (?, ?, ?, ?, ?, ?)", [claim_id, now, owner, expires_at, model, prompts]
            )
            registered = {"claim_sha256": plan.claim.sha256, "expires_at": expires_at}
            append_event(
                connection, actor=owner, action=Action.CLAIM_REGISTERED, object_id=claim_id, payload=registered
            )
            _insert_plan(connection, plan)
            frozen = _log_plan(plan) | {
                "seen_in_sets": seen.sets,
                "seen_alone": seen.single,
                "seen_share": round(seen.share, 4),
            }
            append_event(connection, actor=owner, action=Action.PREREG_FROZEN, object_id=plan.prereg_id, payload=frozen)
        return plan

    def amend(
        self,
        claim_id: str,
        change: Callable[[Preregistration], Preregistration],
        *,
        by: str,
        reason: str,
        kind: ChangeKind,
        sought: Sought,
    ) -> Preregistration:
        """Freeze the next version of a plan, with one deviation row per changed field.

        Raises:
            ClaimRefused: no such claim, it is withdrawn, nothing changed, or no reason.
        """
        with open_database(self.home) as connection:
            known = _read_claim(connection, claim_id)
            _refuse_withdrawn(known)
            seen = read_sightings(connection, known.plan.pins.model_digest, sought)
            now = read_clock()
            plan, rows = amend(
                known.plan, change(known.plan), at=now, by=by, reason=reason, kind=kind, seen=seen.access
            )
            _insert_plan(connection, plan)
            for row in rows:
                body = json.dumps({**asdict(row), "kind": row.kind.value, "prior_access": row.prior_access.value})
                number = _follow(connection.execute(_COUNT_DEVIATIONS).fetchone())
                connection.execute("INSERT INTO deviation VALUES (?, ?, ?)", [number, claim_id, body])
            action = Action.PREREG_DEVIATED if rows[0].is_deviation else Action.PREREG_AMENDED
            reported = _log_plan(plan) | {"fields": [row.field for row in rows], "class": kind.value}
            append_event(connection, actor=by, action=action, object_id=plan.prereg_id, payload=reported)
        return plan

    def withdraw(self, claim_id: str, *, by: str, reason: str) -> None:
        """Withdraw a claim; it stays in the register, and no later run of it is confirmatory.

        Raises:
            ClaimRefused: no such claim, it is withdrawn already, or no reason: a claim without one would read as active.
        """
        if not reason.strip():
            raise ClaimRefused(
                "No reason.", wanted="why the claim is withdrawn.", remedy="give a reason; the register shows it."
            )
        with open_database(self.home) as connection:
            _refuse_withdrawn(_read_claim(connection, claim_id))
            connection.execute("INSERT INTO claim_withdrawn VALUES (?, ?, ?, ?)", [claim_id, read_clock(), by, reason])
            append_event(connection, actor=by, action=Action.CLAIM_WITHDRAWN, object_id=claim_id, payload={})

    def find(self, claim_id: str) -> RegisteredClaim:
        """Find one claim.

        Raises:
            ClaimRefused: no such claim.
            IntegrityError: a plan differs from the frozen one in the audit log.
        """
        with open_database(self.home) as connection:
            return _read_claim(connection, claim_id)

    def list_claims(self) -> tuple[RegisteredClaim, ...]:
        """Every claim, oldest first."""
        with open_database(self.home) as connection:
            rows = connection.execute("SELECT claim_id FROM claim ORDER BY claim_id").fetchall()
            frozen = _read_frozen(connection) if rows else {}
            return tuple(_read_claim(connection, row[0], frozen) for row in rows)


def _follow(count: tuple[Any, ...] | None) -> int:
    """Number of the next row: rows are append-only, with one writer at a time."""
    return 1 + (int(count[0]) if count else 0)


def _log_plan(plan: Preregistration) -> dict[str, Any]:
    return {
        "claim_id": plan.claim_id,
        "version": plan.version,
        "digest": plan.digest,
        "prior_access": plan.prior_access.value,
    }


def _insert_plan(connection: duckdb.DuckDBPyConnection, plan: Preregistration) -> None:
    body = asdict(plan) | {
        "claim": plan.claim.to_json(), "prior_access": plan.prior_access.value, "questions": list(plan.questions),
    }  # fmt: skip
    connection.execute(
        "INSERT INTO preregistration VALUES (?, ?, ?, ?)",
        [plan.claim_id, plan.version, plan.digest, json.dumps(body, ensure_ascii=False)],
    )


def _read_claim(
    connection: duckdb.DuckDBPyConnection, claim_id: str, frozen: Mapping[str, set[str]] | None = None
) -> RegisteredClaim:
    row = connection.execute("SELECT * FROM claim WHERE claim_id = ?", [claim_id]).fetchone()
    if row is None:
        raise ClaimRefused(
            f"No claim {claim_id[:40]!r} in this register.",
            wanted="the id of a registered claim.",
            remedy="list them: `claims`.",
        )
    plans = connection.execute(
        "SELECT digest, body FROM preregistration WHERE claim_id = ? ORDER BY version", [claim_id]
    ).fetchall()
    digests = (_read_frozen(connection) if frozen is None else frozen).get(claim_id, set())
    deviations = connection.execute(
        "SELECT body FROM deviation WHERE claim_id = ? ORDER BY number", [claim_id]
    ).fetchall()
    withdrawn = connection.execute("SELECT reason FROM claim_withdrawn WHERE claim_id = ?", [claim_id]).fetchone()
    own_id, created_at, owner, expires_at, model, prompts = row
    return RegisteredClaim(
        own_id,
        created_at,
        owner,
        expires_at,
        model,
        prompts,
        tuple(_parse_plan(digest, body, digests) for digest, body in plans),
        tuple(_parse_deviation(body) for (body,) in deviations),
        "" if withdrawn is None else withdrawn[0],
    )


def _read_frozen(connection: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """Digests of the frozen plans in the audit log, by claim."""
    digests: dict[str, set[str]] = {}
    for event in list_events(connection, action=(Action.PREREG_FROZEN, Action.PREREG_AMENDED, Action.PREREG_DEVIATED)):
        digests.setdefault(str(event.payload.get("claim_id")), set()).add(str(event.payload["digest"]))
    return digests


def _parse_plan(digest: str, body: str, frozen: set[str]) -> Preregistration:
    fields = json.loads(body)
    claim: Claim = parse_claim(fields["claim"])
    plan = Preregistration(
        **fields
        | {
            "claim": claim,
            "pins": Pins(**fields["pins"]),
            "questions": tuple(fields["questions"]),
            "prior_access": PriorAccess(fields["prior_access"]),
        }
    )
    if plan.digest != digest or digest not in frozen:
        raise IntegrityError(
            f"Plan {plan.prereg_id} version {plan.version} is not what was frozen: its digest is {plan.digest[:12]}…, the "
            f"register contains {digest[:12]}…, and the audit log {len(frozen)} frozen plans of this claim. Run `log verify`."
        )
    return plan


def _parse_deviation(body: str) -> Deviation:
    fields = json.loads(body)
    return Deviation(
        **fields | {"kind": ChangeKind(fields["kind"]), "prior_access": PriorAccess(fields["prior_access"])}
    )


def _refuse_withdrawn(known: RegisteredClaim) -> None:
    if known.withdrawn:
        raise ClaimRefused(
            f"{known.claim_id} was withdrawn: {known.withdrawn[:200]}",
            wanted="an active claim.",
            remedy="freeze a new claim.",
        )
