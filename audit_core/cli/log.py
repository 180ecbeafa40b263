"""The command `log`."""

from __future__ import annotations

import argparse
import json

from audit_core.cli.output import tell, tell_json
from audit_core.store import RunLog, audit_home


def export_log(options: argparse.Namespace) -> int:
    """One run a line, oldest first; with --json one array."""
    runs = RunLog(audit_home()).export()
    if options.json:
        return tell_json(list(runs))
    for run in runs:
        tell(json.dumps(run, ensure_ascii=False))
    return 0
