"""Packs are written whole or not at all, the same bytes for the same files, and an approval changes nothing but itself."""

import os
from pathlib import Path

import pytest
from toy.packs import ANNA, AT, BEN, CLEO, PACK_ID, build_files, check, genuine_members, tell_story

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence import container
from audit_core.evidence.container import make_manifest, open_pack, write_pack
from audit_core.evidence.statement import Approval, add_approval, seal_pack
from audit_core.verifier.manifest import MANIFEST, PACK_ENVELOPE

FILES = {"README.txt": b"hello", "runs/a/metrics.json": b"[]"}
APPROVAL = Approval(
    "reviewer", "ben", "Toy", "approve", AT, None, ("none",), "no relation", "", ("report/report.html",)
)


def sealed(path: Path) -> Path:
    seal_pack(path, build_files(tell_story()), ANNA, pack_id=PACK_ID, person="anna", organisation="Toy", at=AT)
    return path


def test_the_same_files_make_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    write_pack(tmp_path / "a.zip", FILES)
    write_pack(tmp_path / "b.zip", dict(reversed(FILES.items())))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert (tmp_path / "a.zip").stat().st_mode & 0o777 == 0o644


def test_members_are_sorted_of_one_time_and_mode_and_without_extra_fields(tmp_path: Path) -> None:
    import zipfile

    write_pack(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        rows = archive.infolist()
    assert [row.filename for row in rows] == sorted(FILES)
    for row in rows:
        assert (row.date_time, row.external_attr >> 16, row.extra, row.create_system) == (
            (1980, 1, 1, 0, 0, 0),
            0o100644,
            b"",
            3,
        )
        assert row.compress_type == zipfile.ZIP_DEFLATED


def test_a_sealed_pack_is_what_the_verifier_wants(tmp_path: Path) -> None:
    path = sealed(tmp_path / "a.zip")
    found = check(path.read_bytes())
    assert found.exit_code == 0
    assert found.manifest_sha256 == seal_pack(
        tmp_path / "b.zip", build_files(tell_story()), ANNA, pack_id=PACK_ID, person="anna", organisation="Toy", at=AT
    )
    assert (tmp_path / "b.zip").read_bytes() == path.read_bytes()


def test_the_manifest_covers_all_but_itself_and_signatures() -> None:
    members = genuine_members()
    named = {line.split("  ")[1] for line in members[MANIFEST].decode().splitlines()}
    assert named == set(members) - {MANIFEST, PACK_ENVELOPE}
    assert make_manifest(members) == members[MANIFEST]


@pytest.mark.parametrize(
    "files",
    [
        {"../x.txt": b""},
        {"a.pkl": b""},
        {"a.txt": b"", "A.txt": b""},
        {"x.parquet": b"PK\x03\x04"},
        {"a.txt": bytes(65 << 20)},
    ],
)
def test_what_no_reader_would_take_is_not_written(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(Refused, match="These files cannot form a pack"):
        write_pack(tmp_path / "a.zip", files)
    assert list(tmp_path.glob("*")) == [] or not (tmp_path / "a.zip").exists()


def test_a_crash_leaves_the_old_pack_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "packs" / "a.zip"
    path.parent.mkdir()
    write_pack(path, FILES)
    before = path.read_bytes()

    def fail(_: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Refused, match="disk is full"):
        write_pack(path, {"README.txt": b"other"})
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == ["a.zip"]


def test_bytes_reach_the_disk_before_the_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (order.append("sync"), sync(number))[1])
    monkeypatch.setattr(Path, "replace", lambda self, target: (order.append("name"), replace(self, target))[1])
    write_pack(tmp_path / "a.zip", FILES)
    assert order == ["sync", "name", "sync"]


def test_an_archive_that_does_not_read_back_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "read_members", lambda data: {})
    with pytest.raises(IntegrityError, match="does not read back"):
        write_pack(tmp_path / "a.zip", FILES)
    assert not (tmp_path / "a.zip").exists()


def test_an_approval_changes_no_other_member(tmp_path: Path) -> None:
    path = sealed(tmp_path / "a.zip")
    before = open_pack(path)
    name = add_approval(path, APPROVAL, BEN)
    second = add_approval(path, Approval("approver", "cleo", "Toy", "reject", AT), CLEO)
    after = open_pack(path)
    assert {one: data for one, data in after.items() if one not in (name, second)} == before
    assert (name, second) == (
        "attestations/approval-reviewer-1.dsse.json",
        "attestations/approval-approver-2.dsse.json",
    )
    found = check(path.read_bytes())
    assert found.exit_code == 0
    assert [signer.decision for signer in found.signers] == [None, "reject", "approve"]


@pytest.mark.parametrize(
    "said",
    [
        {"role": "preparer"},
        {"decision": "maybe"},
        {"at": "today"},
        {"person": ""},
        {"expires_at": "2026-02-30T00:00:00Z"},
    ],
)
def test_a_decision_that_is_none_is_not_signed_into_a_pack(tmp_path: Path, said: dict[str, str]) -> None:
    path = sealed(tmp_path / "a.zip")
    before = path.read_bytes()
    with pytest.raises(Refused, match="No approval"):
        add_approval(path, Approval(**{**vars(APPROVAL), **said}), BEN)
    assert path.read_bytes() == before


def test_a_pack_that_is_not_whole_is_never_signed(tmp_path: Path) -> None:
    members = genuine_members()
    write_pack(tmp_path / "a.zip", {**members, "README.txt": b"other"})
    with pytest.raises(IntegrityError, match="is incomplete"):
        add_approval(tmp_path / "a.zip", APPROVAL, BEN)
    other = make_manifest(FILES)
    write_pack(tmp_path / "b.zip", {**FILES, MANIFEST: other, PACK_ENVELOPE: members[PACK_ENVELOPE]})
    with pytest.raises(IntegrityError, match="another manifest"):
        add_approval(tmp_path / "b.zip", APPROVAL, BEN)


def test_what_is_no_pack_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        open_pack(tmp_path / "a.zip")
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(IntegrityError, match="is not a pack"):
        open_pack(tmp_path / "a.zip")


def test_envelopes_read_back_in_another_implementation() -> None:
    """securesystemslib's reader takes ours, and its signature check holds."""
    import json
    from copy import deepcopy

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    document = json.loads(genuine_members()[PACK_ENVELOPE])
    envelope = Envelope.from_dict(deepcopy(document))
    key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(ANNA.public_key), keyid=ANNA.keyid)
    assert set(envelope.verify([key], 1)) == {ANNA.keyid}
    assert envelope.to_dict() == document
