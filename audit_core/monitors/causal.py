"""The causal step: whether the output depends on the direction that a monitor reads, or whether it reads a correlate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit_core.activations import StreamChange
from audit_core.capability import ACTIVATIONS
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.features import Dictionary, draw_dictionary
from audit_core.monitors.signals import DistanceSignal, FeatureSignal, ProbeSignal, Signal
from audit_core.monitors.texts import MonitorText
from audit_core.probes.erasure import Activity, Subspace
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import MIN_PROMPTS, Estimate
from audit_core.subject import Floats, Progress, Subject, no_progress

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
DRAWS = 19
"""Random directions: the least for which beating all of them has p = 0.05."""
MAX_TEXTS = 60
LEAST_SHARE = 0.1
"""Smallest effect of interest, as a share of what replacing the whole activation by its mean does: a probe's direction always
has small parts along others that the output depends on, which a large sample would show."""
_UNIT = "nats per token"


class Reads(StrEnum):
    """What the causal step says of the direction that a monitor reads."""

    CAUSE = "reads a direction that the output depends on"
    CORRELATE = "reads a correlate"


@dataclass(frozen=True)
class CausalStep:
    """How the loss of the next tokens changes without the direction, and without random ones, on the same texts."""

    reads: Reads
    ablated: Estimate
    """Mean absolute change of a text's loss without the direction, in nats per token."""
    largest_random: float
    """The most that a random direction does, same unit."""
    difference: Estimate
    """Ablated minus the largest random one, text by text."""
    p: float
    """Share of directions, the monitor's own among them, that do at least as much."""
    draws: int
    whole: Estimate
    """Positive control: every activation replaced by the mean."""
    identity_max: float
    noise_min: float
    """Largest change by the activations' own values, smallest by noise of their size."""


def measure_causal(
    subject: Subject, signal: Signal, layer: int, x: Floats, is_case: Flags, texts: Sequence[MonitorText], *, seed: int,
    draws: int = DRAWS, on_progress: Progress = no_progress,
) -> CausalStep:  # fmt: skip
    """Ablate what the monitor reads at every token but the first, against random directions on the same texts.

    A probe's or a distance's direction is projected out with the covariance of the activations, as in LEACE, and so are random
    directions in their span. A feature is subtracted, and so are random features that fire as often and write as much.

    Args:
        x: tokens that the signal was fitted on, shape (token, d_model).
        is_case: of each, shape (token,).
        texts: measured on; at most `MAX_TEXTS` of them are used.

    Raises:
        NotMeasured: fewer than 20 texts, a distance without cases, or a control that failed.
    """
    used = texts[:MAX_TEXTS]
    if len(used) < MIN_PROMPTS:
        raise NotMeasured("low_power", f"the causal step needs {MIN_PROMPTS} texts, and has {len(used)}.")
    own, random = list_changes(signal, x.astype(float), is_case, draws, seed=seed)
    read, rows = ACTIVATIONS.of(subject), [text.ids for text in used]
    before = read.measure_losses(rows, layer, None)
    mean, draw = x.astype(float).mean(0), np.random.default_rng(seed)
    size = x.astype(float).std(0)
    changes: list[StreamChange] = [
        own, lambda _: np.broadcast_to(mean, _.shape).astype(np.float32), lambda y: y,
        lambda y: (y + size * draw.normal(size=y.shape)).astype(np.float32), *random,
    ]  # fmt: skip
    moved = []
    for step, change in enumerate(changes, start=1):
        moved.append(np.abs(read.measure_losses(rows, layer, change) - before).astype(float))
        on_progress(step, len(changes))
    identity, noise = float(moved[2].max()), float(moved[3].min())
    clusters = [text.group or text.id for text in used]
    estimates = [bootstrap_mean(one, clusters, unit=_UNIT, seed=seed) for one in (moved[0], moved[1])]
    if identity > 1e-4 or not noise > identity or not (estimates[1].low or 0.0) > identity:
        raise ControlFailed(
            f"Own values change the loss by {identity:.2g}, noise by {noise:.2g}, the mean by {estimates[1].value:.2g} nats."
        )
    means = [float(one.mean()) for one in moved[4:]]
    strongest = int(np.argmax(means))
    difference = bootstrap_mean(moved[0] - moved[4 + strongest], clusters, unit=_UNIT, seed=seed)
    p = (1 + sum(one >= estimates[0].value for one in means)) / (1 + len(means))
    least = max(identity, LEAST_SHARE * estimates[1].value)
    is_cause = difference.low is not None and difference.low > least and p <= 0.05
    return CausalStep(
        Reads.CAUSE if is_cause else Reads.CORRELATE, estimates[0], means[strongest], difference, p, len(means), estimates[1],
        identity, noise,
    )  # fmt: skip


