"""Lets this environment read the packages of another one, but for Ray's own agents, which would import them all and start too late."""

import sys
import sysconfig
from pathlib import Path

PATH = """\
import sys; any(own in word for word in sys.orig_argv for own in ("/ray/dashboard/", "/ray/_private/runtime_env/", "/ray/_private/log_monitor")) \
or sys.path.append({packages!r})
"""

if __name__ == "__main__":
    (Path(sysconfig.get_path("purelib")) / "assay.pth").write_text(PATH.format(packages=sys.argv[1]))
