"""Reads the lenses on the clean runs and measures the same sites by replacing them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.activations import LensReading
from audit_core.capability import LENSES
from audit_core.component import Component, Kind, resid
from audit_core.effect import Effect, check_task, get_metric, measure_effect
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.lenses.results import (
    DELTA,
    LensEffect,
    LensesRequest,
    LensesResult,
    LensLayer,
    LensPart,
    LensWriting,
)
from audit_core.prompts.prompt_set import TokenisedPrompts, name_split, require_distinguished
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratios, rank_agreement
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.subject import Means, Progress, Subject

_READING = 30
"""The readings take about as long as this share, one part in so many, of the measured runs."""

_FIT = 5
"""Times one row's forward pass that one row of a Jacobian takes, measured on the default model."""

_NAMED = 4
"""Parts that the finding names; the table has all."""


def count_work_of(subject: Subject, request: LensesRequest) -> int:
    """Rows × positions × layers of the measured runs, and of the fit of the Jacobian lens."""
    return subject.count_work(request.prompts, _list_runs(subject, request)) + _count_fit(subject, request)


def _count_fit(subject: Subject, request: LensesRequest) -> int:
    """A Jacobian has a row for each dimension of the stream."""
    positions = sum(len(pair.clean_ids) for pair in _take_texts(request).pairs)
    return _FIT * positions * subject.geometry.d_model * subject.geometry.n_layers


def _take_texts(request: LensesRequest) -> TokenisedPrompts:
    """Texts that the Jacobian lens is fitted on."""
    n = min(request.jacobian, len(request.reference))
    return request.reference.take(request.reference.spread(n) if n > 0 else [])


