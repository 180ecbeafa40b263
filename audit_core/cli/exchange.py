"""The command `exchange`: plans, model signatures, statements, graphs and effects in formats of other tools."""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from audit_core.claim import dump_claim
from audit_core.cli.files import read_file, write_file
from audit_core.cli.interchange import add_interchange_commands
from audit_core.cli.output import print_json, print_result
from audit_core.cli.parts import add_parts_commands
from audit_core.cli.session import current_actor
from audit_core.errors import IntegrityError, NotMeasured
from audit_core.exchange.model_signature import ModelSignature, SignatureState, check_folder_signature
from audit_core.exchange.plans import export_plan, import_plan, name_sidecar
from audit_core.exchange.prml import MAX_MANIFEST_BYTES
from audit_core.exchange.signature_bundle import MAX_KEY_BYTES, write_public_key
from audit_core.exchange.signature_record import MAX_NAMES, record_signature
from audit_core.exchange.statements import MAX_STATEMENT_BYTES, read_statement_about, write_test_result
from audit_core.store import audit_home, load_key
from audit_core.subject_family import find_here
from audit_core.verifier.container import MAX_PACK_BYTES

_EXIT_CODES = {
    SignatureState.MATCH: 0, SignatureState.MISMATCH: IntegrityError.exit_code, SignatureState.NOT_TRUSTED: IntegrityError.exit_code,
    SignatureState.NOT_SIGNED: NotMeasured.exit_code,
}  # fmt: skip


def add_exchange_commands(exchange: argparse.ArgumentParser) -> None:
    """Add the actions of `exchange`, each with `--json`."""
    actions = exchange.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    plan = add("plan", write_plan, "write a frozen plan as a PRML manifest, with its digest beside it")
    plan.add_argument("claim_id", help="such as C-0001")
    plan.add_argument("--version", type=int, help="of the plan; the newest unless given")
    plan.add_argument("--out", type=Path, required=True, help="such as C-0001.yaml")
    read = add("read-plan", read_plan, "read a PRML manifest of a frozen plan; refused if it was changed or is foreign")
    read.add_argument("manifest", type=Path)
    read.add_argument("--sha256", default="", help="digest that its author published before the run")
    read.add_argument(
        "--claim", default="", metavar="CLAIM_ID", help="claim of this register that it must be the plan of"
    )
    read.add_argument("--out", type=Path, help="write the claim in it as TOML, to freeze it here")
    model = add(
        "model",
        check_model,
        "verify the OpenSSF signature of a model's folder, offline; exit 4 if it does not match, 3 if unsigned",
    )
    model.add_argument("model", help="a folder, default, or the name of a fetched model")
    trusted = model.add_mutually_exclusive_group(required=True)
    trusted.add_argument("--key", type=Path, help="public key of the signer, PEM")
    trusted.add_argument("--certificates", type=Path, help="certificates trusted to issue the signer's, PEM")
    model.add_argument("--signature", type=Path, help="the signature; model.sig in the folder unless given")
    model.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATH",
        help="path in the folder where unsigned files are allowed",
    )
    statement = add(
        "statement",
        write_statement,
        "write a signed in-toto statement with a pack's result, for other supply-chain tools",
    )
    statement.add_argument("pack", type=Path)
    statement.add_argument("--key", required=True, metavar="PERSON", help="whose statement it is")
    statement.add_argument(
        "--out", type=Path, required=True, help="such as PACK.intoto.json; the public key goes beside it"
    )
    check = add(
        "check-statement",
        check_statement,
        "verify another party's in-toto statement about a pack with their public key",
    )
    check.add_argument("statement", type=Path)
    check.add_argument("pack", type=Path)
    check.add_argument("--key", type=Path, required=True, help="their public key, PEM")
    add_interchange_commands(add)
    add_parts_commands(add)


def write_plan(options: argparse.Namespace) -> int:
    """Write one plan."""
    manifest = export_plan(audit_home(), options.claim_id, options.version)
    digest, sidecar = hashlib.sha256(manifest).hexdigest(), name_sidecar(options.out)
    write_file(options.out, manifest)
    write_file(sidecar, f"{digest}\n".encode())
    if options.json:
        return print_json({"out": str(options.out), "sidecar": str(sidecar), "sha256": digest})
    print_result(f"{options.out}: {options.claim_id} as a PRML manifest, digest {digest}")
    print_result(f"  next: publish the digest before the run; {sidecar} has it too")
    return 0


