"""What a model chooses and answers, for every combination of the list and every edit of the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from audit_core.capability import TOOLS
from audit_core.controls import NOISE_FACTOR, Controls
from audit_core.errors import ControlFailed
from audit_core.intervention import CLEAN_RUN
from audit_core.parts import measure_each
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Floats, Progress, Subject
from audit_core.tools.requests import AskedRequest, encode, encode_name, read_requests
from audit_core.tools.results import ToolsRequest
from audit_core.tools.texts import (
    BASE,
    CELLS,
    CUED,
    EMPTY_REQUESTS,
    Cell,
    ResultKind,
    ask_choice,
    name_tools,
    show_answered,
    write_list,
    write_result,
)
from audit_core.tools.toolbox import KINDS, Toolbox

ORDERS = tuple(permutations(range(len(KINDS))))
ROTATED = ORDERS[0], ORDERS[3], ORDERS[4]
"""Each tool once at each place: enough where order is only averaged out."""
_TOGETHER = 20
"""Requests that are answered together, between two reports of progress."""
NO_CHOICE = -1
"""Two tools have the same logit: none is chosen."""


@dataclass(frozen=True)
class Reply:
    """The answer after one edit of the result: the first token by which it differs."""

    token: int
    is_right: bool
    is_other: bool
    """Whether it is the other value shown."""


@dataclass(frozen=True)
class Asked:
    """Choices and answers of all requests."""

    requests: tuple[AskedRequest, ...]
    choices: dict[Cell, np.ndarray]
    """Index into `KINDS` or `NO_CHOICE`, shape (order, request): all orders of own names and descriptions, else `ROTATED`."""
    empty: np.ndarray
    """The same for own names and descriptions and each empty request, shape (order, empty request)."""
    replies: tuple[dict[ResultKind, Reply], ...]
    left_out: tuple[tuple[str, int], ...]
    controls: Controls


def count_tokens(prompts: TokenisedPrompts) -> int:
    """Positions that are run, roughly: what texts share is run once."""
    each = sum(len(pair.clean_ids) for pair in prompts.pairs)
    return each * (len(ORDERS) + (len(CELLS) - 1) * len(ROTATED) + 3 * len(ResultKind))


def ask_tools(subject: Subject, request: ToolsRequest, on_progress: Progress) -> Asked:
    """Ask every request with every list, and with every edit of its result.

    Raises:
        NotMeasured: no request can be asked.
        ControlFailed: the same text gives other logits, or another text gives the same.
    """
    toolbox = request.toolbox
    requests, left = read_requests(request.measured, request.prompts, subject, request.seed)
    lists = [(cell, order) for cell in CELLS for order in list_orders(cell)]
    texts = [ask_choice(one.text) for one in requests]
    groups = [requests[number : number + _TOGETHER] for number in range(0, len(requests), _TOGETHER)]
    # The rows that results are exchanged with are of the whole set, so that every part depends on the whole request.
    whole = [
        request.describe(),
        request.prompts.sha256,
        [pair.prompt.id for pair in request.prompts.pairs],
        request.seed,
    ]
    chosen = measure_each(
        [["list", whole, at] for at in range(len(lists))], tuple[int, ...],
        lambda at: tuple(map(int, _choose_all(subject, *lists[at], toolbox, requests, texts))),
        work=[1] * len(lists), after=len(requests), on_progress=on_progress,
    )  # fmt: skip
    found: dict[Cell, list[np.ndarray]] = {}
    for (cell, _), choices in zip(lists, chosen.parts, strict=True):
        found.setdefault(cell, []).append(np.array(choices))
    bare = [ask_choice(one) for one in EMPTY_REQUESTS]
    empty = np.array([_choose(subject, BASE, order, toolbox, bare) for order in ROTATED])
    answered = measure_each(
        [["answers", whole, at] for at in range(len(groups))], list[dict[ResultKind, Reply]],
        lambda at: answer_requests(subject, groups[at], toolbox),
        work=[len(group) for group in groups], done=chosen.done, on_progress=on_progress,
    )  # fmt: skip
    replies = [reply for group in answered.parts for reply in group]
    edits = len(requests) * (len(lists) + len(ResultKind) - 2)
    controls = _check(subject, requests, toolbox, edits)
    by_cell = {cell: np.array(rows) for cell, rows in found.items()}
    return Asked(requests, by_cell, empty, tuple(replies), left, controls)


def list_orders(cell: Cell) -> tuple[tuple[int, ...], ...]:
    """The orders of the list that a combination is run in."""
    return ORDERS if cell is BASE else ROTATED


def _choose_all(
    subject: Subject,
    cell: Cell,
    order: Sequence[int],
    toolbox: Toolbox,
    requests: Sequence[AskedRequest],
    texts: Sequence[str],
) -> np.ndarray:
    """Choices of all requests under one list; where a description is cued, it is that of the tool after each request's own."""
    found = np.full(len(texts), NO_CHOICE)
    by_cued: dict[int, list[int]] = {}
    for at, one in enumerate(requests):
        cued = (one.kind_index + 1) % len(KINDS) if cell is CUED else 0
        by_cued.setdefault(cued, []).append(at)
    for cued, rows in by_cued.items():
        found[rows] = _choose(subject, cell, order, toolbox, [texts[at] for at in rows], cued)
    return found


