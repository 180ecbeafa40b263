"""What an audit is: one question, a frozen request, a frozen result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from audit_core.component import Kind
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Means, Progress, Subject, no_partial


class Request(Protocol):
    """What every audit is asked with: a frozen dataclass."""

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
        """Everything the result depends on beside the model and the prompts, by ids and plain values."""


class Audit(Protocol):
    """The contract of the `audits/` shelf."""

    name: str
    question: str
    result: type
    """A dataclass whose fields declare the evidence of their numbers; see `evidence.kind`."""
    counts_as: tuple[str, ...]
    """Items of evidence, by their ids in the crosswalk, that a run with a result is one of."""
    shows_results: bool
    """Whether a run shows what the model's parts do: a plan that is frozen after it is exploratory."""
    version: int
    """Part of the content key of its results: raised when what it computes or the shape of its result changes, and also
    when it contains the result of an audit whose version is raised. No other audit's stored results are affected."""

    def count_work(self, subject: Subject, request: Any) -> int:
        """Units of work, proportional to time, as `Subject.count_work` has them."""

    def run(
        self,
        subject: Subject,
        request: Any,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> Any:
        """Answer the question, or raise; never a number that was not measured.

        Args:
            on_partial: given what is already known of a long answer, if the audit has anything of the kind.
        """
