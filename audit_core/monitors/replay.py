"""Incident replay: a stored case is written again by the same or another model, and what the monitor reads is shown for both."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from audit_core.capability import ACTIVATIONS, STEPS
from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.canonical import hash_document
from audit_core.evidence.whole_file import write_whole
from audit_core.monitors.monitor import ModelId, Monitor
from audit_core.monitors.scoring import FIRST
from audit_core.monitors.texts import MAX_TOKENS
from audit_core.prompts.answers import Tokens
from audit_core.subject import Progress, Subject, no_progress

FORMAT = 1
MAX_BYTES, MAX_WRITTEN = 1 << 20, 256
CLOSE = 1e-3
"""Scores nearer than this, relative to their spread, are the same up to rounding."""


class Outcome(StrEnum):
    """Whether a stored case was written again."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not_reproduced"


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Sampling:
    """How tokens are chosen."""

    n_tokens: int
    temperature: float
    """0: the likeliest token."""
    seed: int


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class StoredCase:
    """A text that a model wrote, with everything that writes it again."""

    format: int
    prompt: tuple[int, ...]
    sampling: Sampling
    model: ModelId
    monitor: str
    """Digest of the monitor."""
    written: tuple[int, ...]
    scores: tuple[float, ...]
    """Of every token of prompt and reply; 0 at the first, which is not scored."""
    threshold: float
    alarm_at: int | None
    made_at: str


@dataclass(frozen=True)
class Replay:
    """A case now beside the case as it was stored."""

    outcome: Outcome
    is_same_model: bool
    differs_at: int | None
    """First token of the reply, from 0, that differs; None if none does."""
    written: tuple[int, ...]
    """What was written now."""
    pieces: tuple[str, ...]
    """The tokens of prompt and reply as they were stored."""
    before: tuple[float, ...]
    """Stored score of each of these tokens."""
    now: tuple[float, ...]
    """Score of the same tokens now; empty where the monitor cannot read this model."""
    why_no_scores: str
    changed_at: int | None
    """First of them whose score has changed by more than rounding."""


_CASE = TypeAdapter(StoredCase)


def write_reply(
    subject: Subject, prompt: Tokens, sampling: Sampling, *, on_progress: Progress = no_progress
) -> tuple[int, ...]:
    """Token ids that a model writes after a prompt, one whole pass a token: slow, and the same at every call.

    Raises:
        CapabilityRefused: the model cannot be asked to continue a text.
        Refused: too many tokens, or a temperature below zero.
    """
    most = min(MAX_WRITTEN, (subject.tokenizer.limits.n_positions or MAX_TOKENS) - len(prompt))
    if not 1 <= sampling.n_tokens <= most or not 0 <= sampling.temperature <= 2 or len(prompt) < 2:
        raise Refused(
            f"{sampling.n_tokens} tokens at temperature {sampling.temperature:g} after {len(prompt)}.",
            wanted=f"1 to {max(most, 1)} tokens, a temperature from 0 to 2, and a prompt of 2 tokens or more.",
            remedy="change them.",
        )
    read, draw, ids = STEPS.of(subject), np.random.default_rng(sampling.seed), list(prompt)
    for step in range(sampling.n_tokens):
        logits = np.asarray(read.read_inputs([tuple(ids)])[0], float)
        if sampling.temperature == 0:
            ids.append(int(logits.argmax()))
        else:
            weights = np.exp((logits - logits.max()) / sampling.temperature)
            chosen = int(np.searchsorted(weights.cumsum() / weights.sum(), draw.random()))
            ids.append(min(chosen, logits.size - 1))
        on_progress(step + 1, sampling.n_tokens)
    return tuple(ids[len(prompt) :])


