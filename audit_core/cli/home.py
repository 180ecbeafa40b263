"""The command `home`: everything that an installation keeps, in one file and back."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from audit_core.cli.log import read_note
from audit_core.cli.output import print_json, print_status
from audit_core.store import audit_home, open_database
from audit_core.store.log.backup import back_up, restore


def add_home_commands(home: argparse.ArgumentParser) -> None:
    """What `home` can do, each with `--json`."""
    actions = home.add_subparsers(required=True, metavar="ACTION")
    backup = actions.add_parser("backup", help="the whole home in one new file, while others go on writing")
    backup.set_defaults(command=back_up_home)
    backup.add_argument("out", type=Path, metavar="OUT")
    keys = backup.add_mutually_exclusive_group()
    keys.add_argument(
        "--with-private-keys",
        action="store_true",
        help="keys too: whoever has the file can sign as the log and as its people",
    )
    keys.add_argument(
        "--without-private-keys", action="store_true", help="the default: keep keys/ apart, in a safe place"
    )
    put = actions.add_parser("restore", help="check a backup, then put it in the home's place")
    put.set_defaults(command=restore_home)
    put.add_argument("file", type=Path, metavar="FILE")
    put.add_argument(
        "--old-to", type=Path, metavar="DIR", help="new folder that the home which is there now is moved to"
    )
    put.add_argument("--checkpoint", type=Path, nargs="+", default=(), help="notes that the restored log must reach")
    for action in (backup, put):
        action.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")


def back_up_home(options: argparse.Namespace) -> int:
    home = audit_home()
    with open_database(home):
        pass
    found = back_up(home, options.out, with_private_keys=options.with_private_keys)
    if options.json:
        return print_json(asdict(found))
    keys = "PRIVATE KEYS ARE IN IT: keep it as you keep them." if found.has_private_keys else (
        "No private keys are in it: keep the home's keys/ folder apart, as a restored log signs nothing without them."
    )  # fmt: skip
    print_status(f"{len(found.files)} files and {found.size} events in {options.out}. {keys}")
    return 0


def restore_home(options: argparse.Namespace) -> int:
    notes = [read_note(path) for path in options.checkpoint]
    found = restore(options.file, audit_home(), old_to=options.old_to, external=notes)
    if options.json:
        return print_json({**asdict(found), "old": None if found.old is None else str(found.old)})
    print_status(
        f"Restored: {len(found.backup.files)} files and {found.backup.size} events, as of {found.backup.made_at}."
    )
    if found.old is not None:
        print_status(f"The home that was there lies in {found.old}.")
    if found.events_lost:
        print_status(f"Its log had {found.events_lost} events more than the backup: they are in that folder alone.")
    if not found.backup.has_private_keys:
        print_status(
            "No private keys were in the backup: put keys/ back from where you keep it, or the log signs nothing."
        )
    if not notes:
        print_status(
            "No checkpoint was given: that an older state was restored shows only by one (`log verify --checkpoint`)."
        )
    return 0
