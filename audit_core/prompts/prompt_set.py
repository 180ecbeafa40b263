"""Prompt sets: hashed clean/corrupted pairs with answers and templates; `prompt_files` reads them from files."""

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
from audit_core.prompts.found_templates import describe_templates
from audit_core.prompts.repeats import SetAside, describe_repeats, find_repeats
from audit_core.verifier.prompt_digest import dump_prompt_rows, is_exploratory_pair
from audit_core.verifier.skeletons import choose_explored_templates

SINGLE_TOKEN_METRIC = "logit_difference"
SEQUENCE_METRIC = "sequence_log_probability"
_REQUIRED = ("id", "clean", "corrupted", "answer", "foil", "template")
_OPTIONAL = ("group", "source", "form")
MAX_REPORTED = 20
"""Largest number of bad rows that an error names."""
MIN_TEMPLATES_TO_DIVIDE = 10
"""Templates of a set that is divided by template: an interval needs five in each split."""
NO_TEMPLATE = "all"
"""Template label of prompts from a file without templates."""


@dataclass(frozen=True)
class Prompt:
    """One clean/corrupted pair as text, without the beginning-of-sequence token."""

    id: str
    clean: str
    corrupted: str
    answer: str
    """Expected text after the clean prompt, including its leading space."""
    foil: str
    """Expected text after the corrupted prompt, including its leading space."""
    template: str
    """Cluster of the bootstrap, because prompts of one template are not independent."""
    group: str = ""
    source: str = ""
    form: PromptForm = PromptForm.PLAIN
    more_answers: tuple[str, ...] = ()
    """Further correct answers."""
    more_foils: tuple[str, ...] = ()
    """Further answers that are correct after the corrupted prompt."""
    in_exploratory: bool | None = field(default=None, compare=False, repr=False)
    """Split of a set that is divided by template, see `divide_by_template`; None: the hash of the texts decides."""

    @property
    def answers(self) -> tuple[str, ...]:
        """All correct answers."""
        return (self.answer, *self.more_answers)

    @property
    def foils(self) -> tuple[str, ...]:
        """Every foil."""
        return (self.foil, *self.more_foils)

    def list_texts(self) -> tuple[str, ...]:
        """All non-empty texts of the row."""
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
        """Return the row as stored and hashed, without empty optional fields; several answers are a list."""
        row: dict[str, str | list[str]] = {name: getattr(self, name) for name in (*_REQUIRED, *_OPTIONAL)}
        row |= {name: list(texts) for name, texts in (("answer", self.answers), ("foil", self.foils)) if len(texts) > 1}
        return {name: value for name, value in row.items() if value or name in _REQUIRED}


@dataclass(frozen=True)
class PromptSet:
    """A named set of prompts; the hash covers every field of every row, in order."""

    name: str
    prompts: tuple[Prompt, ...]
    sha256: str = field(init=False)
    notices: tuple[str, ...] = field(default=(), compare=False)
    """Notices on excluded or reinterpreted parts of the file; not part of the set."""
    whole: PromptSet | None = field(default=None, compare=False, repr=False)
    """The set that this is a subset of; None for a whole set."""
    split_salt: str = field(default="", compare=False)
    """Salt of a set that is divided by template; empty where the hash of each prompt's texts decides its split."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", hashlib.sha256(dump_jsonl(self.prompts).encode()).hexdigest())

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class TokenPair:
    """One tokenised prompt; clean and corrupted have equal length and differ in at least one token.

    Both end in the common first tokens of all answers and foils, so that these differ after the last position.
    """

    prompt: Prompt
    clean_ids: Tokens
    corrupted_ids: Tokens
    contrast: Contrast
    """Answers and foils that may follow."""
    pieces: tuple[str, ...]
    """Clean tokens as text, one per position, starting with the beginning-of-sequence token if there is one."""
    corrupted_pieces: tuple[str, ...]
    is_read_in_context: bool = False
    """Whether the tokens differ from those of the separate texts after a beginning-of-sequence token."""
    cluster: str = ""
    """Cluster of the bootstrap if the texts contradict the label; empty for the prompt's template."""

    @property
    def is_distinguished(self) -> bool:
        """Whether the token at one position separates correct answers from foils."""
        return bool(self.contrast.answer_ids and self.contrast.foil_ids)

    @property
    def answer_ids(self) -> Tokens:
        """Return next tokens that occur in a correct answer and in no foil.

        Raises:
            PromptRefused: no token at one position separates answers and foils.
        """
        self._require_distinguished()
        return self.contrast.answer_ids

    @property
    def foil_ids(self) -> Tokens:
        """Return next tokens that occur in a foil and in no correct answer; raises as `answer_ids`."""
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
    """Hash of the text rows of these pairs."""
    notices: tuple[str, ...] = field(default=(), compare=False)
    """Notices on excluded rows and rejected labels."""
    set_aside: tuple[SetAside, ...] = field(default=(), compare=False)
    """Rows that the hash covers and the pairs exclude."""
    templates_of_both: tuple[str, ...] | None = field(default=None, compare=False)
    """Of a split: its templates that the other split has too. None if this is no split of a set."""

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def templates(self) -> tuple[str, ...]:
        """Cluster of each prompt, shape (prompt,): its template, unless the texts contradict the labels."""
        return tuple(pair.cluster or pair.prompt.template for pair in self.pairs)

    def take(self, rows: Sequence[int]) -> TokenisedPrompts:
        """Return some of the prompts, with the hash of all."""
        return replace(self, pairs=tuple(self.pairs[at] for at in rows))

    def spread(self, most: int) -> tuple[int, ...]:
        """Return at most this many rows in order, spread evenly over the templates."""
        seen: Counter[str] = Counter()
        turns = []
        for at, name in enumerate(self.templates):
            turns.append((seen[name], at))
            seen[name] += 1
        return tuple(sorted(at for _, at in sorted(turns)[:most]))