def record_case(
    subject: Subject, monitor: Monitor, prompt: Tokens, sampling: Sampling, *, on_progress: Progress = no_progress
) -> StoredCase:
    """Let a model write, score what it wrote, and keep both.

    Raises:
        Refused: another model than the monitor's, or settings outside their range.
    """
    monitor.require_model(subject)
    written = write_reply(subject, prompt, sampling, on_progress=on_progress)
    scores = _score(subject, monitor, (*prompt, *written))
    return StoredCase(
        FORMAT, prompt, sampling, monitor.model, monitor.sha256, written, tuple(map(float, scores)), monitor.threshold,
        monitor.recipe.rule.find_alarm(scores, monitor.threshold), datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def replay_case(subject: Subject, monitor: Monitor, case: StoredCase, *, on_progress: Progress = no_progress) -> Replay:
    """Write a stored case again. On another model the scores are shown without an alarm: the threshold is not that model's.

    Raises:
        Refused: another monitor than the case's, or a prompt with tokens that this model lacks.
    """
    if monitor.sha256 != case.monitor:
        raise Refused(
            "The case is of another monitor.",
            wanted=f"the monitor with the digest {case.monitor[:12]}….",
            remedy="give its file.",
        )
    top = subject.tokenizer.limits.n_tokens or 1 << 30
    if max((*case.prompt, *case.written)) >= top:
        raise Refused(
            "The case has tokens that this model lacks.",
            wanted=f"ids below {top:,}.",
            remedy="replay it on a model with this tokenizer.",
        )
    written = write_reply(subject, case.prompt, case.sampling, on_progress=on_progress)
    pairs = enumerate(zip(case.written, written, strict=False))
    differs_at = next((at for at, (one, other) in pairs if one != other), None)
    if differs_at is None and len(written) != len(case.written):
        differs_at = min(len(written), len(case.written))
    ids = (*case.prompt, *case.written)
    now, why = _try_scores(subject, monitor, ids)
    spread = float(np.ptp(case.scores[FIRST:])) or 1.0
    apart = [at for at, (one, other) in enumerate(zip(case.scores, now)) if abs(one - other) > CLOSE * spread]
    return Replay(
        Outcome.REPRODUCED if differs_at is None else Outcome.NOT_REPRODUCED, subject.identity.short == case.model.short,
        differs_at, written, tuple(subject.tokenizer.piece(one) for one in ids), case.scores, now, why,
        apart[0] if apart else None,
    )  # fmt: skip


def save_case(case: StoredCase, path: Path) -> None:
    """Write a case with its digest.

    Raises:
        Refused: the file exists already.
    """
    if path.exists():
        raise Refused(f"{path.name[:60]!r} exists.", wanted="a new file.", remedy="choose another name.")
    plain = json.loads(_CASE.dump_json(case))
    text = json.dumps({"case": plain, "sha256": hash_document(plain)}, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, text.encode() + b"\n")


def load_case(path: Path) -> StoredCase:
    """Read a stored case.

    Raises:
        Refused: missing, too large, malformed, or of another format.
        IntegrityError: its contents are not those that its digest names.
    """
    if not path.is_file() or path.is_symlink() or path.stat().st_size > MAX_BYTES:
        raise Refused(
            f"{path.name[:60]!r} is no file of at most {MAX_BYTES:,} bytes.",
            wanted="a stored case.",
            remedy="give its path.",
        )
    try:
        kept = json.loads(path.read_bytes())
        plain, digest = kept["case"], kept["sha256"]
        case = _CASE.validate_json(json.dumps(plain), strict=True)
    except (ValidationError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _malformed("a case as `monitor record` writes it") from error
    if digest != hash_document(plain):
        raise IntegrityError("The case's contents are not those that its digest names.")
    ids = (*case.prompt, *case.written)
    if case.format != FORMAT or len(case.scores) != len(ids) or not 3 <= len(ids) <= MAX_TOKENS or min(ids) < 0:
        raise _malformed(f"a case of format {FORMAT} with a score for each of its tokens")
    return case


def _score(subject: Subject, monitor: Monitor, ids: Tokens) -> np.ndarray:
    (reading,) = ACTIVATIONS.of(subject).read_tokens([ids], monitor.recipe.layer)
    scores = np.array(monitor.score_tokens(reading), float)
    scores[:FIRST] = 0.0
    return scores


def _try_scores(subject: Subject, monitor: Monitor, ids: Tokens) -> tuple[tuple[float, ...], str]:
    geometry, layer = subject.geometry, monitor.recipe.layer
    if geometry.d_model != monitor.signal.d_model or layer >= geometry.n_layers:
        return (), (
            f"the monitor reads width {monitor.signal.d_model} at layer {layer}; this model has width {geometry.d_model} and "
            f"{geometry.n_layers} layers"
        )
    return tuple(map(float, _score(subject, monitor, ids))), ""


def _malformed(wanted: str) -> Refused:
    return Refused("The file cannot be read as a case.", wanted=f"{wanted}.", remedy="record it again.")


def describe_replay(found: Replay) -> dict[str, object]:
    """Plain values, for JSON."""
    return asdict(found)
