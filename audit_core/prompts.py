"""Prompts: clean beside corrupted, aligned token by token, in templates, hashed; read from JSON Lines."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from audit_core.errors import PromptRefused
from audit_core.repeats import describe_repeats, find_repeats, find_token_repeats
from audit_core.template_labels import believe_templates
from audit_core.verifier.prompt_digest import dump_prompt_rows, is_exploratory_pair

MAX_FILE_BYTES = 4_000_000
MAX_PROMPTS = 2_000
MAX_CHARACTERS = 4_000
MAX_ANSWERS = 200
"""Of one prompt: the two-digit numbers are a hundred."""
MAX_TOKENS = 256
"""Attention maps of one prompt grow with its square: 270 heads at 256 tokens are 71 MB."""
_REQUIRED = ("id", "clean", "corrupted", "answer", "foil", "template")
_OPTIONAL = ("group", "source")
_MAX_REPORTED = 20


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
    sha256: str = field(init=False)
    notices: tuple[str, ...] = field(default=(), compare=False)
    """What was set aside when the set was read, and why."""
    whole: PromptSet | None = field(default=None, compare=False, repr=False)
    """The set that these are a part of; None where they are all."""

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
    cluster: str = ""
    """Of the bootstrap, where the texts contradict the label; empty: the prompt's template."""

    @property
    def first_changed(self) -> int:
        """First position at which the two prompts differ."""
        return next(i for i, (a, b) in enumerate(zip(self.clean_ids, self.corrupted_ids)) if a != b)


@dataclass(frozen=True)
class SetAside:
    """A prompt that is in the set, and not measured."""

    prompt: str
    template: str
    reason: str
    """In words that say nothing of its text."""


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


def load_prompts(path: Path | str) -> PromptSet:
    """Read a prompt set from a JSON Lines file.

    Raises:
        PromptRefused: no such file, too large, or rows that are not in the format; names each bad row.
    """
    path = Path(path)
    if not path.exists() or path.is_dir():
        raise PromptRefused(f"No file {path}.", wanted="a prompt set in JSON Lines.", remedy="check the path.")
    with path.open("rb") as stream:
        raw = stream.read(MAX_FILE_BYTES + 1)
    return parse_prompts(raw, name=path.stem)


def parse_prompts(raw: bytes, *, name: str) -> PromptSet:
    """Read a prompt set from the bytes of a JSON Lines file, repeats left out; see `load_prompts`."""
    return drop_repeats(parse_rows(raw, name=name))


def drop_repeats(prompts: PromptSet) -> PromptSet:
    """The set without prompts that say the same as an earlier one, and a notice of which those were."""
    repeats = find_repeats(prompts.prompts)
    if not repeats:
        return prompts
    notice = describe_repeats([prompt.id for prompt in prompts.prompts], repeats)
    kept = tuple(prompt for at, prompt in enumerate(prompts.prompts) if at not in repeats)
    return PromptSet(prompts.name, kept, (*prompts.notices, notice))


