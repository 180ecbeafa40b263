"""Records how the features of the shipped dictionary fire in an edited sibling of the default model; about a minute of one core.

Run from the repository root: `PYTHONPATH=. python data/feature_versions/record.py`, after `data/features/train.py`. The sibling is
the default model with one early head silenced, so that what enters the dictionary's layer has changed; `default-edited`, whose
silenced head comes later, is printed beside it.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from audit_core import Auditor, RunLog, audit_home, open_subject
from audit_core.features import VersionsRequest, list_shipped_texts
from audit_core.models.edited import silence_head
from audit_core.recorded import record_answer
from audit_core.shipped import DATA

LAYER, HEAD = 8, 0
"""The silenced head."""


def show(done: int, total: int) -> None:
    print(f"\r{done / total:4.0%}", end="", file=sys.stderr)


if __name__ == "__main__":
    auditor = Auditor(open_subject("default"), RunLog(audit_home()))
    identity = auditor.subject.identity
    with tempfile.TemporaryDirectory() as place:
        title = f"{identity.model}, L{LAYER}.H{HEAD} set to zero"
        sibling = silence_head(Path(identity.folder), Path(place) / "sibling", LAYER, HEAD, title=title)
        request = VersionsRequest(list_shipped_texts(auditor.subject.tokenizer), str(sibling))
        path = DATA / "feature_versions" / "recorded.json"
        made = record_answer(auditor, "feature_versions", request, path, on_progress=show)
        print(f"\n{made.wall_s:.0f} s: {made.result.finding}")
    late = auditor.execute("feature_versions", replace(request, other_model="default-edited"))
    print(late.finding)
