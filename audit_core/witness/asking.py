"""Ask one witness to cosign a checkpoint, and check its answer (C2SP tlog-witness, client)."""

from __future__ import annotations

import http.client
import re
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from audit_core.verifier.cosignature import Witness, find_cosignature, show_seconds
from audit_core.verifier.note import BadNote, read_unsigned
from audit_core.verifier.trust import show
from audit_core.witness.witness import write_submission

MAX_ANSWER_BYTES = 16 << 10
TIMEOUT_S = 5.0
_SIZE_BODY = re.compile(rb"(0|[1-9][0-9]{0,17})\n")
Prover = Callable[[int], Sequence[bytes]]
"""Consistency proof from an older size to the checkpoint's."""


class Outcome(StrEnum):
    """Outcome of asking a witness."""

    COSIGNED = "cosigned"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    BAD_ANSWER = "bad_answer"


@dataclass(frozen=True)
class Answer:
    """Answer of one witness."""

    name: str
    outcome: Outcome
    detail: str
    line: str = ""
    """Signature line of the cosignature, with its line break; empty without one."""
    at: str = ""
    """Time of the cosignature, UTC."""


def ask_witness(
    witness: Witness, note: str, prove: Prover, *, last_size: int = 0, timeout: float = TIMEOUT_S
) -> Answer:
    """Ask a witness to cosign the checkpoint; its record of the log's size is taken over once.

    Args:
        note: the signed checkpoint.
        last_size: size that this witness cosigned last, as far as the log's owner knows.
        timeout: seconds for each of at most two requests.
    """
    size = read_unsigned(note).size
    for old_size in (last_size, None):
        try:
            status, body = _post(
                witness.url, write_submission(last_size, _prove(prove, last_size, size), note), timeout
            )
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(witness.name, Outcome.UNREACHABLE, f"no answer: {type(error).__name__}")
        if status == 200:
            return _read_cosignature(witness, note, body)
        seen = _SIZE_BODY.fullmatch(body)
        if status != 409 or seen is None:
            return Answer(witness.name, Outcome.REFUSED, _describe_refusal(status, body))
        known = int(seen[1])
        if known > size:
            text = f"it has cosigned {known:,} events and this log has {size:,}: the log was rolled back, or is an old copy"
            return Answer(witness.name, Outcome.REFUSED, text)
        if old_size is None or known == last_size:
            text = f"it has cosigned another log of {known:,} events under this name: two versions of the log exist"
            return Answer(witness.name, Outcome.REFUSED, text)
        last_size = known
    raise AssertionError("the loop returns")


def _prove(prove: Prover, old_size: int, size: int) -> Sequence[bytes]:
    return () if old_size in (0, size) else prove(old_size)


def _describe_refusal(status: int, body: bytes) -> str:
    meanings = {
        403: "it knows no key that signed this checkpoint",
        404: "it does not know this log",
        422: "this log does not extend the one that it has cosigned: events were changed or removed",
    }
    said = body[:200].decode("utf-8", errors="replace").strip()
    return meanings.get(status, f"status {status}: {show(said)}")


def _read_cosignature(witness: Witness, note: str, body: bytes) -> Answer:
    try:
        lines = body.decode("utf-8").splitlines(keepends=True)
        own = [line for line in lines if line.startswith(f"— {witness.name} ") and line.endswith("\n")]
        times = [(line, find_cosignature(note + line, witness)) for line in own]
    except (BadNote, UnicodeDecodeError) as error:
        return Answer(witness.name, Outcome.BAD_ANSWER, f"not a cosignature by its listed key: {show(str(error))}")
    found = [(line, at) for line, at in times if at is not None]
    if not found:
        return Answer(witness.name, Outcome.BAD_ANSWER, "no cosignature by its listed key")
    line, at = found[0]
    return Answer(witness.name, Outcome.COSIGNED, f"at {show_seconds(at)}", line, show_seconds(at))


def _post(url: str, body: bytes, timeout: float) -> tuple[int, bytes]:
    """Post to `add-checkpoint` below the URL; redirects are not followed, and the answer's size and time are bounded."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise ValueError("not an http or https address")
    connection = (
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    )
    begun, raw = time.monotonic(), b""
    try:
        path = f"{parts.path.rstrip('/')}/add-checkpoint"
        connection.request("POST", path, body=body, headers={"Content-Type": "text/plain", "User-Agent": "assay"})
        response = connection.getresponse()
        while chunk := response.read1(MAX_ANSWER_BYTES + 1):
            raw += chunk
            # The socket's limit is for one chunk: an answer in drops would never end.
            if len(raw) > MAX_ANSWER_BYTES or time.monotonic() - begun > timeout:
                raise TimeoutError
        return response.status, raw
    finally:
        connection.close()
