"""Outcomes of model signatures in the audit log, found again for the same files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.exchange.model_signature import ModelSignature, SignatureState
from audit_core.models import ModelIdentity
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events

MAX_NAMES = 20
"""Names of files of one kind in an event; their number is always there."""
_KINDS = {"changed": "changed", "missing": "missing", "extra": "not signed", "left_out": "left out by the signature"}


@dataclass(frozen=True)
class RecordedSignature:
    """The last recorded outcome for a model's files."""

    state: SignatureState
    checked_at: str
    """RFC 3339, UTC."""
    by: str
    key: str
    subject: str
    expired_at: str
    n_files: int
    differing: Mapping[str, int]
    """Number of files by kind: changed, missing, extra, left_out; only kinds that occur."""

    def describe(self) -> str:
        """The outcome in one sentence, with the time of the check."""
        who = f"key {self.key[:23]}…" + (f" of {self.subject!a}" if self.subject else "")
        if self.state is SignatureState.NOT_SIGNED:
            said = "no signature"
        elif self.state is SignatureState.NOT_TRUSTED:
            said = f"signature not made by the trusted signer ({who})"
        elif self.state is SignatureState.MATCH:
            said = f"{self.n_files} files as signed with {who}"
        else:
            found = ", ".join(f"{count} {_KINDS[kind]}" for kind, count in self.differing.items())
            said = f"not as signed with {who}: {found}"
        return f"{said}{f'; its certificate expired at {self.expired_at}' if self.expired_at else ''}; checked at {self.checked_at[:19]}Z by {self.by}"


def record_signature(home: Path, found: ModelSignature, *, actor: str) -> AuditEvent:
    """Log the outcome under the digest of the weights."""
    payload: dict[str, Any] = {
        "state": found.state.value, "key": found.key, "subject": found.subject, "expired_at": found.expired_at,
        "signature_sha256": found.signature_sha256, "n_files": found.n_files, "tokenizer_sha256": found.digest.tokenizer_sha256,
        "config_sha256": found.config_sha256, "ignored": [path[:100] for path in found.ignored[:MAX_NAMES]],
    }  # fmt: skip
    for kind in _KINDS:
        names: tuple[str, ...] = getattr(found, kind)
        if names:
            payload[kind] = {"count": len(names), "first": [name[:100] for name in names[:MAX_NAMES]]}
    with open_database(home) as connection:
        return append_event(
            connection, actor=actor, action=Action.MODEL_SIGNATURE_CHECKED, object_id=found.digest.weights_sha256, payload=payload
        )  # fmt: skip


def read_signature(home: Path, weights: str, tokenizer: str, config: str) -> RecordedSignature | None:
    """Find the last outcome for files with these SHA-256 in a data directory."""
    with open_database(home) as connection:
        events = list_events(connection, object_id=weights, action=Action.MODEL_SIGNATURE_CHECKED)
    return _find(events, weights, tokenizer, config)


def find_signature(events: Iterable[AuditEvent], identity: ModelIdentity) -> RecordedSignature | None:
    """Find the last outcome for the files of a model among events; None if these files were never checked."""
    return _find(events, identity.weights_sha256, identity.tokenizer_sha256, identity.config_sha256)


def _find(events: Iterable[AuditEvent], weights: str, tokenizer: str, config: str) -> RecordedSignature | None:
    found = None
    for event in events:
        payload = event.payload
        if event.action != Action.MODEL_SIGNATURE_CHECKED or event.object_id != weights:
            continue
        # Other tokenizers and configurations of the same weights are other models.
        if (payload["tokenizer_sha256"], payload["config_sha256"]) == (tokenizer, config):
            differing = {kind: int(payload[kind]["count"]) for kind in _KINDS if kind in payload}
            found = RecordedSignature(
                SignatureState(payload["state"]), event.ts, event.actor, payload["key"], payload["subject"], payload["expired_at"],
                payload["n_files"], differing,
            )  # fmt: skip
    return found
