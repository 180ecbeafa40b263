"""Next-token logits after many texts that begin alike: the common beginning is run once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_core.prompts.answers import Tokens
from audit_core.subject import Floats, read_only

if TYPE_CHECKING:
    from audit_core.engine.runner import WaveRunner

ROWS = 16
"""Texts in one batch."""


def read_next(runner: WaveRunner, texts: Sequence[Tokens]) -> Floats:
    """Logits of the token after each text; shape (text, vocabulary)."""
    import torch

    found = np.empty((len(texts), runner.geometry.n_vocabulary), np.float32)
    start = _count_common(texts) if runner.shares_prefix and len(texts) > 1 else 0
    model: Any = runner.bridge.original_model
    for first in range(0, len(texts), ROWS):
        rows = texts[first : first + ROWS]
        lengths = [len(text) - start for text in rows]
        # Padded at the end: a causal decoder's earlier positions do not see it.
        ids = torch.tensor(
            [(*text[start:], *[text[-1]] * (max(lengths) - length)) for text, length in zip(rows, lengths)]
        )
        with runner.turn():
            options: dict[str, Any] = {"use_cache": False}
            if start:
                # A cache grows with its use, so each batch has its own.
                cache = model(torch.tensor([texts[0][:start]]), use_cache=True, logits_to_keep=1).past_key_values
                cache.batch_repeat_interleave(len(rows))
                options = {"past_key_values": cache, "use_cache": True}
            logits = model(ids, **options).logits.float()
        for row, length in enumerate(lengths):
            found[first + row] = logits[row, length - 1].numpy()
    return read_only(found)


def _count_common(texts: Sequence[Tokens]) -> int:
    """Tokens that all texts begin with, at least one fewer than the shortest has."""
    most = min(map(len, texts)) - 1
    return next((at for at in range(most) if len({text[at] for text in texts}) > 1), most)
