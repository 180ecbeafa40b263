"""A question with steps: read from a prompt pair, written again with other steps.

    Question: Anna has the red key. … What does Anna find?
    Steps:
    Anna has the red key.
    …
    So Anna finds the lamp.
    Answer:

The other prompt of the pair has the same question with a mistake that is carried from the first step to the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.errors import PromptRefused
from audit_core.prompts.prompt_set import Prompt

QUESTION, STEPS, ANSWER = "Question:", "Steps:", "Answer:"
LEADS = "First,", "Next,"
LAST_LEAD = "Last,"
FILLER = "..."


@dataclass(frozen=True)
class Chain:
    """A question, its steps, and the same steps with a mistake."""

    id: str
    template: str
    shown: str
    """Solved examples before the question, with their line breaks."""
    question: str
    steps: tuple[str, ...]
    mistaken: tuple[str, ...]
    """The steps with the mistake carried from the first to the last."""
    ending: str
    """The last line, from `Answer:` on."""
    answer: str
    foil: str
    """What follows from the mistake."""

    def write(
        self, steps: Sequence[str] | None = None, *, hint: str = "", has_steps: bool = True, question: str | None = None
    ) -> str:
        """The whole prompt with these steps; by default the right ones.

        Args:
            hint: a line after the question; empty for none.
            has_steps: whether the heading of the steps is there; without it the examples have no steps either.
        """
        asked = [self.question if question is None else question, *([f"Hint: {hint}"] if hint else [])]
        if not has_steps:
            return "\n".join([_drop_steps(self.shown) + asked[0], *asked[1:], self.ending])
        return "\n".join(
            [self.shown + asked[0], *asked[1:], STEPS, *(self.steps if steps is None else steps), self.ending]
        )


def read_chain(prompt: Prompt, cluster: str = "") -> Chain:
    """The parts of a prompt pair.

    Args:
        cluster: its template, if that is not the prompt's own label.

    Raises:
        PromptRefused: it has no steps in this form, or states the answer before the last step.
    """
    clean, corrupted = _split(prompt.clean, prompt.id), _split(prompt.corrupted, prompt.id)
    if (clean[0], clean[1], clean[3]) != (corrupted[0], corrupted[1], corrupted[3]) or len(clean[2]) != len(
        corrupted[2]
    ):
        raise _refuse(prompt.id, "its two prompts differ in more than their steps", "change only the steps")
    if len(clean[2]) < 2:
        raise _refuse(prompt.id, f"{len(clean[2])} step", "write at least two steps")
    if clean[2][:-1] == corrupted[2][:-1] or clean[2][-1] == corrupted[2][-1]:
        raise _refuse(
            prompt.id, "the mistake does not reach from an earlier step to the last one", "carry it to the end"
        )
    if any(_states(step, end) for step in clean[2][:-1] for end in (prompt.answer, prompt.foil)):
        raise _refuse(prompt.id, "an earlier step states the answer", "state the answer in the last step alone")
    return Chain(
        prompt.id, cluster or prompt.template, clean[0], clean[1], clean[2], corrupted[2], clean[3], prompt.answer,
        prompt.foil,
    )  # fmt: skip


def _split(text: str, name: str) -> tuple[str, str, tuple[str, ...], str]:
    at = text.rfind(QUESTION)
    shown, rest = text[: max(at, 0)], text[max(at, 0) :].split("\n")
    marks = [number for number, line in enumerate(rest) if line.strip() == STEPS]
    if at < 0 or len(marks) != 1 or not rest[-1].startswith(ANSWER):
        raise _refuse(name, "no steps", f'write lines "{QUESTION} …", "{STEPS}", the steps, and "{ANSWER}"')
    return shown, "\n".join(rest[: marks[0]]), tuple(rest[marks[0] + 1 : -1]), rest[-1]


def _drop_steps(shown: str) -> str:
    kept, is_step = [], False
    for line in shown.split("\n"):
        is_step = (is_step or line.strip() == STEPS) and not line.startswith(ANSWER)
        kept += [] if is_step else [line]
    return "\n".join(kept)


def _states(step: str, answer: str) -> bool:
    words = "".join(c if c.isalnum() else " " for c in step).split()
    return answer.strip() in words


def _refuse(name: str, found: str, remedy: str) -> PromptRefused:
    return PromptRefused(f"row {name!r}: {found}.", wanted="a question with steps.", remedy=f"{remedy}.")
