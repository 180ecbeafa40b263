"""Runs the example campaign in a data directory of its own, and records its state in data/campaigns: `make campaign`."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from audit_core.campaigns import LocalEngine, load_campaign, plan_campaign, read_status, run_campaign
from audit_core.campaigns.recorded import EXAMPLE_FILE, RecordedCampaign
from audit_core.evidence.source import hash_source
from audit_core.run import Actor

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write the record."""
    with tempfile.TemporaryDirectory() as place:
        folder = plan_campaign(load_campaign(EXAMPLE_FILE), Path(place))
        run_campaign(folder, LocalEngine(), actor=Actor("campaign recorder", "campaign recorder"))
        status = read_status(folder.home, folder.campaign_id)
    # Which machine ran it is not recorded.
    status = replace(status, lines=tuple(replace(line, machine="") for line in status.lines))
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    record = RecordedCampaign(made_at, hash_source(), status)
    (ROOT / "data/campaigns/example.json").write_bytes(
        TypeAdapter(RecordedCampaign).dump_json(record, indent=1) + b"\n"
    )


if __name__ == "__main__":
    main()
