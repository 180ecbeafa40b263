"""`python -m audit_core`, and `assay` where it is installed: the command line."""

import os
import sys
import traceback

from audit_core.cli import INTERNAL, main
from audit_core.cli.output import keep_descriptors


def run() -> int:
    """Run the command that the arguments name, as a process of its own; returns its exit code."""
    # Nothing here may reach a network except a fetch that was asked for, and libraries chatter on stderr.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    keep_descriptors()
    try:
        return main()
    except (SystemExit, GeneratorExit):
        raise
    except BaseException:  # noqa: BLE001
        # An uncaught error would exit with 1, which means "evaluated and not met".
        traceback.print_exc()
        return INTERNAL


if __name__ == "__main__":
    sys.exit(run())
