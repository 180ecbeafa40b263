"""The command `home`: back up and restore the data directory."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from audit_core.cli.log import read_note
from audit_core.cli.output import print_json, print_status
from audit_core.sample import remove_sample, restore_sample
from audit_core.store import audit_home, open_database
from audit_core.store.log.backup import back_up, restore


def add_home_commands(home: argparse.ArgumentParser) -> None:
    """Add the actions of `home`, each with `--json`."""
    actions = home.add_subparsers(required=True, metavar="ACTION")
    backup = actions.add_parser("backup", help="back up the data directory into one new file, safe during writes")
    backup.set_defaults(command=back_up_home)
    backup.add_argument("out", type=Path, metavar="OUT")
    keys = backup.add_mutually_exclusive_group()
    keys.add_argument(
        "--with-private-keys",
        action="store_true",
        help="include keys; any person with the file can sign as the log and as its people",
    )
    keys.add_argument(
        "--without-private-keys", action="store_true", help="the default; back up keys/ separately, in a safe place"
    )
    put = actions.add_parser("restore", help="check a backup, then replace the data directory by it")
    put.set_defaults(command=restore_home)
    put.add_argument("file", type=Path, metavar="FILE")
    put.add_argument("--old-to", type=Path, metavar="DIR", help="new folder to move the current data directory to")
    put.add_argument("--checkpoint", type=Path, nargs="+", default=(), help="notes that the restored log must reach")
    sample = actions.add_parser(
        "sample", help="show or remove the sample organisation on the pages of this installation"
    )
    sample.set_defaults(command=switch_sample)
    sample.add_argument("state", choices=("show", "remove"))
    for action in (backup, put, sample):
        action.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")


def back_up_home(options: argparse.Namespace) -> int:
    home = audit_home()
    with open_database(home):
        pass
    found = back_up(home, options.out, with_private_keys=options.with_private_keys)
    if options.json:
        return print_json(asdict(found))
    keys = "IT CONTAINS PRIVATE KEYS: protect it like the keys." if found.has_private_keys else (
        "It contains no private keys: back up the keys/ folder separately, because a restored log cannot sign without it."
    )  # fmt: skip
    print_status(f"{len(found.files)} files and {found.size} events in {options.out}. {keys}")
    return 0


def switch_sample(options: argparse.Namespace) -> int:
    """Show or remove the sample; it appears only while there are no claims, packs or card sentences."""
    home, is_shown = audit_home(), options.state == "show"
    (restore_sample if is_shown else remove_sample)(home)
    if options.json:
        return print_json({"sample": options.state})
    print_status("The pages show the sample until there are records." if is_shown else "The sample is removed.")
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
        print_status(f"The previous data directory is in {found.old}.")
    if found.events_lost:
        print_status(f"Its log had {found.events_lost} more events than the backup; only that folder has them.")
    if not found.backup.has_private_keys:
        print_status("The backup has no private keys: restore keys/ from its own backup, or the log cannot sign.")
    if not notes:
        print_status(
            "No checkpoint was given: only an external checkpoint detects an outdated backup (`log verify --checkpoint`)."
        )
    return 0
