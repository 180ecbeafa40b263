"""Cassettes: a file of request digests with what was read of each response, so that a run can be repeated without the endpoint."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit_core.endpoints.reply import TOP, Reply
from audit_core.errors import Refused

MAX_CASSETTE_BYTES = 64 * 1024**2
MAX_REPLY = 2_000
"""Characters of a reply that are kept."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEAD = {"cassette": 1}


def digest_request(path: str, body: Mapping[str, Any], *, again: int) -> str:
    """SHA-256 of a request: path, body, and the how-manieth time it is asked. Neither address nor key are part of it."""
    text = json.dumps([path, body, again], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Cassette:
    """Recorded responses. One that replays never asks the endpoint; one that records asks for what it lacks."""

    def __init__(self, path: Path, *, is_replay: bool) -> None:
        """Read the file, if there is one.

        Raises:
            Refused: it cannot be read, or replay is wanted of a file that is not there.
        """
        self.path, self.is_replay = path, is_replay
        self._found: dict[str, tuple[int, Reply | None]] = {}
        if path.exists():
            self._read()
        elif is_replay:
            raise Refused(
                f"No cassette {path.name[:60]}.", wanted="a recorded one.", remedy="record it with `--record`."
            )
        else:
            self._append(_HEAD)

    def __len__(self) -> int:
        return len(self._found)

    def find(self, digest: str) -> tuple[int, Reply | None] | None:
        """Status and reply of a request; None if it was not recorded.

        Raises:
            Refused: not recorded, and this cassette replays: no number can be made of it.
        """
        found = self._found.get(digest)
        if found is None and self.is_replay:
            raise Refused(
                f"Request {digest[:12]} is not in the cassette {self.path.name[:60]}.",
                wanted="the requests that were recorded: the same file, options and version.",
                remedy="record a new cassette with `--record`, or ask as it was recorded.",
            )
        return found

    def keep(self, digest: str, status: int, reply: Reply | None) -> None:
        """Append a response: status, text and first tokens, and nothing else of it."""
        self._found[digest] = status, reply
        row: dict[str, Any] = {"request": digest, "status": status}
        if reply is not None:
            row |= {"text": reply.text, "first": [list(one) for one in reply.first]}
        self._append(row)

    def _append(self, row: Mapping[str, Any]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row, ensure_ascii=True) + "\n")
        except OSError as error:
            raise Refused(
                f"The cassette {self.path.name[:60]} cannot be written: {error.strerror}.", wanted="a writable file.",
                remedy="choose another place.",
            ) from error  # fmt: skip

    def _read(self) -> None:
        try:
            if self.path.stat().st_size > MAX_CASSETTE_BYTES:
                raise _refuse(self.path, f"it has more than {MAX_CASSETTE_BYTES:,} bytes")
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise _refuse(self.path, type(error).__name__) from error
        rows = [_parse(line, number, self.path) for number, line in enumerate(lines, 1)]
        if not rows or rows[0] != _HEAD:
            raise _refuse(self.path, "its first line is no head of a cassette")
        for number, row in enumerate(rows[1:], 2):
            digest, status = row.get("request"), row.get("status")
            if not isinstance(digest, str) or not _SHA256.fullmatch(digest) or type(status) is not int:
                raise _refuse(self.path, f"line {number} has no request and status")
            self._found[digest] = status, _read_reply(row, number, self.path)


def _parse(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _refuse(path, f"line {number} is no JSON") from error
    if not isinstance(row, dict):
        raise _refuse(path, f"line {number} is no record")
    return row


def _read_reply(row: Mapping[str, Any], number: int, path: Path) -> Reply | None:
    if "text" not in row:
        return None
    text, first = row["text"], row.get("first")
    if not isinstance(text, str) or not isinstance(first, list) or len(first) > TOP:
        raise _refuse(path, f"line {number} has no reply")
    for one in first:
        is_pair = isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) and type(one[1]) in (int, float)
        if not is_pair or not (math.isfinite(one[1]) and one[1] <= 1e-3):
            raise _refuse(path, f"line {number} has a log-probability that is none")
    return Reply(text[:MAX_REPLY], tuple((token[:MAX_REPLY], float(value)) for token, value in first))


def _refuse(path: Path, why: str) -> Refused:
    return Refused(
        f"The cassette {path.name[:60]}: {why}.", wanted="a file that `--record` wrote.", remedy="record it again."
    )
