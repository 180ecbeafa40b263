"""Texts that a model writes itself; those that collapse into repetition are cases, by a rule that reads nothing but tokens."""

from __future__ import annotations

from audit_core.activations import Sampling
from audit_core.capability import STEERING
from audit_core.errors import Refused
from audit_core.monitors.scoring import find_collapse
from audit_core.monitors.texts import MAX_TOKENS, MonitorText
from audit_core.prompts.answers import Tokens
from audit_core.subject import Progress, Subject, no_progress

FREE = 6
"""Tokens at the start that are sampled at a temperature of 1, so that texts differ from their first words on."""
MAX_TEXTS = 5_000


def write_own_texts(
    subject: Subject, n: int, n_tokens: int, *, temperature: float, seed: int, on_progress: Progress = no_progress
) -> tuple[MonitorText, ...]:
    """Let a model write after its first token. A text is a case from where it repeats itself on; see `find_collapse`.

    Texts are drawn independently, and so are exchangeable: a threshold that is set on some of them holds for others.

    Args:
        n_tokens: of each text, with those at its start.
        temperature: after the start; low ones collapse more often.

    Raises:
        Refused: a number out of range, or a model without a first token.
        CapabilityRefused: this model cannot write so.
    """
    first = subject.tokenizer.bos_id
    if not 1 <= n <= MAX_TEXTS or not 2 * FREE <= n_tokens <= MAX_TOKENS or not 0 <= temperature <= 2 or first is None:
        raise Refused(
            f"{n:,} texts of {n_tokens} tokens at temperature {temperature:g}.",
            wanted=f"1 to {MAX_TEXTS:,} texts of {2 * FREE} to {MAX_TOKENS:,} tokens at 0 to 2, and a model with a first token.",
            remedy="change the numbers.",
        )  # fmt: skip
    rows: list[Tokens] = [(first,)] * n
    draws, before = tuple(range(n)), 0
    for length, warmth in ((FREE, 1.0), (n_tokens - FREE - 1, temperature)):

        def advance(done: int, total: int, before: int = before, length: int = length) -> None:
            on_progress(before + n * length * done // total, n * (n_tokens - 1))

        # Another seed after the start: the same noise would carry its choices on.
        written = STEERING.of(subject).write_steered(
            rows, 0, None, Sampling(length, warmth, seed + before, draws), [], on_progress=advance
        )
        rows = [(*row, *map(int, ids)) for row, ids in zip(rows, written.ids, strict=True)]
        before += n * length
    return tuple(
        MonitorText(f"own {seed} {at}", row, onset is not None, onset)
        for at, row in enumerate(rows)
        for onset in [find_collapse(row)]
    )
