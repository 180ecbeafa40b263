"""The process of a campaign from a page: `python -m audit_core.campaigns.page_process plan|run HOME FILE|ID NAME SESSION`."""

from __future__ import annotations

import sys
from pathlib import Path

from audit_core.campaigns.campaign_file import load_campaign
from audit_core.campaigns.conduct import run_campaign
from audit_core.campaigns.engines import LocalEngine
from audit_core.campaigns.folder import find_campaign
from audit_core.campaigns.plan import plan_campaign
from audit_core.errors import AuditError
from audit_core.run import Actor

_REFUSED = 2


def run_process(action: str, home: Path, given: str, actor: Actor) -> int:
    """What the process does; writes an id or a refusal, and returns its exit code."""
    try:
        if action == "plan":
            said = plan_campaign(load_campaign(Path(given)), home).campaign_id
        else:
            run_campaign(find_campaign(home, given), LocalEngine(), actor=actor)
            said = given
        code = 0
    except AuditError as error:
        said, code = " ".join(str(error).split()), _REFUSED
    sys.stdout.write(f"{said}\n")
    return code


if __name__ == "__main__":
    _, _action, _home, _given, _name, _session = sys.argv
    sys.exit(run_process(_action, Path(_home), _given, Actor(_name, _session)))
