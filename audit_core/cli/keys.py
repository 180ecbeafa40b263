"""The commands `keys` and `log key`: make, rotate and revoke keys, and write the trust file."""

from __future__ import annotations

import argparse
import base64
from datetime import UTC, datetime
from pathlib import Path

from audit_core.cli.output import print_json, print_result, print_status
from audit_core.cli.session import Adder, current_actor
from audit_core.errors import Refused
from audit_core.evidence.whole_file import write_whole
from audit_core.store import (
    PersonKey,
    audit_home,
    list_keys,
    load_key,
    make_key,
    open_database,
    revoke_key,
    revoke_log_key,
    rotate_key,
    rotate_log_key,
)
from audit_core.store.database.events import find_log_id
from audit_core.store.database.key_chain import LogKey, ensure_log_key, list_log_keys
from audit_core.verifier.trust import ROLES


def add_key_commands(add: Adder) -> None:
    text = "signing keys of people: make, rotate or revoke one; write the trust file for external verifiers"
    keys = add("keys", manage_keys, text)
    keys.add_argument("action", choices=("make", "rotate", "revoke", "trust"))
    keys.add_argument("person", nargs="?", help="whose key, such as anna; not for trust")
    keys.add_argument("--reason", default="", help="for revoke: what happened")
    keys.add_argument("--out", type=Path, default=Path("trust.toml"), help="for trust: where to write")
    keys.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="PERSON:ROLE",
        help="for trust: a person with a key in this data directory, and their role",
    )


def manage_keys(options: argparse.Namespace) -> int:
    """Make, rotate or revoke a person's key, or write the trust file of this data directory."""
    home = audit_home()
    if options.action == "trust":
        return _write_trust(home, options)
    if not options.person:
        raise Refused("No person.", wanted=f"keys {options.action} PERSON.", remedy="name the person whose key it is.")
    if options.action == "revoke":
        revoked = revoke_key(home, options.person, actor=current_actor().name, reason=options.reason)
        print_status("Distribute a new trust file (keys trust): verifiers with the old one still trust this key.")
        payload = {"person": revoked.person, "keyid": revoked.keyid, "revoked_at": revoked.revoked_at}
        return (
            print_json(payload)
            if options.json
            else _print(f"{revoked.person}: {revoked.keyid} is revoked, its file is deleted")
        )
    key = make_key(home, options.person) if options.action == "make" else rotate_key(home, options.person)
    if options.action == "rotate":
        print_status("The old key has signed this one and is deleted. Distribute a new trust file (keys trust).")
    return (
        print_json({"person": key.person, "keyid": key.keyid}) if options.json else _print(f"{key.person}: {key.keyid}")
    )


def describe_trust(home: Path, people: list[tuple[str, str]]) -> str:
    """Text of a trust file: keys of people and of the log, with validity times of old keys."""
    with open_database(home) as connection:
        ensure_log_key(connection, home)
        log_id, log_keys = find_log_id(connection), list_log_keys(connection)
        known = {person: list_keys(connection, person) for person, _ in people}
    rows = ['schema = "assay/trust/1"\n']
    for person, role in people:
        for key in known[person] or (_name_unknown_signer(home, person),):
            rows.append(f'[[keys]]\n{_encode(key)}person = "{person}"\nroles = ["{role}"]\n{_date(key)}')
    # A log with a single key is pinned by that key without times.
    dated = len(log_keys) > 1
    rows += [f'[[logs]]\nlog_id = "{log_id}"\n{_encode(key)}{_date(key) if dated else ""}' for key in log_keys]
    return "\n".join(rows)


def change_log_key(options: argparse.Namespace) -> int:
    home, who = audit_home(), current_actor().name
    if options.action == "rotate":
        key = rotate_log_key(home, actor=who)
    else:
        key = revoke_log_key(home, actor=who, reason=options.reason, since=options.since)
    if options.json:
        return print_json(
            {"keyid": key.keyid, "public_key": base64.b64encode(key.public_key).decode(), "seq": key.began}
        )
    print_result(f"Event {key.began}: the log's key is now {key.keyid}. The old key has signed it and is deleted.")
    print_status("Distribute a new trust file (keys trust), through a separate channel from the packs.")
    if options.action == "revoke":
        print_status(
            "Any person with the old key could have signed too. Only earlier external checkpoints confirm its signatures."
        )
    return 0


def _write_trust(home: Path, options: argparse.Namespace) -> int:
    text = describe_trust(home, [_split_role(name) for name in options.key])
    try:
        write_whole(options.out, text.encode())
    except OSError as error:
        raise Refused(
            f"{options.out} cannot be written: {error.strerror}.", wanted="a file.", remedy="choose another."
        ) from error
    print_status(f"{options.out}: give it to the verifiers of your packs, through a separate channel.")
    return print_json({"out": str(options.out)}) if options.json else 0


def _name_unknown_signer(home: Path, person: str) -> PersonKey:
    """A key that was made elsewhere, so that this log has no start time of it; valid from today."""
    key = load_key(home, person)
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")
    return PersonKey(person, key.keyid, key.public_key, now)


def _encode(key: PersonKey | LogKey) -> str:
    return f'keyid = "{key.keyid}"\npublic_key = "{base64.b64encode(key.public_key).decode()}"\n'


def _date(key: PersonKey | LogKey) -> str:
    rows = {"valid_from": key.valid_from, "valid_to": key.valid_to, "revoked_at": key.revoked_at}
    return "".join(f'{name} = "{at}"\n' for name, at in rows.items() if at)


def _split_role(text: str) -> tuple[str, str]:
    person, _, role = text.partition(":")
    if role not in ROLES:
        raise Refused(
            f"--key {text[:60]}.", wanted=f"PERSON:ROLE, a role of {', '.join(ROLES)}.", remedy="add the role."
        )
    return person, role


def _print(text: str) -> int:
    print_result(text)
    return 0
