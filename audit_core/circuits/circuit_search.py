"""Looking for a circuit on one half of the prompts, for questions that measure on the other."""

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
"""Several questions look for the same order, and looking is most of their time; forgotten with the subject."""
_lock = threading.Lock()


@dataclass(frozen=True)
class SearchQuestion(CircuitQuestion):
    """A circuit that is measured on `prompts`, and held beside what a method finds on others."""

    explored: TokenisedPrompts | None = None
    """Prompts of the exploratory half; without them the question is refused."""
    method: str = "exact"
    """Of the `discoveries/` shelf."""

    def describe(self) -> dict[str, Any]:
        explored = None if self.explored is None else identify_prompts(self.explored)
        return super().describe() | {"explored": explored, "method": self.method}

    @property
    def search(self) -> DiscoveryRequest:
        """What the method is asked.

        Raises:
            PromptRefused: no exploratory prompts were given.
        """
        if self.explored is None:
            raise PromptRefused(
                "No prompts to look for a circuit on.",
                wanted="the exploratory half of the set.",
                remedy="give it beside the prompts that are measured.",
            )
        explored = keep_measurable(self.explored, self.explored, self.replacements)
        return DiscoveryRequest(explored, self.universe, self.replacement, self.metric, self.seed)


def count_order_work(subject: Subject, method: str, request: DiscoveryRequest) -> int:
    """Units of work of `find_order`."""
    return _get_method(method).count_work(subject, request)


def find_order(
    subject: Subject, method: str, request: DiscoveryRequest, *, means: Means | None, on_progress: Progress
) -> Order:
    """What a method proposes; a function of its arguments, so the same order is not looked for twice.

    Raises:
        PromptRefused: prompts of the confirmatory half.
    """
    check_exploratory(request.prompts)
    key = (method, json.dumps(identify_prompts(request.prompts)), *astuple(replace(request, prompts=_NONE))[1:])
    with _lock:
        kept = _orders.setdefault(subject, OrderedDict())
        # Means are taken over prompts that the request does not name.
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
    """The order that the question's method finds on the exploratory half.

    Args:
        with_means: whether the replacement needs means. They are those of the half that is looked at: a search must know
            nothing of the prompts it is judged on.
    """
    asked = question.search
    means = subject.capture_means(asked.prompts, kinds=question.kinds) if with_means else None
    return find_order(subject, question.method, asked, means=means, on_progress=on_progress)


def share_progress(on_progress: Progress, total: int, before: int, work: int) -> Progress:
    """Progress of one stage of several.

    Args:
        total: units of work of all stages.
        before: of those that are done.
        work: of this one.
    """
    return lambda done, of: on_progress(before + work * done // of, total)


def _get_method(name: str) -> Discovery:
    method: Discovery = get_plugin("circuit_discovery", name)
    return method
