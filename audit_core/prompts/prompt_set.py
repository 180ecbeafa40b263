"""Prompts: clean beside corrupted, aligned token by token, in templates, hashed; read by `prompt_files`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audit_core.errors import PromptRefused
from audit_core.prompt_files.fields import RowFields
from audit_core.prompt_files.reading import ReadRows, read_row_file, read_rows, refuse_faults
from audit_core.prompts.answers import Contrast, PromptForm, Tokens
from audit_core.prompts.repeats import SetAside, describe_repeats, find_repeats
from audit_core.verifier.prompt_digest import dump_prompt_rows, is_exploratory_pair

SEQUENCE_METRIC = "sequence_log_probability"
_REQUIRED = ("id", "clean", "corrupted", "answer", "foil", "template")
_OPTIONAL = ("group", "source", "form")
MAX_REPORTED = 20
"""Bad rows that a refusal names."""
NO_TEMPLATE = "all"
"""Label of the prompts of a file that names no templates."""


@dataclass(frozen=True)
class Prompt:
    """One clean/corrupted pair as text; the beginning-of-sequence token is not written."""

    id: str
    clean: str
    corrupted: str
    answer: str
    """Text expected after the clean prompt, leading space included."""
    foil: str
    """Text expected after the corrupted prompt, leading space included."""
    template: str
    """Prompts of one template are not independent: this is the cluster of the bootstrap."""
    group: str = ""
    source: str = ""
    form: PromptForm = PromptForm.PLAIN
    more_answers: tuple[str, ...] = ()
    """Further right answers, where more than one is right."""
    more_foils: tuple[str, ...] = ()
    """Further answers that the corrupted prompt makes right."""

    @property
    def answers(self) -> tuple[str, ...]:
        """Every right answer."""
        return (self.answer, *self.more_answers)

    @property
    def foils(self) -> tuple[str, ...]:
        """Every foil."""
        return (self.foil, *self.more_foils)

    def list_texts(self) -> tuple[str, ...]:
        """Every text of the row that is not empty."""
        texts = (
            self.id,
            self.clean,
            self.corrupted,
            *self.answers,
            *self.foils,
            self.template,
            self.group,
            self.source,
        )
        return tuple(text for text in texts if text)

    def to_row(self) -> dict[str, str | list[str]]:
        """The row as it is written and hashed: empty optional fields left out, several answers as a list."""
        row: dict[str, str | list[str]] = {name: getattr(self, name) for name in (*_REQUIRED, *_OPTIONAL)}
        row |= {name: list(texts) for name, texts in (("answer", self.answers), ("foil", self.foils)) if len(texts) > 1}
        return {name: value for name, value in row.items() if value or name in _REQUIRED}


@dataclass(frozen=True)
class PromptSet:
    """Prompts under one name; the hash covers every field of every row, in order."""

    name: str
    prompts: tuple[Prompt, ...]
    sha256: str = field(init=False)
    notices: tuple[str, ...] = field(default=(), compare=False)
    """What was set aside or read otherwise than it stands in the file, and why; no part of the set."""
    whole: PromptSet | None = field(default=None, compare=False, repr=False)
    """The set that these are a part of; None where they are all."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", hashlib.sha256(dump_jsonl(self.prompts).encode()).hexdigest())

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class TokenPair:
    """One prompt after tokenisation: clean and corrupted have equal length and differ somewhere.

    Both end in the tokens with which all its answers and foils begin: the last position is the one where they part.
    """

    prompt: Prompt
    clean_ids: Tokens
    corrupted_ids: Tokens
    contrast: Contrast
    """What may follow there."""
    pieces: tuple[str, ...]
    """Clean tokens as text, one per position, the beginning-of-sequence token first where there is one."""
    corrupted_pieces: tuple[str, ...]
    is_read_in_context: bool = False
    """Whether these are other tokens than its texts give one by one behind a beginning-of-sequence token."""
    cluster: str = ""
    """Of the bootstrap, where the texts contradict the label; empty: the prompt's template."""

    @property
    def is_distinguished(self) -> bool:
        """Whether the token at one position can tell right answers from foils."""
        return bool(self.contrast.answer_ids and self.contrast.foil_ids)

    @property
    def answer_ids(self) -> Tokens:
        """Tokens that a right answer goes on with and no foil does.

        Raises:
            PromptRefused: no token at one position tells answers and foils apart.
        """
        self._require_distinguished()
        return self.contrast.answer_ids

    @property
    def foil_ids(self) -> Tokens:
        """Tokens that a foil goes on with and no right answer does; raises as `answer_ids`."""
        self._require_distinguished()
        return self.contrast.foil_ids

    @property
    def answer_id(self) -> int:
        """The first of `answer_ids`."""
        return self.answer_ids[0]

    @property
    def foil_id(self) -> int:
        """The first of `foil_ids`."""
        return self.foil_ids[0]

    def _require_distinguished(self) -> None:
        if not self.is_distinguished:
            require_distinguished([self])

    @property
    def first_changed(self) -> int:
        """First position at which the two prompts differ."""
        return next(i for i, (a, b) in enumerate(zip(self.clean_ids, self.corrupted_ids)) if a != b)


