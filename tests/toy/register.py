"""Claims frozen by hand and runs told by hand: a home with a history, and no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit_core.claim import Claim
from audit_core.component import head
from audit_core.preregistration import Pins, Preregistration, PriorAccess
from audit_core.prompts.prompt_set import PromptSet
from audit_core.store.claims.earlier_runs import Sought
from audit_core.store.claims.register import Register
from audit_core.store.data_directory import keep_prompts
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event

PINS = Pins("toy model", "1" * 64, "a1b2c3d4e5f6", "toy prompts", "2" * 64, 40, 5, "3" * 64, "0.1.0", "4" * 64)


def freeze_by_hand(
    home: Path,
    *,
    owner: str = "anna",
    expires_at: str = "2999-01-01",
    name: str = "it is needed",
    prompts: PromptSet | None = None,
) -> str:
    """Register one claim and freeze its plan; returns its id.

    Args:
        prompts: a set to keep beside it; without one its prompts are nowhere.
    """
    key = "own-" + "0" * 24 if prompts is None else keep_prompts(prompts, home=home)

    def draft(claim_id: str, now: str, access: PriorAccess) -> Preregistration:
        return Preregistration(
            f"P-{claim_id}", claim_id, 1, Claim(name, (head(1, 0),)), owner, now, now, PINS, (), access, 0
        )

    plan = Register(home).freeze(
        draft, owner=owner, declared=PriorAccess.NOTHING_RUN, expires_at=expires_at, model="toy", model_digest=PINS.model_digest,
        prompts=key, sought=Sought(("2" * 64,), ()),
    )  # fmt: skip
    return plan.claim_id


def tell(home: Path, action: Action, object_id: str, **payload: Any) -> None:
    """One event, as the product would write it."""
    with open_database(home) as connection:
        append_event(connection, actor="anna", action=action, object_id=object_id, payload=payload)


def tell_attempt(home: Path, claim_id: str, run_id: str, state: str | None = None, **verdict: Any) -> None:
    """A confirmatory run under the plan as it stands, with a verdict unless it came to none."""
    plan = Register(home).find(claim_id).plan
    tell(
        home,
        Action.RUN_STARTED,
        run_id,
        claim_id=claim_id,
        prereg_digest=plan.digest,
        attempt_no=1,
        kind="confirmation",
        model_digest=PINS.model_digest,
        prompts_sha256=PINS.prompts_sha256,
    )
    if state is not None:
        said = {"claim_id": claim_id, "state": state, "reason": None, "exploratory": None} | verdict
        tell(home, Action.VERDICT_REACHED, run_id, **said)
