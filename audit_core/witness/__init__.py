"""Witnesses of the audit log: a small witness, and the client that asks witnesses to cosign checkpoints (C2SP tlog-witness)."""

from audit_core.verifier.witnessed import UNWITNESSED, WITNESSED, WITNESSES_FAILED, WitnessFinding
from audit_core.witness.recording import Cosignature, list_cosignatures

__all__ = ["UNWITNESSED", "WITNESSED", "WITNESSES_FAILED", "Cosignature", "WitnessFinding", "list_cosignatures"]
