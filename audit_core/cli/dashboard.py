"""The command `dashboard`: serve the pages with the Streamlit of this environment."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec

from audit_core.data_folder import APP
from audit_core.errors import Refused


def serve_dashboard(options: argparse.Namespace) -> int:
    """Serve until interrupted; returns the exit code of the server.

    Raises:
        Refused: the pages or Streamlit are not installed.
    """
    missing = [name for name in ("streamlit", "plotly", "authlib") if find_spec(name) is None]
    if missing or not APP.is_file():
        raise Refused(
            f"An environment without {missing[0] if missing else APP.name}.",
            wanted="Assay installed with its dashboard.",
            remedy="install the extra in the checkout: `pip install '.[dashboard]'`.",
        )
    return subprocess.call([sys.executable, "-m", "streamlit", "run", str(APP), *options.options])
