"""Command line entry point: `python -m audit_core`, or `assay` once installed."""

import os
import sys
import traceback


def run() -> int:
    """Run the command given in the arguments and return its exit code."""
    # Libraries print progress and notices on stderr; only a requested fetch may use the network.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # numpy's matrices here are small: its threads wait for each other longer than they compute, up to 30 times on busy cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # After these settings, because libraries read them while they are imported.
    from audit_core.cli import INTERNAL, main
    from audit_core.cli.output import keep_descriptors

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
