"""The command `log`: export, verify, checkpoint and restart the audit log."""

from __future__ import annotations

import argparse
import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audit_core.cli.anchors import record_anchor
from audit_core.cli.keys import change_log_key
from audit_core.cli.output import print_json, print_json_text, print_result, print_status
from audit_core.cli.session import current_actor
from audit_core.cli.witness import add_log_witness, cosign_log
from audit_core.errors import IntegrityError, NotMeasured, Refused
from audit_core.evidence.keys import has_log_key
from audit_core.exchange.tracked_runs import send_runs
from audit_core.store import (
    Action,
    AnchorKind,
    RevokedKey,
    RunLog,
    Verification,
    append_event,
    audit_home,
    list_events,
    list_unended,
    make_checkpoint,
    open_database,
    read_status,
    verify_log,
)
from audit_core.store.database.connection import open_restarted
from audit_core.store.database.events import find_log_id
from audit_core.store.database.key_chain import find_own_key
from audit_core.store.database.lost_log import MAX_REASON, Restart
from audit_core.store.log.snapshot import open_snapshot
from audit_core.verifier.note import MAX_NOTE_BYTES

_UNWITNESSED = (
    "No external checkpoint was given: this check does not detect a file reset to an earlier state, or rewritten with the log's "
    "key."
)


def add_log_commands(log: argparse.ArgumentParser) -> None:
    """Add the actions of `log`, each with `--json`."""
    actions = log.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    export = add("export", export_log, "every run, or every event, one JSON object per line")
    export.add_argument("--events", action="store_true", help="the audit log's events, as they are hashed")
    export.add_argument("--mlflow", metavar="URI", help="instead: each ended run into an MLflow tracking server")
    export.add_argument("--experiment", default="assay", help="of --mlflow; created if it is not there")
    verify = add("verify", verify_events, "check that the log is unaltered; exit 4 if not")
    verify.add_argument(
        "--checkpoint", type=Path, nargs="+", default=(), help="checkpoint notes that were handed out earlier"
    )
    verify.add_argument("--public-key", metavar="BASE64", help="the log's public key; default: that of the stored key")
    checkpoint = add("checkpoint", sign_checkpoint, "sign the current state of the log")
    checkpoint.add_argument("--out", type=Path, help="file for the note; default: stdout")
    anchor = add("anchor", record_anchor, "record an external copy of a checkpoint: --pack, or --kind with the rest")
    anchor.add_argument("--pack", type=Path, help="a pack that was handed over; needs --held-by")
    anchor.add_argument("--held-by", metavar="NAME", help="who has that pack")
    # A witness's cosignature is checked before it is recorded, by `log witness`.
    anchor.add_argument("--kind", choices=tuple(kind for kind in AnchorKind if kind != AnchorKind.WITNESS))
    anchor.add_argument("--target", help="location, precise enough for a third party to find it")
    anchor.add_argument("--size", type=int, help="size of the checkpoint: its second line")
    add_log_witness(
        add("witness", cosign_log, "have the newest checkpoint cosigned by witnesses; exit 3 below the quorum")
    )
    key = add("key", change_log_key, "change the key of the log: rotate it, or revoke a key that may be compromised")
    key.add_argument("action", choices=("rotate", "revoke"))
    key.add_argument("--reason", default="", help="for revoke: what happened")
    key.add_argument("--since", type=int, default=0, metavar="EVENT", help="for revoke: the first event in doubt")
    restart = add("restart", restart_log, "start a new log after the old one was lost; its first events record that")
    restart.add_argument("--reason", required=True, help="how the old log was lost, as far as known")
    add(
        "status",
        show_status,
        "size, last checkpoint, events not covered by an external checkpoint, runs without an end",
    )


def export_log(options: argparse.Namespace) -> int:
    """Print one object per line, oldest first; with --json one array. With --mlflow, write runs there."""
    if options.mlflow:
        return _export_to_mlflow(options)
    if options.events:
        with open_database(audit_home()) as connection:
            bodies = [event.body for event in list_events(connection)]
        if options.json:
            return print_json([json.loads(body) for body in bodies])
        for body in bodies:
            print_json_text(body)
        return 0
    runs = RunLog(audit_home()).export()
    if options.json:
        return print_json(list(runs))
    for run in runs:
        print_json(run)
    return 0


def _export_to_mlflow(options: argparse.Namespace) -> int:
    if options.events:
        raise Refused(
            "--events with --mlflow.",
            wanted="one of them.",
            remedy="MLflow has runs; events stay in the log and its packs.",
        )
    sent = send_runs(RunLog(audit_home()), options.mlflow, options.experiment)
    if options.json:
        return print_json(asdict(sent))
    print_result(
        f"{options.mlflow}, experiment {options.experiment}: {sent.new} runs added, of which {sent.without_effects} without effects; "
        f"{sent.known} were there; {sent.left_out} have not ended and are left out."
    )
    return 0


