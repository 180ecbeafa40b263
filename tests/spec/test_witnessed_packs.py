"""Packs with a cosigned checkpoint: three witness processes, what the verifier alone says, and what `log witness` records."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from toy.forged_log import copy_home, write_events
from toy.golden import ROOT
from toy.packs import (
    LOG,
    LOG_ID,
    ToyKey,
    genuine_members,
    name_log_key,
    prove,
    prove_growth,
    write_checkpoint,
    write_trust,
    zip_up,
)
from toy.witnesses import WitnessProcess, as_identity, as_witness, write_list

from audit_core.cli import main
from audit_core.evidence.container import make_manifest, open_pack, write_pack
from audit_core.evidence.keys import load_log_key
from audit_core.store import Action, append_event, list_events, make_checkpoint, open_database, verify_log
from audit_core.verifier.cosignature import Witness, WitnessList, find_cosignature, read_witnesses
from audit_core.verifier.manifest import MANIFEST
from audit_core.verifier.merkle import hash_leaf
from audit_core.verifier.trust import read_trust
from audit_core.verifier.verification import Verification
from audit_core.verifier.walk import verify_pack
from audit_core.verifier.witnessed import WITNESSED_MEMBER, TlogProof, read_tlog_proof, write_tlog_proof
from audit_core.witness.identity import make_identity
from audit_core.witness.witness import LogWitness, write_submission

NAMES = [f"witness.test/w{n}" for n in (1, 2, 3)]
LISTED = WitnessList(2, tuple(as_witness(as_identity(name)) for name in NAMES))
TRUST = read_trust(write_trust())


@lru_cache(maxsize=1)
def bodies() -> tuple[bytes, ...]:
    """All entries of the toy pack's log; the last ones of its story are in the pack."""
    from toy.packs import tell_story, write_log

    return tuple(write_log(tell_story().events))


def more(count: int, word: str = "later") -> list[bytes]:
    return [f"{word} {n}".encode() for n in range(count)]


def cosign(
    folder: Path, entries: Sequence[bytes], names: Sequence[str], key: ToyKey = LOG, at: int = 1_800_000_000
) -> str:
    """A checkpoint over these entries with cosignatures of these witnesses."""
    note = write_checkpoint(entries, key).decode()
    lines = ""
    for number, name in enumerate(names):
        place = folder / name.replace("/", "-")
        place.mkdir(exist_ok=True)
        trust = read_trust(write_trust(log=key))
        found = LogWitness(place, as_identity(name), trust, clock=lambda n=number: at + n)  # type: ignore[misc]
        for record in place.glob("*.note"):
            record.unlink()
        lines += found.add_checkpoint(write_submission(0, [], note)).body.decode()
    return note + lines


def attach(note: str, entries: Sequence[bytes], **changed: Any) -> bytes:
    leaves, size = [hash_leaf(body) for body in entries], len(bodies())
    extension = prove_growth(size, leaves) if len(leaves) > size else []
    fields = {
        "index": size - 1,
        "inclusion": tuple(prove(size - 1, leaves)),
        "extension": tuple(extension),
        "note": note,
    }
    return write_tlog_proof(TlogProof(**(fields | changed)))


def check(proof: bytes | None, listed: WitnessList | None = LISTED, **options: Any) -> Verification:
    members = genuine_members() | ({} if proof is None else {WITNESSED_MEMBER: proof})
    return verify_pack(zip_up(members), options.get("trust", TRUST), None, None, listed)


def test_a_pack_without_witnesses_stays_valid_and_is_named_unwitnessed() -> None:
    found = check(None, None)
    assert (found.exit_code, found.witnesses.result) == (0, "UNWITNESSED")
    asked = check(None)
    assert (asked.exit_code, asked.integrity, asked.authenticity) == (3, "INTEGRITY_VERIFIED", "SIGNER_VERIFIED")
    assert asked.witnesses.detail == "no cosigned checkpoint in this pack: by 0 of 3, quorum 2"


@pytest.mark.parametrize("later", [0, 1, 6])
@pytest.mark.parametrize("n_up", [0, 1, 2, 3])
def test_the_verifier_counts_listed_witnesses(tmp_path: Path, later: int, n_up: int) -> None:
    entries = [*bodies(), *more(later)]
    found = check(attach(cosign(tmp_path, entries, NAMES[:n_up]), entries))
    wanted = ("WITNESSED", 0) if n_up >= 2 else ("UNWITNESSED", 3)
    assert (found.witnesses.result, found.exit_code) == wanted
    assert (found.witnesses.names, found.witnesses.size) == (tuple(NAMES[:n_up]), len(entries))
    assert found.witnesses.detail.startswith(f"by {n_up} of 3, quorum 2")
    # The second cosignature completes the quorum; a third that came later changes nothing about the time.
    assert found.witnesses.at == ("2027-01-15T08:00:01Z" if n_up >= 2 else None)


