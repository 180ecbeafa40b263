"""One request to an endpoint: bounded in time and size, never to another address, repeated only where that can help."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from audit_core.endpoints.address import Address
from audit_core.errors import NotMeasured

MAX_RESPONSE = 1024**2
"""Bytes of a response, at most."""
TIMEOUT_S, MAX_WAIT_S = 60.0, 20.0
TRIES = 4
_AGAIN = frozenset((429, 500, 502, 503, 504))


@dataclass(frozen=True)
class Answered:
    """A response."""

    status: int
    raw: bytes
    sent: int
    """Requests that it took."""


def send(
    address: Address, path: str, body: bytes, *, most: int = TRIES, wait: Callable[[float], None] = time.sleep
) -> Answered:
    """Post a JSON body to a path below the base address. A redirect is not followed: it could lead the key elsewhere.

    Args:
        most: requests, with those that are repeated after 429 or 5xx or a broken connection.

    Raises:
        ModelRefused: the key's variable is not set.
        NotMeasured: no connection, or the response is too long, or too slow.
    """
    tries = max(1, min(most, TRIES))
    for attempt in range(1, tries + 1):
        pause = 0.5 * 2**attempt
        try:
            status, raw, asked = _post(address, path, body)
        except (OSError, http.client.HTTPException) as error:
            # Only the kind of error: its text may quote what was sent.
            if attempt == tries:
                raise NotMeasured(
                    "control_failed", f"{address.host} gave no response in {attempt} requests: {type(error).__name__}."
                ) from None
        else:
            if status not in _AGAIN or attempt == tries:
                return Answered(status, raw, attempt)
            pause = max(pause, asked)
        wait(min(pause, MAX_WAIT_S))
    raise AssertionError("the loop returns or raises")


def _post(address: Address, path: str, body: bytes) -> tuple[int, bytes, float]:
    """Status, body, and seconds that the endpoint asks to wait."""
    parts = urlsplit(address.url)
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "assay"}
    if key := address.read_key():
        headers["Authorization"] = f"Bearer {key}"
    assert parts.hostname is not None
    connection = (
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    )
    try:
        begun = time.monotonic()
        connection.request("POST", f"{parts.path.rstrip('/')}{path}", body=body, headers=headers)
        response = connection.getresponse()
        raw = b""
        while chunk := response.read1(65_536):
            raw += chunk
            if len(raw) > MAX_RESPONSE:
                raise NotMeasured("control_failed", f"{address.host} sent more than {MAX_RESPONSE:,} bytes.")
            # The socket's limit is for one chunk: a response in drops would never end.
            if time.monotonic() - begun > TIMEOUT_S:
                raise TimeoutError
        after = response.getheader("Retry-After", "")
        return response.status, raw, float(after) if after.isdecimal() and len(after) < 5 else 0.0
    finally:
        connection.close()
