"""The REST API inside the dashboard's server: one queue of jobs and one pool of models for pages and programs."""

from __future__ import annotations

import time
from functools import cache
from threading import Lock

from starlette.concurrency import run_in_threadpool
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from audit_core import Auditor
from audit_core.errors import Cancelled, ModelRefused
from audit_core.jobs import Report
from audit_core.models import LINK
from ui.flow import services
from ui.flow.model_pool import POOL

PREFIX = "/api/v1"
_POLL_S = 0.1
_MAKING = Lock()


def mount_api() -> Mount:
    """The route of the API, for the application."""
    return Mount(PREFIX, _serve)


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    api = await run_in_threadpool(_make_once)
    await api(scope, receive, send)


def _make_once() -> ASGIApp:
    # Under a lock: two first requests would each count their own rates.
    with _MAKING:
        return _make()


@cache
def _make() -> ASGIApp:
    # Imported at the first request: the packages behind it would delay the first page by a second.
    from audit_core.api import Workbench, make_api

    return make_api(Workbench(_open_auditor, services.jobs))


def _open_auditor(name: str, owner: str, report: Report) -> Auditor:
    """The model from the pool, once it is loaded; a job that is cancelled meanwhile withdraws its request.

    Raises:
        ModelRefused: it cannot be loaded.
    """
    POOL.open(name, owner=owner, access=LINK)
    while (auditor := POOL.auditor(name)) is None:
        seen = POOL.look(name)
        if seen.has_failed:
            raise ModelRefused(
                f"The model {name[:60]!r} was not loaded.",
                wanted="a model that opens.",
                remedy="the page Models shows the reason.",
            )
        try:
            report(0, 0)
        except Cancelled:
            POOL.cancel(name, owner=owner)
            raise
        time.sleep(_POLL_S)
    return auditor
