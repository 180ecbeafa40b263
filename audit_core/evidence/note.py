"""Signs log checkpoints; `audit_core.verifier.note` reads them."""

from __future__ import annotations

import base64

from audit_core.evidence.keys import SigningKey
from audit_core.verifier.note import Checkpoint, hash_note_key


def sign_checkpoint(key: SigningKey, checkpoint: Checkpoint) -> str:
    """The whole note, with the log's name as the signer's."""
    signature = hash_note_key(checkpoint.origin, key.public_key) + key.sign(checkpoint.text.encode())
    return f"{checkpoint.text}\n— {checkpoint.origin} {base64.b64encode(signature).decode()}\n"
