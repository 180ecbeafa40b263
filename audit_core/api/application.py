"""The application: admits a request by its token, bounds it, calls its endpoint, and gives every error the same shape."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
from anyio.to_thread import run_sync
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from audit_core.api.endpoint import JSON, ZIP, Call, Download, Endpoint
from audit_core.api.endpoints import ENDPOINTS
from audit_core.api.errors import ApiRefused, ErrorDocument, Fault, describe_error
from audit_core.api.limits import BODY_S, FAILURES_A_MINUTE, REFUSALS_A_MINUTE, REQUESTS_A_MINUTE, UPLOADS, RateLimit
from audit_core.api.openapi import describe_api
from audit_core.api.workbench import Workbench
from audit_core.errors import AccessRefused, AuditError
from audit_core.governance.api_token import ApiToken, is_secret_of, read_token
from audit_core.store import PersonLog
from audit_core.store.people.api_tokens import find_token

PREFIX = "/api/v1"
"""Address of the API below its server."""
_HEADERS = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}  # fmt: skip
_MAX_HEADER = 200
_THREADS = 8

Respond = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True)
class _Limits:
    """Rates of one application."""

    requests: RateLimit = field(default_factory=lambda: RateLimit(REQUESTS_A_MINUTE))
    refusals: RateLimit = field(default_factory=lambda: RateLimit(REFUSALS_A_MINUTE))
    failures: RateLimit = field(default_factory=lambda: RateLimit(FAILURES_A_MINUTE))


def make_api(bench: Workbench) -> Starlette:
    """The application, to be mounted at `PREFIX` of the dashboard or of a server of its own."""
    limits, threads, uploads = _Limits(), anyio.CapacityLimiter(_THREADS), anyio.CapacityLimiter(UPLOADS)
    routes = [
        Route(one.path, _make_respond(one, bench, limits, threads, uploads), methods=[one.method], name=one.name)
        for one in ENDPOINTS
    ]
    described = TypeAdapter(dict[str, Any]).dump_json(describe_api())

    async def show_api(_: Request) -> Response:
        return Response(described, media_type=JSON, headers=_HEADERS)

    async def show_health(_: Request) -> Response:
        # Neither version nor folder: this address needs no token.
        return Response(b'{"status":"ok"}', media_type=JSON, headers=_HEADERS)

    routes += [Route("/openapi.json", show_api), Route("/healthz", show_health)]
    return Starlette(routes=routes, exception_handlers={HTTPException: _show_http_error, Exception: _show_defect})


def _make_respond(
    endpoint: Endpoint, bench: Workbench, limits: _Limits, threads: anyio.CapacityLimiter, uploads: anyio.CapacityLimiter
) -> Respond:  # fmt: skip
    async def respond(request: Request) -> Response:
        request_id = uuid.uuid4().hex
        try:
            admitted = partial(_admit, endpoint, bench, limits, _read_credentials(request), _name_client(request))
            token = await run_sync(admitted, limiter=threads)
            query = endpoint.read_query(_read_query(request))
            async with uploads if endpoint.uploads else threads:
                body, files = await _read_body(request, endpoint)
                call = Call(bench, token, request.path_params, query, body, files)
                found = await run_sync(endpoint.handle, call)
            return _reply(endpoint, found, request_id)
        except AuditError as error:
            return _refuse(error, request_id)

    return respond


def _admit(
    endpoint: Endpoint, bench: Workbench, limits: _Limits, given: tuple[str, str] | None, client: str
) -> ApiToken:  # fmt: skip
    """The token of a request that may call this endpoint.

    Raises:
        AccessRefused: no valid token, another area, or no role that allows it; the last two are logged.
        ApiRefused: too many requests.
    """
    _require_rate(limits.failures, client, take=False)
    token = None if given is None else find_token(bench.home(), given[0])
    if given is None or token is None or not is_secret_of(token, given[1]) or token.revoked_at is not None:
        _require_rate(limits.failures, client)
        raise AccessRefused(
            "No valid token.", wanted="the header `Authorization: Bearer TOKEN`.",
            remedy="ask the administrator, who makes tokens on the server: `api token create`.", why="bad_token",
        )  # fmt: skip
    _require_rate(limits.requests, token.id)
    _require_rate(limits.refusals, token.id, take=False)
    log, person, about = PersonLog(bench.home()), token.person, f"{endpoint.method} {PREFIX}{endpoint.path}"
    try:
        if endpoint.area not in token.areas:
            refusal = AccessRefused(
                f"The token {token.name} is not for {endpoint.area}.", wanted=f"one for {', '.join(sorted(token.areas))}.",
                remedy="ask the administrator for a token with this area.", why="out_of_area",
            )  # fmt: skip
            log.refuse(person, endpoint.permission, about=about, refusal=refusal)
            raise refusal
        log.authorize(person, endpoint.permission, about=about)
    except AccessRefused:
        limits.refusals.wait_s(token.id)
        raise
    return token


def _require_rate(limit: RateLimit, who: str, *, take: bool = True) -> None:
    if wait_s := limit.wait_s(who, take=take):
        raise ApiRefused(
            429, "too_many_requests", "Too many requests.", wanted="fewer in a minute.", remedy="wait, as `Retry-After` says.",
            retry_s=int(wait_s) + 1,
        )  # fmt: skip


def _read_credentials(request: Request) -> tuple[str, str] | None:
    """Id and secret of the bearer token; never from a cookie or the address, which browsers send and logs keep."""
    given = request.headers.getlist("authorization")
    if len(given) != 1 or len(given[0]) > _MAX_HEADER:
        return None
    kind, _, text = given[0].partition(" ")
    return read_token(text) if kind.lower() == "bearer" else None


def _name_client(request: Request) -> str:
    return "unknown" if request.client is None else request.client.host


def _read_query(request: Request) -> Mapping[str, str]:
    pairs = request.query_params.multi_items()
    if len({name for name, _ in pairs}) != len(pairs):
        raise ApiRefused(400, "bad_query", "A parameter twice.", wanted="each once.", remedy="remove one.")
    return dict(pairs)


async def _read_body(request: Request, endpoint: Endpoint) -> tuple[Any, dict[str, bytes]]:
    wanted = "multipart/form-data" if endpoint.uploads else JSON if endpoint.asks is not None else ""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if wanted and given != wanted:
        raise ApiRefused(
            415,
            "bad_type",
            f"A body of type {given[:60] or 'unknown'!r}.",
            wanted=f"{wanted}.",
            remedy="set Content-Type.",
        )
    try:
        with anyio.fail_after(BODY_S):
            raw = await _read_bounded(request, endpoint.most_bytes)
    except TimeoutError as error:
        raise ApiRefused(
            408, "too_slow", f"No whole body in {BODY_S:g} s.", wanted="a faster connection.", remedy="try again."
        ) from error
    except ClientDisconnect as error:
        raise ApiRefused(
            400, "bad_body", "A body that breaks off.", wanted="a whole one.", remedy="try again."
        ) from error
    if endpoint.uploads:
        return None, await _read_parts(request, endpoint, raw)
    return endpoint.read_body(raw), {}


async def _read_bounded(request: Request, most: int) -> bytes:
    """The body; refused as soon as its stated or its real size is too large, with nothing more read."""
    stated = request.headers.get("content-length", "")
    if stated.isascii() and stated.isdigit() and (len(stated) > 15 or int(stated) > most):
        raise _refuse_size(most)
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise _refuse_size(most)
    return bytes(data)


async def _read_parts(request: Request, endpoint: Endpoint, raw: bytes) -> dict[str, bytes]:
    """The parts of a multipart body by their names; the file names that the client gave are not used."""

    async def receive() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    known = {one.name: one for one in endpoint.uploads}
    found: dict[str, bytes] = {}
    try:
        async with Request(request.scope, receive).form(max_files=len(known), max_fields=1) as form:
            for name, part in form.multi_items():
                if name not in known or name in found or not isinstance(part, UploadFile):
                    raise ApiRefused(
                        400, "bad_body", f"A part {name[:40]!r}, or one twice.", wanted=f"files {', '.join(known)}.",
                        remedy=f"send files: `-F {next(iter(known))}=@FILE`.",
                    )  # fmt: skip
                found[name] = await part.read(known[name].most_bytes + 1)
                if len(found[name]) > known[name].most_bytes:
                    raise _refuse_size(known[name].most_bytes)
    except (MultiPartException, HTTPException) as error:
        raise ApiRefused(
            400, "bad_body", "A body that is no multipart form.", wanted=f"files {', '.join(known)}.", remedy="let curl write it: -F."
        ) from error  # fmt: skip
    if missing := [one.name for one in endpoint.uploads if one.is_required and one.name not in found]:
        raise ApiRefused(
            400, "bad_body", f"No part {missing[0]!r}.", wanted="it.", remedy=f"add `-F {missing[0]}=@FILE`."
        )
    return found


def _refuse_size(most: int) -> ApiRefused:
    return ApiRefused(413, "too_large", f"More than {most:,} bytes.", wanted=f"at most {most:,}.", remedy="send less.")


def _reply(endpoint: Endpoint, found: Any, request_id: str) -> Response:
    headers = _HEADERS | {"X-Request-Id": request_id}
    if isinstance(found, Download):
        headers["Content-Disposition"] = f'attachment; filename="{found.name}"'
        return Response(found.data, media_type=ZIP, headers=headers)
    data = TypeAdapter(endpoint.returns).dump_json(found)
    return Response(data, status_code=endpoint.status, media_type=JSON, headers=headers)


def _refuse(error: AuditError, request_id: str) -> Response:
    status, fault, retry_s = describe_error(error, request_id)
    return _show(status, fault, {"Retry-After": str(retry_s)} if retry_s else {})


def _show(status: int, fault: Fault, more: Mapping[str, str] = {}) -> Response:
    headers = _HEADERS | {"X-Request-Id": fault.request_id} | dict(more)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="assay"'
    return Response(TypeAdapter(ErrorDocument).dump_json(ErrorDocument(fault)), status, headers, JSON)


async def _show_http_error(_: Request, error: Exception) -> Response:
    """The router found no address, or no such method there."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "not_found", 405: "no_such_method"}.get(status, "bad_request")
    fault = Fault(
        code, "No such address or method.", f"an address of `{PREFIX}/openapi.json`.", "check the address.", uuid.uuid4().hex
    )  # fmt: skip
    allowed = (getattr(error, "headers", None) or {}).get("Allow", "")
    return _show(status, fault, {"Allow": allowed} if allowed else {})


async def _show_defect(_: Request, error: Exception) -> Response:
    """A defect: the trace goes to the server's own output, from where the server raises it again, and none to the client."""
    return _refuse(AuditError(), uuid.uuid4().hex)
