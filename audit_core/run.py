"""Runs audits on a subject, reuses results of equal runs, and logs every run."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from audit_core.audit import Audit
from audit_core.capability import PATTERNS
from audit_core.circuits.circuit_search import KnownOrders
from audit_core.component import Component
from audit_core.dictionaries.shelf import attach_dictionary, split_name
from audit_core.engine.device import read_accelerator
from audit_core.engine.pace import Pace, measure_growth
from audit_core.errors import AuditError, Cancelled, NotMeasured, Refused
from audit_core.evidence.environment import Accelerator, Origin, describe_environment
from audit_core.intervention import Intervention
from audit_core.judging.verdict import RULE_VERSION
from audit_core.kept_means import KeptMeans
from audit_core.models import ANONYMOUS, ModelAccess, ModelIdentity
from audit_core.models import Progress as FetchProgress
from audit_core.models.devices import CPU, read_device
from audit_core.parts import KeptParts
from audit_core.prompts.found_templates import describe_templates, digest_skeleton
from audit_core.prompts.measurable import set_aside
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.prompts.repeats import digest_texts
from audit_core.registry import get_plugin
from audit_core.request import (
    MEAN_REPLACEMENTS,
    Request,
    count_places,
    describe_request,
    list_reference,
    needs_means,
    reference_key,
)
from audit_core.store.log.run_log import ClaimRun, Reached, RunLog, RunRecord, RunStart
from audit_core.subject import Floats, Means, Progress, Subject, no_partial, no_progress
from audit_core.subject_family import find_folder, load_folder
from audit_core.version import VERSION

_KEY_FORMAT = "0.1.0"
"""Constant in place of the Assay version in content keys: only an audit's `version` invalidates stored results."""
_WORK_KEPT = 256
MAX_SKELETONS = 64
"""Templates of a run that the log compares with those of later plans."""
_PACKAGES = ("torch", "transformer_lens", "transformers", "numpy", "scipy")

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class RunOutcome(Generic[ResultT]):
    """A result and its run."""

    result: ResultT
    run_id: str
    """Empty if an earlier result was reused."""
    is_reused: bool
    wall_s: float
    attempt_no: int | None = None
    """Attempt number at the registered claim, from the log; None for other runs."""
    notices: tuple[str, ...] = ()
    """Excluded prompts and unverified labels, with the reason."""


@dataclass(frozen=True)
class Actor:
    """The person and the session that request a run, as logged."""

    name: str
    session: str


