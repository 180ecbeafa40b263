"""Entry point: `streamlit run app.py` serves this app; the default model loads while the first page is drawn."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import ui.live.head_maps  # noqa: F401  import early, so that the first visitor does not wait
from ui.flow.api import mount_api
from ui.flow.model_pool import POOL, open_default
from ui.shell.framing import RefuseFrames


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, object]]:
    open_default()
    yield {}


async def readyz(_: Request) -> JSONResponse:
    # No detail: this route needs no sign-in, and an error may name folders of this machine.
    return JSONResponse({"stage": (seen := POOL.look("default")).stage}, status_code=200 if seen.is_ready else 503)


ROUTES, MIDDLEWARE = [Route("/readyz", readyz), mount_api()], [Middleware(RefuseFrames)]
app = st.App("ui/shell/main.py", lifespan=lifespan, routes=ROUTES, middleware=MIDDLEWARE)
