"""Questions of a campaign: one audit, with one model, on one set of prompts; each is one run of the log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audit_core.campaigns.campaign_file import Half
from audit_core.errors import PromptRefused
from audit_core.models.access import read_command_line_access
from audit_core.models.devices import CPU
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.chat import render_chat
from audit_core.prompts.prompt_set import (
    PromptSet,
    TokenisedPrompts,
    divide_by_template,
    load_prompts,
    take_split,
)
from audit_core.registry import get_plugin
from audit_core.request import Request
from audit_core.request_form import make_request, needs_explored
from audit_core.run import Auditor, open_subject
from audit_core.shipped import has_prompt_set, is_shipped_set, list_prompt_sets, load_prompt_set
from audit_core.store import RunLog, RunStart, keep_prompts, load_kept_prompts
from audit_core.subject_family import find_planted

PLANTED = "planted-"
PLANTED_PER_TEMPLATE = 12
"""Prompts per template of a planted task, as on the pages."""
_MODELS_KEPT = 1


@dataclass(frozen=True)
class Source:
    """Where a worker finds a prompt set."""

    label: str
    """As in the campaign's file."""
    kept: str
    """Id in the data directory of a set that came from a file; empty for a shipped set and a planted task."""

    def load(self, model: str, home: Path) -> PromptSet:
        """The set as it was given.

        Raises:
            PromptRefused: no such set, or one of another planted model.
            IntegrityError: the stored file was changed.
        """
        if self.kept:
            return load_kept_prompts(self.kept, home=home)
        if not self.label.startswith(PLANTED):
            return load_prompt_set(self.label)
        planted, task = find_planted(model), self.label.removeprefix(PLANTED)
        tasks = () if planted is None else tuple(one.name for one in planted.tasks)
        if planted is None or task not in tasks:
            names = ", ".join(PLANTED + name for name in tasks) or "a shipped set or a file"
            raise PromptRefused(
                f"{model[:60]} has no task {self.label[:60]!r}.", wanted=f"{names}.", remedy="choose another set."
            )
        return planted.find_task(task).make(PLANTED_PER_TEMPLATE, 0)


@dataclass(frozen=True)
class Question:
    """One cell of a campaign, with everything that a worker needs to answer it and a recorder to log it."""

    number: int
    """From 1, in the order of the file."""
    model: str
    source: Source
    audit: str
    answers: tuple[tuple[str, str], ...]
    half: Half
    part: int
    """From 1: which part of the prompts, if the campaign limits prompts per run."""
    parts: int
    seed: int
    is_chat: bool
    salt: str
    """Divides sets that are not shipped, as in the data directory of the plan."""
    key: str
    """Content key; of a refused question, a digest of what was asked."""
    start: RunStart
    """As the log will have it, but for id, time and person."""
    n_prompts: int
    work: int
    predicted_s: float | None
    """Seconds on the machine of the plan; None without a prediction."""
    refused: tuple[str, str] = ("", "")
    """Name and text of the error, where planning it was refused."""

    @property
    def options(self) -> str:
        """Its answers as options of the command `audit`."""
        return " ".join(f"--{name.replace('_', '-')} {text}" for name, text in self.answers)


def find_source(label: str, folder: Path, home: Path) -> Source:
    """Find a prompt set by its label, and store a file's rows, so that later changes of the file change no campaign.

    Raises:
        PromptRefused: neither a shipped set nor a readable file.
    """
    if label.startswith(PLANTED) or has_prompt_set(label):
        return Source(label, "")
    path = folder / label
    if not path.exists():
        raise PromptRefused(
            f"Prompts {label[:80]!r}: neither a shipped set nor a file beside the campaign.",
            wanted=f"{', '.join(list_prompt_sets())}, or a path.", remedy="check the name.",
        )  # fmt: skip
    return Source(label, keep_prompts(load_prompts(path), home=home))


@dataclass(frozen=True)
class Cell:
    """What identifies a question before its model is open."""

    model: str
    source: Source
    audit: str
    answers: Mapping[str, str]
    half: Half
    seed: int
    is_chat: bool
    salt: str

    def tokenise(self, auditor: Auditor, home: Path) -> tuple[TokenisedPrompts, TokenisedPrompts]:
        """The prompts of its split, and those that a search may explore."""
        given, tokenizer = self.source.load(self.model, home), auditor.subject.tokenizer
        whole = render_chat(given, tokenizer) if self.is_chat else given
        if self.source.kept and not is_shipped_set(given):
            whole = whole if whole.split_salt else divide_by_template(whole, self.salt)
        request = get_plugin("audits", self.audit).request
        half = self.half or ("confirmatory" if needs_explored(request) else "exploratory")
        chosen = whole if half == "all" else take_split(whole, exploratory=half == "exploratory")
        tokenised = tokenise(chosen, tokenizer)
        explored = tokenise(take_split(whole, exploratory=True), tokenizer) if needs_explored(request) else tokenised
        return tokenised, explored

    def make_request(self, auditor: Auditor, home: Path, *, part: int, parts: int) -> Request:
        """The request on one part of the prompts; raises as `audit NAME` of the command line."""
        audit = get_plugin("audits", self.audit)
        audit.require(auditor.subject)
        tokenised, explored = self.tokenise(auditor, home)
        measured = tokenised if parts == 1 else tokenised.take(deal(tokenised, parts)[part - 1])
        return make_request(
            audit.request, self.answers, subject=auditor.subject, prompts=measured, reference=tokenised, explored=explored,
            seed=self.seed,
        )  # fmt: skip


def deal(prompts: TokenisedPrompts, parts: int) -> tuple[tuple[int, ...], ...]:
    """Rows of each part: prompts of a template are dealt in turn, so that each part has every template if it can."""
    order = sorted(range(len(prompts)), key=lambda at: (prompts.templates[at], at))
    return tuple(tuple(sorted(order[first::parts])) for first in range(parts))


def make_cell(question: Question) -> Cell:
    """The cell of a planned question."""
    return Cell(
        question.model, question.source, question.audit, dict(question.answers), question.half, question.seed, question.is_chat,
        question.salt,
    )  # fmt: skip


_OPEN: OrderedDict[str, Auditor] = OrderedDict()


def open_auditor(model: str, home: Path) -> Auditor:
    """The model, kept by this process until another one is asked for; its log is only named, never opened here.

    Raises:
        ModelRefused: it cannot or must not be loaded.
    """
    if model not in _OPEN:
        while len(_OPEN) >= _MODELS_KEPT:
            _OPEN.popitem(last=False)
        _OPEN[model] = Auditor(open_subject(model, access=read_command_line_access(), device=CPU), RunLog(home))
    return _OPEN[model]