def _choose(
    subject: Subject, cell: Cell, order: Sequence[int], toolbox: Toolbox, asked: Sequence[str], cued: int = 0
) -> np.ndarray:
    """Index of the tool whose name has the highest log-probability: all names begin after the same text, so logits will do."""
    ids = [encode_name(name, subject) for name in name_tools(cell, toolbox)]
    shown = write_list(cell, order, toolbox, cued)
    logits = read_texts(subject, [shown + one for one in asked])[:, ids]
    best = logits.argmax(1)
    ranked = np.sort(logits, 1)
    return np.where(ranked[:, -1] - ranked[:, -2] > subject.tolerance, best, NO_CHOICE)


def answer_requests(
    subject: Subject,
    requests: Sequence[AskedRequest],
    toolbox: Toolbox,
    edits: Sequence[ResultKind] = tuple(ResultKind),
) -> list[dict[ResultKind, Reply]]:
    """The answers of some requests after these edits; the most probable next token where the two values differ first."""
    found: list[dict[ResultKind, Reply]] = [{} for _ in requests]
    # Without calls the examples differ too: apart, so that the others share theirs.
    for has_calls in (True, False):
        kinds = [kind for kind in edits if (kind is not ResultKind.REMOVED) is has_calls]
        if not kinds:
            continue
        before = show_answered(toolbox, with_calls=has_calls)
        rows = [(at, kind) for at in range(len(requests)) for kind in kinds]
        texts = []
        for at, kind in rows:
            one = requests[at]
            text = before + write_result(kind, one.text, one.call, one.other, one.value, toolbox)
            texts.append(encode(text, subject) + one.values.shared)
        logits = TOOLS.of(subject).read_inputs(texts)
        for (at, kind), row in zip(rows, logits, strict=True):
            token, values = int(row.argmax()), requests[at].values
            found[at][kind] = Reply(token, token == values.right, token == values.other)
    return found


def read_texts(subject: Subject, texts: Sequence[str]) -> Floats:
    """Logits after each text, shape (text, vocabulary)."""
    return TOOLS.of(subject).read_inputs([encode(text, subject) for text in texts])


def _check(subject: Subject, requests: Sequence[AskedRequest], toolbox: Toolbox, edits: int) -> Controls:
    """Identity: the same text by the engine's own run, and the result replaced by itself beside its edits. Noise: other texts."""
    first = requests[0]
    # A model may well choose one tool for all, or answer all alike: both texts of requests for other tools are tried.
    others = {one.call.kind: one for one in requests if one.call.kind is not first.call.kind}
    compared = [first, *others.values()]
    alone = TokenisedPrompts("control", (first.pair,), "")
    whole = subject.run(alone, (CLEAN_RUN,), vocabulary=True).vocabulary
    assert whole is not None
    itself = TOOLS.of(subject).read_inputs([first.pair.clean_ids])
    listed, shown = write_list(BASE, ORDERS[0], toolbox), show_answered(toolbox, with_calls=True)

    def answer(one: AskedRequest, kind: ResultKind) -> str:
        return shown + write_result(kind, one.text, one.call, one.other, one.call.result, toolbox)

    chosen = read_texts(subject, [*(listed + ask_choice(one.text) for one in compared), ask_choice(first.text)])
    true = answer(first, ResultKind.TRUE)
    answered = read_texts(
        subject,
        [true, answer(first, ResultKind.EDITED), *(answer(one, ResultKind.TRUE) for one in others.values()), shown],
    )
    identity = max(float(np.abs(itself[0] - whole[0, 0]).max()), float(np.abs(answered[0] - answered[1]).max()))
    moved = max(float(np.abs(found[1:] - found[0]).max()) for found in (chosen, answered))
    if not identity <= subject.tolerance:
        raise ControlFailed(f"The same text changed a logit by {identity:.3g}.")
    if not moved > NOISE_FACTOR * subject.tolerance:
        raise ControlFailed("The text of another request changed no logit: the model does not read the text.")
    return Controls(identity, moved, subject.tolerance, edits)
