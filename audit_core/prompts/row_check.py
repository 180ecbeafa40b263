"""Check of a user's own rows before they are used: each row accepted or refused, with the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from audit_core.prompt_files.layouts import NEEDED
from audit_core.prompt_files.reading import ReadRows
from audit_core.prompt_files.table import Row, RowFault
from audit_core.prompts.alignment import align_rows
from audit_core.prompts.answers import Tokenizer
from audit_core.prompts.chat import render_chat
from audit_core.prompts.prompt_set import MIN_TEMPLATES_TO_DIVIDE, Prompt, PromptSet, is_exploratory, keep_valid
from audit_core.prompts.repeats import find_repeats
from audit_core.prompts.template_labels import check_template_labels

_SHOWN_CHARACTERS = 300


class RowStatus(StrEnum):
    """What becomes of a row."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    REPEAT = "repeat, counts once"


@dataclass(frozen=True)
class CheckedRow:
    """One row of a file with what becomes of it; texts are cut for display."""

    place: str
    """Location in the file, such as `line 3`."""
    clean: str
    corrupted: str
    answer: str
    foil: str
    status: RowStatus
    id: str = ""
    """The row's id in the file; empty if it has none."""
    found: str = ""
    """What is wrong; empty for an accepted row."""
    remedy: str = ""


@dataclass(frozen=True)
class RowCheck:
    """Every row of a file, and the set that its accepted rows form."""

    rows: tuple[CheckedRow, ...]
    prompts: PromptSet | None
    """The accepted rows without repeats; None if there are none."""
    is_tokenised: bool
    """Whether a tokenizer has checked the rows as well."""

    def count(self, status: RowStatus) -> int:
        """Return the number of rows with this status."""
        return sum(row.status is status for row in self.rows)


@dataclass(frozen=True)
class SplitCounts:
    """Size of each split of a set."""

    exploratory: int
    confirmatory: int
    confirmatory_templates: int
    """Clusters of the bootstrap in the confirmatory split."""


def count_splits(prompts: PromptSet) -> SplitCounts:
    """Count the prompts of each split, and the templates of the confirmatory one."""
    names = check_template_labels(prompts.prompts).names
    judged = [name for prompt, name in zip(prompts.prompts, names, strict=True) if not is_exploratory(prompt)]
    return SplitCounts(len(prompts) - len(judged), len(judged), len(set(judged)))


def describe_split_rule(prompts: PromptSet) -> str:
    """How a set is divided, in a sentence for readers."""
    if prompts.split_salt:
        return "Whole templates go to one split; a hash of their words decides which, not a person."
    return (
        f"A hash of each pair's text decides its split, not a person: whole templates go to one split from "
        f"{MIN_TEMPLATES_TO_DIVIDE} templates on."
    )


def check_each(read: ReadRows, tokenizer: Tokenizer | None = None, *, is_chat: bool = False) -> RowCheck:
    """Accept or refuse each row of a file.

    Args:
        tokenizer: of the model that will read them; None checks only what needs no model.
        is_chat: whether the model gets the prompts as user messages in its chat template.

    Raises:
        ModelRefused: `is_chat`, and the model has no chat template.
    """
    faults = {fault.place: fault for fault in reversed(read.faults)}
    if not read.rows:
        return RowCheck(_list_rows(read, faults, frozenset()), None, tokenizer is not None)
    whole = keep_valid(read)
    places = {row.id: row.place for row in read.rows}
    used = PromptSet(whole.name, _drop_repeats(whole), whole.notices)
    if tokenizer is not None:
        aligned = align_rows(render_chat(used, tokenizer) if is_chat else used, tokenizer)
        for fault in reversed(aligned.faults):
            faults[places[fault.row_id]] = fault
        kept = frozenset() if aligned.kept is None else {pair.prompt.id for pair in aligned.kept.pairs}
        used = PromptSet(used.name, tuple(p for p in used.prompts if p.id in kept), used.notices)
    accepted = frozenset(places[prompt.id] for prompt in used.prompts)
    return RowCheck(_list_rows(read, faults, accepted), used if used.prompts else None, tokenizer is not None)


def check_set(prompts: PromptSet, tokenizer: Tokenizer) -> RowCheck:
    """Accept or refuse each prompt of a stored set under a model's tokenizer."""
    aligned = align_rows(prompts, tokenizer)
    faults = {fault.row_id: fault for fault in reversed(aligned.faults)}
    kept = () if aligned.kept is None else {pair.prompt.id for pair in aligned.kept.pairs}
    rows = tuple(
        _judge(
            Row(prompt.id, number, {**prompt.to_row(), "answer": prompt.answer, "foil": prompt.foil}),
            faults.get(prompt.id),
            prompt.id in kept,
        )
        for number, prompt in enumerate(prompts.prompts, start=1)
    )
    left = tuple(prompt for prompt in prompts.prompts if prompt.id in kept)
    return RowCheck(rows, PromptSet(prompts.name, left, prompts.notices) if left else None, True)


def _drop_repeats(whole: PromptSet) -> tuple[Prompt, ...]:
    repeats = find_repeats(whole.prompts)
    return tuple(prompt for at, prompt in enumerate(whole.prompts) if at not in repeats)


def _list_rows(read: ReadRows, faults: dict[str, RowFault], accepted: frozenset[str]) -> tuple[CheckedRow, ...]:
    """List the unreadable rows, which have no cells, and then every other row in the order of the file."""
    known = {row.place for row in read.cells}
    unreadable = [_judge(Row(place, 0, {}), fault, False) for place, fault in faults.items() if place not in known]
    return (*unreadable[::-1], *(_judge(row, faults.get(row.place), row.place in accepted) for row in read.cells))


def _judge(row: Row, fault: RowFault | None, is_accepted: bool) -> CheckedRow:
    clean, corrupted, answer, foil = (_show(row.values.get(name)) for name in NEEDED)
    status = RowStatus.REFUSED if fault is not None else RowStatus.ACCEPTED if is_accepted else RowStatus.REPEAT
    found, remedy = ("", "") if fault is None else (fault.text, fault.remedy)
    return CheckedRow(row.place, clean, corrupted, answer, foil, status, _show(row.values.get("id")), found, remedy)


def _show(value: object) -> str:
    if isinstance(value, list):
        return _show(" | ".join(str(one) for one in value[:5]) + (" | …" if len(value) > 5 else ""))
    text = "" if value is None else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
