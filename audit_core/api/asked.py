"""Bodies that ask for work, and the prompts, models and requests that they name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import ConfigDict

from audit_core.api.endpoint import STRICT
from audit_core.api.errors import ApiRefused
from audit_core.audit import Audit
from audit_core.errors import Refused
from audit_core.preregistration import PriorAccess
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.chat import render_chat
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts, parse_prompts, take_split
from audit_core.registry import list_plugins
from audit_core.request import Request
from audit_core.request_form import explain_unasked, list_form_fields, make_request, needs_explored
from audit_core.shipped import is_shipped_set, load_prompt_set
from audit_core.store import divide_prompts
from audit_core.subject import Subject

_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}", re.ASCII)
MAX_ANSWERS = 50
MAX_FILE_BYTES = 4 * 1024**2

Half = Literal["", "exploratory", "confirmatory", "all"]


@dataclass(frozen=True)
class PromptsAsked:
    """Prompts of a request: a shipped set by its id, or a file as text; a path of the server is never read."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: str = ""
    """A shipped set, such as greater_than."""
    text: str = ""
    """Or the text of a CSV, TSV, JSON or JSON Lines file, at most 4 MB."""
    name: str = "rows.jsonl"
    """Name of that file; its ending says how it is read."""
    is_chat: bool = False
    """Each prompt as a user's message in the model's chat template."""

    def load(self) -> PromptSet:
        """The whole set as it was given.

        Raises:
            PromptRefused: no such set, or unusable rows.
            ApiRefused: both or neither, or a name that is no file name.
        """
        if bool(self.id) == bool(self.text):
            raise ApiRefused(
                422, "prompt_refused", f"{'Both' if self.id else 'Neither'} id and text of prompts.", wanted="one of them.",
                remedy="name a shipped set, or send the rows.",
            )  # fmt: skip
        if self.id:
            return load_prompt_set(self.id)
        if not _FILE_NAME.fullmatch(self.name):
            raise ApiRefused(
                422, "prompt_refused", f"A file name {self.name[:40]!r}.", wanted="letters, digits, dots and hyphens.", remedy="rename it."
            )  # fmt: skip
        return parse_prompts(self.text.encode(), name=self.name)

    def prepare(self, subject: Subject) -> PromptSet:
        """The set in its form, divided as the command line divides it."""
        given = self.load()
        found = render_chat(given, subject.tokenizer) if self.is_chat else given
        return found if is_shipped_set(given) else divide_prompts(found)


@dataclass(frozen=True)
class FileAsked:
    """A file of an audit's own kind, such as questions with documents; a path of the server is never read."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    text: str
    """Its text, at most 4 MB."""
    name: str = "rows.csv"
    """Its name; the ending may say how it is read."""

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            ApiRefused: too large, or a name that is no file name.
        """
        raw = self.text.encode("utf-8", "replace")
        if len(raw) > MAX_FILE_BYTES:
            raise ApiRefused(
                413, "file_refused", f"A file of {len(raw):,} bytes.", wanted=f"at most {MAX_FILE_BYTES:,}.", remedy="divide it."
            )  # fmt: skip
        if not _FILE_NAME.fullmatch(self.name):
            raise ApiRefused(
                422, "file_refused", f"A file name {self.name[:40]!r}.", wanted="letters, digits, dots and hyphens.", remedy="rename it."
            )  # fmt: skip
        return raw


