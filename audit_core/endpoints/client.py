"""A model behind an endpoint: text in, reply out, by the first way to ask that it offers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.endpoints.address import Address
from audit_core.endpoints.cassette import MAX_REPLY, Cassette, digest_request
from audit_core.endpoints.reply import TOP, Reply
from audit_core.endpoints.sending import send
from audit_core.errors import ModelRefused, NotMeasured, Refused

MOST_CALLS = 5_000
"""Requests of one run, unless another number is given."""
SYSTEM = "Complete the last line of the text. Reply with what follows it and nothing else."
"""Said to a chat model before every text."""
_MOST_TEXT = 40_000
DIGITS = 6
"""Decimals of a log-probability, so that a cassette is small and repeats a run to the last digit."""
_NOT_OFFERED = frozenset((400, 404, 405, 415, 422, 501))


@dataclass(frozen=True)
class Route:
    """A way to ask."""

    name: str
    is_chat: bool
    top: int
    """Log-probabilities of the first token that are asked for; 0 for none."""

    @property
    def path(self) -> str:
        return "/chat/completions" if self.is_chat else "/completions"

    def write(self, model: str, text: str, n_tokens: int) -> dict[str, Any]:
        """Body of a request."""
        body: dict[str, Any] = {"model": model, "max_tokens": n_tokens, "temperature": 0}
        if self.is_chat:
            body["messages"] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
            return body | ({"logprobs": True, "top_logprobs": self.top} if self.top else {})
        body |= {"prompt": text, "stop": ["\n"]}
        return body | ({"logprobs": self.top} if self.top else {})


ROUTES = (
    Route("completions with 20 log-probabilities", False, TOP),
    Route("completions with 5 log-probabilities", False, 5),
    Route("chat with 20 log-probabilities", True, TOP),
    Route("chat with 5 log-probabilities", True, 5),
    Route("completions, text alone", False, 0),
    Route("chat, text alone", True, 0),
)
"""Tried in this order, once a run; the first that the endpoint offers is kept."""


class Endpoint:
    """A client that counts its requests. The reply to a text is the same within a run: a text is sent once."""

    def __init__(self, address: Address, *, cassette: Cassette | None = None, most_calls: int = MOST_CALLS) -> None:
        if not 1 <= most_calls <= 1_000_000:
            raise Refused(f"{most_calls} calls.", wanted="1 to 1,000,000.", remedy="change their number.")
        self.address, self.cassette, self.most_calls = address, cassette, most_calls
        self.n_sent = self.n_replayed = 0
        self._routes: dict[bool, Route] = {}
        self._kept: dict[str, tuple[int, Reply | None]] = {}

    def require_calls(self, predicted: int) -> None:
        """Refuse a run that may take more requests than are allowed, before the first.

        Raises:
            Refused: with the number that it needs.
        """
        if predicted > self.most_calls:
            raise Refused(
                f"At most {predicted:,} calls are needed.", wanted=f"at most {self.most_calls:,}.",
                remedy="ask fewer questions, edits or fillers, or allow more with `--most-calls`.",
            )  # fmt: skip

    def find_route(self, *, scored: bool) -> str:
        """The way that was found to ask; empty before the first reply."""
        return self._routes[scored].name if scored in self._routes else ""

    def reply(self, text: str, *, n_tokens: int, scored: bool, again: int = 0) -> Reply:
        """The reply to a text.

        Args:
            n_tokens: of the reply, at most; one where log-probabilities of the first are given.
            scored: whether log-probabilities are wanted; they may still be missing.
            again: another number asks the same text another time.

        Raises:
            Refused: the text is too long, the cassette lacks it, or the endpoint offers no way to ask.
            NotMeasured: it gives no reply, or another kind of reply than before.
        """
        if len(text) > _MOST_TEXT:
            raise Refused(
                f"A text of {len(text):,} characters.", wanted=f"at most {_MOST_TEXT:,}.", remedy="shorten it."
            )
        if route := self._routes.get(scored):
            status, reply = self._ask(route, text, n_tokens, again)
            if reply is None:
                raise NotMeasured("control_failed", f"{self.address.host} replied before, and now with {_say(status)}.")
            return reply
        statuses = set()
        for route in ROUTES:
            if not scored and route.top:
                continue
            status, reply = self._ask(route, text, n_tokens, again)
            if reply is not None:
                self._routes[scored] = route
                return reply
            statuses.add(_say(status))
        raise ModelRefused(
            f"{self.address.host} replied to no request for {self.address.model[:60]}: {', '.join(sorted(statuses))}.",
            wanted="an OpenAI-compatible endpoint with /completions or /chat/completions.",
            remedy="check the base address, which usually ends in /v1, and the name of the model.",
        )

    def _ask(self, route: Route, text: str, n_tokens: int, again: int) -> tuple[int, Reply | None]:
        body = route.write(self.address.model, text, 1 if route.top else n_tokens)
        digest = digest_request(route.path, body, again=again)
        if digest in self._kept:
            return self._kept[digest]
        found = None if self.cassette is None else self.cassette.find(digest)
        if found is not None:
            self.n_replayed += 1
        else:
            found = self._send(route, body)
            if self.cassette is not None:
                self.cassette.keep(digest, *found)
        self._kept[digest] = found
        return found

    def _send(self, route: Route, body: Mapping[str, Any]) -> tuple[int, Reply | None]:
        left = self.most_calls - self.n_sent
        if left < 1:
            raise NotMeasured("control_failed", f"the {self.most_calls:,} calls of this run are used up.")
        answered = send(self.address, route.path, json.dumps(body).encode(), most=left)
        self.n_sent += answered.sent
        if answered.status in (401, 403):
            raise ModelRefused(
                f"{self.address.host} refuses the key: HTTP {answered.status}.", wanted="a key that may use this model.",
                remedy="set the environment variable named by `--key-from`.",
            )  # fmt: skip
        if answered.status in _NOT_OFFERED:
            return answered.status, None
        if answered.status != 200:
            raise NotMeasured("control_failed", f"{self.address.host} replied {_say(answered.status)}.")
        return 200, _read(answered.raw, route)


def _say(status: int) -> str:
    return "no usable reply" if status == 200 else f"HTTP {status}"


def _rank(one: tuple[str, float]) -> float:
    return -one[1]


def _read(raw: bytes, route: Route) -> Reply | None:
    """The reply of a response; None where it lacks what this route asks for."""
    try:
        choice = json.loads(raw)["choices"][0]
        text = choice["message"]["content"] if route.is_chat else choice["text"]
        if not isinstance(text, str):
            return None
        if not route.top:
            return Reply(text[:MAX_REPLY])
        scores = choice["logprobs"]
        pairs = (
            [(one["token"], one["logprob"]) for one in scores["content"][0]["top_logprobs"]]
            if route.is_chat
            else list(scores["top_logprobs"][0].items())
        )
        first = sorted(((str(token)[:MAX_REPLY], round(float(value), DIGITS)) for token, value in pairs), key=_rank)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None
    if not first or not all(math.isfinite(value) and value <= 1e-3 for _, value in first):
        return None
    return Reply(text[:MAX_REPLY], tuple(first[:TOP]))
