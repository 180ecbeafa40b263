"""Conditions: what is done to the model or its prompt, and what continuations of some prompts come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.activations import Sampling, Written
from audit_core.capability import ACTIVATIONS, STEERING
from audit_core.errors import Refused
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.steering.concepts import Concept
from audit_core.steering.directions import SteeringDirection
from audit_core.steering.results import Method
from audit_core.subject import Floats, Subject

Array = NDArray[np.float64]
READ_AT_ONCE = 64
"""Texts whose activations are in memory at once."""
EXAMPLES = (1, 4)
"""Numbers of a concept's texts that are put before a prompt."""


@dataclass(frozen=True, eq=False)
class Condition:
    """One way of changing what is written."""

    method: Method
    what: str
    strength: float | None = None
    """In median norms."""
    prefix: Tokens = ()
    """Tokens put before the prompt."""
    vector: Floats | None = None
    """Unit vector."""

    def extend(self, row: Tokens, bos_id: int | None) -> Tokens:
        """An input with the prefix, after the beginning-of-sequence token."""
        start = () if bos_id is None else row[:1]
        return (*start, *self.prefix, *row[len(start) :])


UNEDITED = Condition(Method.NONE, "the model as it is")


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Continuations of some prompts under one condition."""

    texts: tuple[str, ...]
    holds: Array
    """Whether each concept is in each continuation, 0 or 1; shape (concept, prompt)."""
    mass: Array
    """Log-probability of each concept's tokens at the first written token, in nats; shape (concept, prompt)."""
    loss: Array
    """Mean surprise of the continuation after the bare prompt, under the unedited model, in nats a token; shape (prompt,)."""
    repeated: Array
    """Share of tokens written before in the same continuation; shape (prompt,)."""


def prompt_with(concept: Concept, subject: Subject, room: int) -> tuple[Condition, ...]:
    """Ways of prompting for a concept: its instruction, and its first texts as examples.

    Args:
        room: most tokens before a prompt; what is longer is left out.

    Raises:
        Refused: nothing fits.
    """
    before = [("instruction: " + concept.instruction, concept.instruction)]
    before += [
        (f"{n} text{'s' if n > 1 else ''} as example{'s' if n > 1 else ''}", " ".join(concept.texts[:n]))
        for n in EXAMPLES
    ]
    found = [(what, tuple(subject.tokenizer.encode(f"{text}\n\n"))) for what, text in before]
    fitting = [(what, ids) for what, ids in found if len(ids) <= room]
    if not fitting:
        raise Refused(
            f"No prompt for {concept.title[:60]!a} fits: {min(len(ids) for _, ids in found)} tokens, and {max(room, 0)} are left.",
            wanted="an instruction that fits before the longest prompt.", remedy="shorten it, or the prompts.",
        )  # fmt: skip
    return tuple(Condition(Method.PROMPTING, what, prefix=ids) for what, ids in fitting)


def steer_along(direction: SteeringDirection, strengths: Sequence[float]) -> tuple[Condition, ...]:
    """One condition for each strength, weakest first."""
    return tuple(Condition(direction.method, direction.what, one, vector=direction.vector) for one in sorted(strengths))


