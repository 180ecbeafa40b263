"""Closed models on the command line: the options that name an endpoint, and the command `endpoint` that serves one here."""

from __future__ import annotations

import argparse
from pathlib import Path

from audit_core.audit import Audit
from audit_core.capability import REPLIES
from audit_core.cli.output import print_result, print_status, show_fetch
from audit_core.cli.session import Adder, open_subject
from audit_core.closed import ClosedSubject, ReplyServer, open_replies
from audit_core.endpoints import MOST_CALLS, Address, Cassette, Endpoint
from audit_core.errors import Refused


def add_endpoint_options(command: argparse.ArgumentParser, audit: Audit) -> None:
    """Add the options of an audit that a closed model can answer."""
    if REPLIES not in audit.demands:
        return
    group = command.add_argument_group("a closed model, in place of --model")
    group.add_argument(
        "--endpoint", metavar="URL", help="base address, which usually ends in /v1: https, or http on this machine"
    )
    group.add_argument("--model-name", metavar="NAME", help="name of the model at the endpoint")
    group.add_argument("--key-from", metavar="VARIABLE", default="", help="environment variable that has the key")
    group.add_argument("--most-calls", type=int, default=MOST_CALLS, help=f"calls, at most (default {MOST_CALLS:,})")
    tape = group.add_mutually_exclusive_group()
    tape.add_argument("--record", type=Path, metavar="FILE", help="keep replies here; those it has are not asked again")
    tape.add_argument("--replay", type=Path, metavar="FILE", help="read replies from here, and send nothing")


def open_endpoint(options: argparse.Namespace) -> ClosedSubject | None:
    """The closed model that the options name; None if they name none.

    Raises:
        Refused: an option is missing or cannot be used.
    """
    if getattr(options, "endpoint", None) is None:
        given = [name for name in ("model_name", "key_from", "record", "replay") if getattr(options, name, None)]
        if given:
            raise Refused(
                f"--{given[0].replace('_', '-')} without --endpoint.", wanted="the base address.", remedy="add `--endpoint`."
            )  # fmt: skip
        return None
    if getattr(options, "device", None):
        raise Refused("--device with --endpoint.", wanted="one of them.", remedy="a closed model computes elsewhere.")
    if not options.model_name:
        raise Refused("An endpoint without a model.", wanted="its name there.", remedy="add `--model-name`.")
    address = Address(options.endpoint, options.model_name, options.key_from)
    tape = options.replay or options.record
    cassette = None if tape is None else Cassette(tape, is_replay=options.replay is not None)
    if cassette is None or not cassette.is_replay:
        address.read_key()
    return ClosedSubject(Endpoint(address, cassette=cassette, most_calls=options.most_calls))


def announce_calls(subject: object, predicted: int) -> None:
    """Say how many calls a run may take, before the first."""
    if isinstance(subject, ClosedSubject):
        is_replay = subject.endpoint.cassette is not None and subject.endpoint.cassette.is_replay
        where = "a cassette, nothing is sent" if is_replay else subject.endpoint.address.host
        print_status(f"At most {predicted:,} calls to {where}.")


def add_endpoint_command(add: Adder) -> None:
    """Add `endpoint`."""
    text = "serve a model of this machine as an OpenAI-compatible endpoint at 127.0.0.1, to try audits of closed models"
    command = add("endpoint", serve_endpoint, text)
    command.add_argument("--model", default="default", help="default, a known name, a folder, or a hub id")
    command.add_argument("--port", type=int, default=8099)


def serve_endpoint(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    replies = open_replies(open_subject(options.model, on_progress=show_fetch))
    with ReplyServer(replies, options.model, port=options.port) as server:
        print_result(f"--endpoint {server.url} --model-name {options.model}")
        print_status("Stop it with Ctrl+C.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