def dump_jsonl(prompts: Sequence[Prompt]) -> str:
    """Return the bytes that are hashed: one row per line, without empty optional fields."""
    return dump_prompt_rows(prompt.to_row() for prompt in prompts).decode()


def load_prompts(path: Path | str, *, columns: Mapping[str, str] | None = None) -> PromptSet:
    """Read a prompt set from a file or a `datasets` folder, in any format that `prompt_files` supports.

    Args:
        columns: field → column of the file, if the names differ.

    Raises:
        PromptRefused: no such file, too large, an unsupported format, or unusable rows, which are named.
    """
    return drop_repeats(keep_valid(refuse_faults(read_row_file(path, columns=columns))))


def parse_prompts(raw: bytes, *, name: str, columns: Mapping[str, str] | None = None) -> PromptSet:
    """Read a prompt set from the bytes of a file, without repeats; see `load_prompts`.

    Example:
        >>> row = b'{"clean": "A B", "corrupted": "A C", "answer": " x", "foil": " y"}'
        >>> len(parse_prompts(row, name="mine.jsonl"))
        1
    """
    return drop_repeats(keep_valid(refuse_faults(read_rows(raw, name=name, columns=columns))))


def parse_rows(raw: bytes, *, name: str) -> PromptSet:
    """Read every row of a file, including repeats, for a set with a known digest."""
    return keep_valid(refuse_faults(read_rows(raw, name=name)))


def drop_repeats(prompts: PromptSet) -> PromptSet:
    """Remove prompts that repeat an earlier one, with a notice that names them."""
    repeats = find_repeats(prompts.prompts)
    if not repeats:
        return prompts
    notice = describe_repeats([prompt.id for prompt in prompts.prompts], repeats)
    kept = tuple(prompt for at, prompt in enumerate(prompts.prompts) if at not in repeats)
    return PromptSet(prompts.name, kept, (*prompts.notices, notice), split_salt=prompts.split_salt)


def keep_valid(read: ReadRows) -> PromptSet:
    """Return the valid rows of a file as a set.

    Raises:
        PromptRefused: no row is valid.
    """
    if not read.rows:
        raise PromptRefused(f"{read.name} contains no prompts.", wanted="at least one row.", remedy="add rows.")
    added = () if read.rows[0].template else ("The file names no templates: they are found from its texts.",)
    return PromptSet(read.name, tuple(map(_make_prompt, read.rows)), notices=(*read.notices, *added))


def _make_prompt(row: RowFields) -> Prompt:
    return Prompt(
        row.id, row.clean, row.corrupted, row.answers[0], row.foils[0], row.template or NO_TEMPLATE,
        row.group, row.source, PromptForm(row.form), row.answers[1:], row.foils[1:],
    )  # fmt: skip


def require_distinguished(pairs: Sequence[TokenPair], *, has_choice: bool = True) -> None:
    """Reject prompts whose answers and foils no single position separates, before a single-position metric is used.

    Args:
        has_choice: whether the audit can use another metric; else the refusal says which one it would need.

    Raises:
        PromptRefused: with the ids of those prompts.
    """
    if missing := [pair.prompt.id[:60] for pair in pairs if not pair.is_distinguished]:
        named = ", ".join(map(repr, missing[:MAX_REPORTED])) + (" and more" if len(missing) > MAX_REPORTED else "")
        raise PromptRefused(
            f"In {len(missing)} of {len(pairs)} prompts no token at one position separates answers from foils: {named}.",
            wanted="a next token that only correct answers have, and one that only foils have.",
            remedy=f"choose the metric {SEQUENCE_METRIC}, which reads every token of an answer, or remove these rows."
            if has_choice
            else f"remove these rows: they need the metric {SEQUENCE_METRIC}, and this audit only has {SINGLE_TOKEN_METRIC}.",
        )