@dataclass(frozen=True, eq=False)
class Writer:
    """Writes and scores continuations of one subject."""

    subject: Subject
    layer: int
    norm: float
    concepts: tuple[Concept, ...]
    n_tokens: int
    temperature: float
    seed: int
    room: int
    """Most tokens before a prompt."""
    advance: Callable[[int], None]
    """Receives units of work."""

    def make_steps(self, conditions: Sequence[Condition]) -> Floats:
        """What is added in each condition; zeros where nothing is; shape (condition, d_model)."""
        none = np.zeros(self.subject.geometry.d_model, np.float32)
        vectors = [
            none if one.vector is None else one.vector * ((one.strength or 0.0) * self.norm) for one in conditions
        ]
        return np.stack(vectors).astype(np.float32)

    def sample(self, draws: Sequence[int]) -> Sampling:
        return Sampling(self.n_tokens, self.temperature, self.seed, tuple(draws))

    def write(self, conditions: Sequence[Condition], prompts: TokenisedPrompts) -> tuple[list[Outcomes], float]:
        """Continuations of every prompt under every condition, with the same noise; and `Written.apart`.

        Raises:
            ControlFailed: see `Steerable.write_steered`.
        """
        n, bare = len(prompts), [pair.clean_ids for pair in prompts.pairs]
        found = self._write(conditions, prompts)
        losses = self._read_losses([(*bare[at % n], *map(int, ids)) for at, ids in enumerate(found.ids)])
        outcomes = []
        for at in range(len(conditions)):
            cut = slice(at * n, (at + 1) * n)
            repeated = np.array([1 - len(set(ids)) / len(ids) for ids in found.ids[cut].tolist()])
            outcomes.append(
                Outcomes(
                    found.texts[cut],
                    self._check(found.texts[cut]),
                    found.first[cut].T.astype(float),
                    losses[cut],
                    repeated,
                )
            )
        return outcomes, found.apart

    def count_holds(self, conditions: Sequence[Condition], prompts: TokenisedPrompts) -> tuple[Array, float]:
        """Whether each concept is in each continuation, 0 or 1, shape (condition, concept, prompt); and `Written.apart`.

        Nothing is read again, so that many random directions cost little.
        """
        found, n = self._write(conditions, prompts), len(prompts)
        holds = [self._check(found.texts[at * n : (at + 1) * n]) for at in range(len(conditions))]
        return np.array(holds).reshape(len(conditions), len(self.concepts), n), found.apart

    def _check(self, texts: Sequence[str]) -> Array:
        return np.array([[concept.is_in(text) for text in texts] for concept in self.concepts], float)

    def _write(self, conditions: Sequence[Condition], prompts: TokenisedPrompts) -> Written:
        subject, n = self.subject, len(prompts)
        rows = [one.extend(pair.clean_ids, subject.tokenizer.bos_id) for one in conditions for pair in prompts.pairs]
        watched = [concept.list_tokens(subject.tokenizer) for concept in self.concepts]
        work, done = sum(map(self.count_written, rows)), 0

        def report(now: int, whole: int) -> None:
            nonlocal done
            reached = work * now // whole
            self.advance(reached - done)
            done = reached

        # The noise of a prompt is that of its number in the request, whatever else is written.
        numbers = [int(pair.prompt.id.rpartition("-")[2]) for pair in prompts.pairs]
        return STEERING.of(subject).write_steered(
            rows, self.layer, np.repeat(self.make_steps(conditions), n, axis=0), self.sample(numbers * len(conditions)),
            watched, on_progress=report,
        )  # fmt: skip

    def _read_losses(self, texts: Sequence[Tokens]) -> Array:
        """Mean surprise of the written tokens; each distinct text is read once."""
        order = sorted(set(texts), key=lambda text: (len(text), text))
        known: dict[Tokens, float] = {}
        for at in range(0, len(order), READ_AT_ONCE):
            batch = order[at : at + READ_AT_ONCE]
            for text, reading in zip(batch, ACTIVATIONS.of(self.subject).read_tokens(batch, self.layer), strict=True):
                known[text] = float(reading.surprise[-self.n_tokens :].mean())
            self.advance(sum(map(self.count_read, batch)))
        return np.array([known[text] for text in texts])

    def measure_off_target(self, conditions: Sequence[Condition], texts: Sequence[Tokens]) -> Array:
        """Divergence of the distributions on texts that do not concern a concept, in nats; shape (condition, text)."""
        bos_id, steps = self.subject.tokenizer.bos_id, self.make_steps(conditions)
        found = np.empty((len(conditions), len(texts)))
        for number, row in enumerate(texts):
            changed = [one.extend(row, bos_id) for one in conditions]
            found[:, number] = STEERING.of(self.subject).measure_shift(row, changed, self.layer, steps).kl
            self.advance(sum(map(self.count_read, changed)))
        return found

    def count_written(self, row: Tokens) -> int:
        """Units of work of one continuation: layers × positions."""
        return self.subject.geometry.n_layers * (len(row) + self.n_tokens)

    def count_read(self, row: Tokens) -> int:
        """Units of work of one pass over a text."""
        return self.subject.geometry.n_layers * len(row)