def list_changes(
    signal: Signal, x: Array, is_case: Flags, draws: int, *, seed: int
) -> tuple[StreamChange, list[StreamChange]]:
    """The ablation of what a signal reads, and of random directions.

    Raises:
        NotMeasured: a distance without cases reads no direction; or a direction without variance.
        ControlFailed: what a probe reads is still there after its ablation.
    """
    if isinstance(signal, FeatureSignal):
        return _list_feature_changes(signal, x, draws, seed=seed)
    activity, draw = Activity(x), np.random.default_rng(seed)
    if isinstance(signal, ProbeSignal):
        own = take_read(signal.weights, x)
        left = float(np.ptp(own.erase(x) @ signal.weights))
        if left > 1e-3 * max(1.0, float(np.ptp(x @ signal.weights))):
            raise ControlFailed(f"What the probe reads still varies by {left:.2g} after its ablation.")
    else:
        assert isinstance(signal, DistanceSignal)
        if not is_case.any() or is_case.all():
            raise NotMeasured("low_power", "without cases a distance has no direction: it reads all of them.")
        own = activity.fit_label(is_case)
    return _erase(own), [_erase(activity.draw_direction(draw)) for _ in range(draws)]


def take_read(weights: Array, x: Array) -> Subspace:
    """The projection that makes a linear reading constant with the smallest change, in the covariance of the activations.

    Raises:
        NotMeasured: the reading does not vary.
    """
    apart = x - x.mean(0)
    along = apart.T @ (apart @ weights)
    length = float(np.linalg.norm(along))
    if not length > 0:
        raise NotMeasured("control_failed", "what the probe reads does not vary over these texts.")
    writes = along / length
    reads = weights / float(weights @ writes)
    return Subspace(writes, reads, float(reads @ x.mean(0)))


def _erase(one: Subspace) -> StreamChange:
    return lambda x: one.erase(x.astype(float)).astype(np.float32)


def _list_feature_changes(
    signal: FeatureSignal, x: Array, draws: int, *, seed: int
) -> tuple[StreamChange, list[StreamChange]]:
    bias, threshold, longest = map(float, signal.limits)
    read = x.astype(np.float32)
    written = float(signal.score(read).sum())
    if not written > 0:
        raise NotMeasured("control_failed", "the feature is active on none of the tokens that were fitted on.")
    encoder, decoder = (np.repeat(one[None].astype(np.float32), draws, 0) for one in (signal.encoder, signal.decoder))
    many = Dictionary(
        0, encoder, np.full(draws, bias, np.float32), np.full(draws, threshold, np.float32), decoder,
        x.mean(0).astype(np.float32), longest,
    )  # fmt: skip
    random = draw_dictionary(many, read, seed=seed)
    values = random.encode(read).sum(0)

    def subtract(score: Callable[[Floats], Array], along: Array, gain: float) -> StreamChange:
        return lambda y: (y - gain * score(y)[:, None] * along).astype(np.float32)

    def take(at: int) -> Callable[[Floats], Array]:
        return lambda y: random.encode(y)[:, at].astype(float)

    others = [
        subtract(take(at), random.decoder[at].astype(float), written / max(float(values[at]), 1e-9))
        for at in range(draws)
    ]
    return subtract(signal.score, signal.decoder, 1.0), others
