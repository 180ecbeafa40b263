"""Prompts: clean beside corrupted, aligned token by token, in templates, hashed; read by `prompt_files`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from audit_core.errors import PromptRefused
from audit_core.prompt_files.fields import RowFields
from audit_core.prompt_files.reading import ReadRows, read_row_file, read_rows, refuse_faults
from audit_core.prompt_files.table import RowFault
from audit_core.verifier.prompt_digest import dump_prompt_rows, is_exploratory_pair

MAX_TOKENS = 256
"""Attention maps of one prompt grow with its square: 270 heads at 256 tokens are 71 MB."""
_REQUIRED = ("id", "clean", "corrupted", "answer", "foil", "template")
_OPTIONAL = ("group", "source")
_MAX_REPORTED = 20
NO_TEMPLATE = "all"
"""The one template of a file that names none."""


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
    notices: tuple[str, ...] = field(default=(), compare=False)
    """What was read otherwise than it stands in the file; no part of the set."""
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", hashlib.sha256(dump_jsonl(self.prompts).encode()).hexdigest())

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class TokenPair:
    """One prompt after tokenisation: clean and corrupted have equal length and differ somewhere."""

    prompt: Prompt
    clean_ids: tuple[int, ...]
    corrupted_ids: tuple[int, ...]
    answer_id: int
    foil_id: int
    pieces: tuple[str, ...]
    """Clean tokens as text, one per position, the beginning-of-sequence token first where there is one."""
    corrupted_pieces: tuple[str, ...]

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

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def templates(self) -> tuple[str, ...]:
        """Template of each prompt, shape (prompt,)."""
        return tuple(pair.prompt.template for pair in self.pairs)

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


class Tokenizer(Protocol):
    """What alignment needs to know of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Token ids without any special token."""

    def piece(self, token_id: int) -> str:
        """One token as text."""

    @property
    def bos_id(self) -> int | None:
        """Beginning-of-sequence token, or None where the tokenizer has none."""


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
    return keep_good(refuse_faults(read_row_file(path, columns=columns)))


def parse_prompts(raw: bytes, *, name: str, columns: Mapping[str, str] | None = None) -> PromptSet:
    """Read a prompt set from the bytes of a file; see `load_prompts`."""
    return keep_good(refuse_faults(read_rows(raw, name=name, columns=columns)))


def keep_good(read: ReadRows) -> PromptSet:
    """The good rows of a file as a set.

    Raises:
        PromptRefused: there is none.
    """
    if not read.rows:
        raise PromptRefused(f"{read.name} holds no prompts.", wanted="at least one row.", remedy="add rows.")
    notices = read.notices
    if not read.rows[0].template:
        notices = (*notices, f"The file names no templates: all prompts are of the template {NO_TEMPLATE!r}.")
    return PromptSet(read.name, tuple(map(_make_prompt, read.rows)), notices=notices)


def _make_prompt(row: RowFields) -> Prompt:
    return Prompt(
        row.id, row.clean, row.corrupted, row.answers[0], row.foils[0], row.template or NO_TEMPLATE,
        row.group, row.source, row.answers[1:], row.foils[1:],
    )  # fmt: skip


@dataclass(frozen=True)
class Alignment:
    """A set under one tokenizer: the pairs that can be run, and why the other rows cannot."""

    kept: TokenisedPrompts | None
    faults: tuple[RowFault, ...]


def align_rows(prompts: PromptSet, tokenizer: Tokenizer) -> Alignment:
    """Align every pair that can be aligned; unlike `tokenise`, a bad row refuses itself alone."""
    pairs: list[TokenPair] = []
    faults: list[RowFault] = []
    for prompt in prompts.prompts:
        found: list[str] = []
        pair = _align(prompt, tokenizer, found)
        if pair is not None:
            pairs.append(pair)
        label = f"row {prompt.id[:60]!r}: "
        faults += [RowFault(prompt.id, text.removeprefix(label)) for text in found]
    kept = TokenisedPrompts(prompts.name, tuple(pairs), prompts.sha256) if pairs else None
    return Alignment(kept, tuple(faults))


def tokenise(prompts: PromptSet, tokenizer: Tokenizer) -> TokenisedPrompts:
    """Align every pair under a tokenizer, or refuse all of them and say which rows are wrong and why.

    Raises:
        PromptRefused: an answer or foil is not one token, lacks the space the prompt needs, clean and
            corrupted tokenise to different lengths, are the same, or are longer than `MAX_TOKENS`.
    """
    faults: list[str] = []
    pairs = tuple(_align(prompt, tokenizer, faults) for prompt in prompts.prompts)
    _refuse_if(faults, "single-token answers and pairs of equal token length.")
    return TokenisedPrompts(prompts.name, tuple(pair for pair in pairs if pair is not None), prompts.sha256)


def _align(prompt: Prompt, tokenizer: Tokenizer, faults: list[str]) -> TokenPair | None:
    label, before = f"row {prompt.id[:60]!r}", len(faults)
    bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    clean, corrupted = bos + tokenizer.encode(prompt.clean), bos + tokenizer.encode(prompt.corrupted)
    for which, text in (("clean", prompt.clean), ("corrupted", prompt.corrupted)):
        if text != text.rstrip():
            faults.append(f"{label}: the {which} prompt ends in white space; move the space into answer and foil")
    if max(len(clean), len(corrupted)) > MAX_TOKENS:
        faults.append(f"{label}: {max(len(clean), len(corrupted))} tokens, at most {MAX_TOKENS}; shorten the prompt")
    elif len(clean) != len(corrupted):
        faults.append(
            f"{label}: clean has {len(clean)} tokens and corrupted {len(corrupted)}; "
            "use words that tokenise to the same number of tokens"
        )
    elif clean == corrupted:
        faults.append(f"{label}: clean and corrupted are the same tokens; change the word the answer depends on")
    ids = {role: _single_token(prompt, role, tokenizer, label, faults) for role in ("answer", "foil")}
    if ids["answer"] == ids["foil"]:
        faults.append(f"{label}: answer and foil are the same token; choose a foil that is wrong for the clean prompt")
    if len(faults) > before:
        return None
    return TokenPair(
        prompt,
        tuple(clean),
        tuple(corrupted),
        ids["answer"],
        ids["foil"],
        tuple(map(tokenizer.piece, clean)),
        tuple(map(tokenizer.piece, corrupted)),
    )


def _single_token(prompt: Prompt, role: str, tokenizer: Tokenizer, label: str, faults: list[str]) -> int:
    text: str = getattr(prompt, role)
    ids = tokenizer.encode(text)
    if len(ids) != 1:
        pieces = " | ".join(tokenizer.piece(i) for i in ids[:6])
        faults.append(f"{label}: {role} {text[:40]!r} is {len(ids)} tokens ({pieces}); use a single-token {role}")
        return -1
    # " Mary" and "Mary" are two tokens: without the space the model is scored on a word it would not write.
    spaced = tokenizer.encode(" " + text)
    if not text[0].isspace() and prompt.clean[-1].isalpha() and text[0].isalpha() and len(spaced) == 1:
        faults.append(
            f"{label}: {role} {text[:40]!r} would continue the word {prompt.clean.split()[-1][:20]!r}; write {' ' + text[:39]!r}"
        )
    return ids[0]


def _refuse_if(faults: list[str], wanted: str) -> None:
    if faults:
        more = f" (and {len(faults) - _MAX_REPORTED} more)" if len(faults) > _MAX_REPORTED else ""
        raise PromptRefused(
            "; ".join(faults[:_MAX_REPORTED]) + more + ".", wanted=wanted, remedy="mend or remove these rows."
        )


def is_exploratory(prompt: Prompt) -> bool:
    """Which half a prompt belongs to: decided by the hash of its text, so nobody chooses and nothing drifts."""
    return is_exploratory_pair(prompt.clean, prompt.corrupted)


def name_half(prompts: TokenisedPrompts) -> str:
    """exploratory, confirmatory, or both: which half of its set these prompts belong to."""
    halves = {is_exploratory(pair.prompt) for pair in prompts.pairs}
    return "both" if len(halves) > 1 else "exploratory" if halves == {True} else "confirmatory"


def split_half(prompts: PromptSet, *, exploratory: bool) -> PromptSet:
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
    return PromptSet(f"{prompts.name}/{half}", kept)