def measure_lenses(
    subject: Subject, request: LensesRequest, means: Means | None, on_progress: Progress
) -> LensesResult:
    """Read and measure every layer, head and MLP.

    Raises:
        NotMeasured: the model does not do this task, so there is no lead to read.
    """
    require_distinguished(request.prompts.pairs)
    total = count_work_of(subject, request)
    measured = total - _count_fit(subject, request)

    def report(start: int, end: int) -> Progress:
        """Progress of a stage that takes the work from `start` to `end`."""
        return lambda done, of: on_progress(start + done * (end - start) // of, total)

    reading = LENSES.of(subject).read_lenses(request.prompts, on_progress=report(0, measured // _READING))
    effect = measure_effect(
        subject, request.prompts, _list_runs(subject, request), get_metric("logit_difference"), means=means, seed=request.seed,
        on_progress=report(measured // _READING, measured),
    )  # fmt: skip
    check_task(effect)
    _check_same_runs(reading, effect)
    jacobian = _read_jacobian(subject, request, effect, report(measured, total))
    return _Report(subject, request, reading, effect, jacobian).write()


@dataclass(frozen=True)
class _Jacobian:
    """What the Jacobian lens reads, or why it does not."""

    stream: NDArray[np.float32] | None
    n_texts: int
    why_not: str


def _read_jacobian(subject: Subject, request: LensesRequest, effect: Effect, on_progress: Progress) -> _Jacobian:
    texts = _take_texts(request)
    if not texts.pairs:
        return _Jacobian(None, 0, "")
    try:
        stream = LENSES.of(subject).read_jacobian_lens(request.prompts, texts, on_progress=on_progress)
    except ControlFailed:
        raise
    except NotMeasured as error:
        return _Jacobian(None, 0, error.detail)
    _check_end(stream[-1], effect)
    return _Jacobian(stream, len(texts), "")


def _check_same_runs(reading: LensReading, effect: Effect) -> None:
    """The last row of the lens is the model's own answer, read by another way: a lens on other runs would show here."""
    _check_end(reading.stream[-1], effect)


def _check_end(last: NDArray[np.float32], effect: Effect) -> None:
    off = float(np.abs(last - effect.clean).max())
    if off > effect.controls.tolerance:
        raise ControlFailed(
            f"After the last layer the lens reads another logit difference than the model's (off by {off:.3g}): nothing it "
            "reads is reported."
        )


def _list_parts(subject: Subject) -> tuple[Component, ...]:
    return (*subject.components(Kind.HEAD), *subject.components(Kind.MLP))


def _list_runs(subject: Subject, request: LensesRequest) -> tuple[Intervention, ...]:
    """Each part replaced alone, then the stream entering each layer at the answer position."""
    parts = [intervene([part], request.replacement) for part in _list_parts(subject)]
    layers = [intervene([resid(layer, -1)], Replacement.RESAMPLE) for layer in range(subject.geometry.n_layers)]
    return (*parts, *layers)


class _Report:
    """The result of one reading and one measurement."""

    def __init__(
        self, subject: Subject, request: LensesRequest, reading: LensReading, effect: Effect, jacobian: _Jacobian
    ) -> None:
        self.jacobian = jacobian
        self.parts = _list_parts(subject)
        self.request, self.reading, self.effect = request, reading, effect
        self.clusters = request.prompts.templates
        self.lead = bootstrap_mean(effect.clean, self.clusters, unit=effect.unit, seed=request.seed)
        self.gap = bootstrap_mean(effect.gap, self.clusters, unit=effect.unit, seed=request.seed)

    def write(self) -> LensesResult:
        direct = self._list_written()
        parts = () if direct is None else self._compare(direct)
        heads_agree = parts_agree = None
        no_agreement = self.reading.why_no_parts
        if direct is not None:
            is_head = np.array([part.kind is Kind.HEAD for part in self.parts])
            written, lost = (self._silence(values) for values in (direct, self.effect.support[: len(self.parts)]))
            try:
                heads_agree = rank_agreement(written[is_head], lost[is_head], self.clusters, seed=self.request.seed)
                parts_agree = rank_agreement(written, lost, self.clusters, seed=self.request.seed)
            except NotMeasured as error:
                no_agreement = error.detail
        rest = self.reading.rest
        return LensesResult(
            finding=_write_finding(parts, parts_agree, self.reading.why_no_parts),
            prompt_set=self.request.prompts.name,
            prompt_set_sha256=self.request.prompts.sha256,
            split=name_split(self.request.prompts),
            unit=self.effect.unit,
            n=len(self.request.prompts),
            n_templates=len(set(self.clusters)),
            replacement=self.request.replacement.value,
            delta=DELTA,
            lead=self.lead,
            gap=self.gap,
            least_written=DELTA * self.lead.value,
            least_effect=DELTA * self.gap.value,
            layers=self._list_layers(),
            parts=parts,
            no_parts=self.reading.why_no_parts,
            rest=None if rest is None else self._average(rest[None])[0],
            heads_agree=heads_agree,
            parts_agree=parts_agree,
            lens_agrees=self._agree_by_layer(self.reading.stream),
            jacobian_agrees=None if self.jacobian.stream is None else self._agree_by_layer(self.jacobian.stream),
            n_texts=self.jacobian.n_texts,
            no_jacobian=self.jacobian.why_not,
            no_agreement=no_agreement,
            added_up=self.reading.off,
            controls=self.effect.controls,
        )

    def _average(self, values: NDArray) -> tuple[Estimate, ...]:
        """Mean over prompts of each row; shape (row, prompt)."""
        ones = np.ones(len(self.request.prompts))
        return bootstrap_ratios(values, ones, self.clusters, unit=self.effect.unit, seed=self.request.seed)

    def _silence(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values below numerical noise as zero: ranks of rounding errors are no agreement."""
        return np.where(np.abs(values) > self.effect.controls.tolerance, values, 0.0)

    def _list_written(self) -> NDArray[np.float64] | None:
        """What each part writes, in the order of `parts`; shape (part, prompt); None where parts were not read."""
        heads, mlps = self.reading.heads, self.reading.mlps
        if heads is None or mlps is None:
            return None
        rows = [heads[part.layer, part.index] if part.kind is Kind.HEAD else mlps[part.layer] for part in self.parts]
        return np.stack(rows).astype(np.float64)

    def _compare(self, direct: NDArray[np.float64]) -> tuple[LensPart, ...]:
        written, measured = self._average(direct), self._average(self.effect.support[: len(self.parts)])
        return tuple(
            LensPart(
                component=str(part),
                direct=one,
                writing=_name_writing(one, DELTA * self.lead.value),
                measured=other,
                effect=_name_effect(other, DELTA * self.gap.value),
            )
            for part, one, other in zip(self.parts, written, measured, strict=True)
        )

    def _agree_by_layer(self, stream: NDArray[np.float32]) -> Estimate | None:
        """Over the layers that both lenses read and that are measured: all but the first, and not the end."""
        lost = self.effect.support[len(self.parts) + 1 :]
        read = stream[1 : 1 + len(lost)].astype(np.float64)
        try:
            return rank_agreement(self._silence(read), self._silence(lost), self.clusters, seed=self.request.seed)
        except NotMeasured:
            return None

    def _list_layers(self) -> tuple[LensLayer, ...]:
        stream = self.reading.stream.astype(np.float64)
        measured = (*self._average(self.effect.support[len(self.parts) :]), None)
        prefers = (stream > 0).mean(1)
        carried: tuple[Estimate | None, ...] = (None,) * len(stream)
        if self.jacobian.stream is not None:
            carried = (None, *self._average(self.jacobian.stream[1:].astype(np.float64)))
        return tuple(
            LensLayer(layer=layer, lens=lens, prefers=float(share), jacobian=through, measured=loss)
            for layer, (lens, share, through, loss) in enumerate(
                zip(self._average(stream), prefers, carried, measured, strict=True)
            )
        )


def _name_writing(estimate: Estimate, least: float) -> LensWriting:
    where = _place(estimate, least)
    return {1: LensWriting.FOR, -1: LensWriting.AGAINST, 0: LensWriting.LITTLE, None: LensWriting.UNDECIDED}[where]


def _name_effect(estimate: Estimate, least: float) -> LensEffect:
    where = _place(estimate, least)
    return {1: LensEffect.LOWERS, -1: LensEffect.RAISES, 0: LensEffect.NEGLIGIBLE, None: LensEffect.UNDECIDED}[where]


def _place(estimate: Estimate, least: float) -> int | None:
    """Where a whole interval lies: above `least` 1, below its negative -1, between 0, otherwise None."""
    if estimate.low is None or estimate.high is None:
        return None
    if estimate.low > least:
        return 1
    if estimate.high < -least:
        return -1
    return 0 if -least < estimate.low and estimate.high < least else None


def _write_finding(parts: tuple[LensPart, ...], agree: Estimate | None, why_no_parts: str) -> str:
    """What was found: a sentence for each way in which the two axes may part, and how alike the two orders are."""
    if not parts:
        return f"The lens was read at each layer, and not for heads and MLPs. {why_no_parts}"
    writers = [part for part in parts if part.writing in (LensWriting.FOR, LensWriting.AGAINST)]
    actors = [part for part in parts if part.effect in (LensEffect.LOWERS, LensEffect.RAISES)]
    hidden = [part.component for part in actors if part.writing == LensWriting.LITTLE]
    idle = [part.component for part in writers if part.effect == LensEffect.NEGLIGIBLE]
    order = "" if agree is None else f" The two orders agree with {format_estimate(agree)}."
    return (
        f"Of {len(actors)} heads and MLPs whose replacement changes the lead, {_name(hidden)} little to the answer directly. "
        f"Of {len(writers)} that do write to it, replacing does little for {len(idle) or 'none'}{_list(idle)}.{order}"
    )


def _name(parts: list[str]) -> str:
    return f"{len(parts) or 'none'}{_list(parts)} {'writes' if len(parts) < 2 else 'write'}"


def _list(parts: list[str]) -> str:
    """The first of some parts in brackets; empty for none."""
    return f" ({', '.join(parts[:_NAMED])}{', …' if len(parts) > _NAMED else ''})" if parts else ""
