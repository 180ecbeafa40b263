"""Witnesses of the audit log: a small witness, and the client that asks witnesses to cosign checkpoints (C2SP tlog-witness)."""
