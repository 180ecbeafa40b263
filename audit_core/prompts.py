"""Prompts: clean beside corrupted, aligned token by token, in templates, hashed; read from JSON Lines."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from audit_core.answers import AnswerFault, Contrast, Tokenizer, Tokens, contrast_answers, tokenise_answers
from audit_core.errors import PromptRefused
from audit_core.verifier.prompt_digest import dump_prompt_rows, is_exploratory_pair

MAX_FILE_BYTES = 4_000_000
MAX_PROMPTS = 2_000
MAX_CHARACTERS = 4_000
MAX_ANSWERS = 200
"""Of one prompt: the two-digit numbers are a hundred."""
MAX_TOKENS = 256
"""Attention maps of one prompt grow with its square: 270 heads at 256 tokens are 71 MB."""
SEQUENCE_METRIC = "sequence_log_probability"
_REQUIRED = ("id", "clean", "corrupted", "answer", "foil", "template")
_OPTIONAL = ("group", "source", "form")
_MAX_REPORTED = 20


class PromptForm(StrEnum):
    """How a prompt's text becomes the model's input."""

    PLAIN = ""
    """The beginning-of-sequence token is put before it, where the tokenizer has one and the text does not begin with it."""
    VERBATIM = "verbatim"
    """The text is the whole input, as a rendered chat template is."""


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

    @property
    def is_told_apart(self) -> bool:
        """Whether the token at one position can tell right answers from foils."""
        return bool(self.contrast.answer_ids and self.contrast.foil_ids)

    @property
    def answer_ids(self) -> Tokens:
        """Tokens that a right answer goes on with and no foil does.

        Raises:
            PromptRefused: no token at one position tells answers and foils apart.
        """
        self._require_told_apart()
        return self.contrast.answer_ids

    @property
    def foil_ids(self) -> Tokens:
        """Tokens that a foil goes on with and no right answer does; raises as `answer_ids`."""
        self._require_told_apart()
        return self.contrast.foil_ids

    @property
    def answer_id(self) -> int:
        """The first of `answer_ids`."""
        return self.answer_ids[0]

    @property
    def foil_id(self) -> int:
        """The first of `foil_ids`."""
        return self.foil_ids[0]

    def _require_told_apart(self) -> None:
        if not self.is_told_apart:
            require_told_apart([self])

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
    """What a reader must know of these prompts."""

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
    """Read a prompt set from the bytes of a JSON Lines file; see `load_prompts`."""
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
    if row.get("form", "") not in tuple(PromptForm):
        problems.append(f"{label}: form is not {PromptForm.VERBATIM.value!r} or left out")
    faults += problems
    if problems:
        return None
    row["form"] = PromptForm(row.get("form", ""))
    return Prompt(**row, more_answers=more["answer"], more_foils=more["foil"])


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
        PromptRefused: an answer or foil cannot be scored after its prompt, clean and corrupted tokenise to different lengths,
            are the same, or are longer than `MAX_TOKENS` or than the model takes, or hold tokens that the model lacks.
    """
    aligned = align_rows(prompts, tokenizer)
    _refuse_if(
        [fault.text for fault in aligned.faults], "answers that follow their prompts and pairs of equal token length."
    )
    assert aligned.kept is not None
    return aligned.kept


def require_told_apart(pairs: Sequence[TokenPair]) -> None:
    """Refuse prompts whose answers and foils differ in no single position, before a metric of one position is read.

    Raises:
        PromptRefused: with the ids of those prompts.
    """
    if missing := [pair.prompt.id[:60] for pair in pairs if not pair.is_told_apart]:
        named = ", ".join(map(repr, missing[:_MAX_REPORTED])) + (" and more" if len(missing) > _MAX_REPORTED else "")
        raise PromptRefused(
            f"In {len(missing)} of {len(pairs)} prompts no token at one position tells answers from foils: {named}.",
            wanted="a token that only right answers go on with, and one that only foils do.",
            remedy=f"choose the metric {SEQUENCE_METRIC}, which reads every token of an answer, or leave these rows out.",
        )


@dataclass(frozen=True)
class RowFault:
    """Why a row cannot be used, and what to do."""

    row_id: str
    text: str


@dataclass(frozen=True)
class Alignment:
    """A prompt set under a tokenizer, row by row."""

    kept: TokenisedPrompts | None
    """None where no row can be used."""
    faults: tuple[RowFault, ...]


def align_rows(prompts: PromptSet, tokenizer: Tokenizer) -> Alignment:
    """Align the rows that can be used, and say of each other one why it cannot."""
    faults: list[RowFault] = []
    pairs = []
    for prompt in prompts.prompts:
        found: list[str] = []
        pair = _align(prompt, tokenizer, found)
        faults += [RowFault(prompt.id, f"row {prompt.id[:60]!r}: {text}") for text in found]
        pairs += [pair] if pair is not None and not found else []
    kept = TokenisedPrompts(prompts.name, tuple(pairs), prompts.sha256, _describe_answers(pairs)) if pairs else None
    return Alignment(kept, tuple(faults))


def _describe_answers(pairs: Sequence[TokenPair]) -> tuple[str, ...]:
    """What a reader must know of answers that are not one token each."""
    several = sum(
        any(len(s) > 1 for s in (*p.contrast.answers, *p.contrast.foils)) or bool(p.contrast.shared) for p in pairs
    )
    apart = sum(not pair.is_told_apart for pair in pairs)
    sets = sum(len(p.contrast.answers) > 1 or len(p.contrast.foils) > 1 for p in pairs)
    said = []
    if several:
        said.append(
            f"{several} of {len(pairs)} prompts have answers of several tokens: metrics of one position read the first token "
            f"in which answer and foil differ; {SEQUENCE_METRIC} reads all of them."
        )
    if apart:
        said.append(f"{apart} of {len(pairs)} prompts can be measured with {SEQUENCE_METRIC} alone.")
    if sets:
        said.append(f"{sets} of {len(pairs)} prompts have several right answers or foils: each side counts as a set.")
    return tuple(said)


