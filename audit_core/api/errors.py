"""Errors of the API: one JSON shape with what was found, what was wanted and what to do, and the status of each kind."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.errors import (
    AccessRefused,
    AuditError,
    Cancelled,
    IntegrityError,
    NotMeasured,
    QueueFull,
    Refused,
    StoreRefused,
)

UNKNOWN_PERSON = ("bad_token", "expired", "not_signed_in")
"""Reason codes of a request whose person is not known; all other refusals of access are 403."""
RETRY_S = 30


@dataclass(frozen=True)
class Fault:
    """One error as every response contains it."""

    code: str
    """Machine-readable reason."""
    found: str
    wanted: str
    remedy: str
    request_id: str = ""
    """Id of the request, also in the header `X-Request-Id`; empty for the error of a job."""


@dataclass(frozen=True)
class ErrorDocument:
    """Body of every response that is not a success."""

    error: Fault


class ApiRefused(Refused):
    """A request that the API refuses before any of the product's own rules applies.

    Args:
        status: HTTP status.
        code: machine-readable reason.
        retry_s: seconds after which to try again; 0 where that would not help.
    """

    def __init__(self, status: int, code: str, found: str, *, wanted: str, remedy: str, retry_s: int = 0) -> None:
        self.status, self.code, self.retry_s = status, code, retry_s
        super().__init__(found, wanted=wanted, remedy=remedy)


def refuse_missing(what: str, remedy: str) -> ApiRefused:
    """There is no such object, or none that this token may see."""
    return ApiRefused(404, "not_found", f"No such {what}.", wanted=f"the id of a {what} here.", remedy=remedy)


def describe_error(error: AuditError, request_id: str = "") -> tuple[int, Fault, int]:
    """HTTP status, body, and seconds after which to try again.

    Errors of the store and of the file system name folders of the server, so their text stays on the server.
    """
    if isinstance(error, ApiRefused):
        return error.status, _fill(error, error.code, request_id), error.retry_s
    if isinstance(error, AccessRefused):
        return (401 if error.why in UNKNOWN_PERSON else 403), _fill(error, error.why, request_id), 0
    if isinstance(error, QueueFull):
        return 429, _fill(error, "queue_full", request_id), RETRY_S
    if isinstance(error, StoreRefused):
        return 503, Fault(
            "store_busy", "The data directory cannot be used now.", "access to the run log.",
            "try again; if it lasts, the administrator finds the reason with `log status` on the server.", request_id,
        ), RETRY_S  # fmt: skip
    if isinstance(error, IntegrityError):
        return 500, Fault(
            "integrity_failed", "Stored bytes do not match their digest.", "an unaltered data directory.",
            "the administrator runs `log verify` on the server.", request_id,
        ), 0  # fmt: skip
    if isinstance(error, Refused):
        return 422, _fill(error, _name(error), request_id), 0
    if isinstance(error, NotMeasured):
        return 422, Fault(error.reason, error.detail, "a measurable question.", "change the question.", request_id), 0
    if isinstance(error, Cancelled):
        return 409, Fault("cancelled", "The work was cancelled.", "a job that runs.", "start it again.", request_id), 0
    return 500, _defect(request_id), 0


def _defect(request_id: str) -> Fault:
    return Fault(
        "defect", "The server failed.", "no failure.", "report the request id to the administrator; details are in the server's log.",
        request_id,
    )  # fmt: skip


def _fill(error: Refused, code: str, request_id: str) -> Fault:
    return Fault(code, error.found, error.wanted, error.remedy, request_id)


def _name(error: AuditError) -> str:
    """`PromptRefused` → `prompt_refused`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(error).__name__).lstrip("_")
