"""One endpoint: its address, who may call it, what it asks and what it returns; routes and the OpenAPI file come from these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from audit_core.api.errors import ApiRefused
from audit_core.api.limits import MAX_JSON_BYTES, MAX_UPLOAD_BYTES
from audit_core.api.workbench import Workbench
from audit_core.governance.api_token import ApiArea, ApiToken
from audit_core.governance.people import Permission
from audit_core.store import PersonLog

STRICT = ConfigDict(extra="forbid", strict=True)
"""For the dataclass of a body: unknown fields and wrong types are refused, not ignored."""
JSON, ZIP = "application/json", "application/zip"


@dataclass(frozen=True)
class Upload:
    """One part of a multipart body."""

    name: str
    text: str
    """What it contains, for the OpenAPI file."""
    most_bytes: int
    is_required: bool = False


@dataclass(frozen=True)
class Query:
    """One parameter of the query."""

    name: str
    text: str
    default: str = ""
    lowest: int | None = None
    """For a whole number: its bounds; None for a text."""
    highest: int | None = None


@dataclass(frozen=True)
class Call:
    """A request that was admitted: its token is valid and may do what the endpoint does."""

    bench: Workbench
    token: ApiToken
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    """An instance of the endpoint's `asks`; None where it asks nothing."""
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.bench.home()

    def authorize(self, permission: Permission, about: str) -> None:
        """Check a further permission.

        Raises:
            AccessRefused: the token's roles lack it; the refusal is logged.
        """
        PersonLog(self.home).authorize(self.token.person, permission, about=about)


@dataclass(frozen=True)
class Download:
    """A file as the whole response."""

    data: bytes
    name: str
    """Only letters, digits, dots and hyphens: it goes into a header."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one address."""

    method: str
    path: str
    name: str
    """Its `operationId`."""
    summary: str
    area: ApiArea
    permission: Permission
    handle: Callable[[Call], Any]
    returns: Any
    """A frozen dataclass, or `Download`."""
    status: int = 200
    asks: Any = None
    """Dataclass of the JSON body; None for no body."""
    uploads: tuple[Upload, ...] = ()
    query: tuple[Query, ...] = ()

    @property
    def most_bytes(self) -> int:
        return MAX_UPLOAD_BYTES if self.uploads else MAX_JSON_BYTES if self.asks is not None else 0

    def read_body(self, raw: bytes) -> Any:
        """The body as an instance of `asks`.

        Raises:
            ApiRefused: not JSON, an unknown or missing field, or a value of another type.
        """
        if self.asks is None:
            return None
        try:
            return TypeAdapter(self.asks).validate_json(raw)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(step) for step in first["loc"])[:100]
            raise ApiRefused(
                400, "bad_body", f"{place or 'The body'}: {first['msg'][:200]}.", wanted="the JSON of `openapi.json`.",
                remedy="fix this field.",
            ) from error  # fmt: skip

    def read_query(self, given: Mapping[str, str]) -> dict[str, str]:
        """The parameters with their defaults.

        Raises:
            ApiRefused: an unknown parameter, or a number outside its bounds.
        """
        known = {one.name: one for one in self.query}
        if unknown := sorted(set(given) - set(known)):
            raise ApiRefused(
                400, "bad_query", f"A parameter {unknown[0][:40]!r}.", wanted=f"{', '.join(known) or 'none'}.", remedy="remove it."
            )  # fmt: skip
        found = {name: given.get(name, one.default) for name, one in known.items()}
        for name, one in known.items():
            if one.lowest is not None and one.highest is not None:
                text = found[name]
                if not (text.isascii() and text.isdigit() and len(text) < 8 and one.lowest <= int(text) <= one.highest):
                    raise ApiRefused(
                        400, "bad_query", f"{name}: {text[:20]!r}.", wanted=f"{one.lowest} to {one.highest}.", remedy="change it."
                    )  # fmt: skip
        return found
