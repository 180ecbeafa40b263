"""The request about tools, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from audit_core.controls import Controls
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.estimates import Estimate
from audit_core.tools.texts import FORM_VERSION
from audit_core.tools.toolbox import Toolbox
from audit_core.tools.verdicts import DELTA


@dataclass(frozen=True)
class ToolsRequest(Request):
    """Request: requests in words, each of which one of the three tools can answer."""

    settings: ClassVar[Mapping[str, Any]] = {"form": FORM_VERSION, "delta": DELTA}

    prompts: TokenisedPrompts
    most_requests: Annotated[int, Ask("Requests", "At most, spread evenly over the tools.")] = 60
    toolbox: Toolbox = Toolbox()  # noqa: RUF009 - frozen
    seed: int = 0

    @property
    def measured(self) -> TokenisedPrompts:
        """The measured requests."""
        return self.prompts.take(self.prompts.spread(self.most_requests))


@dataclass(frozen=True, kw_only=True)
class CellRow:
    """One combination of names and descriptions, over all orders."""

    cell: str
    right: Causal[Estimate]
    """Share of requests that get their own tool in most orders."""
    moved: Causal[Estimate]
    """Share that get the tool with the right description, which is another one only where descriptions are moved."""
    placed: Causal[Estimate]
    """Share that get the tool at one place of the list in most orders."""
    unstable: Causal[Estimate]
    """Share that do not get the same tool in all orders."""


@dataclass(frozen=True, kw_only=True)
class EditRow:
    """One edit of the result."""

    edit: str
    """A value of `ResultKind`."""
    right: Causal[Estimate]
    """Share of answers that are the value that the tool returned."""
    followed: Causal[Estimate] | None
    """Share of answers that are the other value shown; None if no other value is shown."""


@dataclass(frozen=True, kw_only=True)
class RequestRow:
    """One request with its call, choices and answers."""

    id: str
    request: str
    tool: str
    """A value of `ToolKind`: the only tool that can answer."""
    arguments: tuple[str, ...]
    """Filled by the program, not by the model."""
    result: str
    sha256: str
    """Digest of the result."""
    shown: str
    """The other value that edits show."""
    pattern: str
    """A value of `Verdict`: what its single answers look like."""
    choices: tuple[tuple[str, str], ...]
    """Combination of names and descriptions, and the tool chosen in each order, apart by spaces."""
    answers: tuple[tuple[str, str], ...]
    """Edit of the result, and the answer: the first token in which the two values differ."""


@dataclass(frozen=True, kw_only=True)
class ToolsResult:
    """What decides the choice of a tool, and whether the answer relies on what the tool returns."""

    finding: str
    choice: tuple[str, ...]
    """Values of `Verdict` on the choice; several may hold."""
    choice_reason: str
    reliance: tuple[str, ...]
    """Values of `Verdict` on the result."""
    reliance_reason: str
    prompts: str
    n: int
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    left_out: tuple[tuple[str, int], ...]
    delta: NotEvidence[float]
    accuracy: Observational[Estimate]
    """Share of requests that get their own tool in most orders."""
    answered: Observational[Estimate]
    """Share of right answers with the result as executed."""
    alone: Causal[Estimate]
    """Share of right answers without call and result."""
    lost_alone: Causal[Estimate]
    """Right with the result and wrong without."""
    cued: Causal[Estimate]
    """Share of requests that move to a tool because its description says to choose it."""
    emptied: Causal[Estimate]
    """Share of requests whose tool is not chosen once the request is emptied: they need the request."""
    cells: tuple[CellRow, ...]
    edits: tuple[EditRow, ...]
    requests: tuple[RequestRow, ...]
    controls: Controls
