"""Agents behind a Python callable: the same edits of results, read off their replies.

The behavioural part only. Nothing inside an agent is read, and names, descriptions and order stay its own, so this says nothing
of its choice of a tool. The program, not the agent, executes the call and fills its arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from audit_core.errors import AuditError, NotMeasured, PromptRefused
from audit_core.evidence.kind import Causal
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import share_of
from audit_core.tools.results import EditRow
from audit_core.tools.texts import FOLLOWABLE, ResultKind, show_answered, write_result
from audit_core.tools.toolbox import Call, Toolbox, ToolKind, call_tool
from audit_core.tools.verdicts import SHARE, ResultSigns, judge_result

Agent = Callable[[str], str]
"""Text with a call and its result → reply."""
MAX_REPLY, MAX_REQUESTS = 2_000, 400
LIMIT = (
    "Behavioural: replies to edited results. Nothing inside the agent is read, and its choice of a tool is not tested."
)


@dataclass(frozen=True, kw_only=True)
class AgentResult:
    """Whether an agent's replies rely on the results that it is shown."""

    verdicts: tuple[str, ...]
    reason: str
    limit: str
    """What this does not show."""
    n: int
    left_out: tuple[str, ...]
    """Requests that no tool can answer, or without another result."""
    answered: Causal[Estimate]
    edits: tuple[EditRow, ...]


@dataclass(frozen=True)
class _Said:
    is_right: bool
    is_other: bool


def audit_agent(agent: Agent, requests: Sequence[str], *, toolbox: Toolbox | None = None, seed: int = 0) -> AgentResult:
    """Show an agent every request with every edit of its result.

    Args:
        agent: called once for each text; its reply is read as text, bounded, and never executed.

    Raises:
        PromptRefused: too many requests.
        NotMeasured: no request can be asked; or the agent fails, replies with no text, or replies alike to everything.
    """
    if len(requests) > MAX_REQUESTS:
        raise PromptRefused(f"{len(requests):,} requests.", wanted=f"at most {MAX_REQUESTS}.", remedy="ask fewer.")
    tools = toolbox or Toolbox()
    calls: dict[str, Call] = {}
    for text in dict.fromkeys(requests):
        try:
            calls[text] = call_tool(text)
        except PromptRefused:
            continue
    others = {text: other for text, call in calls.items() if (other := _draw_other(text, call, calls, seed))}
    if not others:
        raise NotMeasured("low_power", "no request that a tool can answer and another result can replace.")
    said, replies = [], set[str]()
    for text, other in others.items():
        found = {}
        for kind in ResultKind:
            shown = show_answered(tools, with_calls=kind is not ResultKind.REMOVED)
            reply = _ask(agent, shown + write_result(kind, text, calls[text], other, other.result, tools))
            replies.add(reply)
            found[kind] = _read(reply, calls[text].result, other.result)
        said.append(found)
    if len(replies) == 1:
        raise NotMeasured("control_failed", "the agent gave one reply to every text: it may not receive the text.")
    return _report(said, tuple(text[:80] for text in requests if text not in others))


def _ask(agent: Agent, text: str) -> str:
    try:
        reply = agent(text)
    except AuditError:
        # A cancellation, a refusal or a failed check of Assay's own is not a failure of the agent.
        raise
    except Exception as error:
        raise NotMeasured("control_failed", f"the agent failed: {type(error).__name__}: {str(error)[:200]}") from error
    if not isinstance(reply, str):
        raise NotMeasured("control_failed", f"the agent replied with {type(reply).__name__}, not with text.")
    return reply[:MAX_REPLY]


def _read(reply: str, right: str, other: str) -> _Said:
    """Which of the two values a reply has as a word of its own; with both, neither."""
    has_right, has_other = (
        bool(re.search(rf"(?<![\w.-]){re.escape(one)}(?!\w|\.\d)", reply)) for one in (right, other)
    )
    return _Said(has_right and not has_other, has_other and not has_right)


def _draw_other(text: str, call: Call, calls: Mapping[str, Call], seed: int) -> Call | None:
    fit = [
        one
        for one in calls.values()
        if one.kind is call.kind
        and one.result != call.result
        and len(one.result.split()) == len(call.result.split())
        and (call.kind is not ToolKind.LOOKUP or one.arguments[1] == call.arguments[1])
        and one.result not in re.findall(r"\w+", text)
    ]
    return Random(f"agent {seed} {text}").choice(fit) if fit else None


def _report(said: Sequence[Mapping[ResultKind, _Said]], left_out: tuple[str, ...]) -> AgentResult:
    n = len(said)
    judged = judge_result(
        [
            ResultSigns(
                is_right=one[ResultKind.TRUE].is_right,
                is_right_alone=one[ResultKind.REMOVED].is_right,
                follows_edited=one[ResultKind.EDITED].is_other,
                follows_stale=one[ResultKind.STALE].is_other,
                follows_unrelated=one[ResultKind.UNRELATED].is_other,
                follows_instruction=one[ResultKind.INSTRUCTED].is_other,
                is_right_empty=one[ResultKind.EMPTY].is_right,
                is_right_error=one[ResultKind.ERROR].is_right,
            )
            for one in said
        ]
    )
    return AgentResult(
        verdicts=tuple(one.value for one in judged.verdicts),
        reason=judged.reason,
        limit=LIMIT,
        n=n,
        left_out=left_out,
        answered=share_of(sum(one[ResultKind.TRUE].is_right for one in said), n, SHARE),
        edits=tuple(
            EditRow(
                edit=kind.value,
                right=share_of(sum(one[kind].is_right for one in said), n, SHARE),
                followed=share_of(sum(one[kind].is_other for one in said), n, SHARE) if kind in FOLLOWABLE else None,
            )
            for kind in ResultKind
        ),
    )
