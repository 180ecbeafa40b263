"""Every answer says that no other site may show it inside its own."""

from __future__ import annotations

import asyncio
from typing import Any

from ui.shell.framing import RefuseFrames


def test_each_answer_carries_both_headers_and_keeps_its_own() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"x-own", b"1")]})
        await send({"type": "http.response.body", "body": b"x"})

    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    asyncio.run(RefuseFrames(app)({"type": "http"}, None, keep))  # type: ignore[arg-type]
    assert sent[0]["headers"] == [
        (b"x-own", b"1"), (b"content-security-policy", b"frame-ancestors 'none'"), (b"x-frame-options", b"DENY"),
    ]  # fmt: skip
    assert sent[1] == {"type": "http.response.body", "body": b"x"}