def _align(prompt: Prompt, tokenizer: Tokenizer, faults: list[str]) -> TokenPair | None:
    written = tokenizer.encode(prompt.clean), tokenizer.encode(prompt.corrupted)
    clean, corrupted = ((*_begin(prompt, ids, tokenizer), *ids) for ids in written)
    if len(clean) != len(corrupted):
        faults.append(
            f"clean has {len(clean)} tokens and corrupted {len(corrupted)}; use words that tokenise to the same number of tokens"
        )
    elif clean == corrupted:
        faults.append("clean and corrupted are the same tokens; change the word the answer depends on")
    contrast = _contrast(prompt, written, tokenizer, faults)
    if contrast is None:
        return None
    clean, corrupted = (*clean, *contrast.shared), (*corrupted, *contrast.shared)
    faults += _check_limits((clean, corrupted), contrast, tokenizer)
    if faults:
        return None
    pieces = [tuple(map(tokenizer.piece, row)) for row in (clean, corrupted)]
    return TokenPair(
        prompt,
        clean,
        corrupted,
        contrast,
        pieces[0],
        pieces[1],
        not _is_as_apart(prompt, written[0], contrast, tokenizer),
    )


def _is_as_apart(prompt: Prompt, clean: list[int], contrast: Contrast, tokenizer: Tokenizer) -> bool:
    """Whether each text by itself has these tokens, and the beginning-of-sequence token stands before the prompt."""
    begins = tokenizer.bos_id is None or bool(_begin(prompt, clean, tokenizer))
    answer, foil = (tuple(tokenizer.encode(text)) for text in (prompt.answer, prompt.foil))
    return begins and contrast == Contrast((), (answer,), (foil,))


def _begin(prompt: Prompt, ids: Sequence[int], tokenizer: Tokenizer) -> Tokens:
    """The beginning-of-sequence token, unless it is there already or nothing may be put before the text."""
    bos = tokenizer.bos_id
    return () if bos is None or prompt.form is PromptForm.VERBATIM or ids[:1] == [bos] else (bos,)


def _contrast(
    prompt: Prompt, written: tuple[list[int], list[int]], tokenizer: Tokenizer, faults: list[str]
) -> Contrast | None:
    sides = []
    for role, texts in (("answer", prompt.answers), ("foil", prompt.foils)):
        found = []
        after_clean = tokenise_answers(texts, prompt.clean, written[0], tokenizer)
        after_corrupted = tokenise_answers(texts, prompt.corrupted, written[1], tokenizer)
        for text, first, second in zip(texts, after_clean, after_corrupted, strict=True):
            why = _compare_places(first, second)
            if why:
                faults.append(f"{role} {text[:40]!r} {why}")
            elif isinstance(first, tuple):
                found.append(first)
        sides.append(found)
    if faults:
        return None
    try:
        return contrast_answers(*sides)
    except AnswerFault as fault:
        faults.append(str(fault))
        return None


def _compare_places(clean: Tokens | AnswerFault, corrupted: Tokens | AnswerFault) -> str:
    """Why an answer cannot be scored after both prompts of a pair; empty where it can."""
    if isinstance(clean, AnswerFault):
        return str(clean)
    if isinstance(corrupted, AnswerFault):
        return f"(after the corrupted prompt) {corrupted}"
    return (
        "" if clean == corrupted else "is other tokens after the clean than after the corrupted prompt; end both alike"
    )


def _check_limits(rows: Sequence[Tokens], contrast: Contrast, tokenizer: Tokenizer) -> list[str]:
    """What the model cannot take, however the text is written."""
    limits, faults = tokenizer.limits, []
    longest = max(map(len, rows)) + max(len(s) for s in (*contrast.answers, *contrast.foils)) - 1
    most = min(MAX_TOKENS, limits.n_positions or MAX_TOKENS)
    if longest > most:
        faults.append(
            f"{longest} tokens, at most {most}{' on this model' if most < MAX_TOKENS else ''}; shorten the prompt"
        )
    used = {token for row in (*rows, *contrast.answers, *contrast.foils) for token in row}
    if limits.n_tokens is not None and (beyond := sorted(t for t in used if t >= limits.n_tokens)):
        named = ", ".join(f"{tokenizer.piece(token)!r} ({token})" for token in beyond[:3])
        faults.append(
            f"the tokenizer knows {named}, and the model has {limits.n_tokens} tokens; leave it out, or use the tokenizer "
            "that belongs to the model"
        )
    return faults


def _refuse_if(faults: list[str], wanted: str) -> None:
    if faults:
        more = f" (and {len(faults) - _MAX_REPORTED} more)" if len(faults) > _MAX_REPORTED else ""
        raise PromptRefused(
            "; ".join(faults[:_MAX_REPORTED]) + more + ".", wanted=wanted, remedy="mend or remove these rows."
        )


def take_verbatim(prompts: PromptSet) -> PromptSet:
    """The set with every text as the whole input; see `PromptForm.VERBATIM`."""
    return PromptSet(prompts.name, tuple(replace(p, form=PromptForm.VERBATIM) for p in prompts.prompts))


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