class Auditor:
    """One subject with its log; shared by all sessions. Caches means and circuit searches; stores nothing about its users."""

    def __init__(self, subject: Subject, log: RunLog) -> None:
        self.subject, self.log = subject, log
        self._orders = KnownOrders()
        self._means = KeptMeans(subject)
        self._work: OrderedDict[str, int] = OrderedDict()
        self._pace = Pace()
        self._lock = threading.Lock()

    def content_key(self, audit: str, request: Request) -> str:
        """Digest of everything the result depends on; raises `Refused` for an unknown audit."""
        request = set_aside(request)
        parts: list[Any] = [
            get_plugin("audits", audit).version,
            RULE_VERSION,
            audit,
            self.subject.identity.short,
            request.prompts.sha256,
            [pair.prompt.id for pair in request.prompts.pairs],
            reference_key(request.reference) if needs_means(request) else "",
            request.seed,
            request.describe(),
            _list_pinned(),
        ]
        # Tokens and clusters that the prompt texts do not determine, so that results of other readings are not reused.
        parts += [[p.clean_ids, astuple(p.contrast)] for p in request.prompts.pairs if p.is_read_in_context]
        clusters = request.prompts.templates
        if clusters != tuple(pair.prompt.template for pair in request.prompts.pairs):
            parts.append(clusters)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def find_earlier(self, audit: str, request: Request) -> RunOutcome[Any] | None:
        """Result of an equal earlier run from the log, or None."""
        request = set_aside(request)
        found = self.log.find_result(self.content_key(audit, request))
        if found is None:
            return None
        adapter = _result_adapter(get_plugin("audits", audit).result)
        return RunOutcome(adapter.validate_python(found), "", True, 0.0, notices=request.prompts.notices)

    def predict_s(self, audit: str, request: Request) -> float | None:
        """Predicted seconds, from the pace of earlier runs; None before the first."""
        return self._pace.predict_s(audit, self.count_work(audit, set_aside(request)))

    def conclude(self, audit: str, request: Request, *, on_progress: Progress = no_progress) -> Ending:
        """`execute`, with every error as its ending, as another process records it; nothing is logged.

        Raises:
            Cancelled: a person stopped it; there is no ending.
        """
        try:
            result = self.execute(audit, request, on_progress=on_progress)
            return Ending("done", text=_result_adapter(get_plugin("audits", audit).result).dump_json(result).decode())
        except BaseException as error:
            if isinstance(error, Cancelled) or not isinstance(error, Exception):
                raise
            return name_failure(error)

    def count_work(self, audit: str, request: Request) -> int:
        """Units of work, proportional to time. Cached: planning the draws of a trial takes half a second, and pages need it at every click."""
        key = self.content_key(audit, request)
        if key not in self._work:
            while len(self._work) >= _WORK_KEPT:
                self._work.popitem(last=False)
            work = get_plugin("audits", audit).count_work(self.subject, request)
            lengths = [len(pair.clean_ids) for pair in request.prompts.pairs]
            self._work[key] = round(work * count_places(request) * measure_growth(self.subject.geometry, lengths))
        return self._work[key]

    def run(
        self,
        audit: str,
        request: Request,
        *,
        actor: Actor,
        on_progress: Progress = no_progress,
        on_partial: Callable[[Any], None] = no_partial,
        claim: ClaimRun | None = None,
    ) -> RunOutcome[Any]:
        """Run one audit; logged at start and at end.

        Args:
            claim: the registered claim that a confirmatory run tests.

        Raises:
            AuditError: any error of the audit, after it is logged.
        """
        request = set_aside(request)
        start, clock = self.describe_start(audit, request, actor), _Clock()
        attempt = self.log.start(start, claim)
        try:
            result, n_found = self._execute(audit, request, on_progress, on_partial)
            text = _result_adapter(get_plugin("audits", audit).result).dump_json(result).decode()
        except BaseException as error:
            self._record(start, clock, name_failure(error))
            raise
        verdict = getattr(result, "verdict", None)
        reached = None if claim is None or verdict is None else Reached(claim, verdict.state, verdict.reason)
        detail = f"{n_found} parts were measured by earlier runs" if n_found else ""
        self._record(start, clock, Ending("done", detail=detail, text=text), reached)
        return RunOutcome(result, start.run_id, False, clock.wall_s, attempt, request.prompts.notices)

    def execute(
        self, audit: str, request: Request, *, on_progress: Progress = no_progress, on_partial: Callable[[Any], None] = no_partial
    ) -> Any:  # fmt: skip
        """The result of one audit from subject and request alone; nothing is logged.

        Raises:
            CapabilityRefused: the subject lacks what the audit demands; nothing was run.
            AuditError: any error of the audit.
        """
        return self._execute(audit, request, on_progress, on_partial)[0]

    def _execute(
        self, audit: str, request: Request, on_progress: Progress, on_partial: Callable[[Any], None]
    ) -> tuple[Any, int]:
        """The result, and how many of its parts an earlier run measured."""
        plugin: Audit = get_plugin("audits", audit)
        plugin.require(self.subject)
        request = set_aside(request)
        means = self._means.capture(list_reference(request), request.kinds) if needs_means(request) else None
        parts = KeptParts(
            self.log.home,
            [audit, plugin.version, self.subject.identity.short, list_versions() | {"assay": _KEY_FORMAT}],
        )
        begun = time.monotonic()
        with self._orders.lend(), parts.lend():
            result = plugin.run(self.subject, request, means=means, on_progress=on_progress, on_partial=on_partial)
        if not parts.n_found:
            # A run from kept parts is faster than its work: it says nothing of the next one.
            self._pace.keep(audit, time.monotonic() - begun, self.count_work(audit, request))
        return result, parts.n_found

    def _record(self, start: RunStart, clock: _Clock, ending: Ending, reached: Reached | None = None) -> None:
        """Log the end of a run."""
        self.log.append(end_run(start, ending, clock.wall_s), reached, cpu_s=clock.cpu_s)

    def record_dropped(self, audit: str, request: Request, *, actor: Actor) -> None:
        """Log a run that was cancelled while queued."""
        start = self.describe_start(audit, set_aside(request), actor)
        self.log.append(end_run(start, Ending("cancelled", "never_begun", "cancelled while it waited"), 0.0))

    def describe_start(self, audit: str, request: Request, actor: Actor) -> RunStart:
        """A run before it begins, as logged."""
        return RunStart(
            uuid.uuid4().hex,
            datetime.now(UTC).isoformat(timespec="milliseconds"),
            actor.name,
            actor.session,
            audit,
            self.content_key(audit, request),
            self.subject.identity.short,
            request.prompts.sha256,
            json.dumps(identify_run(self.subject.identity, request) | list_traces(set_aside(request))),
            json.dumps(describe_request(request)),
        )

    def draw_patterns(self, pair: TokenPair, intervention: Intervention, reference: TokenisedPrompts) -> Floats:
        """Attention patterns of one prompt under an intervention; shape (layer, head, query, key). Not logged: for figures only."""
        means = self._take_means(intervention, reference)
        return PATTERNS.of(self.subject).patterns(pair, intervention, means=means)

    def draw_pattern_of(
        self, pair: TokenPair, intervention: Intervention, reference: TokenisedPrompts, head: Component
    ) -> Floats:
        """The same of one head alone, shape (query, key)."""
        means = self._take_means(intervention, reference)
        return PATTERNS.of(self.subject).pattern_of(pair, intervention, head, means=means)

    def _take_means(self, intervention: Intervention, reference: TokenisedPrompts) -> Means | None:
        """Means of the kinds that it edits, if it inserts any."""
        kinds = frozenset(component.kind for component in intervention.components)
        return self._means.capture(reference, kinds) if MEAN_REPLACEMENTS & intervention.replacements else None

    def calibrate(self) -> None:
        """Time this machine on made-up tokens, so that the first long run has a predicted time."""
        self._pace.calibrate(self.subject)

    @property
    def is_calibrated(self) -> bool:
        """Whether it has a predicted time for its first run."""
        return self._pace.is_calibrated