def choose_metric(prompts: TokenisedPrompts) -> str:
    """Return the metric that reads every token by which answers and foils differ: of several tokens, the whole sequence."""
    several = any(len(s) > 1 for pair in prompts.pairs for s in (*pair.contrast.answers, *pair.contrast.foils))
    return SEQUENCE_METRIC if several else SINGLE_TOKEN_METRIC


def take_verbatim(prompts: PromptSet) -> PromptSet:
    """Return the set with every text as the complete input; see `PromptForm.VERBATIM`."""
    return PromptSet(
        prompts.name, tuple(replace(p, form=PromptForm.VERBATIM) for p in prompts.prompts), prompts.notices,
        split_salt=prompts.split_salt,
    )  # fmt: skip


def is_exploratory(prompt: Prompt) -> bool:
    """Return whether a prompt belongs to the exploratory split.

    Its template decides in a set that is divided by template, else the hash of its texts.
    """
    if prompt.in_exploratory is not None:
        return prompt.in_exploratory
    return is_exploratory_pair(prompt.clean, prompt.corrupted)


def divide_by_template(prompts: PromptSet, salt: str) -> PromptSet:
    """Divide a set by template, rule 2: every second template, in the order of a salted hash of skeletons, is exploratory.

    Another filler word in some prompts of a template moves nothing, because the template's skeleton stays. A set with fewer than
    `MIN_TEMPLATES_TO_DIVIDE` templates stays as it is: the hash of each prompt's texts decides, rule 1.

    Args:
        salt: fixed before the set was made, see `store.divide_prompts`.
    """
    templates = describe_templates(prompts.prompts)
    if len(templates) < MIN_TEMPLATES_TO_DIVIDE:
        return mark_split(prompts, [None] * len(prompts), "")
    explored = choose_explored_templates([template.skeleton for template in templates], salt)
    flags = {at: flag for template, flag in zip(templates, explored, strict=True) for at in template.rows}
    return mark_split(prompts, [flags[at] for at in range(len(prompts))], salt)


def mark_split(prompts: PromptSet, explored: Sequence[bool | None], salt: str) -> PromptSet:
    """Return the set with the split of each prompt stated."""
    marked = tuple(replace(p, in_exploratory=flag) for p, flag in zip(prompts.prompts, explored, strict=True))
    return replace(prompts, prompts=marked, split_salt=salt)


def name_split(prompts: TokenisedPrompts) -> str:
    """Return the split of these prompts: exploratory, confirmatory, or both."""
    splits = {is_exploratory(pair.prompt) for pair in prompts.pairs}
    return "both" if len(splits) > 1 else "exploratory" if splits == {True} else "confirmatory"


def take_tokenised_split(prompts: TokenisedPrompts, *, exploratory: bool) -> TokenisedPrompts:
    """Return the prompts of one split of a whole set, with the hash of all; see `take_split`."""
    sides: dict[bool, list[TokenPair]] = {True: [], False: []}
    for pair in prompts.pairs:
        sides[is_exploratory(pair.prompt)].append(pair)
    other = set(replace(prompts, pairs=tuple(sides[not exploratory])).templates)
    kept = replace(prompts, pairs=tuple(sides[exploratory]))
    return replace(kept, templates_of_both=tuple(sorted(other & set(kept.templates))))


def take_split(prompts: PromptSet, *, exploratory: bool) -> PromptSet:
    """Return the exploratory split (to search for circuits) or the confirmatory split (to judge them).

    Raises:
        PromptRefused: that split is empty.
    """
    kept = tuple(p for p in prompts.prompts if is_exploratory(p) is exploratory)
    split = "exploratory" if exploratory else "confirmatory"
    if not kept:
        other = "confirmatory" if exploratory else "exploratory"
        raise PromptRefused(
            f"{prompts.name} has no prompt in its {split} split: all {len(prompts)} are in the {other} one, by a hash of their "
            "texts.",
            wanted="a set with both splits.",
            remedy="add prompts: about half of them fall in each split.",
        )
    return PromptSet(f"{prompts.name}/{split}", kept, prompts.notices, prompts, prompts.split_salt)