def parse_rows(raw: bytes, *, name: str) -> PromptSet:
    """Every row of a JSON Lines file, repeats among them: for a set whose digest somebody already has."""
    if len(raw) > MAX_FILE_BYTES:
        raise PromptRefused(
            f"{name} has more than {MAX_FILE_BYTES:,} bytes.", wanted="fewer.", remedy="split the file."
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PromptRefused(
            f"{name} is not UTF-8 at byte {error.start}.", wanted="UTF-8 text.", remedy="save the file as UTF-8."
        ) from error
    prompts: list[Prompt] = []
    faults: list[str] = []
    # Not splitlines(): JSON text may hold U+2028 and U+0085 unescaped, and those must not end a row.
    rows = ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
    for place, (number, line) in enumerate(rows):
        if place == MAX_PROMPTS:
            raise PromptRefused(
                f"More than {MAX_PROMPTS:,} prompts.", wanted=f"at most {MAX_PROMPTS:,}.", remedy="take a sample."
            )
        row = _parse_row(line, number, faults)
        if row is not None:
            prompts.append(row)
    repeated = [key for key, times in Counter(p.id for p in prompts).items() if times > 1]
    faults += [f"row {key!r}: id used more than once" for key in repeated]
    _refuse_if(faults, "every row with its own id, clean, corrupted, answer, foil and template.")
    if not prompts:
        raise PromptRefused(f"{name} holds no prompts.", wanted="at least one row.", remedy="add rows.")
    return PromptSet(name, tuple(prompts))


def _parse_row(line: str, number: int, faults: list[str]) -> Prompt | None:
    label = f"line {number}"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        faults.append(f"{label}: not JSON ({str(error)[:80]})")
        return None
    if not isinstance(row, dict):
        faults.append(f"{label}: not an object")
        return None
    label = f"row {str(row.get('id', label))[:60]!r}"
    known = (*_REQUIRED, *_OPTIONAL)
    problems = [f"{label}: {key} is missing" for key in _REQUIRED if key not in row]
    problems += [f"{label}: unknown field {str(key)[:40]!r}" for key in row if key not in known]
    more = {name: _take_list(row, name, label, problems) for name in ("answer", "foil")}
    problems += [
        f"{label}: {key} is not text of 1 to {MAX_CHARACTERS} characters"
        for key in known
        if key in row and not (_is_text(row[key]) and (row[key] or key in _OPTIONAL))
    ]
    faults += problems
    return None if problems else Prompt(**row, more_answers=more["answer"], more_foils=more["foil"])


def _take_list(row: dict[str, Any], name: str, label: str, problems: list[str]) -> tuple[str, ...]:
    """Leave the first of several answers in the row; the others are returned."""
    texts = row.get(name)
    if not isinstance(texts, list):
        return ()
    if not texts or len(texts) > MAX_ANSWERS or not all(_is_text(text) and text for text in texts):
        problems.append(f"{label}: {name} is not a list of 1 to {MAX_ANSWERS} texts")
        row[name] = "?"
        return ()
    row[name], *more = dict.fromkeys(texts)
    return tuple(more)


def _is_text(value: object) -> bool:
    """Text that can be written down again: JSON can spell half of a surrogate pair, UTF-8 cannot."""
    if not isinstance(value, str) or len(value) > MAX_CHARACTERS:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def tokenise(prompts: PromptSet, tokenizer: Tokenizer) -> TokenisedPrompts:
    """Align every pair under a tokenizer, or refuse all of them and say which rows are wrong and why.

    Raises:
        PromptRefused: an answer or foil is not one token, lacks the space the prompt needs, clean and
            corrupted tokenise to different lengths, are the same, or are longer than `MAX_TOKENS`.
    """
    faults: list[str] = []
    pairs = tuple(_align(prompt, tokenizer, faults) for prompt in prompts.prompts)
    _refuse_if(faults, "single-token answers and pairs of equal token length.")
    found = TokenisedPrompts(
        prompts.name, tuple(pair for pair in pairs if pair is not None), prompts.sha256, prompts.notices
    )
    return _count_distinct(found, (prompts.whole or prompts).prompts)


def _count_distinct(found: TokenisedPrompts, whole: tuple[Prompt, ...]) -> TokenisedPrompts:
    """Without repeats, and clustered by templates that the texts of the whole set do not contradict."""
    repeats, clusters = find_token_repeats(found.pairs), believe_templates(whole)
    names = {prompt: name for prompt, name in zip(whole, clusters.names, strict=True) if name != prompt.template}
    pairs = [replace(pair, cluster=names.get(pair.prompt, "")) for pair in found.pairs]
    notices = [*found.notices, clusters.notice]
    if repeats:
        notices.append(describe_repeats([pair.prompt.id for pair in pairs], repeats))
    kept = tuple(pair for at, pair in enumerate(pairs) if at not in repeats)
    left_out = tuple(
        SetAside(pairs[at].prompt.id, pairs[at].prompt.template, "says the same as an earlier prompt")
        for at in sorted(repeats)
    )
    return replace(found, pairs=kept, notices=tuple(dict.fromkeys(filter(None, notices))), set_aside=left_out)


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
    return PromptSet(f"{prompts.name}/{half}", kept, prompts.notices, prompts)
