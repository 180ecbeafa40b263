"""Campaigns from a page: a checked file, and a process of its own that plans or runs it in the name of its user."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from audit_core.campaigns.campaign_file import CampaignFile, read_campaign
from audit_core.campaigns.folder import CampaignFolder, list_campaigns
from audit_core.campaigns.question import PLANTED
from audit_core.errors import Refused
from audit_core.evidence.whole_file import write_whole
from audit_core.run import Actor
from audit_core.shipped import list_prompt_sets
from audit_core.subject_family import find_listed, list_models

FILES = "campaign_files"
"""Folder of the data directory with campaigns that came from a page, and what their processes wrote."""
_MODULE = "audit_core.campaigns.page_process"
_MOST_SHOWN = 2_000


def check_sent(raw: bytes) -> CampaignFile:
    """Read a campaign that came over the network: it may name what the menus offer, and neither paths nor hub models.

    Raises:
        Refused: no campaign, or one that names a file, a folder, a hub model, or more threads than this machine has cores.
    """
    file = read_campaign(raw, name="the campaign", folder=Path("/nonexistent"))
    for name in file.models:
        if find_listed(name) is None:
            raise Refused(
                f"The model {name[:60]!r}.", wanted=f"one of {', '.join(one.name for one in list_models())}.",
                remedy="choose one of them; `campaign run` takes folders and hub models.",
            )  # fmt: skip
    shipped = {name for model in file.models for name in list_prompt_sets(model)}
    for name in file.prompts:
        if name not in shipped and (not name.startswith(PLANTED) or "/" in name or "." in name):
            raise Refused(
                f"The prompt set {name[:60]!r}.", wanted=f"{', '.join(sorted(shipped))}, or a task of a planted model.",
                remedy="choose one of them; `campaign run` takes files.",
            )  # fmt: skip
    if file.threads > (cores := os.cpu_count() or 1):
        raise Refused(
            f"{file.threads} threads.",
            wanted=f"at most {cores}, the cores of this machine.",
            remedy="change `threads`.",
        )
    return file


def keep_file(raw: bytes, home: Path) -> Path:
    """Store a checked campaign under the digest of its bytes."""
    folder = home / FILES
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{hashlib.sha256(raw).hexdigest()[:24]}.toml"
    write_whole(path, raw, mode=0o600)
    return path


def require_free(home: Path) -> None:
    """Refuse a second campaign beside a running one: both would have the same cores, and no prediction would hold.

    Raises:
        Refused: a campaign runs on this machine.
    """
    for name in list_campaigns(home):
        if CampaignFolder(home, name).is_held():
            raise Refused(f"The campaign {name} runs.", wanted="one campaign at a time.", remedy="wait, or cancel it.")


def start_process(action: str, given: str, home: Path, actor: Actor) -> subprocess.Popen[bytes]:
    """Start a process that plans a kept file, or runs a planned campaign; it lives on when the server of the pages ends.

    Args:
        action: plan or run.
        given: path of the file, or id of the campaign.
    """
    command = [sys.executable, "-m", _MODULE, action, str(home), given, actor.name, actor.session]
    with _find_output(given, home).open("wb") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def read_output(given: str, home: Path) -> str:
    """The last line that the process of a file or campaign wrote: an id, or a refusal."""
    lines = _find_output(given, home).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:_MOST_SHOWN] if lines else ""


def _find_output(given: str, home: Path) -> Path:
    folder = home / FILES
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{Path(given).stem}.log"
