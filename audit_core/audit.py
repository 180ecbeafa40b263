"""The audit interface: one frozen declaration, of which pages, commands, log and reports are made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audit_core.capability import Capability, require
from audit_core.errors import Refused
from audit_core.evidence.kind import read_evidence
from audit_core.request import Request
from audit_core.result_layout import Sheet, lay_out, list_sheets
from audit_core.subject import Means, Progress, Subject, no_partial


class Side(StrEnum):
    """What a finding speaks for."""

    FOR = "for"
    AGAINST = "against"
    UNRESOLVED = "unresolved"
    """Tested without a conclusive result."""
    ABOUT_THE_SEARCH = "about the search"
    """About components that a search found, not about the named ones."""


@dataclass(frozen=True)
class Finding:
    """One finding about the components that an audit was asked about, as a sentence."""

    side: Side
    text: str


class Outcome(StrEnum):
    """A known answer beside what an audit says."""

    RIGHT = "right"
    OPEN = "open"
    """Some verdict is left undecided, and none is wrong."""
    WRONG = "wrong"


@dataclass(frozen=True)
class Verdicts:
    """The verdicts in a result that the wiring of a planted model determines."""

    read: Callable[[Any], Sequence[str]]
    right: str | tuple[str, ...]
    """One word for each of them, or one for all."""
    undecided: frozenset[str]
    """Words by which the rule abstains."""

    def judge(self, result: Any) -> Outcome:
        """Right if all are, wrong if any is decided otherwise, else open.

        Raises:
            ValueError: not as many verdicts as answers are known: a mistake in the declaration.
        """
        found = [str(one) for one in self.read(result)]
        right = [self.right] * len(found) if isinstance(self.right, str) else list(self.right)
        if not found or len(found) != len(right):
            raise ValueError(f"{len(found)} verdicts beside {len(right)} known answers")
        missed = [one for one, known in zip(found, right, strict=True) if one != known]
        if not missed:
            return Outcome.RIGHT
        return Outcome.OPEN if self.undecided.issuperset(missed) else Outcome.WRONG


@dataclass(frozen=True)
class Example:
    """A request with a known answer on the audit's planted model: run in a test, shown in the reference."""

    answers: Mapping[str, str]
    """Field → answer as text, as a form or a command has it; other fields keep their defaults."""
    expects: str
    """What the wiring of the planted model makes the answer, in a sentence."""
    is_found: Callable[[Any], bool]
    """Whether a result says so."""
    task: str = "query"
    """Task of the planted model that makes the prompts."""
    half: str = "all"
    """Split of the prompts: all, exploratory or confirmatory."""
    is_of_one: bool = False
    """Whether it is asked of one prompt."""
    model: str = ""
    """Planted model; empty for the audit's own."""
    per_template: int = 4
    """Prompts per template: every planted effect is far larger than its spread, and some verdicts need more questions."""
    is_of_first_build: bool = False
    """Whether it names something that fits the weights of seed 0 alone, such as a dictionary: then prompts alone differ by seed."""
    verdicts: Verdicts | None = None
    """The verdicts of its rule, for rates of right, open and wrong ones; None where it only measures."""

    def judge(self, result: Any) -> Outcome:
        """Whether a result has the known answer; a result without a verdict is never open."""
        if self.verdicts is not None:
            return self.verdicts.judge(result)
        return Outcome.RIGHT if self.is_found(result) else Outcome.WRONG

    @property
    def options(self) -> str:
        """The answers as options of the command `audit`."""
        return " ".join(f"--{name.replace('_', '-')} {text}" for name, text in self.answers.items())


def know_verdict(
    answers: Mapping[str, str],
    expects: str,
    verdicts: Verdicts,
    *,
    task: str = "query",
    model: str = "",
    per_template: int = 4,
) -> Example:
    """An example that is found if every verdict is right."""
    return Example(
        answers, expects, lambda found: verdicts.judge(found) is Outcome.RIGHT,
        task=task, model=model, per_template=per_template, verdicts=verdicts,
    )  # fmt: skip


