"""What the review desk and the audit log say about witnesses."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest
from toy.forged_log import sign_now, write_events

from audit_core.store import AnchorKind, anchor_checkpoint, open_database, read_log_view
from audit_core.verifier.witnessed import WitnessFinding
from ui.log.witnesses import describe_own_log, describe_witnesses

ROOT = Path(__file__).resolve().parents[2]


def test_a_packs_line_names_witnesses_and_never_hides_a_failure() -> None:
    good = WitnessFinding("WITNESSED", "by 2 of 3", ("w/1", "w/2*"), 2, 3, 9, "2027-01-15T08:00:01Z")
    assert describe_witnesses(good) == r"witnessed by 2 of 3 (w/1, w/2\*), existed by 2027-01-15T08:00:01Z"
    assert describe_witnesses(WitnessFinding("UNWITNESSED", "by 1 of 3, quorum 2")).startswith("unwitnessed, by 1 of 3")
    assert "does not match" in describe_witnesses(WitnessFinding("WITNESSES_FAILED", "two versions of it exist"))
    assert "no `witnesses.toml`" in describe_witnesses(WitnessFinding("WITNESSES_NOT_CHECKED", "no list"))


def test_the_audit_log_says_who_cosigned_it_last(own_home: Path) -> None:
    own_home.mkdir()
    write_events(own_home, 3)
    sign_now(own_home)
    assert describe_own_log(read_log_view(own_home)).startswith("Unwitnessed: no witness")
    named = {"cosignature": "", "cosigned_at": "2027-01-15T08:00:00Z"}
    with open_database(own_home) as connection:
        for name in ("w/2", "w/1"):
            anchor_checkpoint(connection, actor="a", kind=AnchorKind.WITNESS, target=name, size=4, named=named)
    assert describe_own_log(read_log_view(own_home)).startswith("Witnessed: w/1, w/2 cosigned the first 4 events")
    page = AppTest.from_file(str(ROOT / "pages/audit_log.py"), default_timeout=60).run()
    assert not page.exception
    assert any("Witnessed: w/1, w/2" in text.value for text in page.markdown)
