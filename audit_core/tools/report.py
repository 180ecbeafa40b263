"""Rates, verdicts and rows from what a model chose and answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import share_of
from audit_core.subject import Subject
from audit_core.tools.asking import NO_CHOICE, ORDERS, ROTATED, Asked, Reply
from audit_core.tools.results import CellRow, EditRow, RequestRow, ToolsResult
from audit_core.tools.texts import (
    BASE,
    CELLS,
    CUED,
    DESCRIPTIONS_ALONE,
    FOLLOWABLE,
    MOVED,
    NAMES_ALONE,
    NEITHER,
    Cell,
    Describing,
    ResultKind,
    name_tools,
)
from audit_core.tools.toolbox import KINDS, Toolbox
from audit_core.tools.verdicts import (
    DELTA,
    SHARE,
    ChoiceSigns,
    Judged,
    ResultSigns,
    classify_result,
    judge_choice,
    judge_result,
)


def report_tools(asked: Asked, prompts: TokenisedPrompts, toolbox: Toolbox, subject: Subject) -> ToolsResult:
    """The result of all choices and answers."""
    n = len(asked.requests)
    results = [read_result_signs(replies) for replies in asked.replies]
    choice, reliance = judge_choice(read_choice_signs(asked)), judge_result(results)
    own = np.array([one.kind_index for one in asked.requests])
    base = _most(asked.choices[BASE])
    cued = _most(asked.choices[CUED])
    leaning = _most(asked.empty.reshape(-1, 1))[0]

    def share(hits: Iterable[bool]) -> Estimate:
        return share_of(int(sum(hits)), n, SHARE)

    return ToolsResult(
        finding=describe(choice, reliance, n), choice=tuple(one.value for one in choice.verdicts),
        choice_reason=choice.reason, reliance=tuple(one.value for one in reliance.verdicts),
        reliance_reason=reliance.reason, prompts=prompts.name, n=n, names=toolbox.names,
        descriptions=toolbox.descriptions, left_out=asked.left_out, delta=DELTA,
        accuracy=share(base == own), answered=share(one.is_right for one in results),
        alone=share(one.is_right_alone for one in results), lost_alone=share(one.is_lost_alone for one in results),
        cued=share((cued == (own + 1) % len(KINDS)) & (base != cued)), emptied=share((base == own) & (own != leaning)),
        cells=tuple(_read_cell(cell, asked, own) for cell in CELLS),
        edits=tuple(_read_edit(kind, asked, share) for kind in ResultKind),
        requests=tuple(_read_request(at, asked, toolbox, subject) for at in range(n)), controls=asked.controls,
    )  # fmt: skip


def describe(choice: Judged, reliance: Judged, n: int) -> str:
    """The finding in a sentence or two."""
    parts = []
    for title, found in (("Choice", choice), ("Result", reliance)):
        words = ", ".join(one.value for one in found.verdicts)
        parts.append(f"{title}: {words}" + (f" ({found.reason.rstrip('.')})" if found.reason else ""))
    return f"{'. '.join(parts)}. n = {n} requests."


def read_choice_signs(asked: Asked) -> tuple[ChoiceSigns, ...]:
    """The signs of each request's choices."""
    own = np.array([one.kind_index for one in asked.requests])
    most = {cell: _most(found) for cell, found in asked.choices.items()}
    placed, unstable = _is_placed(asked.choices[BASE]), _is_unstable(asked.choices[BASE])
    return tuple(
        ChoiceSigns(
            is_right=bool(most[BASE][at] == kind), is_named=bool(most[NAMES_ALONE][at] == kind),
            is_described=bool(most[DESCRIPTIONS_ALONE][at] == kind), follows_name=bool(most[MOVED][at] == kind),
            follows_description=bool(most[MOVED][at] == (kind - 1) % len(KINDS)), is_placed=bool(placed[at]),
            is_unstable=bool(unstable[at]), is_right_by_chance=bool(most[NEITHER][at] == kind),
            follows_cue=bool(most[CUED][at] == (kind + 1) % len(KINDS) != most[BASE][at]),
        )
        for at, kind in enumerate(own)
    )  # fmt: skip


def read_result_signs(found: Mapping[ResultKind, Reply]) -> ResultSigns:
    """The signs of one request's answers."""
    return ResultSigns(
        is_right=found[ResultKind.TRUE].is_right, is_right_alone=found[ResultKind.REMOVED].is_right,
        follows_edited=found[ResultKind.EDITED].is_other, follows_stale=found[ResultKind.STALE].is_other,
        follows_unrelated=found[ResultKind.UNRELATED].is_other,
        follows_instruction=found[ResultKind.INSTRUCTED].is_other,
        is_right_empty=found[ResultKind.EMPTY].is_right, is_right_error=found[ResultKind.ERROR].is_right,
    )  # fmt: skip


def _read_cell(cell: Cell, asked: Asked, own: np.ndarray) -> CellRow:
    found, n = asked.choices[cell], len(own)
    most = _most(found)
    described = (own - 1) % len(KINDS) if cell.describing is Describing.MOVED else own
    return CellRow(
        cell=cell.title, right=share_of(int((most == own).sum()), n, SHARE),
        moved=share_of(int((most == described).sum()), n, SHARE),
        placed=share_of(int(_is_placed(found).sum()), n, SHARE),
        unstable=share_of(int(_is_unstable(found).sum()), n, SHARE),
    )  # fmt: skip


def _read_edit(kind: ResultKind, asked: Asked, share: Callable[[Iterable[bool]], Estimate]) -> EditRow:
    found = [replies[kind] for replies in asked.replies]
    return EditRow(
        edit=kind.value,
        right=share(one.is_right for one in found),
        followed=share(one.is_other for one in found) if kind in FOLLOWABLE else None,
    )


def _read_request(at: int, asked: Asked, toolbox: Toolbox, subject: Subject) -> RequestRow:
    one, replies = asked.requests[at], asked.replies[at]
    return RequestRow(
        id=one.pair.prompt.id, request=one.text, tool=one.call.kind.value, arguments=one.call.arguments,
        result=one.call.result, sha256=one.call.sha256, shown=one.value,
        pattern=classify_result(read_result_signs(replies)).value,
        choices=tuple((cell.title, _name(found[:, at].tolist(), name_tools(cell, toolbox))) for cell, found in asked.choices.items()),
        answers=tuple((kind.value, subject.tokenizer.piece(reply.token)) for kind, reply in replies.items()),
    )  # fmt: skip


def _name(choices: Sequence[int], names: Sequence[str]) -> str:
    return " ".join("–" if choice == NO_CHOICE else names[choice] for choice in choices)


def _most(choices: np.ndarray) -> np.ndarray:
    """What more than half of the orders give, shape (request,); `NO_CHOICE` if nothing does."""
    counts = np.stack([(choices == kind).sum(0) for kind in range(len(KINDS))])
    return np.where(counts.max(0) > len(choices) / 2, counts.argmax(0), NO_CHOICE)


def _is_placed(choices: np.ndarray) -> np.ndarray:
    """Whether more than half of the orders give the tool at one place of the list; a constant choice is at each in a third."""
    orders = ORDERS if len(choices) == len(ORDERS) else ROTATED
    at = [
        np.where(row == NO_CHOICE, NO_CHOICE, np.argsort(order)[row])
        for row, order in zip(choices, orders, strict=True)
    ]
    return np.asarray(_most(np.array(at)) != NO_CHOICE)


def _is_unstable(choices: np.ndarray) -> np.ndarray:
    return np.asarray((choices != choices[0]).any(0))
