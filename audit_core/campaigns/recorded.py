"""The campaign that ships with the project: its file, and its state as it was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.campaigns.status import CampaignStatus
from audit_core.data_folder import DATA, read_record

EXAMPLE_FILE = DATA / "campaigns" / "example.toml"
_RECORD = DATA / "campaigns" / "example.json"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class RecordedCampaign:
    """A campaign that ran elsewhere."""

    made_at: str
    """ISO 8601, UTC."""
    code_sha256: str
    """Digest of the code that ran it."""
    status: CampaignStatus


def read_recorded_campaign(path: Path = _RECORD) -> RecordedCampaign:
    """The recorded example, which `tools/record_campaign.py` makes.

    Raises:
        IntegrityError: it does not ship with this version.
    """
    found: RecordedCampaign = read_record(path, RecordedCampaign, max_bytes=_MAX_BYTES)
    return found
