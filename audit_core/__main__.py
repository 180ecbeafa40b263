"""`python -m audit_core`: the command line."""

import os
import sys
import traceback

from audit_core.cli import INTERNAL, main
from audit_core.cli.output import keep_descriptors

if __name__ == "__main__":
    # Nothing here may reach a network except a fetch that was asked for, and libraries chatter on stderr.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    keep_descriptors()
    try:
        code = main()
    except (SystemExit, GeneratorExit):
        raise
    except BaseException:  # noqa: BLE001
        # An uncaught error would exit with 1, which means "evaluated and not met".
        traceback.print_exc()
        code = INTERNAL
    sys.exit(code)
