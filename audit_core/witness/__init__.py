"""Witnesses of the audit log: a small witness, and the client that asks witnesses to cosign checkpoints (C2SP tlog-witness)."""

from audit_core.witness.asking import Answer, Outcome, ask_witness
from audit_core.witness.identity import WitnessIdentity, make_identity, open_identity
from audit_core.witness.recording import Cosignature, WitnessedLog, list_cosignatures, load_witnesses, witness_log
from audit_core.witness.serving import WitnessServer
from audit_core.witness.witness import LogWitness

__all__ = [
    "Answer",
    "Cosignature",
    "LogWitness",
    "Outcome",
    "WitnessIdentity",
    "WitnessServer",
    "WitnessedLog",
    "ask_witness",
    "list_cosignatures",
    "load_witnesses",
    "make_identity",
    "open_identity",
    "witness_log",
]
