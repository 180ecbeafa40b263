"""What a model answers after every edit of every chain, with the controls of the instrument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit_core.capability import STEPS
from audit_core.controls import NOISE_FACTOR, Controls
from audit_core.errors import ControlFailed, NotMeasured, PromptRefused
from audit_core.intervention import CLEAN_RUN
from audit_core.parts import measure_each
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.rationale.chain import Chain, read_chain
from audit_core.rationale.edits import Edited, EditKind, list_edits
from audit_core.subject import Floats, Progress, Subject

_HINTED = (EditKind.NEUTRAL, EditKind.CUED, EditKind.CUED_CHAIN)
_TOGETHER = ((EditKind.DIRECT,), _HINTED, tuple(kind for kind in EditKind if kind not in (EditKind.DIRECT, *_HINTED)))
PASSES = 28
"""Texts that are run for one question, roughly."""


@dataclass(frozen=True)
class Reply:
    """The answer after one edit: the most probable next token."""

    kind: EditKind
    step: int
    token: int


@dataclass(frozen=True)
class Replies:
    """The answers of one question."""

    chain: Chain
    right: int
    """Token of the answer that the right steps lead to."""
    wrong: int
    """Token of the answer that the mistake leads to."""
    replies: tuple[Reply, ...]

    @property
    def full(self) -> int:
        """Token after the unedited steps."""
        return self.replies[0].token

    def list_of(self, *kinds: EditKind) -> tuple[Reply, ...]:
        return tuple(reply for reply in self.replies if reply.kind in kinds)

    def follows(self, *kinds: EditKind) -> tuple[bool, ...]:
        """Whether each of these edits leads to the mistaken answer, where the unedited steps do not."""
        return tuple(reply.token == self.wrong != self.full for reply in self.list_of(*kinds))

    def changes(self, *kinds: EditKind) -> tuple[bool, ...]:
        """Whether each of these edits changes the answer."""
        return tuple(reply.token != self.full for reply in self.list_of(*kinds))


@dataclass(frozen=True)
class Asked:
    """All questions that could be asked, and why others were not."""

    found: tuple[Replies, ...]
    left_out: tuple[tuple[str, int], ...]
    controls: Controls


def read_chains(prompts: TokenisedPrompts) -> tuple[tuple[tuple[Chain, TokenPair], ...], tuple[tuple[str, int], ...]]:
    """The questions of a prompt set, and why rows are none.

    Raises:
        NotMeasured: it has no question with steps.
    """
    found, left = [], Counter[str]()
    for pair in prompts.pairs:
        try:
            if not pair.is_distinguished:
                raise PromptRefused("row: its two answers begin alike.", wanted="others.", remedy="change one.")
            found.append((read_chain(pair.prompt, pair.cluster), pair))
        except PromptRefused as error:
            left[error.found.split(": ", 1)[1].rstrip(".")] += 1
    if not found:
        why = "; ".join(f"{n} × {text}" for text, n in left.items())
        raise NotMeasured("low_power", f"No question with steps in {prompts.name}: {why}.")
    return tuple(found), tuple(sorted(left.items()))


def ask_chains(subject: Subject, prompts: TokenisedPrompts, on_progress: Progress) -> Asked:
    """Answer every edit of every question.

    Raises:
        ControlFailed: the text put together again from its parts gives other logits, or another text gives the same.
        NotMeasured: no question.
    """
    chains, left = read_chains(prompts)
    controls = _check(subject, chains, prompts)
    replies = measure_each(
        [["chain", pair.prompt.to_row(), list(pair.clean_ids)] for _, pair in chains], tuple[Reply, ...],
        lambda at: _answer(subject, list_edits(chains[at][0], subject.tokenizer), chains[at][1]),
        work=[PASSES] * len(chains), on_progress=on_progress,
    ).parts  # fmt: skip
    found = tuple(
        Replies(chain, pair.answer_id, pair.foil_id, own) for (chain, pair), own in zip(chains, replies, strict=True)
    )
    edits = sum(len(own) - 1 for own in replies)
    return Asked(found, left, Controls(controls.identity_max, controls.noise_min, controls.tolerance, edits))


def _answer(subject: Subject, listed: Sequence[Edited], pair: TokenPair) -> tuple[Reply, ...]:
    """Answers in the order of the edits; texts with a long common beginning are run together."""
    found: dict[int, Reply] = {}
    for kinds in _TOGETHER:
        rows = [at for at, one in enumerate(listed) if one.kind in kinds]
        logits = _read(subject, [_encode(listed[at].text, pair, subject) for at in rows])
        found |= {
            at: Reply(listed[at].kind, listed[at].step, int(row.argmax())) for at, row in zip(rows, logits, strict=True)
        }
    return tuple(found[at] for at in range(len(listed)))


def _check(subject: Subject, chains: Sequence[tuple[Chain, TokenPair]], prompts: TokenisedPrompts) -> Controls:
    """Both controls on the first question: the same text by the engine's own run, and the texts of three other questions,
    of which some may have the same answer."""
    chain, pair = chains[0]
    same = _encode(chain.write(), pair, subject)
    if same != pair.clean_ids:
        raise ControlFailed(f"Question {chain.id} put together again has other tokens; no number is reported.")
    others = [one.clean_ids for _, one in chains[1:4]] or [pair.clean_ids[: max(1, len(pair.clean_ids) // 2)]]
    logits = _read(subject, [same, *others])
    whole = subject.run(prompts.take([prompts.pairs.index(pair)]), (CLEAN_RUN,), vocabulary=True)
    assert whole.vocabulary is not None
    identity = float(np.abs(logits[0] - whole.vocabulary[0, 0]).max())
    moved = float(np.abs(logits[1:] - logits[0]).max())
    if not identity <= subject.tolerance:
        raise ControlFailed(f"The text put together again from its parts changed a logit by {identity:.3g}.")
    if not moved > NOISE_FACTOR * subject.tolerance:
        raise ControlFailed("The text of another question changed no logit: the model does not read the text.")
    return Controls(identity, moved, subject.tolerance, 0)


def _read(subject: Subject, texts: Sequence[Tokens]) -> Floats:
    return STEPS.of(subject).read_inputs(texts)


def _encode(text: str, pair: TokenPair, subject: Subject) -> Tokens:
    """Tokens of a text as the pair's own were made: a beginning, and the first tokens that both answers share."""
    ids, bos = subject.tokenizer.encode(text), subject.tokenizer.bos_id
    begin = pair.clean_ids[:1] if bos is not None and pair.clean_ids[:1] == (bos,) and ids[:1] != [bos] else ()
    return (*begin, *ids, *pair.contrast.shared)
