"""The commands `verify` and `verifier`."""

from __future__ import annotations

import argparse

from audit_core.cli.output import print_json, print_status
from audit_core.errors import Refused
from audit_core.evidence.join_verifier import join_modules
from audit_core.evidence.whole_file import write_whole
from audit_core.verifier.command import verify_files


def verify_evidence(options: argparse.Namespace) -> int:
    """Run the same verification as `verify_pack.py`."""
    return verify_files(
        options.pack, options.trust, options.checkpoint, options.openings, options.witnesses, as_json=options.json
    )


def write_verifier(options: argparse.Namespace) -> int:
    """Write the standalone verifier."""
    text = join_modules()
    try:
        # A truncated verifier might still run and exit with 0.
        write_whole(options.out, text.encode())
    except OSError as error:
        raise Refused(
            f"{options.out} cannot be written: {error.strerror}.",
            wanted="a writable file.",
            remedy="choose another path for --out.",
        ) from error
    print_status(f"{options.out}: {len(text.splitlines()):,} lines.")
    return print_json({"out": str(options.out), "lines": len(text.splitlines())}) if options.json else 0
