"""Command line entry point: `python -m audit_core`, or `assay` once installed."""

import os
import sys
import traceback

from audit_core.cli import INTERNAL, main
from audit_core.cli.output import keep_descriptors


def run() -> int:
    """Run the command given in the arguments and return its exit code."""
    # Libraries print progress and notices on stderr; only a requested fetch may use the network.
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