def test_unlisted_keys_and_repeated_lines_count_for_nothing(tmp_path: Path) -> None:
    entries = list(bodies())
    note = cosign(tmp_path, entries, [NAMES[0], "witness.test/unlisted"])
    line = note.splitlines(keepends=True)[-2]
    assert check(attach(note + line * 2, entries)).witnesses.names == (NAMES[0],)
    # The right name over another key: another key id, so ignored.
    posed = WitnessList(1, (Witness(NAMES[0], as_identity("other").key.public_key, ""),))
    assert check(attach(note, entries), posed).witnesses.result == "UNWITNESSED"
    unread = check(attach(note, entries), None)
    assert (unread.exit_code, unread.witnesses.result) == (0, "WITNESSES_NOT_CHECKED")


def spoil(proof: bytes, old: bytes, new: bytes) -> bytes:
    assert old in proof
    return proof.replace(old, new, 1)


def test_a_fork_a_roll_back_and_a_changed_proof_fail(tmp_path: Path) -> None:
    own = list(bodies())
    grown = [*own, *more(3)]
    good = attach(cosign(tmp_path, grown, NAMES), grown)
    assert check(good).witnesses.result == "WITNESSED"
    forked = [*own[:-1], b"another last entry", *more(3)]
    early = [own[0], b"another second entry", *own[2:], *more(3)]
    shorter = own[:-1]
    base = attach(cosign(tmp_path, own, NAMES), own)
    moved = write_checkpoint(own, LOG).decode().replace(LOG_ID, "assay/elsewhere")
    cases: Mapping[str, tuple[bytes, str]] = {
        "fork": (attach(cosign(tmp_path, forked, NAMES), forked), "two versions of it exist"),
        "early fork": (attach(cosign(tmp_path, early, NAMES), early), "two versions of it exist"),
        "roll-back": (attach(cosign(tmp_path, shorter, NAMES), grown), "covers"),
        "other entry": (attach(cosign(tmp_path, grown, NAMES), grown, index=0), "not of the last entry"),
        "no extension": (attach(cosign(tmp_path, grown, NAMES), grown, extension=()), "does not continue"),
        "extension at the same size": (attach(cosign(tmp_path, own, NAMES), own, extension=(bytes(32),)), "does not continue"),
        "other log": (attach(moved, own), "is of assay/elsewhere"),
        "cosignature": (spoil(base, b"\xe2\x80\x94 " + NAMES[1].encode(), b"\xe2\x80\x94 " + NAMES[0].encode()), ""),
        "header": (spoil(good, b"proof@v1", b"proof@v2"), "not a c2sp.org/tlog-proof@v1 file"),
        "index": (spoil(good, b"index ", b"index 0"), "no index line"),
        "hash": (spoil(good, b"index", b"extra AAAA\nindex"), ""),
        "nothing but a header": (b"c2sp.org/tlog-proof@v1\n\n" + good.split(b"\n\n", 1)[1], "no index line"),
        "no checkpoint": (good.split(b"\n\n", 1)[0] + b"\n", "not a c2sp.org"),
        "short hash": (attach(cosign(tmp_path, own, NAMES), own, inclusion=(bytes(31),)), "not hashes of 32 bytes"),
        "65 hashes": (attach(cosign(tmp_path, own, NAMES), own, inclusion=(bytes(32),) * 65), "not hashes of 32 bytes"),
        "64 hashes": (attach(cosign(tmp_path, own, NAMES), own, inclusion=(bytes(32),) * 64), "two versions of it exist"),
        "bytes": (b"\xff" + good, "not UTF-8"),
        "size": (good + b"x" * 90_000, "not a c2sp.org"),
    }  # fmt: skip
    for name, (proof, why) in cases.items():
        if name == "cosignature":
            # Renamed, the line has the key id of another key and is ignored; the count falls, nothing is hidden.
            assert check(proof).witnesses.names == (NAMES[0], NAMES[2]), name
            continue
        found = check(proof)
        assert (found.witnesses.result, found.exit_code) == ("WITNESSES_FAILED", 4), (name, found.witnesses)
        assert why in found.witnesses.detail, (name, found.witnesses.detail)
        assert found.integrity == "INTEGRITY_VERIFIED", name