def record_refusal(log: RunLog, kind: str, error: AuditError, *, actor: Actor, request: dict[str, Any]) -> None:
    """Log a request that was refused before its run began."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    request_json = json.dumps(request)
    start = RunStart(uuid.uuid4().hex, now, actor.name, actor.session, kind, "", "", "", "{}", request_json)
    log.append(end_run(start, Ending("refused", type(error).__name__, str(error)[:2000]), 0.0))


@cache
def _result_adapter(shape: Any) -> TypeAdapter[Any]:
    """Cached: building one takes as long as a short run."""
    return TypeAdapter(shape)


@dataclass(frozen=True)
class Ending:
    """How a run ended, as logged."""

    outcome: str
    """done | refused | not_measured | failed | cancelled"""
    reason: str = ""
    detail: str = ""
    text: str | None = None
    """The result as JSON."""


class _Clock:
    """Time since it was made."""

    def __init__(self) -> None:
        self._began, self._cpu_start_s = time.monotonic(), time.process_time()

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def cpu_s(self) -> float:
        """CPU time of the whole process, pages and other runs included: per-thread CPU time is not available."""
        return time.process_time() - self._cpu_start_s


def name_failure(error: BaseException) -> Ending:
    """The ending that an error makes of a run."""
    if isinstance(error, Cancelled | KeyboardInterrupt):
        return Ending("cancelled", "cancelled", str(error) or "interrupted at the keyboard")
    if isinstance(error, NotMeasured):
        return Ending("not_measured", error.reason, error.detail)
    if isinstance(error, AuditError):
        return Ending("refused" if isinstance(error, Refused) else "failed", type(error).__name__, str(error))
    return Ending("failed", type(error).__name__, str(error)[:500])


def end_run(start: RunStart, ending: Ending, wall_s: float) -> RunRecord:
    """An ended run, as logged."""
    return RunRecord(
        **asdict(start), outcome=ending.outcome, reason=ending.reason, detail=ending.detail, result=ending.text,
        wall_s=wall_s,
    )  # fmt: skip


def list_traces(request: Request) -> dict[str, list[str]]:
    """Digests of the texts that a run shows results of, and of their skeletons; for the local log only, because texts can be
    guessed from them."""
    shown = [request.prompts, *(other.prompts for other in getattr(request, "others", ()))]
    templates = [t for prompts in shown for t in describe_templates(tuple(pair.prompt for pair in prompts.pairs))]
    return {
        "pairs": sorted({digest_texts(pair.prompt) for prompts in shown for pair in prompts.pairs}),
        "skeletons": sorted({digest_skeleton(template.skeleton) for template in templates})[:MAX_SKELETONS],
    }


def identify_run(identity: ModelIdentity, request: Request) -> dict[str, Any]:
    """Everything a third party needs to reproduce the run."""
    request = set_aside(request)
    return {
        **identity.to_json(),
        "prompts": request.prompts.name,
        "prompts_sha256": request.prompts.sha256,
        "n_prompts": len(request.prompts),
        "versions": list_versions(),
        "environment": _read_environment(identity.device, identity.device_name),
        "seed": request.seed,
    }


@cache
def _read_environment(device: str, own_name: str) -> dict[str, str | int | bool | None]:
    """Environment of this machine, by an allow-list; accelerators are queried only where one computes."""
    return describe_environment(Accelerator() if device == CPU else read_accelerator(device, own_name), Origin())


@cache
def list_versions() -> dict[str, str]:
    """Versions of the packages that compute results."""
    return {"assay": VERSION, **{name: version(name) for name in _PACKAGES}}


def _list_pinned() -> dict[str, str]:
    return list_versions() | {"assay": _KEY_FORMAT}


def open_subject(
    name: str, *, on_progress: FetchProgress | None = None, access: ModelAccess = ANONYMOUS, streamed: bool = False,
    device: str | None = None,
) -> Subject:  # fmt: skip
    """Load a model by known or planted name, folder or hub id, fetching or building it if needed; see `ModelAccess`.

    A name such as `default+default-layer-12` opens a model with a dictionary that ships, whose features are then components.

    Args:
        streamed: keep its layers in its files and read one at a time, for a model larger than memory; it can then be
            swept and ablated, with equal results, and gives no gradients, patterns or attention.
        device: `cpu`, `cuda` or `mps`; if None, that of the variable `AUDIT_DEVICE`, else the CPU, with which others are first compared.

    Raises:
        ModelRefused: it cannot or must not be loaded.
    """
    folder, chosen = find_folder(name, on_progress=on_progress, access=access), device or read_device()
    subject = load_folder(folder, streamed=streamed, device=chosen)
    _, dictionary = split_name(name)
    return attach_dictionary(subject, dictionary) if dictionary else subject


def dump_result(result: Any) -> dict[str, Any]:
    """Any result as plain values, ready for `json.dumps`."""
    return asdict(result)
