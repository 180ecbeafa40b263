"""The commands `witness` (run a witness) and `log witness` (have the log's newest checkpoint cosigned)."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from audit_core.cli.anchors import read_own_pack
from audit_core.cli.output import print_json, print_result, print_status
from audit_core.cli.session import current_actor
from audit_core.errors import NotMeasured, Refused
from audit_core.evidence.container import open_pack, write_pack
from audit_core.review.checked_pack import load_trust
from audit_core.store import audit_home
from audit_core.verifier.trust import show
from audit_core.verifier.witnessed import WITNESSED_MEMBER
from audit_core.witness.asking import TIMEOUT_S
from audit_core.witness.identity import make_identity, open_identity
from audit_core.witness.recording import load_witnesses, witness_log
from audit_core.witness.serving import WitnessServer
from audit_core.witness.witness import LogWitness


def add_witness_commands(witness: argparse.ArgumentParser) -> None:
    """Add the actions of `witness`."""
    actions = witness.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument(
            "--state", type=Path, required=True, metavar="FOLDER", help="folder of the witness's key and record"
        )
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    key = add("key", show_witness_key, "print a witness's public key; with --name, create the witness first")
    key.add_argument("--name", help="a URL without scheme, such as witness.example.org/w1")
    serve = add("serve", serve_witness, "serve a witness until interrupted")
    serve.add_argument(
        "--logs", type=Path, required=True, metavar="trust.toml", help="the logs to witness: [[logs]] of a trust file"
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on; default: this machine only")
    serve.add_argument("--port", type=int, default=8601)


def add_log_witness(log_witness: argparse.ArgumentParser) -> None:
    """Add the options of `log witness`."""
    log_witness.add_argument(
        "--witnesses", type=Path, required=True, metavar="witnesses.toml", help="keys, addresses, quorum"
    )
    log_witness.add_argument("--pack", type=Path, help="a pack of this log, which then carries the cosigned checkpoint")
    log_witness.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="S", help="seconds for each request")


def show_witness_key(options: argparse.Namespace) -> int:
    """Print a witness's public key; create the witness if a name is given."""
    identity = open_identity(options.state) if options.name is None else make_identity(options.state, options.name)
    if options.json:
        return print_json({"name": identity.name, "key": identity.vkey})
    print_result(identity.vkey)
    return 0


def serve_witness(options: argparse.Namespace) -> int:
    """Serve a witness until interrupted; only one process may use a witness's folder."""
    identity = open_identity(options.state)
    lock = FileLock(options.state / "serving.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise Refused(
            f"{options.state} is served by another process.",
            wanted="one process per witness.",
            remedy="stop the other one.",
        ) from None
    with (
        lock,
        WitnessServer(
            LogWitness(options.state, identity, load_trust(options.logs)), host=options.host, port=options.port
        ) as server,
    ):
        if options.json:
            print_json({"name": identity.name, "key": identity.vkey, "url": server.url})
        else:
            print_result(f"{identity.name} at {server.url}")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def cosign_log(options: argparse.Namespace) -> int:
    """Have the newest checkpoint cosigned; exit 3 below the quorum."""
    if not 0 < options.timeout <= 60:
        raise Refused(f"A timeout of {options.timeout:g} s.", wanted="up to 60 s.", remedy="give --timeout 5.")
    size = None if options.pack is None else read_own_pack(options.pack)[0]
    listed = load_witnesses(options.witnesses)
    found = witness_log(audit_home(), listed, actor=current_actor().name, timeout=options.timeout)
    is_in_pack = size is not None and bool(found.cosigned)
    if options.pack is not None and size is not None and found.cosigned:
        write_pack(options.pack, {**open_pack(options.pack), WITNESSED_MEMBER: found.prove(size)})
    n_cosigned, n_listed = len(found.cosigned), len(found.answers)
    if options.json:
        print_json(
            {
                "size": found.checkpoint.size, "is_witnessed": found.is_witnessed, "quorum": found.quorum,
                "answers": [asdict(one) for one in found.answers], "is_in_pack": is_in_pack,
            }
        )  # fmt: skip
    else:
        for one in found.answers:
            print_result(f"{one.outcome:<12} {one.name}  {show(one.detail)}")
        word = "witnessed" if found.is_witnessed else "unwitnessed"
        print_result(
            f"{word}: {n_cosigned} of {n_listed} cosigned the checkpoint over {found.checkpoint.size} events, quorum {found.quorum}."
        )
        if is_in_pack:
            print_status(f"{options.pack}: the cosigned checkpoint is in it.")
    return 0 if found.is_witnessed else NotMeasured.exit_code
