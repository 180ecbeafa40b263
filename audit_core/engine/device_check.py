"""Proof of a device: what a model computes there, compared with what it computes on the CPU when it is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from audit_core.component import Component, Kind
from audit_core.engine.decoder import DecoderSubject
from audit_core.engine.device import measure_free, name_device
from audit_core.engine.parity import LEAST_TOLERANCE, ROUNDINGS
from audit_core.engine.plan import divide_memory
from audit_core.engine.threads import MODEL_LOCK
from audit_core.errors import ControlFailed, ModelRefused
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Intervention, Replacement, intervene
from audit_core.models.identity import ModelIdentity
from audit_core.prompts.answers import Contrast
from audit_core.prompts.prompt_set import Prompt, TokenisedPrompts, TokenPair
from audit_core.subject import Floats

SubjectT = TypeVar("SubjectT", bound=DecoderSubject)

PARTS = 8
"""Heads, and MLPs, that are edited at most."""
_LENGTHS = (6, 6, 9)
"""Tokens of the rows: two of one length run together, the third alone."""


def move_subject(subject: SubjectT, rebuild: Callable[[ModelIdentity], SubjectT], device: str) -> SubjectT:
    """The same model on another device, compared there with itself on the CPU; the given one can no longer be used.

    Args:
        rebuild: makes a subject of the moved model, with all checks of one that is opened.

    Raises:
        ModelRefused: it computes other logits there.
    """
    on_cpu = read_probe(subject)
    with MODEL_LOCK:
        subject.bridge.to(device, print_details=False)
    moved = rebuild(replace(subject.identity, device=device, device_name=name_device(device)))
    moved.runner.chunk_room = divide_memory(measure_free(device))
    check_device(moved, on_cpu)
    was, now = ((one.fallback, one.runner.shares_prefix) for one in (subject, moved))
    if bool(was[0]) != bool(now[0]) or was[1] != now[1]:
        raise ModelRefused(
            f"On {device} this model does not run as on the CPU: {now[0] or 'keys and values cannot be shared'}.",
            wanted="blocks that run as on the CPU.",
            remedy="open it on the CPU.",
        )
    return moved


def read_probe(subject: DecoderSubject) -> Floats:
    """Logits of a few short rows, unedited and with one head or MLP of several edited; shape (run, row, vocabulary).

    Raises:
        ControlFailed: no edit changed anything, so that equal logits would say nothing of edits.
    """
    asked = _list_edits(subject)
    found = subject.run(_make_rows(subject), asked, vocabulary=True)
    assert found.vocabulary is not None
    # Of one part it may be so: a planted model has MLPs that write nothing.
    if len(asked) > 2 and (found.vocabulary[2:] == found.vocabulary[0]).all():
        raise ControlFailed("No edit of a head or an MLP changed a logit; the device cannot be compared with the CPU.")
    return found.vocabulary


def check_device(subject: DecoderSubject, on_cpu: Floats) -> float:
    """Compare a model on its device with itself on the CPU.

    Args:
        on_cpu: result of `read_probe` there.

    Returns:
        The largest difference, in logits.

    Raises:
        ModelRefused: it is larger than rounding of float32 makes it.
    """
    allowed = max(LEAST_TOLERANCE, ROUNDINGS * float(np.finfo(np.float32).eps) * float(np.abs(on_cpu).max()))
    apart = float(np.abs(read_probe(subject) - on_cpu).max())
    if not apart <= allowed:
        named = f"{subject.identity.device} ({subject.identity.device_name})"
        raise ModelRefused(
            f"On {named[:80]} this model's logits differ from those on the CPU by {apart:.3g}.",
            wanted=f"at most {allowed:.3g} logits, on {len(_LENGTHS)} rows without an edit, with heads resampled and with MLPs "
            "at zero.",
            remedy="open it on the CPU; this device, its driver or its settings compute something else.",
        )
    return apart


def _list_edits(subject: DecoderSubject) -> list[Intervention]:
    """Both unedited runs, then heads and MLPs from all over the model, one at a time."""
    edits = [CLEAN_RUN, CORRUPTED_RUN]
    for kind, replacement in ((Kind.HEAD, Replacement.RESAMPLE), (Kind.MLP, Replacement.ZERO)):
        parts: tuple[Component, ...] = subject.components(kind)
        edits += [intervene([part], replacement) for part in parts[:: -(-len(parts) // PARTS) or 1]]
    return edits


def _make_rows(subject: DecoderSubject) -> TokenisedPrompts:
    """Made-up tokens; the corrupted run has another order of them after the first."""
    n_tokens, first = subject.geometry.n_vocabulary, subject.tokenizer.bos_id or 0
    pairs = []
    for at, length in enumerate(_LENGTHS):
        ids = [(5 + at + step) % n_tokens for step in range(length - 1)]
        contrast = Contrast((), ((1 % n_tokens,),), ((2 % n_tokens,),))
        prompt = Prompt(f"device-{at}", "", "", "", "", "")
        pairs.append(TokenPair(prompt, (first, *ids), (first, *ids[::-1]), contrast, (), ()))
    return TokenisedPrompts("device", tuple(pairs), "")