def test_every_changed_bit_of_the_cosigned_part_is_noticed(tmp_path: Path) -> None:
    entries = [*bodies(), *more(3)]
    proof = attach(cosign(tmp_path, entries, NAMES[:2]), entries)
    for place in range(0, len(proof), 31):
        changed = bytearray(proof)
        changed[place] ^= 1
        assert check(bytes(changed)).witnesses.result != "WITNESSED", place


def test_the_head_of_the_cosigned_checkpoint_must_be_the_packs(tmp_path: Path) -> None:
    from audit_core.evidence.note import sign_checkpoint
    from audit_core.verifier.note import Checkpoint, read_unsigned

    entries = list(bodies())
    true = read_unsigned(write_checkpoint(entries).decode())
    note = sign_checkpoint(LOG, Checkpoint(true.origin, true.size, true.root, "cd" * 32))  # type: ignore[arg-type]
    assert "another last entry" in check(attach(note, entries)).witnesses.detail


def test_the_logs_own_signature_is_checked_with_the_trust_file(tmp_path: Path) -> None:
    entries = list(bodies())
    late = ToyKey("a later log key")
    proof = attach(cosign(tmp_path, entries, NAMES, key=late), entries)
    found = check(proof)
    assert (found.witnesses.result, found.exit_code) == ("UNWITNESSED", 3)
    assert "none of the log's keys" in found.witnesses.detail
    rotated = write_trust(log=None) + name_log_key(LOG, valid_to="2027-06-01T00:00:00Z") + name_log_key(late)
    assert check(proof, trust=read_trust(rotated)).witnesses.result == "WITNESSED"
    assert check(proof, trust=None).witnesses.result == "WITNESSED"


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], list[WitnessProcess]]]:
    """Three witnesses, each a process with its own key and record, for a log named by a trust file."""
    started: list[WitnessProcess] = []

    def start(trust: bytes) -> list[WitnessProcess]:
        folder = tmp_path_factory.mktemp("witnesses")
        path = folder / "logs.toml"
        path.write_bytes(trust)
        places = [(folder / f"w{n}", name) for n, name in enumerate(NAMES)]
        own = [WitnessProcess(place, make_identity(place, name), path) for place, name in places]
        started.extend(own)
        return own

    yield start
    for one in started:
        one.kill()


def export(home: Path, pack_id: str = "P-1") -> Path:
    """As much of a pack as the log's part is about."""
    with open_database(home) as connection:
        append_event(connection, actor="ada", action=Action.PACK_EXPORTED, object_id=pack_id, payload={"claims": {}})
    with open_database(home) as connection:
        note = make_checkpoint(connection, home).note
    files = {"README.txt": b"A pack.", "log/checkpoint.txt": note.encode()}
    write_pack(home / f"{pack_id}.zip", files | {MANIFEST: make_manifest(files)})
    return home / f"{pack_id}.zip"


