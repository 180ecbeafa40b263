"""The audit interface: one question, a frozen request, a frozen result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from audit_core.component import Kind
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Means, Progress, Subject, no_partial


class Request(Protocol):
    """Fields that every audit request has; a frozen dataclass."""

    @property
    def prompts(self) -> TokenisedPrompts: ...

    @property
    def replacements(self) -> tuple[Replacement, ...]: ...

    @property
    def reference(self) -> TokenisedPrompts: ...

    @property
    def kinds(self) -> frozenset[Kind]:
        """Kinds of components that are replaced."""

    @property
    def seed(self) -> int: ...

    def describe(self) -> dict[str, Any]:
        """Everything the result depends on besides model and prompts, as ids and plain values."""


class Audit(Protocol):
    """Interface of the plug-ins in `audits/`."""

    name: str
    question: str
    result: type
    """Result dataclass; its fields declare the kind of evidence of their numbers, see `evidence.kind`."""
    counts_as: tuple[str, ...]
    """Evidence items, by crosswalk id, that a run with a result counts as."""
    shows_results: bool
    """Whether a run reveals component effects: a plan frozen after such a run is exploratory."""
    version: int
    """Part of the content key of results. Raise it when the computation or the result type changes, or when the version
    of an audit whose result it contains is raised. Stored results of other audits stay valid."""

    def count_work(self, subject: Subject, request: Any) -> int:
        """Units of work, proportional to time; see `Subject.count_work`."""

    def run(
        self,
        subject: Subject,
        request: Any,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> Any:
        """Answer the question or raise; every returned number is measured.

        Args:
            on_partial: receives intermediate results of a long run, if the audit has any.
        """
