"""Tools: what decides which one a model chooses, and whether its answer relies on the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from audit_core.audit import Audit, Example, Verdicts, know_verdict
from audit_core.capability import TOOLS, Capability
from audit_core.errors import Refused
from audit_core.request import Ask, Request
from audit_core.request_form import make_request, read_answers
from audit_core.subject import Means, Progress, Subject, no_partial
from audit_core.tools.asking import ask_tools, count_tokens
from audit_core.tools.report import report_tools
from audit_core.tools.requests import MAX_ROWS, ask_rows, read_file
from audit_core.tools.results import ToolsRequest, ToolsResult
from audit_core.tools.toolbox import Toolbox
from audit_core.tools.verdicts import Verdict

_OWN = Toolbox()


@dataclass(frozen=True)
class ToolsFile:
    """How a file of own requests is asked, beside the fields of a request."""

    names: Annotated[str, Ask("Tool names", "Of calculator, converter and lookup, apart by |.")] = " | ".join(
        _OWN.names
    )
    descriptions: Annotated[str, Ask("Tool descriptions", "In the same order, apart by |.")] = " | ".join(
        _OWN.descriptions
    )


def _know(choice: tuple[Verdict, ...], reliance: Verdict) -> Verdicts:
    """What decides the choice, and the first verdict on results: a second one needs more requests."""
    return Verdicts(
        lambda found: [" + ".join(found.choice), found.reliance[0]],
        (" + ".join(choice), reliance.value),
        frozenset({Verdict.UNRESOLVED.value}),
    )


_EXAMPLES = (
    Example(
        {},
        "The model names the tool by the request and copies what follows `Result:`: the answer to each request relies on the result.",
        lambda found: {row.pattern for row in found.requests} == {Verdict.RELIES},
        task="tools",
        per_template=6,
        verdicts=_know((Verdict.NAME, Verdict.REQUEST), Verdict.RELIES),
    ),
)
_CONTRASTS = (
    know_verdict(
        {},
        "The model chooses by description, and answers from memory whatever the result is.",
        _know((Verdict.DESCRIPTION, Verdict.REQUEST), Verdict.IGNORES),
        task="tools",
        model="planted-tools-ignorer",
        per_template=6,
    ),
    know_verdict(
        {},
        "The model names the first tool of the list, whatever is asked, and copies the last value of the text.",
        _know((Verdict.ORDER, Verdict.UNSTABLE), Verdict.LAST),
        task="tools",
        model="planted-tools-copier",
        per_template=6,
    ),
)


@dataclass(frozen=True)
class ToolsAudit(Audit):
    name: str = "tools"
    question: str = "What decides which tool a model chooses, and does its answer rely on the result?"
    request: type[Request] = ToolsRequest
    result: type = ToolsResult
    version: int = 1
    summary: str = (
        "Names, descriptions and order of three real tools are varied together with the request. Results are edited, emptied, "
        "replaced and removed. The program, not the model, fills the arguments."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    planted: str = "planted-tools-follower"
    examples: tuple[Example, ...] = _EXAMPLES
    contrasts: tuple[Example, ...] = _CONTRASTS
    demands: tuple[Capability[Any], ...] = (TOOLS,)
    keeps_parts: bool = True
    file_form: type | None = ToolsFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> ToolsRequest:
        self.require(subject)
        asked = read_answers(ToolsFile, answers)
        names, descriptions = (tuple(text.split("|")) for text in (asked.names, asked.descriptions))
        toolbox = Toolbox(names, descriptions)
        prompts = ask_rows(read_file(raw, name), name, toolbox, subject)
        request = make_request(
            ToolsRequest, answers, subject=subject, prompts=prompts, reference=prompts, explored=prompts, seed=seed
        )
        return replace(request, toolbox=toolbox)  # type: ignore[type-var,return-value]

    def count_work(self, subject: Subject, request: ToolsRequest) -> int:
        if not 1 <= request.most_requests <= MAX_ROWS:
            raise Refused(
                f"{request.most_requests} requests.", wanted=f"1 to {MAX_ROWS}.", remedy="change their number."
            )
        return count_tokens(request.measured) * subject.geometry.n_layers

    def run(
        self,
        subject: Subject,
        request: ToolsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> ToolsResult:
        prompts, total = request.measured, self.count_work(subject, request)
        asked = ask_tools(subject, request, lambda done, of: on_progress(total * done // max(1, of), total))
        return report_tools(asked, prompts, request.toolbox, subject)


PLUGIN = ToolsAudit()
