"""A closed model as a subject: replies to texts, and nothing inside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NoReturn

from audit_core.component import Component, Kind
from audit_core.endpoints import Endpoint, Reply
from audit_core.errors import InterventionRefused, ModelRefused
from audit_core.models import ModelIdentity
from audit_core.prompts.answers import TokenLimits
from audit_core.subject import Geometry

NOT_AVAILABLE = "not available"
CLOSED = (
    "Heads, experts, neurons and features of a closed model are not available: behind an endpoint only texts go in and "
    "replies come out."
)


class TextBytes:
    """Implements `Tokenizer`: the bytes of a text, because the tokens of a closed model are not known."""

    bos_id: int | None = None
    limits = TokenLimits(n_tokens=256)

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def encode_each(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def piece(self, token_id: int) -> str:
        return bytes((token_id,)).decode("latin-1")

    def render_chat(self, message: str, reply: str | None = None) -> str:
        raise ModelRefused("The chat template of a closed model.", wanted="plain text.", remedy="leave out `--chat`.")


class ClosedSubject:
    """Implements `Subject` and `Closed`. Its identity is address and name: the weights behind them may change unseen."""

    tolerance, fallback = 0.0, ""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, address = endpoint, endpoint.address
        config = json.dumps({"endpoint": address.url, "model": address.model}, sort_keys=True)
        self.identity = ModelIdentity(
            model=f"{address.model} at {address.host}", folder=address.url, weights_sha256=NOT_AVAILABLE,
            tokenizer_sha256=NOT_AVAILABLE, config_sha256=hashlib.sha256(config.encode()).hexdigest(),
            dtype=NOT_AVAILABLE, attention=NOT_AVAILABLE, quantisation=NOT_AVAILABLE, licence="not stated",
        )  # fmt: skip
        self.geometry = Geometry(0, 0, 0, 0, 0, 0, 0)
        self.tokenizer = TextBytes()

    def components(self, kind: Kind) -> tuple[Component, ...]:
        return ()

    def explain_closed(self) -> str:
        return CLOSED

    def reply(self, text: str, *, n_tokens: int, scored: bool, again: int = 0) -> Reply:
        return self.endpoint.reply(text, n_tokens=n_tokens, scored=scored, again=again)

    def require_calls(self, predicted: int) -> None:
        self.endpoint.require_calls(predicted)

    def count_work(self, *_: Any, **__: Any) -> NoReturn:
        raise InterventionRefused(
            "An intervention inside a closed model.", wanted="an edit of its text.",
            remedy="ask `audit closed_documents` or `audit closed_tools`.",
        )  # fmt: skip

    run = count_work