def read_plan(options: argparse.Namespace) -> int:
    """Read one plan."""
    sidecar = name_sidecar(options.manifest)
    beside = read_file(sidecar, 1000).decode("ascii", errors="replace").strip() if sidecar.is_file() else ""
    raw = read_file(options.manifest, MAX_MANIFEST_BYTES)
    found = import_plan(
        audit_home(), raw, name=options.manifest.name, expected=options.sha256, sidecar=beside, claim_id=options.claim
    )
    if options.out is not None:
        write_file(options.out, dump_claim(found.plan.claim).encode())
    plan = found.plan
    if options.json:
        return print_json(
            {
                "sha256": plan.manifest_sha256, "plan_sha256": plan.plan_sha256, "prior_sha256": plan.prior_sha256 or None,
                "compared_with": found.compared_with, "registered": found.registered or None, "claim_id": plan.claim_id,
                "claim": plan.claim.to_json(), "plan": plan.plan,
            }
        )  # fmt: skip
    print_result(
        f"{options.manifest}: unchanged, compared with the {found.compared_with}; digest {plan.manifest_sha256}"
    )
    print_result(
        f"  plan {plan.plan_sha256}, frozen at {plan.plan['frozen_at']} as {plan.claim_id} by {plan.plan['authors'][0]!a}"
    )
    print_result(
        f"  {plan.claim.name!a}: {plan.claim.role}, {plan.claim.metric}, more than {plan.claim.delta:g} of the gap"
    )
    print_result(f"  in this register: {found.registered or 'no'}")
    return 0


def check_model(options: argparse.Namespace) -> int:
    """Check one model's signature, and log the outcome."""
    folder = Path(options.model)
    if not folder.is_dir():
        folder = find_here(options.model) or folder
    found = check_folder_signature(
        folder, key=options.key, roots=options.certificates, signature=options.signature, ignored=options.ignore
    )
    event = record_signature(audit_home(), found, actor=current_actor().name)
    if options.json:
        print_json({"folder": str(folder), "event": event.seq, **asdict(found), "digest": found.digest._asdict()})
    else:
        _print_signature(folder, found)
        print_result(f"  event {event.seq} of the audit log")
    return _EXIT_CODES[found.state]


def _print_signature(folder: Path, found: ModelSignature) -> None:
    print_result(f"{folder}: {found.state.upper()}")
    if found.key:
        print_result(f"  key {found.key}{f', certificate of {found.subject!a}' if found.subject else ''}")
    if found.expired_at:
        print_result(f"  the certificate expired at {found.expired_at}")
    if found.state is SignatureState.NOT_SIGNED:
        print_result(
            "  found no model.sig; wanted a signature in the folder or with --signature; ask the model's publisher for it"
        )
    elif found.why_not:
        print_result(f"  {found.why_not}")
        print_result("  compare the key with the one that the publisher states, and do not use the files as theirs")
    else:
        print_result(f"  {found.n_files} signed files")
    for names, text in (
        (found.changed, "changed since the signature"), (found.missing, "signed, and missing here"),
        (found.extra, "not signed; remove it, or allow it with --ignore"),
        (found.left_out, "left out by the signature, and used by the model"),
    ):  # fmt: skip
        for name in names[:MAX_NAMES]:
            print_result(f"  {name!a}: {text}")
        if len(names) > MAX_NAMES:
            print_result(f"  and {len(names) - MAX_NAMES} more: {text}")


def write_statement(options: argparse.Namespace) -> int:
    """Write one statement about a pack."""
    key, pack = load_key(audit_home(), options.key), read_file(options.pack, MAX_PACK_BYTES)
    statement = write_test_result(pack, name=options.pack.name, key=key)
    public = options.out.with_name(options.out.name + ".pub.pem")
    write_file(options.out, statement)
    write_file(public, write_public_key(key.public_key))
    found = json.loads(base64.b64decode(json.loads(statement)["payload"]))
    if options.json:
        return print_json({"out": str(options.out), "public_key": str(public), "statement": found})
    print_result(
        f"{options.out}: {found['predicate']['result']}, {found['predicateType']}, signed by {key.person} ({key.keyid})"
    )
    print_result(f"  the public key is in {public}; readers need it from you by another way")
    return 0


def check_statement(options: argparse.Namespace) -> int:
    """Check one statement about a pack; exit code 4 if it is about something else."""
    raw, key = read_file(options.statement, MAX_STATEMENT_BYTES), read_file(options.key, MAX_KEY_BYTES)
    found = read_statement_about(read_file(options.pack, MAX_PACK_BYTES), raw, key, name=options.statement.name)
    if not found.about:
        raise IntegrityError(
            f"{options.statement.name} is about {', '.join(map(ascii, found.subjects))[:200]}, and not about this pack. Wanted: the SHA-256 of the "
            "pack or of its manifest among its subjects. What to do: ask for the statement about this file."
        )
    if options.json:
        return print_json(asdict(found))
    print_result(f"{options.statement}: signed with the given key, about {' and '.join(found.about)}")
    print_result(f"  {found.statement_type}, {found.predicate_type}")
    print_result(f"  says {json.dumps(found.predicate)[:600]}")
    print_result("  what it says is its signer's: nothing of it was checked here")
    return 0