def decide_side(is_valid: bool | None) -> Side:
    """For, against, or unresolved where nothing is decided."""
    return Side.UNRESOLVED if is_valid is None else Side.FOR if is_valid else Side.AGAINST


@dataclass(frozen=True)
class Audit(ABC):
    """Base of the plug-ins in `audits/`: each overrides the fields it declares, `count_work` and `run`."""

    name: str
    question: str
    request: type[Request]
    """Request dataclass; its fields with an `Ask` make the form and the command."""
    result: type
    """Result dataclass; its fields declare the kind of evidence of their numbers, see `evidence.kind`."""
    version: int
    """Part of the content key of results. Raise it when the computation or the result type changes, or when the version
    of an audit whose result it contains is raised. Stored results of other audits stay valid."""
    shown_versions: tuple[int, ...] = ()
    """Earlier versions whose shipped records are still shown: their numbers are those of today, and pages report the fields
    that they lack as not measured."""
    summary: str = ""
    """What it does, in a sentence under its question."""
    counts_as: tuple[str, ...] = ()
    """Evidence items, by crosswalk id, that a run with a result counts as."""
    shows_results: bool = True
    """Whether a run reveals component effects: a plan frozen after such a run is exploratory."""
    judges: bool = False
    """Whether it gives a verdict on a claim; all others only measure."""
    pace: float = 1.0
    """Seconds per unit of its work on its first run, relative to the calibration of the machine; later runs measure it.
    Rough: from recording times of the default model on one thread of a busy machine, scaled to two cores by judgement."""
    planted: str = "planted-strict"
    """Planted model on which its examples have known answers."""
    examples: tuple[Example, ...] = ()
    """At least one, unless no form can make its request."""
    contrasts: tuple[Example, ...] = ()
    """Known answers that differ from those of its examples, on any planted model: asked for rates alone, so that a rule which
    always says the same is found out."""
    no_rate: str = ""
    """Why its verdicts have no rate although it has no example, in a sentence."""
    demands: tuple[Capability[Any], ...] = ()
    """What a subject must be able to give; without it the audit is refused before any work."""
    keeps_parts: bool = False
    """Whether a run that was stopped goes on where it ended, because it keeps what it measured of each question; see `parts`."""
    file_form: type | None = None
    """Dataclass whose fields with an `Ask` say how a file of its own kind is read; see `ask_file`. None: it reads prompt sets."""

    def shows(self, version: int) -> bool:
        """Whether a shipped record of this version is shown."""
        return version == self.version or version in self.shown_versions

    def __post_init__(self) -> None:
        # Refused here and not when a badge is missing: a number must say what kind of evidence it is.
        read_evidence(self.result)

    @abstractmethod
    def count_work(self, subject: Subject, request: Any) -> int:
        """Units of work, proportional to time; see `Subject.count_work`."""

    @abstractmethod
    def run(
        self,
        subject: Subject,
        request: Any,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> Any:
        """Answer the question or raise; every returned number is measured.

        Args:
            on_partial: receives intermediate results of a long run, if the audit has any.
        """

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> Request:
        """The request about a file, from answers to `file_form` and to the form of the request.

        Raises:
            Refused: the file or an answer cannot be used.
        """
        raise Refused(f"A file for {self.name}.", wanted="a prompt set.", remedy="use `--prompts`.")

    def list_findings(self, result: Any, components: Collection[str]) -> tuple[Finding, ...]:
        """What a result says about the components with these addresses; none where the audit weighs nothing."""
        return ()

    def rows(self, result: Any) -> tuple[Sheet, ...]:
        """A result as tables, for pages, CSV files and notebooks; by default every number, laid out by its type."""
        return list_sheets(lay_out(result))

    def explain_missing(self, subject: Subject) -> str:
        """Why a subject cannot answer it, in sentences; empty if it can."""
        found = [demand.explain_missing(subject) for demand in self.demands]
        return " ".join(dict.fromkeys(why for why in found if why))

    def require(self, subject: Subject) -> None:
        """Refuse a subject that lacks what the audit demands.

        Raises:
            CapabilityRefused: names all that is missing.
        """
        require(self.demands, subject, self.name)
