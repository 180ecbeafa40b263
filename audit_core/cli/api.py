"""The command `api`: serve the REST API, write its OpenAPI file, and make, list and revoke tokens."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from audit_core.cli.output import print_json, print_result, print_status
from audit_core.cli.session import current_actor
from audit_core.errors import Refused
from audit_core.evidence.whole_file import write_whole
from audit_core.governance.api_token import MAX_DAYS, ApiArea, ApiToken
from audit_core.governance.people import PersonRole
from audit_core.store import audit_home
from audit_core.store.people.api_tokens import list_tokens, make_token, revoke_token

DAYS = 90
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PORT = 8502


def add_api_commands(api: argparse.ArgumentParser) -> None:
    """Add the actions of `api`, each with `--json`."""
    actions = api.add_subparsers(required=True, metavar="ACTION")
    text = f"serve the API at http://127.0.0.1:{PORT} without the dashboard, which serves it too; needs the extra `api`"
    serve = actions.add_parser("serve", help=text, description=text)
    serve.set_defaults(command=serve_api)
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; others than this machine's need --tls-proxy"
    )
    serve.add_argument("--port", type=int, default=PORT)
    serve.add_argument(
        "--tls-proxy",
        action="store_true",
        help="a proxy with TLS is in front: without TLS, tokens can be read on the way",
    )
    text = "write the OpenAPI file"
    openapi = actions.add_parser("openapi", help=text, description=text)
    openapi.set_defaults(command=write_openapi)
    openapi.add_argument("--out", type=Path, help="where to write it; default: standard output")
    text = "make, list and revoke tokens; each is shown once, and only its digest is stored"
    _add_token_commands(actions.add_parser("token", help=text, description=text))


def _add_token_commands(token: argparse.ArgumentParser) -> None:
    actions = token.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    create = add("create", create_token, "make a token, and print it once")
    create.add_argument("--name", required=True, help="what it is for, such as the name of a pipeline")
    create.add_argument("--role", action="append", required=True, choices=tuple(PersonRole), help="may be given again")
    create.add_argument(
        "--area", action="append", choices=tuple(ApiArea), help="part of the API; may be given again; default: all"
    )
    create.add_argument(
        "--days", type=int, default=DAYS, help=f"days until it expires, 1 to {MAX_DAYS}; default {DAYS}"
    )
    create.add_argument("--key", default="", metavar="PERSON", help="signing key of the packs that it may write")
    add("list", show_tokens, "every token, without its secret")
    revoke = add("revoke", revoke_one, "revoke a token from the next request on")
    revoke.add_argument("id", help="as `list` prints it: the middle part of the token")


def serve_api(options: argparse.Namespace) -> int:
    """Serve until interrupted.

    Raises:
        Refused: the extra is not installed, or an address of the network without TLS.
    """
    if missing := [name for name in ("starlette", "uvicorn", "python_multipart") if find_spec(name) is None]:
        raise Refused(
            f"An environment without {missing[0]}.", wanted="Assay installed with its API.",
            remedy="install the extra in the checkout: `pip install '.[api]'`.",
        )  # fmt: skip
    if options.host not in LOOPBACK and not options.tls_proxy:
        raise Refused(
            f"The address {options.host[:60]} without TLS.", wanted="a loopback address, or a proxy with TLS in front.",
            remedy="leave --host out, or confirm the proxy: --tls-proxy.",
        )  # fmt: skip
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from audit_core.api import PREFIX, Workbench, make_api
    from audit_core.api.workbench import ServerModels
    from audit_core.jobs import JobManager

    jobs = JobManager()
    api = Starlette(routes=[Mount(PREFIX, make_api(Workbench(ServerModels().open, lambda: jobs)))])
    print_status(f"Serving http://{options.host}:{options.port}{PREFIX}; stop with Ctrl+C.")
    try:
        # The client's word for its address is not taken: it would get past the limit of failures.
        uvicorn.run(
            api, host=options.host, port=options.port, proxy_headers=False, server_header=False, log_level="warning"
        )
    finally:
        jobs.shut_down()
    return 0


def write_openapi(options: argparse.Namespace) -> int:
    """Write the OpenAPI file of this version."""
    from audit_core.api.openapi import describe_api

    text = json.dumps(describe_api(), indent=1, ensure_ascii=False) + "\n"
    if options.out is None:
        print_result(text.removesuffix("\n"))
        return 0
    try:
        write_whole(options.out, text.encode())
    except OSError as error:
        raise Refused(
            f"{options.out} cannot be written: {error.strerror}.", wanted="a writable file.", remedy="choose another path for --out."
        ) from error  # fmt: skip
    return 0


def create_token(options: argparse.Namespace) -> int:
    """Make one token."""
    text, token = make_token(
        audit_home(), options.name, [PersonRole(role) for role in options.role], by=current_actor().name, days=options.days,
        areas=[ApiArea(area) for area in options.area or ApiArea], key=options.key,
    )  # fmt: skip
    if options.json:
        return print_json({"token": text} | _describe(token))
    print_result(text)
    print_status(
        f"Token {token.id} ({token.name}): {', '.join(sorted(token.roles))}; valid until {token.expires_at:%Y-%m-%d %H:%M} UTC. "
        "It is shown this once: only its digest is stored."
    )
    return 0


def show_tokens(options: argparse.Namespace) -> int:
    """Print every token, oldest first."""
    found = [_describe(token) for token in list_tokens(audit_home())]
    if options.json:
        return print_json({"tokens": found})
    for row in found:
        print_result(
            f"{row['id']}  {row['state']:<8} until {row['expires_at'][:10]}  {', '.join(row['roles'])}; {', '.join(row['areas'])}  {row['name']}"
        )
    return 0


def revoke_one(options: argparse.Namespace) -> int:
    """Revoke one token."""
    token = revoke_token(audit_home(), options.id, by=current_actor().name)
    if options.json:
        return print_json(_describe(token))
    print_status(f"Token {token.id} ({token.name}) is revoked.")
    return 0


def _describe(token: ApiToken) -> dict[str, Any]:
    state = "revoked" if token.revoked_at else "expired" if token.expires_at <= datetime.now(UTC) else "valid"
    return {
        "id": token.id, "name": token.name, "state": state, "roles": sorted(token.roles), "areas": sorted(token.areas),
        "key": token.key or None, "made_by": token.made_by, "made_at": token.made_at, "expires_at": token.expires_at.isoformat(),
        "revoked_at": token.revoked_at,
    }  # fmt: skip