@dataclass(frozen=True)
class AuditAsked:
    """One audit on one model, on a prompt set or on a file of the audit's own kind."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    audit: str
    """Name of the audit, such as sweep."""
    prompts: PromptsAsked | None = None
    file: FileAsked | None = None
    """Instead of prompts, for an audit that reads files of its own kind."""
    model: str = "default"
    answers: dict[str, str] = field(default_factory=dict)
    """Answers to the audit's form, as text; a field without one keeps its default."""
    half: Half = ""
    """Split; empty for the one that the command line takes."""
    prompt: str = ""
    """One prompt of the split, by its id; empty for all."""
    seed: int = 0

    def find_audit(self) -> Audit:
        """The audit.

        Raises:
            Refused: there is none, or no form can ask it.
        """
        known = list_plugins("audits")
        if self.audit not in known:
            raise Refused(f"An audit {self.audit[:40]!r}.", wanted=f"{', '.join(known)}.", remedy="choose one of them.")
        audit: Audit = known[self.audit]
        if (self.prompts is None) is (self.file is None):
            raise Refused(
                f"{'Neither' if self.file is None else 'Both'} prompts and file.",
                wanted="one of them.",
                remedy="send one.",
            )
        if self.file is not None:
            self._check_file(audit)
        elif why := explain_unasked(audit.request):
            raise Refused(
                f"The audit {self.audit} of a prompt set. {why}",
                wanted="an audit of a prompt set.",
                remedy="use its page or command."
                if audit.file_form is None
                else "send a file of its own kind as `file`.",
            )
        if len(self.answers) > MAX_ANSWERS or not 0 <= self.seed < 2**31:
            raise Refused(
                "Too many answers, or a seed out of range.",
                wanted=f"at most {MAX_ANSWERS}; 0 to 2^31.",
                remedy="change them.",
            )
        return audit

    def _check_file(self, audit: Audit) -> None:
        """Refuse a file for an audit that reads none, and what would be ignored beside a file."""
        if audit.file_form is None:
            raise Refused(f"A file for {audit.name}.", wanted="a prompt set.", remedy="send `prompts`.")
        if self.half or self.prompt:
            raise Refused(
                "A half or a prompt beside a file.",
                wanted="neither: the audit reads the whole file.",
                remedy="remove it.",
            )
        names = [one.name for form in (audit.file_form, audit.request) for one in list_form_fields(form)]
        if other := sorted(set(self.answers) - set(names)):
            raise Refused(
                f"{audit.name} has no field {other[0][:40]!r}.",
                wanted=f"{', '.join(names)}.",
                remedy="rename or remove it.",
            )

    def check_input(self) -> None:
        """Read what needs no model; raises as `PromptsAsked.load` and `FileAsked.read`."""
        if self.file is not None:
            self.file.read()
        elif self.prompts is not None:
            self.prompts.load()

    def name_input(self) -> str:
        """Name of its prompts or file, for the log."""
        if self.file is not None:
            return self.file.name
        return "" if self.prompts is None else self.prompts.id or self.prompts.name

    def make_request(self, audit: Audit, subject: Subject) -> Request:
        """The request of this audit on a loaded model; raises as `audit NAME` of the command line."""
        audit.require(subject)
        if self.file is not None:
            return audit.ask_file(subject, self.file.read(), self.file.name, self.answers, seed=self.seed)
        assert self.prompts is not None
        whole = self.prompts.prepare(subject)
        half = self.half or ("confirmatory" if needs_explored(audit.request) else "exploratory")
        chosen = whole if half == "all" else take_split(whole, exploratory=half == "exploratory")
        tokenised = tokenise(chosen, subject.tokenizer)
        explored = tokenised
        if needs_explored(audit.request):
            explored = tokenise(take_split(whole, exploratory=True), subject.tokenizer)
        measured = self._take(tokenised) if self.prompt else tokenised
        return make_request(
            audit.request, self.answers, subject=subject, prompts=measured, reference=tokenised, explored=explored, seed=self.seed
        )  # fmt: skip

    def _take(self, prompts: TokenisedPrompts) -> TokenisedPrompts:
        rows = [at for at, pair in enumerate(prompts.pairs) if pair.prompt.id == self.prompt]
        if not rows:
            raise Refused(
                f"No prompt {self.prompt[:60]!r} in this split of {prompts.name}.", wanted="the id of a prompt.",
                remedy="see the ids in the file, or choose another half.",
            )  # fmt: skip
        return prompts.take(rows)


@dataclass(frozen=True)
class ClaimAsked:
    """A claim to be frozen."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    claim: str
    """The claim as the text of its TOML file."""
    prompts: PromptsAsked
    model: str = "default"
    policy: str = ""
    """Your policy as the text of its TOML file; empty for the shipped default."""
    questions: tuple[str, ...] | None = None
    """Robustness checks fixed with the claim; null for the usual ones."""
    prior_access: PriorAccess = PriorAccess.NOTHING_RUN
    """Your prior access to the confirmatory split; the run log can only raise it."""
    seed: int = 0


@dataclass(frozen=True)
class PackAsked:
    """A pack to be written, signed by the key that the token names."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    claims: tuple[str, ...] = ()
    """Ids of registered claims."""
    answers: tuple[str, ...] = ()
    """Ids of runs that this token made."""
    organisation: str = ""
    system: str = ""
    purpose: str = ""
    withhold_prompts: bool = False
    acknowledge_personal_data: bool = False
