"""Campaign files: models × prompt sets × audits in TOML."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit_core.errors import Refused
from audit_core.registry import list_plugins
from audit_core.request_form import explain_unasked, list_form_fields
from audit_core.verifier.strict_toml import load_toml

MAX_BYTES = 256 * 1024
MAX_QUESTIONS = 5_000
"""Most questions of one campaign; each is a run in the log."""
MAX_THREADS = 256
Half = Literal["", "exploratory", "confirmatory", "all"]
_Word = Annotated[str, Field(min_length=1, max_length=300)]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", re.ASCII)


class AuditRow(BaseModel):
    """One `[[audits]]` table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Word
    """Name of an audit, such as sweep."""
    half: Half = ""
    """Split of the prompts; empty for the one that the command line takes."""
    answers: dict[str, str | int | float | bool | list[str]] = Field(default_factory=dict, max_length=50)
    """Answers to the audit's form, as options of `audit NAME`; a field without one keeps its default."""


class _Table(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    models: Annotated[list[_Word], Field(min_length=1, max_length=200)]
    prompts: Annotated[list[_Word], Field(min_length=1, max_length=500)]
    audits: Annotated[list[AuditRow], Field(min_length=1, max_length=100)]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    threads: Annotated[int, Field(ge=0, le=MAX_THREADS)] = 0
    prompts_per_run: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    chat: bool = False


@dataclass(frozen=True)
class AuditAsked:
    """One audit of a campaign."""

    audit: str
    half: Half
    answers: tuple[tuple[str, str], ...]
    """Field and answer as text, in the order of the file."""


@dataclass(frozen=True)
class CampaignFile:
    """What a campaign asks: every audit on every prompt set with every model."""

    name: str
    models: tuple[str, ...]
    prompts: tuple[str, ...]
    """Each a shipped set, a planted task (`planted-query`), or a file, relative to the campaign's file."""
    audits: tuple[AuditAsked, ...]
    seed: int
    threads: int
    """Cores of one task; a part of what fixes the last digits of a result."""
    prompts_per_run: int
    """Most prompts of one run; 0 for all prompts of a split in one run."""
    is_chat: bool
    """Whether prompts are asked in each model's own chat template."""
    folder: Path
    """Folder that prompt files are relative to."""


def load_campaign(path: Path) -> CampaignFile:
    """Read a campaign from a TOML file.

    Raises:
        Refused: no such file, too large, not TOML, or fields that no campaign has.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refused(
            f"{path} cannot be read: {error.strerror}.", wanted="a campaign in TOML.", remedy="check the path."
        ) from error
    return read_campaign(raw, name=path.name, folder=path.resolve().parent)


def read_campaign(raw: bytes, *, name: str, folder: Path) -> CampaignFile:
    """Read a campaign from the bytes of a TOML file.

    Raises:
        Refused: as `load_campaign`.
    """
    if len(raw) > MAX_BYTES:
        raise _refuse(f"{name} is larger than {MAX_BYTES:,} bytes.", "one campaign.", "divide it.")
    try:
        table = _Table.model_validate(load_toml(raw))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise _refuse(
            f"{name}, {place[:80]}: {first['msg'][:200]}.",
            "`name`, `models`, `prompts` and `[[audits]]`.",
            "see the how-to guide, Run a campaign.",
        ) from error
    except ValueError as error:
        raise _refuse(f"{name} is not TOML: {str(error)[:200]}", "a campaign in TOML.", "fix that line.") from error
    return _check(table, folder)


def _check(table: _Table, folder: Path) -> CampaignFile:
    if not _NAME.fullmatch(table.name):
        raise _refuse(f"The name {table.name[:60]!r}.", "1 to 40 letters, digits and hyphens.", "rename the campaign.")
    for title, words in (("models", table.models), ("prompts", table.prompts)):
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise _refuse(f"{twice[0]!r} twice in {title}.", "each once.", "remove one.")
    audits = tuple(_check_audit(row) for row in table.audits)
    count = len(table.models) * len(table.prompts) * len(audits)
    if count > MAX_QUESTIONS:
        raise _refuse(f"{count:,} questions.", f"at most {MAX_QUESTIONS:,} in one campaign.", "divide it.")
    if len(set(audits)) < len(audits):
        raise _refuse("The same audit with the same answers twice.", "each once.", "remove one.")
    threads = table.threads or os.cpu_count() or 1
    return CampaignFile(
        table.name, tuple(table.models), tuple(table.prompts), audits, table.seed, threads, table.prompts_per_run, table.chat, folder
    )  # fmt: skip


def _check_audit(row: AuditRow) -> AuditAsked:
    known = list_plugins("audits")
    if row.name not in known:
        raise _refuse(f"An audit {row.name[:40]!r}.", ", ".join(known) + ".", "choose one of them.")
    if why := explain_unasked(known[row.name].request):
        raise _refuse(f"The audit {row.name}. {why}", "an audit of a prompt set.", "use its own command.")
    fields = [field.name for field in list_form_fields(known[row.name].request)]
    if other := [name for name in row.answers if name not in fields]:
        raise _refuse(f"{row.name} has no field {other[0][:40]!r}.", ", ".join(fields) + ".", "rename or remove it.")
    written = tuple((name, _write(value)) for name, value in row.answers.items())
    return AuditAsked(row.name, row.half, written)


def _write(value: str | int | float | bool | list[str]) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def _refuse(found: str, wanted: str, remedy: str) -> Refused:
    return Refused(found, wanted=wanted, remedy=remedy)
