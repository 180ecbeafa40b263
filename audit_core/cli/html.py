"""The command `html`."""

from __future__ import annotations

import argparse

from audit_core.cli.output import print_json, print_status
from audit_core.errors import Refused
from audit_core.home.result_page import render_result
from audit_core.store import audit_home


def write_page(options: argparse.Namespace) -> int:
    """Write one run or claim as one HTML file."""
    data = render_result(audit_home(), options.name)
    try:
        options.out.write_bytes(data)
    except OSError as error:
        raise Refused(
            f"{options.out} cannot be written: {error.strerror}.",
            wanted="a writable file.",
            remedy="choose another path for --out.",
        ) from error
    print_status(f"{options.out}: {len(data):,} bytes, without scripts or external resources.")
    return print_json({"out": str(options.out), "bytes": len(data)}) if options.json else 0
