"""The command line: all functions of the pages without a browser. Results go to stdout, all other output to stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from audit_core.cli.output import check_words, open_output, print_status
from audit_core.cli.parser import build_parser
from audit_core.errors import AuditError, Cancelled, Refused
from audit_core.verifier.streams import flush_output

INTERNAL = 5

__all__ = ["INTERNAL", "build_parser", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code of `docs/reference/cli.md`."""
    try:
        open_output()
        words = list(sys.argv[1:] if arguments is None else arguments)
        check_words(words)
        options = build_parser().parse_args(words)
        code: int = options.command(options)
        return code
    except AuditError as error:
        print_status(f"{type(error).__name__}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        print_status("Interrupted. Its results are discarded.")
        return Cancelled.exit_code
    except SystemExit:
        # The parser prints the help, so flush it here: a failure at exit would have no exit code.
        if not flush_output():
            return Refused.exit_code
        raise
