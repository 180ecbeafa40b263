"""The command line: everything the pages do, headless. Results go to stdout, everything else to stderr."""

from __future__ import annotations

from collections.abc import Sequence

from audit_core.cli.output import say
from audit_core.cli.parser import build_parser
from audit_core.errors import AuditError, Cancelled

INTERNAL = 5

__all__ = ["INTERNAL", "build_parser", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code of `docs/reference/cli.md`."""
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        return code
    except AuditError as error:
        say(f"{type(error).__name__}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("Interrupted; nothing it computed is kept.")
        return Cancelled.exit_code
