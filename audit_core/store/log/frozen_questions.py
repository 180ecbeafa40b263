"""Frozen questions: an audit's request and the policy for its result, logged before it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from audit_core.preregistration import PriorAccess
from audit_core.store.claims.earlier_runs import Sought, read_sightings
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events


@dataclass(frozen=True)
class Question:
    """What is frozen: digests and ids only."""

    audit: str
    content_key: str
    """Digest of everything the result depends on; the log has that of each run."""
    model_digest: str
    prompts_sha256: str
    policy_sha256: str
    """Of the policy's file."""
    resolved_policy_sha256: str
    """Of its canonical resolved form, which a verifier recomputes."""

    @property
    def question_id(self) -> str:
        return f"Q-{self.content_key[:16]}"


@dataclass(frozen=True)
class FrozenQuestion:
    """A question in the log."""

    question: Question
    prior_access: PriorAccess
    frozen_at: str

    @property
    def is_exploratory(self) -> bool:
        """Whether results on its prompts were seen, or could have been, before."""
        return self.prior_access in (PriorAccess.RESULTS_SEEN, PriorAccess.RESULTS_NOT_OPENED)


def freeze_question(
    home: Path, question: Question, *, actor: str, declared: PriorAccess, sought: Sought
) -> FrozenQuestion:
    """Log a question; prior access to its prompts is looked up in the same transaction.

    Args:
        declared: what its owner says was seen; the log can only add to it.
        sought: its prompts by their texts: another id, order or file hides no prompt.
    """
    with open_database(home) as connection:
        seen = read_sightings(connection, question.model_digest, sought)
        access = max(declared, seen.access, key=list(PriorAccess).index)
        before = read_frozen_questions(list_events(connection, action=Action.QUESTION_FROZEN))
        own = (question.audit, question.model_digest)
        payload = asdict(question) | {
            # So that a reader sees how many questions were tried before the one whose answer is exported.
            "number": 1 + sum((one.question.audit, one.question.model_digest) == own for one in before),
            "prior_access": access.value,
            "seen_in_sets": seen.sets,
            "seen_alone": seen.single,
            "seen_share": round(seen.share, 4),
        }
        event = append_event(
            connection, actor=actor, action=Action.QUESTION_FROZEN, object_id=question.question_id, payload=payload
        )
    return FrozenQuestion(question, access, event.ts)


def list_frozen_questions(home: Path) -> tuple[FrozenQuestion, ...]:
    """Every frozen question, oldest first."""
    with open_database(home) as connection:
        return read_frozen_questions(list_events(connection, action=Action.QUESTION_FROZEN))


def read_frozen_questions(events: Sequence[AuditEvent]) -> tuple[FrozenQuestion, ...]:
    """The frozen questions among these events."""
    return tuple(
        FrozenQuestion(
            Question(**{name: event.payload[name] for name in Question.__dataclass_fields__}),
            PriorAccess(event.payload["prior_access"]),
            event.ts,
        )
        for event in events
        if event.action == Action.QUESTION_FROZEN
    )
