"""Notices as a JSON feed (jsonfeed.org, version 1.1)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from audit_core.findings.notices import Notice

VERSION_URL = "https://jsonfeed.org/version/1.1"


def write_feed(notices: Sequence[Notice], *, mark: str = "") -> bytes:
    """Return the notices as a feed.

    Args:
        mark: put before the title of the feed, such as that the records are a sample.
    """
    title = f"{mark}: Assay notices" if mark else "Assay notices"
    document = {"version": VERSION_URL, "title": title, "items": [describe_notice(one) for one in notices]}
    return (json.dumps(document, ensure_ascii=True, indent=1) + "\n").encode()


def describe_notice(one: Notice) -> dict[str, Any]:
    """One item of the feed."""
    return {
        "id": one.uid,
        "title": f"{one.about} {one.kind}: {one.title}",
        "content_text": one.text,
        "date_modified": one.changed_at,
        "tags": [one.kind.value],
        "_assay": {"about": one.about, "day": one.day, "owner": one.who},
    }
