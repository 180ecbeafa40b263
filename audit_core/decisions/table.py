"""The decision of every combination of levels, measured by running the model on each filled template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audit_core.controls import NOISE_FACTOR, Controls
from audit_core.decisions.slots import Row, Slot
from audit_core.decisions.task import DecisionTask
from audit_core.errors import ControlFailed, Refused
from audit_core.intervention import CLEAN_RUN
from audit_core.prompts.answers import AnswerFault, Contrast, tokenise_answers
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair
from audit_core.subject import Progress, Subject, no_progress

Floats = NDArray[np.float64]
UNIT = "logits"


class Decider(Protocol):
    """Anything that decides about applicants: a language model, or an estimator of scikit-learn."""

    @property
    def tolerance(self) -> float:
        """Numerical noise of a preference, in logits."""

    def decide(self, rows: Sequence[Row], *, on_progress: Progress = no_progress) -> Floats:
        """Preference for yes over no of each row, in logits; above 0 the decision is yes. Shape (row,)."""


@dataclass(frozen=True)
class SubjectDecider:
    """A language model that reads the filled template: logit of yes minus logit of no at its end."""

    subject: Subject
    task: DecisionTask

    @property
    def tolerance(self) -> float:
        return self.subject.tolerance

    def decide(self, rows: Sequence[Row], *, on_progress: Progress = no_progress) -> Floats:
        prompts = ask_rows(self.task, rows, self.subject)
        logits = self.subject.run(prompts, (CLEAN_RUN,), on_progress=on_progress)
        found: Floats = logits.answer[0].astype(float) - logits.foil[0].astype(float)
        return found


@dataclass(frozen=True)
class EstimatorDecider:
    """A fitted estimator in memory, such as one of scikit-learn. It reads the index of each level; no file is opened."""

    estimator: Any
    encode: Callable[[Floats], Any] = field(default=lambda rows: rows)
    """Turns indices of levels, shape (row, slot), into what the estimator reads."""
    tolerance: float = 1e-9

    def decide(self, rows: Sequence[Row], *, on_progress: Progress = no_progress) -> Floats:
        features = self.encode(np.asarray(rows, float))
        if hasattr(self.estimator, "decision_function"):
            return np.asarray(self.estimator.decision_function(features), float)
        if not hasattr(self.estimator, "predict_proba"):
            raise Refused(
                f"A {type(self.estimator).__name__}.", wanted="`decision_function` or `predict_proba`.",
                remedy="give a classifier with two classes.",
            )  # fmt: skip
        yes = np.clip(np.asarray(self.estimator.predict_proba(features), float)[:, 1], 1e-9, 1 - 1e-9)
        found: Floats = np.log(yes / (1 - yes))
        return found


@dataclass(frozen=True, eq=False)
class DecisionTable:
    """Every combination of levels, decided."""

    slots: tuple[Slot, ...]
    values: Floats
    """Preference for yes, in logits; one axis a slot."""

    def read(self, rows: NDArray[np.int64]) -> Floats:
        """Values of rows; shape (..., slot) → (...)."""
        found: Floats = self.values[tuple(np.moveaxis(rows, -1, 0))]
        return found

    def read_changed(self, rows: NDArray[np.int64], slot: int, level: int) -> Floats:
        """Values of rows with one slot set to a level."""
        changed = rows.copy()
        changed[..., slot] = level
        return self.read(changed)


def fill_table(decider: Decider, slots: tuple[Slot, ...], *, on_progress: Progress = no_progress) -> DecisionTable:
    """Decide every combination.

    Raises:
        ControlFailed: the decider gives something other than one finite number a row.
    """
    shape = tuple(len(slot.levels) for slot in slots)
    cells = list(product(*(range(n) for n in shape)))
    values = np.asarray(decider.decide(cells, on_progress=on_progress), float)
    if values.shape != (len(cells),) or not np.isfinite(values).all():
        raise ControlFailed("the model gives no finite number for some combination.")
    values = values.reshape(shape)
    values.setflags(write=False)
    return DecisionTable(slots, values)


def check_table(decider: Decider, table: DecisionTable, rows: NDArray[np.int64], values: Floats) -> Controls:
    """Identity: a row's own run equals its combination's. Noise: some other combination changes the preference.

    Args:
        values: of the rows, run before the combinations; shape (row,).

    Raises:
        ControlFailed: either does not hold.
    """
    identity, noise = float(np.abs(table.read(rows) - values).max()), float(np.ptp(table.values))
    if identity > decider.tolerance:
        raise ControlFailed(f"The same applicant run twice differs by {identity:.3g} logits; no number is reported.")
    if noise <= NOISE_FACTOR * decider.tolerance:
        raise ControlFailed("No combination of levels changes the preference: the model does not read the template.")
    return Controls(identity, noise, decider.tolerance, table.values.size)


def ask_rows(task: DecisionTask, rows: Sequence[Row], subject: Subject) -> TokenisedPrompts:
    """Filled templates as prompts; the other run of each is another row's text, and is not read.

    Raises:
        Refused: an answer is not one token of this model, or a prompt is too long for it.
    """
    tokenizer = subject.tokenizer
    yes, no = f" {task.yes.strip()}", f" {task.no.strip()}"
    pairs = []
    for at, row in enumerate(rows):
        text = task.fill(row)
        ids = tokenizer.encode(text)
        begin = () if tokenizer.bos_id is None or ids[:1] == [tokenizer.bos_id] else (tokenizer.bos_id,)
        found = tokenise_answers((yes, no), text, ids, tokenizer)
        sequences = [one for one in found if not isinstance(one, AnswerFault)]
        if len(sequences) < 2 or any(len(one) != 1 for one in sequences) or sequences[0] == sequences[1]:
            raise Refused(
                f"The answers {yes!a} and {no!a}.", wanted="two different answers of one token each.",
                remedy="choose other answers, or end the template without a space.",
            )  # fmt: skip
        clean = (*begin, *ids)
        if tokenizer.limits.n_positions is not None and len(clean) > tokenizer.limits.n_positions:
            raise Refused(
                f"A prompt of {len(clean)} tokens.", wanted=f"at most {tokenizer.limits.n_positions}.",
                remedy="shorten the template.",
            )  # fmt: skip
        contrast = Contrast((), (sequences[0],), (sequences[1],))
        prompt = Prompt(f"row-{at + 1:04d}", text, text, yes, no, f"row {at + 1}")
        pairs.append(TokenPair(prompt, clean, clean, contrast, (), (), True))
    pairs = _lend(pairs)
    return TokenisedPrompts(task.name, tuple(pairs), PromptSet(task.name, tuple(p.prompt for p in pairs)).sha256)


def _lend(pairs: list[TokenPair]) -> list[TokenPair]:
    """Give each prompt another row's text of its length as the other run of its pair; a prompt without one, its own words turned."""
    same: dict[int, list[TokenPair]] = {}
    for pair in pairs:
        same.setdefault(len(pair.clean_ids), []).append(pair)
    lent = []
    for pair in pairs:
        other = next((one for one in same[len(pair.clean_ids)] if one.clean_ids != pair.clean_ids), None)
        ids = other.clean_ids if other is not None else (*pair.clean_ids[:1], *pair.clean_ids[2:], pair.clean_ids[1])
        text = other.prompt.clean if other is not None else ""
        lent.append(replace(pair, prompt=replace(pair.prompt, corrupted=text), corrupted_ids=ids))
    return lent
