"""The witness itself: what it cosigns, what it refuses with which status, and that it remembers."""

from __future__ import annotations

import base64
import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from toy.packs import LOG, LOG_ID, MALLORY, ToyKey, prove_growth, root_of, write_trust
from toy.witnesses import as_identity, as_witness

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.note import sign_checkpoint
from audit_core.verifier.cosignature import (
    BadWitnessList,
    Witness,
    describe_cosigned,
    find_cosignature,
    hash_witness_key,
    read_vkey,
    read_witnesses,
)
from audit_core.verifier.merkle import hash_leaf
from audit_core.verifier.note import BadNote, Checkpoint
from audit_core.verifier.trust import read_trust
from audit_core.verifier.witnessed import TlogProof, read_tlog_proof, write_tlog_proof
from audit_core.witness.asking import Outcome, ask_witness
from audit_core.witness.identity import make_identity, open_identity
from audit_core.witness.serving import WitnessServer
from audit_core.witness.witness import MAX_REQUEST_BYTES, LogWitness, write_submission

NAME = "witness.test/w1"
LEAVES = [hash_leaf(f"event {n}".encode()) for n in range(40)]
FORKED = [hash_leaf(f"{'event' if n < 5 else 'other'} {n}".encode()) for n in range(40)]


def note_of(leaves: list[bytes], size: int, key: ToyKey = LOG, origin: str = LOG_ID) -> str:
    return sign_checkpoint(key, Checkpoint(origin, size, root_of(leaves[:size]), "ab" * 32))


def ask(witness: LogWitness, old: int, size: int, leaves: list[bytes] = LEAVES, **options: ToyKey) -> tuple[int, bytes]:
    proof = prove_growth(old, leaves[:size]) if 0 < old < size else []
    found = witness.add_checkpoint(write_submission(old, proof, note_of(leaves, size, **options)))
    return found.status, found.body


@pytest.fixture
def witness(tmp_path: Path) -> LogWitness:
    return LogWitness(tmp_path, as_identity(NAME), read_trust(write_trust()), clock=lambda: 1_700_000_000.9)


def test_the_bytes_are_those_of_the_specification() -> None:
    """The example of C2SP tlog-cosignature: its key id cannot be computed without the key, its layout and message can."""
    line = "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
    raw = base64.b64decode(line)
    assert (len(raw), int.from_bytes(raw[4:12], "big")) == (76, 1679315147)
    body = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert describe_cosigned(body, 1679315147).decode() == f"cosignature/v1\ntime 1679315147\n{body}"


def test_it_cosigns_with_a_time_and_its_own_key_id(witness: LogWitness) -> None:
    status, body = ask(witness, 0, 8)
    assert status == 200
    name, encoded = body.decode().removeprefix("— ").removesuffix("\n").split(" ")
    raw = base64.b64decode(encoded)
    assert (name, raw[:4], len(raw)) == (NAME, hash_witness_key(NAME, witness.identity.key.public_key), 76)
    note = note_of(LEAVES, 8) + body.decode()
    assert find_cosignature(note, as_witness(witness.identity)) == 1_700_000_000
    assert find_cosignature(note, as_witness(as_identity("witness.test/w2"))) is None
    for place in (4, 12, 60):
        bad = bytearray(raw)
        bad[place] ^= 1
        changed = note_of(LEAVES, 8) + f"— {NAME} {base64.b64encode(bad).decode()}\n"
        with pytest.raises(BadNote, match="cosignature"):
            find_cosignature(changed, as_witness(witness.identity))


def cosign(key: ToyKey, timestamp: int, cut: int = 0) -> str:
    """A line below the note of eight events."""
    text = note_of(LEAVES, 8).rpartition("\n\n")[0] + "\n"
    raw = (
        hash_witness_key(NAME, key.public_key)
        + timestamp.to_bytes(8, "big")
        + key.sign(describe_cosigned(text, timestamp))
    )
    return f"— {NAME} {base64.b64encode(raw[: len(raw) - cut]).decode()}\n"


def test_the_earliest_of_its_cosignatures_counts_and_one_of_another_size_or_time_is_none() -> None:
    key, listed = as_identity(NAME).key, as_witness(as_identity(NAME))
    last = 253_402_300_799
    for times in ((100, 200), (200, 100), (last, 100)):
        assert find_cosignature(note_of(LEAVES, 8) + "".join(cosign(key, at) for at in times), listed) == 100
    assert find_cosignature(note_of(LEAVES, 8) + cosign(key, last), listed) == last
    for line in (cosign(key, 100, cut=1), cosign(key, last + 1)):
        with pytest.raises(BadNote, match="wrong size, or with an impossible time"):
            find_cosignature(note_of(LEAVES, 8) + line, listed)


