"""Circuit discovery on the exploratory split, for audits that measure on the confirmatory split."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import astuple, dataclass, replace
from typing import Any

from audit_core.capability import MEANS
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.circuits.discovery import Discovery, DiscoveryRequest, Order, check_exploratory
from audit_core.errors import PromptRefused
from audit_core.prompts.measurable import keep_measurable
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.request import Method, identify_prompts
from audit_core.subject import Means, Progress, Subject

_ORDERS_KEPT = 4
_NONE = TokenisedPrompts("", (), "")


class KnownOrders:
    """Orders found on one subject: several audits need the same one, and discovery takes most of their time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Order] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: tuple[Any, ...]) -> Order | None:
        """A known order, or None."""
        with self._lock:
            return self._kept.get(key)

    def keep(self, key: tuple[Any, ...], order: Order) -> None:
        """Keep an order, in place of the oldest if there are many."""
        with self._lock:
            self._kept[key] = order
            while len(self._kept) > _ORDERS_KEPT:
                self._kept.popitem(last=False)

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Let searches of this thread use and extend these orders; outside, nothing is kept."""
        before = _lent.set(self)
        try:
            yield
        finally:
            _lent.reset(before)


_lent: ContextVar[KnownOrders | None] = ContextVar("known_orders", default=None)
"""The orders of the auditor that runs an audit in this thread: an audit's own arguments have no place for them."""


@dataclass(frozen=True)
class SearchQuestion(CircuitQuestion):
    """Request of an audit that compares a circuit, measured on `prompts`, with circuits found on other prompts."""

    explored: TokenisedPrompts | None = None
    """Exploratory prompts; required."""
    method: Method = "exact"
    """Key of a plug-in in `circuit_discovery/`."""

    @property
    def search(self) -> DiscoveryRequest:
        """Request to the discovery method.

        Raises:
            PromptRefused: no exploratory prompts were given.
        """
        if self.explored is None:
            raise PromptRefused(
                "No prompts for circuit discovery.",
                wanted="the exploratory split of the set.",
                remedy="pass it in addition to the measured prompts.",
            )
        explored = keep_measurable(self.explored, self.explored, self.replacements)
        return DiscoveryRequest(explored, self.universe, self.replacement, self.metric, self.seed)


def count_order_work(subject: Subject, method: str, request: DiscoveryRequest) -> int:
    """Units of work of `find_order`."""
    return _get_method(method).count_work(subject, request)


def find_order(
    subject: Subject, method: str, request: DiscoveryRequest, *, means: Means | None, on_progress: Progress
) -> Order:
    """Order found by a method; from `KnownOrders` where an auditor lends them.

    Raises:
        PromptRefused: some prompts belong to the confirmatory split.
    """
    check_exploratory(request.prompts)
    asked = (json.dumps(identify_prompts(request.prompts)), *astuple(replace(request, prompts=_NONE))[1:])
    key = (subject.identity.short, method, *asked)
    # Means depend on prompts that the request does not contain.
    orders = _lent.get() if means is None else None
    known = None if orders is None else orders.find(key)
    if known is not None:
        on_progress(1, 1)
        return known
    found = _get_method(method).order(subject, request, means=means, on_progress=on_progress)
    if orders is not None:
        orders.keep(key, found)
    return found


def search_elsewhere(subject: Subject, question: SearchQuestion, *, with_means: bool, on_progress: Progress) -> Order:
    """Order found by the request's method on the exploratory split.

    Args:
        with_means: whether the replacement needs means. They are taken over exploratory prompts: discovery must not use
            confirmatory ones.
    """
    asked = question.search
    means = MEANS.of(subject).capture_means(asked.prompts, kinds=question.kinds) if with_means else None
    return find_order(subject, question.method, asked, means=means, on_progress=on_progress)


def share_progress(on_progress: Progress, total: int, before: int, work: int) -> Progress:
    """Progress callback for one of several stages.

    Args:
        total: units of work of all stages.
        before: units of the stages that are done.
        work: units of this stage.
    """
    return lambda done, of: on_progress(before + work * done // of, total)


def _get_method(name: str) -> Discovery:
    method: Discovery = get_plugin("circuit_discovery", name)
    return method
