"""A small endpoint on this machine: serves what replies to texts in the OpenAI-compatible form, for demonstrations and tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from audit_core.endpoints import TOP, Reply
from audit_core.errors import AuditError, Refused
from audit_core.subject import Replies

MAX_BODY = 256 * 1024
MAX_TOKENS = 64
OFFERS = ("completions", "chat", "logprobs")
_PATHS = {"/v1/completions": "completions", "/v1/chat/completions": "chat"}
_READ_S = 30.0


class ReplyServer(ThreadingHTTPServer):
    """Bound to 127.0.0.1 alone, one reply at a time. It asks for no key and reads none."""

    daemon_threads = True

    def __init__(self, replies: Replies, name: str, *, port: int = 0, offers: Collection[str] = OFFERS) -> None:
        """Bind the port; 0 for a free one.

        Raises:
            Refused: the port is taken, or not one.
        """
        self.replies, self.name, self.offers = replies, name, frozenset(offers)
        self.turn = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            raise Refused(f"Port {port}: {error}.", wanted="a free port.", remedy="choose another `--port`.") from error

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: ReplyServer
    timeout = _READ_S
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        offered = _PATHS.get(self.path)
        length = self.headers.get("Content-Length", "")
        if offered is None or offered not in self.server.offers:
            return self._send(404, {"error": "not offered"})
        if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY:
            return self._send(413, {"error": f"at most {MAX_BODY} bytes"})
        try:
            asked = json.loads(self.rfile.read(int(length)))
            text, n_tokens, top = _read(asked, is_chat=offered == "chat")
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            return self._send(400, {"error": "a request that cannot be read"})
        if top and "logprobs" not in self.server.offers:
            return self._send(400, {"error": "no log-probabilities"})
        try:
            with self.server.turn:
                reply = self.server.replies.reply(text, n_tokens=n_tokens, scored=top > 0)
        except AuditError as error:
            return self._send(422, {"error": str(error)[:200]})
        return self._send(200, _write(reply, self.server.name, top, is_chat=offered == "chat"))

    def _send(self, status: int, body: Mapping[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        # What was not read of a refused request would be taken for the next one.
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: requests have the texts of others."""


def _read(asked: Mapping[str, Any], *, is_chat: bool) -> tuple[str, int, int]:
    """Text, tokens of the reply, and log-probabilities that are wanted."""
    text = asked["messages"][-1]["content"] if is_chat else asked["prompt"]
    wanted = asked.get("logprobs")
    top = asked.get("top_logprobs", 0) if is_chat and wanted else 0 if is_chat else wanted or 0
    n_tokens = asked.get("max_tokens", 16)
    if not isinstance(text, str) or type(n_tokens) is not int or type(top) is not int:
        raise TypeError
    if not (1 <= n_tokens <= MAX_TOKENS and 0 <= top <= TOP):
        raise ValueError
    return text, n_tokens, top


def _write(reply: Reply, name: str, top: int, *, is_chat: bool) -> dict[str, Any]:
    first = reply.first[:top]
    choice: dict[str, Any] = {"index": 0, "finish_reason": "length"}
    if is_chat:
        choice["message"] = {"role": "assistant", "content": reply.text}
        pairs = [{"token": token, "logprob": value} for token, value in first]
        choice["logprobs"] = {"content": [{**pairs[0], "top_logprobs": pairs}]} if first else None
    else:
        choice["text"] = reply.text
        choice["logprobs"] = {"top_logprobs": [dict(first)]} if first else None
    return {"object": "chat.completion" if is_chat else "text_completion", "model": name, "choices": [choice]}