def test_a_proof_is_read_as_it_was_written_and_what_is_no_list_of_hashes_is_refused() -> None:
    one, many = b"a" * 32, tuple(bytes([n]) * 32 for n in range(64))
    for extension in ((), (one,), (one, b"b" * 32), many):
        proof = TlogProof(3, many, extension, "note\n")
        assert read_tlog_proof(write_tlog_proof(proof)) == proof
    for extension in ((one[1:],), (*many, one)):
        with pytest.raises(BadNote, match="not a consistency proof"):
            read_tlog_proof(write_tlog_proof(TlogProof(3, (), extension, "note\n")))
    for inclusion in ((one, one[1:]), (*many, one)):
        with pytest.raises(BadNote, match="hashes of 32 bytes"):
            read_tlog_proof(write_tlog_proof(TlogProof(3, inclusion, (), "note\n")))


@pytest.mark.parametrize(("old", "size"), [(8, 8), (8, 9), (8, 40), (8, 16)])
def test_it_follows_a_log_that_grows(witness: LogWitness, old: int, size: int) -> None:
    assert ask(witness, 0, 8)[0] == 200
    assert ask(witness, old, size)[0] == 200
    assert ask(witness, 0, size)[1] == f"{size}\n".encode()


def test_a_roll_back_is_a_conflict_that_names_the_size(witness: LogWitness) -> None:
    ask(witness, 0, 20)
    assert ask(witness, 0, 8) == (409, b"20\n")
    assert ask(witness, 8, 8) == (409, b"20\n")
    assert ask(witness, 20, 8)[0] == 400
    answered = witness.add_checkpoint(write_submission(0, [], note_of(LEAVES, 8)))
    assert answered.content_type == "text/x.tlog.size"
    assert ask(witness, 20, 21)[0] == 200


def test_a_fork_is_refused_at_the_same_size_and_beyond(witness: LogWitness) -> None:
    ask(witness, 0, 20)
    assert ask(witness, 20, 20, FORKED) == (409, b"20\n")
    assert ask(witness, 20, 30, FORKED)[0] == 422
    honest = prove_growth(20, LEAVES[:30])
    assert witness.add_checkpoint(write_submission(20, honest, note_of(FORKED, 30))).status == 422
    assert witness.add_checkpoint(write_submission(20, honest[:-1], note_of(LEAVES, 30))).status == 422
    assert witness.add_checkpoint(write_submission(20, [], note_of(LEAVES, 30))).status == 422
    assert ask(witness, 20, 30)[0] == 200


def test_what_is_not_of_a_known_log_is_refused(witness: LogWitness) -> None:
    note = note_of(LEAVES, 8, origin="assay/other")
    assert witness.add_checkpoint(write_submission(0, [], note)).status == 404
    assert ask(witness, 0, 8, key=MALLORY)[0] == 403
    spoiled = note_of(LEAVES, 8).replace("\n8\n", "\n9\n")
    assert witness.add_checkpoint(write_submission(0, [], spoiled)).status == 403
    good = write_submission(0, [], note_of(LEAVES, 8))
    for body in (
        b"", b"\xff", good.replace(b"old 0", b"old 00"), good.replace(b"old 0", b"old -1"), good.replace(b"old 0\n", b"old 0\nabc\n"),
        good.replace(b"old 0\n", b"old 0\n" + b"A" * 43 + b"=\n" * 64), good + b"x" * MAX_REQUEST_BYTES,
    ):  # fmt: skip
        assert witness.add_checkpoint(body).status == 400, body[:40]
    assert witness.add_checkpoint(write_submission(0, [bytes(32)], note_of(LEAVES, 8))).status == 422
    assert list(witness.folder.glob("*.note")) == []


