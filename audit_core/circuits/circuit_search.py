"""Circuit discovery on the exploratory split, for audits that measure on the confirmatory split."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import astuple, dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from audit_core.circuits.circuit_question import CircuitQuestion, identify_prompts
from audit_core.circuits.discovery import Discovery, DiscoveryRequest, Order, check_exploratory
from audit_core.errors import PromptRefused
from audit_core.prompts.measurable import keep_measurable
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.subject import Means, Progress, Subject

_ORDERS_KEPT = 4
_NONE = TokenisedPrompts("", (), "")
_orders: WeakKeyDictionary[Subject, OrderedDict[tuple[Any, ...], Order]] = WeakKeyDictionary()
"""Cache per subject: several audits need the same order, and discovery takes most of their time."""
_lock = threading.Lock()


@dataclass(frozen=True)
class SearchQuestion(CircuitQuestion):
    """Request of an audit that compares a circuit, measured on `prompts`, with circuits found on other prompts."""

    explored: TokenisedPrompts | None = None
    """Exploratory prompts; required."""
    method: str = "exact"
    """Key of a plug-in in `circuit_discovery/`."""

    def describe(self) -> dict[str, Any]:
        explored = None if self.explored is None else identify_prompts(self.explored)
        return super().describe() | {"explored": explored, "method": self.method}

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
    """Order found by a method, cached by its arguments.

    Raises:
        PromptRefused: some prompts belong to the confirmatory split.
    """
    check_exploratory(request.prompts)
    key = (method, json.dumps(identify_prompts(request.prompts)), *astuple(replace(request, prompts=_NONE))[1:])
    with _lock:
        kept = _orders.setdefault(subject, OrderedDict())
        # Means depend on prompts that the request does not contain.
        known = kept.get(key) if means is None else None
    if known is not None:
        on_progress(1, 1)
        return known
    found = _get_method(method).order(subject, request, means=means, on_progress=on_progress)
    if means is not None:
        return found
    with _lock:
        kept[key] = found
        while len(kept) > _ORDERS_KEPT:
            kept.popitem(last=False)
    return found


def search_elsewhere(subject: Subject, question: SearchQuestion, *, with_means: bool, on_progress: Progress) -> Order:
    """Order found by the request's method on the exploratory split.

    Args:
        with_means: whether the replacement needs means. They are taken over exploratory prompts: discovery must not use
            confirmatory ones.
    """
    asked = question.search
    means = subject.capture_means(asked.prompts, kinds=question.kinds) if with_means else None
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