def verify_events(options: argparse.Namespace) -> int:
    home, given = audit_home(), options.public_key
    key = None if given is None else _read_public_key(given)
    notes = [read_note(path) for path in options.checkpoint]
    with open_database(home) as connection:
        known = find_own_key(connection, home).public_key if key is None else key
    with open_snapshot(home) as connection:
        found = verify_log(connection, public_key=known, external=notes, is_own=key is None)
    # Do not append to an altered log, because it is evidence.
    if not found.findings and has_log_key(home):
        payload = {"size": found.size, "checkpoints": found.checkpoints, "held": found.held}
        with open_database(home) as connection:
            append_event(
                connection,
                actor=current_actor().name,
                action=Action.LOG_VERIFIED,
                object_id=found.log_id,
                payload=payload,
            )
    if options.json:
        print_json(_describe(found))
    else:
        _print(found)
    if found.findings:
        return IntegrityError.exit_code
    return NotMeasured.exit_code if found.rests_on_revoked else 0


def restart_log(options: argparse.Namespace) -> int:
    """Start a new log after the old one was lost, with the same key if it still exists."""
    reason = options.reason.strip()
    if not 0 < len(reason) <= MAX_REASON:
        raise Refused(
            f"A reason of {len(reason):,} characters.",
            wanted=f"1 to {MAX_REASON:,}.",
            remedy="state how the log was lost.",
        )
    home = audit_home()
    with open_restarted(home, Restart(current_actor().name, reason)) as connection:
        log_id = find_log_id(connection)
    if options.json:
        return print_json({"log_id": log_id, "reason": reason})
    print_status(
        f"New log: {log_id}. It contains no event of the old one, and its first events record why it was started."
    )
    return 0


def sign_checkpoint(options: argparse.Namespace) -> int:
    home = audit_home()
    with open_database(home) as connection:
        signed = make_checkpoint(connection, home)
    if options.out is not None:
        _write_note(options.out, signed.note)
    if options.json:
        return print_json(asdict(signed))
    if options.out is None:
        print_result(signed.note.removesuffix("\n"))
    else:
        print_status(
            f"Checkpoint over {signed.size} events in {options.out}. Hand it out, then: log anchor --size {signed.size}"
        )
    return 0


def show_status(options: argparse.Namespace) -> int:
    home = audit_home()
    with open_database(home) as connection:
        status, unended = read_status(connection), list_unended(connection, home)
    if options.json:
        return print_json(asdict(status) | {"unended": [asdict(run) for run in unended]})
    print_result(f"{status.log_id}: {status.size} events")
    print_result(
        "no checkpoint" if status.checkpoint is None else f"last checkpoint over {status.checkpoint.size} events"
    )
    covered = f"the first {status.anchored_size} events" if status.anchored_size else "none yet"
    print_result(
        f"external checkpoint: {covered}; {status.unanchored_events} events and {status.unanchored_s:.0f} s not covered"
    )
    for pack in status.carried:
        print_result(f"in pack {pack.pack_id}, not yet recorded as external: the checkpoint over {pack.size} events")
    for run in unended:
        print_result(f"{'running' if run.is_alive else 'abandoned'}: {run.kind} {run.run_id}, started {run.started_at}")
    return 0


def _describe(found: Verification) -> dict[str, Any]:
    return asdict(found) | {"first_bad": found.first_bad, "is_whole": not found.findings}


def _print(found: Verification) -> None:
    if found.findings:
        named = "the first one is unknown" if found.first_bad is None else f"the first is event {found.first_bad}"
        print_result(f"ALTERED: {found.log_id}, {len(found.findings)} findings; {named}.")
    else:
        print_result(f"{found.log_id}: {found.size} events are unaltered.")
    for finding in found.findings:
        print_result(f"  {finding.fault}: {finding.text}")
    external = found.held
    print_result(f"Checked against {found.checkpoints} checkpoints in the same file and {external} external ones.")
    if not external:
        print_result(_UNWITNESSED)
    for key in found.revoked:
        print_result(_describe_revoked(key))
    if found.rests_on_revoked:
        print_result(
            "The key of this check is revoked for later events: get the log's current key through a separate channel."
        )
    if found.clock_went_back:
        print_result(
            f"The clock went back at events {', '.join(map(str, found.clock_went_back))}: times around them are in doubt."
        )
    for event in found.restarts:
        print_result(f"Event {event}: this log replaces a lost log; ask for external checkpoints of the earlier log.")
    if found.runs_before:
        print_result(
            f"{found.runs_before} runs are older than the log: it detects changes to them only since its start."
        )


def _describe_revoked(key: RevokedKey) -> str:
    since = f"event {key.since}" if key.since else "its start"
    rests = (
        f"Only this key signed the checkpoints over {', '.join(map(str, key.checkpoints))} events"
        if key.checkpoints
        else "No checkpoint depends on it"
    )
    return (
        f"Event {key.at} revokes the log's key {key.keyid[:19]}…, in doubt since {since}: {key.reason}. {rests}. Any person with it "
        "could have rewritten those events before the next key signed them. Only an earlier external checkpoint detects that."
    )


def read_note(path: Path) -> str:
    """Read a checkpoint's note from a file.

    Raises:
        Refused: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_NOTE_BYTES + 1).decode("utf-8", errors="replace")
    except OSError as error:
        raise Refused(
            f"{path} cannot be read: {error.strerror}.", wanted="a checkpoint's note.", remedy="check the path."
        ) from error


def _write_note(path: Path, note: str) -> None:
    try:
        path.write_text(note, encoding="utf-8", newline="\n")
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror}.", wanted="a writable file.", remedy="choose another path."
        ) from error


def _read_public_key(encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise Refused("An invalid public key.", wanted="base64 of 32 bytes.", remedy="take it from trust.toml.")
    return key