def test_its_record_outlives_the_process_and_a_damaged_record_cosigns_nothing(witness: LogWitness) -> None:
    ask(witness, 0, 20)

    def again() -> LogWitness:
        return LogWitness(witness.folder, witness.identity, witness.trust)

    assert ask(again(), 0, 8) == (409, b"20\n")
    (record,) = witness.folder.glob("*.note")
    kept = record.read_text()
    for damaged in (kept.replace("\n20\n", "\n2\n"), kept[: len(kept) // 2], note_of(LEAVES, 2), ""):
        record.write_text(damaged)
        with pytest.raises(IntegrityError, match="record"):
            again()
    record.write_text(kept)
    assert ask(again(), 20, 21)[0] == 200


def test_two_requests_at_once_do_not_roll_it_back(witness: LogWitness) -> None:
    ask(witness, 0, 8)
    bodies = [write_submission(8, prove_growth(8, LEAVES[:size]), note_of(LEAVES, size)) for size in range(9, 21)]
    found: list[int] = []
    threads = [threading.Thread(target=lambda b=b: found.append(witness.add_checkpoint(b).status)) for b in bodies]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200, *[409] * 11]


def test_name_key_and_record_belong_together(tmp_path: Path) -> None:
    made = make_identity(tmp_path / "w", NAME)
    assert open_identity(tmp_path / "w").vkey == made.vkey
    assert read_vkey(made.vkey) == (NAME, made.key.public_key)
    with pytest.raises(Refused, match="exists already"):
        make_identity(tmp_path / "w", NAME)
    with pytest.raises(Refused, match="holds no witness"):
        open_identity(tmp_path)
    other = make_identity(tmp_path / "other", "witness.test/w2")
    (tmp_path / "w" / "keys" / "witness.pem").write_bytes((tmp_path / "other" / "keys" / "witness.pem").read_bytes())
    with pytest.raises(IntegrityError, match="do not belong together"):
        open_identity(tmp_path / "w")
    assert other.name == "witness.test/w2"
    for name in ("", "a b", "a+b", "ä", "x" * 201):
        with pytest.raises(Refused, match="as a witness's name"):
            make_identity(tmp_path / "new", name)


def list_text(keys: list[str], quorum: str = "1", more: str = "") -> bytes:
    rows = "".join(f'[[witnesses]]\nkey = "{key}"\n{more}\n' for key in keys)
    return f'schema = "assay/witnesses/1"\nquorum = {quorum}\n{rows}'.encode()


def test_a_witness_list_is_read_strictly() -> None:
    one, two = (as_witness(as_identity(f"witness.test/w{n}")).vkey for n in (1, 2))
    assert read_witnesses(list_text([one, two], "2")).quorum == 2
    same_key = Witness("witness.test/again", as_identity("witness.test/w1").key.public_key, "").vkey
    name, keyid, material = one.split("+", 2)
    for data, why in (
        (list_text([one], "2"), "quorum"), (list_text([one], "0"), "quorum"), (list_text([one], "true"), "quorum"),
        (list_text([one], '"1"'), "quorum"), (list_text([]), "wanted schema"), (list_text([one, one]), "listed twice"),
        (list_text([one, same_key]), "listed twice"), (list_text([one], more="role = 1"), "no other"),
        (list_text([one], more="url = 1"), "text in quotes"), (list_text([f"{name}+00000000+{material}"]), "does not match its id"),
        (list_text([f"other+{keyid}+{material}"]), "does not match its id"), (list_text(["x"]), "not a key"),
        (list_text([one.replace("+BF", "+AF") if "+BF" in one else f"{name}+{keyid}+AAAA"]), "not an Ed25519 key"),
        (b"\xff", "not TOML"), (b"quorum = 1", "wanted schema"), (b" " * 70_000, "larger than"),
        (list_text([one] * 33), "1 to 32"),
    ):  # fmt: skip
        with pytest.raises(BadWitnessList, match=why):
            read_witnesses(data)


@pytest.fixture
def server(witness: LogWitness) -> Iterator[WitnessServer]:
    with WitnessServer(witness) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def post(server: WitnessServer, path: str, body: bytes, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port or 0, timeout=5)
    connection.request("POST", path, body=body, headers=headers)
    return connection.getresponse().status


def test_over_http_requests_are_bounded(server: WitnessServer) -> None:
    good = write_submission(0, [], note_of(LEAVES, 8))
    assert post(server, "/other", good) == 404
    assert post(server, "/add-checkpoint", b"", **{"Content-Length": str(MAX_REQUEST_BYTES + 1)}) == 413
    assert post(server, "/add-checkpoint", b"", **{"Content-Length": "-1"}) == 413
    assert post(server, "/add-checkpoint", good) == 200


def test_the_client_takes_over_the_size_once_and_names_each_refusal(server: WitnessServer) -> None:
    own = as_witness(server.witness.identity, server.url)

    def send(size: int, leaves: list[bytes] = LEAVES, last: int = 0, key: ToyKey = LOG) -> tuple[str, str]:
        note = note_of(leaves, size, key)
        found = ask_witness(own, note, lambda old: prove_growth(old, leaves[:size]), last_size=last)
        return found.outcome, found.detail

    assert send(10)[0] == Outcome.COSIGNED
    assert send(20)[0] == Outcome.COSIGNED
    assert send(20, last=7)[0] == Outcome.COSIGNED
    assert "rolled back" in send(8)[1]
    assert "two versions of the log exist" in send(20, FORKED)[1]
    assert "does not extend" in send(30, FORKED)[1]
    assert "knows no key" in send(30, key=MALLORY)[1]
    assert send(30, last=20)[0] == Outcome.COSIGNED
    # The same witness under a key that the reader did not list counts as no answer.
    other = Witness(own.name, as_identity("x").key.public_key, own.url)
    assert ask_witness(other, note_of(LEAVES, 30), lambda old: [], last_size=30).outcome == Outcome.BAD_ANSWER
    unreachable = Witness(own.name, own.public_key, "http://127.0.0.1:1")
    assert ask_witness(unreachable, note_of(LEAVES, 30), lambda old: [], timeout=1).outcome == Outcome.UNREACHABLE
