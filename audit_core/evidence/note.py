"""Sign log checkpoints as C2SP signed notes; `audit_core.verifier.note` reads them."""

from __future__ import annotations

import base64

from audit_core.evidence.keys import SigningKey
from audit_core.verifier.note import Checkpoint, hash_note_key


def sign_checkpoint(key: SigningKey, checkpoint: Checkpoint, *others: SigningKey) -> str:
    """Return the signed note: one signature line per key, with the log's name as signer."""
    lines = []
    for one in (key, *others):
        signature = hash_note_key(checkpoint.origin, one.public_key) + one.sign(checkpoint.text.encode())
        lines.append(f"— {checkpoint.origin} {base64.b64encode(signature).decode()}\n")
    return f"{checkpoint.text}\n{''.join(lines)}"
