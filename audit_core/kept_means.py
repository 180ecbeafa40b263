"""Means over reference prompts that several runs take: the last few are kept."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from audit_core.capability import MEANS
from audit_core.component import Kind
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import reference_key
from audit_core.subject import MEAN_KINDS, Means, Subject

_KEPT = 4
_SHORT = 256
"""Tokens of a prompt up to which means of kinds are captured that were not asked for: longer ones take hundreds of megabytes."""


class KeptMeans:
    """Means of one subject; several threads may ask."""

    def __init__(self, subject: Subject) -> None:
        self._subject, self._lock = subject, Lock()
        self._kept: OrderedDict[str, Means] = OrderedDict()

    def capture(self, reference: TokenisedPrompts, kinds: frozenset[Kind]) -> Means:
        """Means of these kinds of components over these prompts."""
        if all(len(pair.clean_ids) <= _SHORT for pair in reference.pairs):
            # The usual kinds as well, so that a change from heads to MLPs needs no second capture.
            kinds |= {kind for kind in MEAN_KINDS if self._subject.components(kind)}
        key = f"{reference_key(reference)} {sorted(kinds)}"
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        means = MEANS.of(self._subject).capture_means(reference, kinds=kinds)
        with self._lock:
            self._kept[key] = means
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return means
