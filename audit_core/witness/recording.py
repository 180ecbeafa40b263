"""Have the log's newest checkpoint cosigned, record the answers in the log, and put the proof into a pack."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import Refused
from audit_core.evidence.merkle_proofs import prove_consistency, prove_inclusion
from audit_core.store.database.checkpoints import (
    AnchorKind,
    Signed,
    anchor_checkpoint,
    list_leaves,
    make_checkpoint,
)
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events
from audit_core.verifier.cosignature import MAX_WITNESSES_BYTES, BadWitnessList, Witness, WitnessList, read_witnesses
from audit_core.verifier.witnessed import TlogProof, write_tlog_proof
from audit_core.witness.asking import TIMEOUT_S, Answer, Outcome, ask_witness

HOME_WITNESSES = "witnesses.toml"
"""Witness list of this data directory: the witnesses whose cosignatures count on its pages."""


@dataclass(frozen=True)
class Cosignature:
    """A recorded cosignature."""

    size: int
    """Events that the cosigned checkpoint covers."""
    name: str
    at: str
    """Time of the cosignature, by the witness's clock, UTC."""


@dataclass(frozen=True)
class WitnessedLog:
    """A checkpoint and what the witnesses answered."""

    checkpoint: Signed
    answers: tuple[Answer, ...]
    quorum: int
    leaves: tuple[bytes, ...]

    @property
    def cosigned(self) -> tuple[Answer, ...]:
        return tuple(one for one in self.answers if one.outcome == Outcome.COSIGNED)

    @property
    def is_witnessed(self) -> bool:
        return len(self.cosigned) >= self.quorum

    @property
    def note(self) -> str:
        """The checkpoint with all cosignatures."""
        return self.checkpoint.note + "".join(one.line for one in self.cosigned)

    def prove(self, size: int) -> bytes:
        """Return the tlog-proof for a pack whose checkpoint has this size."""
        leaves = self.leaves
        extension = prove_consistency(size, leaves) if size < len(leaves) else ()
        return write_tlog_proof(TlogProof(size - 1, prove_inclusion(size - 1, leaves), extension, self.note))


def witness_log(home: Path, listed: WitnessList, *, actor: str, timeout: float = TIMEOUT_S) -> WitnessedLog:
    """Sign the newest checkpoint, ask every witness at the same time, and record cosignatures and refusals in the log.

    Args:
        timeout: seconds for each request, of which a witness may get two.
    """
    if silent := [one.name for one in listed.witnesses if not one.url]:
        raise Refused(
            f"{silent[0]} has no url in the witness list.",
            wanted="a url for every witness.",
            remedy="add it to the list.",
        )
    with open_database(home) as connection:
        signed = make_checkpoint(connection, home)
        leaves = list_leaves(connection, size=signed.size)
        known = _find_last_sizes(list_events(connection, action=Action.CHECKPOINT_ANCHORED))

    def ask(witness: Witness) -> Answer:
        last = known.get(witness.name, 0)
        last_size = last if last <= signed.size else 0
        return ask_witness(
            witness, signed.note, lambda old: prove_consistency(old, leaves), last_size=last_size, timeout=timeout
        )

    with ThreadPoolExecutor(len(listed.witnesses)) as pool:
        answers = tuple(pool.map(ask, listed.witnesses))
    _record(home, actor, signed, answers)
    return WitnessedLog(signed, answers, listed.quorum, leaves)


def _record(home: Path, actor: str, signed: Signed, answers: Sequence[Answer]) -> None:
    with open_database(home) as connection:
        for one in answers:
            if one.outcome == Outcome.COSIGNED:
                named = {"cosignature": one.line.strip(), "cosigned_at": one.at}
                anchor_checkpoint(
                    connection, actor=actor, kind=AnchorKind.WITNESS, target=one.name, size=signed.size, named=named
                )
            elif one.outcome != Outcome.UNREACHABLE:
                payload = {"size": signed.size, "root": signed.root, "witness": one.name, "reason": one.detail[:400]}
                append_event(
                    connection,
                    actor=actor,
                    action=Action.CHECKPOINT_REFUSED,
                    object_id=str(signed.size),
                    payload=payload,
                )


def list_cosignatures(events: Sequence[AuditEvent]) -> tuple[Cosignature, ...]:
    """List recorded cosignatures, oldest first."""
    return tuple(
        Cosignature(event.payload["size"], event.payload["target"], event.payload.get("cosigned_at", ""))
        for event in events
        if event.action == Action.CHECKPOINT_ANCHORED and event.payload["kind"] == AnchorKind.WITNESS
    )


def _find_last_sizes(events: Sequence[AuditEvent]) -> dict[str, int]:
    return {one.name: one.size for one in list_cosignatures(events)}


def load_home_witnesses(home: Path) -> WitnessList | None:
    """Read the witness list of a data directory; None where it has none."""
    path = home / HOME_WITNESSES
    return load_witnesses(path) if path.is_file() else None


def load_witnesses(path: Path) -> WitnessList:
    """Read a witness list.

    Raises:
        Refused: it cannot be read, or is not a witness list.
    """
    try:
        with path.open("rb") as file:
            return read_witnesses(file.read(MAX_WITNESSES_BYTES + 1))
    except OSError as error:
        raise Refused(
            f"{path} cannot be read: {error.strerror}.", wanted="a witness list.", remedy="check the path."
        ) from error
    except BadWitnessList as error:
        raise Refused(
            f"{path} is not a witness list: {error}.",
            wanted="the format in docs/reference/pack.md.",
            remedy="fix that row.",
        ) from error