def tell(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    code = main(["log", "witness", *map(str, arguments), "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else None


def outcomes(found: Any) -> list[str]:
    return [one["outcome"] for one in found["answers"]]


def test_three_witness_processes_follow_the_log_and_refuse_a_roll_back_and_a_fork(
    own_home: Path,
    tmp_path: Path,
    processes: Callable[[bytes], list[WitnessProcess]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_home.mkdir()
    write_events(own_home, 6)
    with open_database(own_home) as connection:
        log_id = list_events(connection)[0].log_id
    log_key = load_log_key(own_home)
    trust = write_trust(log=None) + name_log_key(log_key).replace(LOG_ID.encode(), log_id.encode())  # type: ignore[arg-type]
    three = processes(trust)
    path = tmp_path / "witnesses.toml"
    listed = tuple(one.wait() for one in three)
    path.write_bytes(write_list(listed, 2))
    pack = export(own_home)
    before = open_pack(pack)

    # All three up, then two of three.
    code, found = tell(capsys, "--witnesses", path, "--pack", pack)
    assert (code, found["is_witnessed"], outcomes(found), found["is_in_pack"]) == (0, True, ["cosigned"] * 3, True)
    after = open_pack(pack)
    assert {name: data for name, data in after.items() if name != WITNESSED_MEMBER} == before
    proof = read_tlog_proof(after[WITNESSED_MEMBER])
    assert (proof.index, [find_cosignature(proof.note, one) is not None for one in listed]) == (7, [True] * 3)
    kept = copy_home(own_home, tmp_path / "old")
    three[2].kill()
    write_events(own_home, 3, start=6)
    code, found = tell(capsys, "--witnesses", path, "--pack", pack)
    assert (code, outcomes(found)) == (0, ["cosigned", "cosigned", "unreachable"])
    later = read_tlog_proof(open_pack(pack)[WITNESSED_MEMBER])
    assert (later.index, found["size"], bool(later.extension)) == (7, 14, True)
    with open_database(own_home) as connection:
        anchored = list_events(connection, action=Action.CHECKPOINT_ANCHORED)
        assert [event.payload["target"] for event in anchored] == [*NAMES, *NAMES[:2]]
        assert verify_log(connection, public_key=log_key.public_key, is_own=True).findings == ()

    # One of three: named unwitnessed, with exit 3 and the reason for each.
    three[1].kill()
    code, found = tell(capsys, "--witnesses", path)
    assert (code, found["is_witnessed"], outcomes(found)) == (3, False, ["cosigned", "unreachable", "unreachable"])
    assert main(["log", "witness", "--witnesses", str(path)]) == 3
    assert "unwitnessed: 1 of 3 cosigned" in capsys.readouterr().out

    # A witness that comes back has kept its record. The log rolled back to the copy is refused, and so is its other future.
    three[1].begin()
    three[1].wait()
    monkeypatch.setenv("AUDIT_HOME", str(kept))
    code, found = tell(capsys, "--witnesses", path)
    assert (code, outcomes(found)) == (3, ["refused", "refused", "unreachable"])
    assert all("rolled back" in one["detail"] for one in found["answers"][:2])
    write_events(kept, 30, start=50)
    code, found = tell(capsys, "--witnesses", path)
    assert (code, outcomes(found)) == (3, ["refused", "refused", "unreachable"])
    assert all("does not extend" in one["detail"] for one in found["answers"][:2])
    with open_database(kept) as connection:
        assert len(list_events(connection, action=Action.CHECKPOINT_REFUSED)) == 4
        assert verify_log(connection, public_key=log_key.public_key, is_own=True).findings == ()

    # The honest log goes on.
    monkeypatch.setenv("AUDIT_HOME", str(own_home))
    assert outcomes(tell(capsys, "--witnesses", path)[1]) == ["cosigned", "cosigned", "unreachable"]


def test_the_joined_file_alone_says_witnessed_unwitnessed_and_failed(tmp_path: Path) -> None:
    entries = list(bodies())
    path, trust, listed = tmp_path / "p.zip", tmp_path / "trust.toml", tmp_path / "witnesses.toml"
    trust.write_bytes(write_trust())
    listed.write_bytes(write_list(LISTED.witnesses, 2))
    assert read_witnesses(listed.read_bytes()).quorum == 2

    def verify(proof: bytes | None) -> tuple[int, str]:
        path.write_bytes(zip_up(genuine_members() | ({} if proof is None else {WITNESSED_MEMBER: proof})))
        command = [sys.executable, "-I", "-S", str(ROOT / "verify_pack.py"), str(path), "--trust", str(trust)]
        done = subprocess.run([*command, "--witnesses", str(listed)], capture_output=True, text=True, timeout=60)
        return done.returncode, next(line for line in done.stdout.splitlines() if line.startswith("witnesses"))

    code, line = verify(attach(cosign(tmp_path, entries, NAMES[:2]), entries))
    assert (code, line.split()[1], "by 2 of 3, quorum 2: witness.test/w1, witness.test/w2" in line) == (
        0,
        "WITNESSED",
        True,
    )
    assert verify(None) == (3, "witnesses      UNWITNESSED (no cosigned checkpoint in this pack: by 0 of 3, quorum 2)")
    forked = [*entries[:-1], b"another"]
    code, line = verify(attach(cosign(tmp_path, forked, NAMES), forked))
    assert (code, line.split()[1]) == (4, "WITNESSES_FAILED")


def test_bad_options_are_refused(own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own_home.mkdir()
    path = tmp_path / "witnesses.toml"
    path.write_bytes(write_list(LISTED.witnesses, 2))
    assert tell(capsys, "--witnesses", path)[0] == 2
    assert tell(capsys, "--witnesses", tmp_path / "none.toml")[0] == 2
    path.write_bytes(b"quorum = 9")
    assert tell(capsys, "--witnesses", path)[0] == 2
    assert tell(capsys, "--witnesses", path, "--timeout", "0")[0] == 2
