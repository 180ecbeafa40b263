"""The command `exchange`: plans, model signatures and statements in formats of other tools."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path

from audit_core.claim import dump_claim
from audit_core.cli.output import print_json, print_result
from audit_core.errors import Refused
from audit_core.evidence.whole_file import write_whole
from audit_core.exchange.plans import export_plan, import_plan, name_sidecar
from audit_core.exchange.prml import MAX_MANIFEST_BYTES
from audit_core.store import audit_home


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
    read.add_argument("--claim", default="", metavar="CLAIM_ID", help="claim of this register that it must be the plan of")
    read.add_argument("--out", type=Path, help="write the claim in it as TOML, to freeze it here")


def write_plan(options: argparse.Namespace) -> int:
    """Write one plan."""
    manifest = export_plan(audit_home(), options.claim_id, options.version)
    digest, sidecar = hashlib.sha256(manifest).hexdigest(), name_sidecar(options.out)
    _write(options.out, manifest)
    _write(sidecar, f"{digest}\n".encode())
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
        _write(options.out, dump_claim(found.plan.claim).encode())
    plan = found.plan
    if options.json:
        return print_json(
            {
                "sha256": plan.manifest_sha256, "plan_sha256": plan.plan_sha256, "prior_sha256": plan.prior_sha256 or None,
                "compared_with": found.compared_with, "registered": found.registered or None, "claim_id": plan.claim_id,
                "claim": plan.claim.to_json(), "plan": plan.plan,
            }
        )  # fmt: skip
    print_result(f"{options.manifest}: unchanged, compared with the {found.compared_with}; digest {plan.manifest_sha256}")
    print_result(f"  plan {plan.plan_sha256}, frozen at {plan.plan['frozen_at']} as {plan.claim_id} by {plan.plan['authors'][0]!a}")
    print_result(f"  {plan.claim.name!a}: {plan.claim.role}, {plan.claim.metric}, more than {plan.claim.delta:g} of the gap")
    print_result(f"  in this register: {found.registered or 'no'}")
    return 0


def read_file(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Refused(
            f"{path} cannot be read: {error.strerror}.", wanted="a file.", remedy="check the path."
        ) from error
    if len(data) > most:
        raise Refused(f"{path} has more than {most:,} bytes.", wanted="fewer.", remedy="check the path.")
    return data


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror}.", wanted="a writable file.", remedy="choose another path."
        ) from error