@dataclass(frozen=True)
class TokenisedPrompts:
    """A prompt set under one tokenizer."""

    name: str
    pairs: tuple[TokenPair, ...]
    sha256: str
    """Hash of the text rows these pairs were made from."""
    notices: tuple[str, ...] = field(default=(), compare=False)
    """What was set aside, and what was not believed, and why."""
    set_aside: tuple[SetAside, ...] = field(default=(), compare=False)
    """Rows that are under the hash, and not among the pairs."""

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def templates(self) -> tuple[str, ...]:
        """What each prompt is clustered by, shape (prompt,): its template, unless the texts contradict the labels."""
        return tuple(pair.cluster or pair.prompt.template for pair in self.pairs)

    def take(self, rows: Sequence[int]) -> TokenisedPrompts:
        """Some of the prompts, under the hash of all."""
        return replace(self, pairs=tuple(self.pairs[at] for at in rows))

    def spread(self, most: int) -> tuple[int, ...]:
        """Rows of at most so many prompts, as evenly over the templates as they allow, in order."""
        seen: Counter[str] = Counter()
        turns = []
        for at, name in enumerate(self.templates):
            turns.append((seen[name], at))
            seen[name] += 1
        return tuple(sorted(at for _, at in sorted(turns)[:most]))


def dump_jsonl(prompts: Sequence[Prompt]) -> str:
    """One row a line, empty optional fields left out: the bytes that are hashed."""
    return dump_prompt_rows(prompt.to_row() for prompt in prompts).decode()


def load_prompts(path: Path | str, *, columns: Mapping[str, str] | None = None) -> PromptSet:
    """Read a prompt set from a file or a `datasets` folder, in any form that `prompt_files` knows.

    Args:
        columns: field -> column of the file, where the names differ.

    Raises:
        PromptRefused: no such file, too large, a form that is not read, or rows that cannot be used; names each bad row.
    """
    return drop_repeats(keep_valid(refuse_faults(read_row_file(path, columns=columns))))


def parse_prompts(raw: bytes, *, name: str, columns: Mapping[str, str] | None = None) -> PromptSet:
    """Read a prompt set from the bytes of a file, repeats left out; see `load_prompts`.

    Example:
        >>> row = b'{"clean": "A B", "corrupted": "A C", "answer": " x", "foil": " y"}'
        >>> len(parse_prompts(row, name="mine.jsonl"))
        1
    """
    return drop_repeats(keep_valid(refuse_faults(read_rows(raw, name=name, columns=columns))))


def parse_rows(raw: bytes, *, name: str) -> PromptSet:
    """Every row of a file, repeats among them: for a set whose digest is known already."""
    return keep_valid(refuse_faults(read_rows(raw, name=name)))


def drop_repeats(prompts: PromptSet) -> PromptSet:
    """The set without prompts that say the same as an earlier one, and a notice of which those were."""
    repeats = find_repeats(prompts.prompts)
    if not repeats:
        return prompts
    notice = describe_repeats([prompt.id for prompt in prompts.prompts], repeats)
    kept = tuple(prompt for at, prompt in enumerate(prompts.prompts) if at not in repeats)
    return PromptSet(prompts.name, kept, (*prompts.notices, notice))


def keep_valid(read: ReadRows) -> PromptSet:
    """The good rows of a file as a set.

    Raises:
        PromptRefused: there is none.
    """
    if not read.rows:
        raise PromptRefused(f"{read.name} holds no prompts.", wanted="at least one row.", remedy="add rows.")
    said = () if read.rows[0].template else ("The file names no templates: they are found from its texts.",)
    return PromptSet(read.name, tuple(map(_make_prompt, read.rows)), notices=(*read.notices, *said))


def _make_prompt(row: RowFields) -> Prompt:
    return Prompt(
        row.id, row.clean, row.corrupted, row.answers[0], row.foils[0], row.template or NO_TEMPLATE,
        row.group, row.source, PromptForm(row.form), row.answers[1:], row.foils[1:],
    )  # fmt: skip


def require_distinguished(pairs: Sequence[TokenPair]) -> None:
    """Refuse prompts whose answers and foils differ in no single position, before a metric of one position is read.

    Raises:
        PromptRefused: with the ids of those prompts.
    """
    if missing := [pair.prompt.id[:60] for pair in pairs if not pair.is_distinguished]:
        named = ", ".join(map(repr, missing[:MAX_REPORTED])) + (" and more" if len(missing) > MAX_REPORTED else "")
        raise PromptRefused(
            f"In {len(missing)} of {len(pairs)} prompts no token at one position tells answers from foils: {named}.",
            wanted="a token that only right answers go on with, and one that only foils do.",
            remedy=f"choose the metric {SEQUENCE_METRIC}, which reads every token of an answer, or leave these rows out.",
        )


def take_verbatim(prompts: PromptSet) -> PromptSet:
    """The set with every text as the whole input; see `PromptForm.VERBATIM`."""
    return PromptSet(
        prompts.name, tuple(replace(p, form=PromptForm.VERBATIM) for p in prompts.prompts), prompts.notices
    )


def is_exploratory(prompt: Prompt) -> bool:
    """Which half a prompt belongs to: decided by the hash of its text, so nobody chooses and nothing drifts."""
    return is_exploratory_pair(prompt.clean, prompt.corrupted)


def name_split(prompts: TokenisedPrompts) -> str:
    """exploratory, confirmatory, or both: which half of its set these prompts belong to."""
    halves = {is_exploratory(pair.prompt) for pair in prompts.pairs}
    return "both" if len(halves) > 1 else "exploratory" if halves == {True} else "confirmatory"


def take_split(prompts: PromptSet, *, exploratory: bool) -> PromptSet:
    """The exploratory half (to look for circuits on) or the confirmatory half (to judge them on).

    Raises:
        PromptRefused: that half is empty.
    """
    kept = tuple(p for p in prompts.prompts if is_exploratory(p) is exploratory)
    half = "exploratory" if exploratory else "confirmatory"
    if not kept:
        raise PromptRefused(
            f"{prompts.name} has no prompt in its {half} half.", wanted="a set with both halves.", remedy="add prompts."
        )
    return PromptSet(f"{prompts.name}/{half}", kept, prompts.notices, prompts)
