"""The command `timestamp`: ask an authority for a time stamp of a pack, put it into the pack, and check it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from audit_core.cli.files import read_file, write_file
from audit_core.cli.output import print_json, print_result, print_status
from audit_core.errors import IntegrityError, NotMeasured, Refused
from audit_core.evidence.container import open_pack, write_pack
from audit_core.exchange.time_stamp import (
    MAX_CERTIFICATES_BYTES,
    MAX_TOKEN_BYTES,
    TimeStamp,
    check_token,
    write_request,
)
from audit_core.verifier.container import BadPack
from audit_core.verifier.manifest import PACK_ENVELOPE, check_manifest
from audit_core.verifier.trust import show
from audit_core.verifier.walk import TIME_TOKEN


def add_timestamp_commands(timestamp: argparse.ArgumentParser) -> None:
    """Add the actions of `timestamp`, each with `--json`."""
    actions = timestamp.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("pack", type=Path)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    request = add(
        "request", request_time_stamp, "write the query that a time stamping authority answers; sends nothing"
    )
    request.add_argument("--out", type=Path, required=True, help="such as pack.tsq")
    put = add("add", add_time_stamp, "check an authority's answer and put it into the pack")
    put.add_argument("token", type=Path, help="the authority's answer, such as pack.tsr")
    check = add(
        "check", check_time_stamp, "check the pack's time stamp, offline; exit 4 if it does not hold, 3 without one"
    )
    for sub in (put, check):
        sub.add_argument(
            "--certificates", type=Path, required=True, help="root certificates of authorities that you trust, PEM"
        )


def request_time_stamp(options: argparse.Namespace) -> int:
    """Write a query over the pack's signed statement."""
    request = write_request(_open(options.pack)[PACK_ENVELOPE])
    write_file(options.out, request)
    if options.json:
        return print_json({"request": str(options.out), "of": PACK_ENVELOPE})
    print_result(f"{options.out}: send it to an authority, for example with")
    print_result(
        f"curl -H 'Content-Type: application/timestamp-query' --data-binary @{options.out} AUTHORITY -o answer.tsr"
    )
    return 0


def add_time_stamp(options: argparse.Namespace) -> int:
    """Put a checked token beside the pack's signed statement; nothing is signed again."""
    members = _open(options.pack)
    if TIME_TOKEN in members:
        raise Refused(
            f"{options.pack.name} has a time stamp already.",
            wanted="a pack without one; the earlier time says more.",
            remedy="check it with `timestamp check`.",
        )
    token = read_file(options.token, MAX_TOKEN_BYTES)
    found = _check(members, token, options)
    write_pack(options.pack, {**members, TIME_TOKEN: token})
    return _print(found, options)


def check_time_stamp(options: argparse.Namespace) -> int:
    """Check the pack's token against the reader's certificates."""
    members = _open(options.pack)
    if TIME_TOKEN not in members:
        if options.json:
            print_json({"time_stamp": None})
        else:
            print_status(f"{options.pack.name} has no time stamp.")
        return NotMeasured.exit_code
    return _print(_check(members, members[TIME_TOKEN], options), options)


def _open(path: Path) -> Mapping[str, bytes]:
    """The stamp is of the statement, which names the manifest's digest: it says something of a whole pack only."""
    members = open_pack(path)
    try:
        check_manifest(members)
    except BadPack as error:
        raise IntegrityError(f"{path.name} is incomplete or altered: {error}.") from error
    if PACK_ENVELOPE not in members:
        raise IntegrityError(f"{path.name} has no signed statement.")
    return members


def _check(members: Mapping[str, bytes], token: bytes, options: argparse.Namespace) -> TimeStamp:
    return check_token(members[PACK_ENVELOPE], token, read_file(options.certificates, MAX_CERTIFICATES_BYTES))


def _print(found: TimeStamp, options: argparse.Namespace) -> int:
    if options.json:
        return print_json({"time_stamp": asdict(found)})
    error = "no accuracy stated" if found.accuracy_s is None else f"accuracy {found.accuracy_s:g} s"
    print_result(f"{options.pack.name}: its signed statement existed by {found.at} ({error}).")
    print_result(f"By the clock of {show(found.authority)}, policy {found.policy}, number {found.serial}.")
    print_result("Who signed the pack, and whether its content is right, is checked by `verify`.")
    return 0
