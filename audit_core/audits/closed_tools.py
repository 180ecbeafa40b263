"""Results of tools shown to a closed model: whether its replies rely on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from audit_core.audit import Audit
from audit_core.capability import REPLIES, Capability
from audit_core.closed.reading import read_closed_requests
from audit_core.closed.report import count_tool_calls, measure_closed_tools
from audit_core.closed.results import ClosedToolsRequest, ClosedToolsResult
from audit_core.request import Ask, Request
from audit_core.request_form import read_answers
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class ClosedToolsFile:
    """How a file of requests is asked."""

    most_requests: Annotated[int, Ask("Requests", "At most, spread over the file.")] = 60


@dataclass(frozen=True)
class ClosedToolsAudit(Audit):
    name: str = "closed_tools"
    question: str = "Do the replies of a closed model rely on the results of tools that it is shown?"
    request: type[Request] = ClosedToolsRequest
    result: type = ClosedToolsResult
    version: int = 1
    no_rate: str = "No closed model with known wiring is declared: a reply comes from an endpoint."
    summary: str = (
        "Each request is shown with its real result, and with the result edited, emptied, replaced and removed. The program "
        "executes the tools. Only the text is intervened on: `--endpoint` names the model."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (REPLIES,)
    file_form: type | None = ClosedToolsFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> ClosedToolsRequest:
        self.require(subject)
        most = read_answers(ClosedToolsFile, answers).most_requests
        prompts, source = read_closed_requests(raw, name, most=most)
        return ClosedToolsRequest(prompts, source, seed)

    def count_work(self, subject: Subject, request: ClosedToolsRequest) -> int:
        return count_tool_calls(request)

    def run(
        self,
        subject: Subject,
        request: ClosedToolsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> ClosedToolsResult:
        return measure_closed_tools(subject, request, on_progress)


PLUGIN = ClosedToolsAudit()
