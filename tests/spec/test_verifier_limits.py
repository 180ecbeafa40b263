"""The verifier's limits at their last allowed value, its command called in this process, and what it does without an output."""

from __future__ import annotations

import base64
import errno
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from toy.answers import tell_answer
from toy.disclosed import disclosed_files, make_openings
from toy.findings import tell_finding
from toy.packs import (
    ANNA,
    BEN,
    CLEO,
    MALLORY,
    approve,
    build_files,
    check,
    edit,
    genuine_members,
    seal,
    tell_story,
    write_trust,
    zip_up,
)

from audit_core.models.identity import ModelIdentity
from audit_core.verifier import (
    command,
    container,
    cosignature,
    documents,
    manifest,
    note,
    statement,
    streams,
    strict_json,
    trust,
)
from audit_core.verifier.answers import compute_model_digest
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.facts import _find_deviations
from audit_core.verifier.findings import check_findings
from audit_core.verifier.schema import find_violation
from audit_core.verifier.schema_words import TEXT, list_of, record
from audit_core.verifier.schemas_signed import STATEMENT_TYPE, _describe_statement
from audit_core.verifier.semantics import check_semantics, recompute_verdict
from audit_core.verifier.strict_toml import MAX_TOML_BYTES, MAX_TOML_DOTS, load_toml
from audit_core.verifier.walk import verify_pack

MEMBERS = genuine_members()
CHECKPOINT = MEMBERS["log/checkpoint.txt"].decode()
PLAIN = {name: data for name, data in MEMBERS.items() if not name.startswith(("attestations/", "MANIFEST"))}
DOCUMENTS = [data for name, data in PLAIN.items() if name.endswith((".json", ".jsonl"))]
LINES = sum(data.count(b"\n") for name, data in PLAIN.items() if name.endswith(".jsonl"))
VALUES = LINES + sum(1 + sum(data.count(sign) for sign in (b",", b"[", b"{")) for data in DOCUMENTS)
LONGEST = max(map(len, PLAIN["log/entries.jsonl"].splitlines()))
VKEY = cosignature.Witness("toy.example/witness", ANNA.public_key, "").vkey
WITNESSES = (
    f'schema = "assay/witnesses/1"\nquorum = 1\n[[witnesses]]\nkey = "{VKEY}"\nurl = "http://127.0.0.1:1"\n'.encode()
)
ENVELOPE = MEMBERS[statement.PACK_ENVELOPE]
ZIPPED = zip_up(MEMBERS)


def read_pack_envelope() -> object:
    return statement.read_statements(MEMBERS, manifest.check_manifest(MEMBERS))


@pytest.mark.parametrize(
    ("module", "limit", "largest", "read", "said"),
    [
        (strict_json, "MAX_JSON_BYTES", 4, lambda: strict_json.load_strict(b"1234"), "bytes of JSON"),
        (strict_json, "MAX_JSON_DIGITS", 4, lambda: strict_json.load_strict(b"1234"), "a number of 4 digits"),
        (strict_json, "MAX_JSON_DIGITS", 4, lambda: strict_json.load_strict(b"1.25"), "a number of 4 digits"),
        (strict_json, "MAX_JSON_VALUES", 3, lambda: strict_json.load_strict(b"[1,2]"), "values in one document"),
        (strict_json, "MAX_JSON_VALUES", 3, lambda: strict_json.load_strict(b'{"a":1,"b":2}'), "values in one document"),
        (documents, "MAX_LINES", LINES, lambda: documents.read_documents(PLAIN), "lines of JSON"),
        (documents, "MAX_JSON_VALUES", VALUES, lambda: documents.read_documents(PLAIN), "values in all documents"),
        (documents, "MAX_ALL_DOCUMENTS_BYTES", sum(map(len, DOCUMENTS)), lambda: documents.read_documents(PLAIN), "bytes of documents"),
        (documents, "MAX_DOCUMENT_BYTES", max(map(len, DOCUMENTS)), lambda: documents.read_documents(PLAIN), "is larger than"),
        (documents, "MAX_LINE_BYTES", LONGEST, lambda: documents.read_documents(PLAIN), "of log/entries.jsonl is larger than"),
        (documents, "MAX_POLICY_BYTES", len(MEMBERS["policy/policy.toml"]), lambda: documents.read_documents(PLAIN), "is larger than"),
        (note, "MAX_NOTE_BYTES", len(CHECKPOINT), lambda: note.split_note(CHECKPOINT), "too long"),
        (note, "_MAX_SIGNATURES", 1, lambda: note.split_note(CHECKPOINT), "more than 0 signatures"),
        (trust, "MAX_TRUST_BYTES", len(write_trust()), lambda: trust.read_trust(write_trust()), "larger than"),
        (manifest, "MAX_MANIFEST_BYTES", len(MEMBERS["MANIFEST.sha256"]), lambda: manifest.check_manifest(MEMBERS), "is larger than"),
        (statement, "MAX_ENVELOPE_BYTES", len(ENVELOPE), read_pack_envelope, "is larger than"),
        (cosignature, "MAX_WITNESSES_BYTES", len(WITNESSES), lambda: cosignature.read_witnesses(WITNESSES), "larger than"),
        (statement, "MAX_APPROVALS", 0, read_pack_envelope, "0 approvals; at most -1"),
        (cosignature, "MAX_WITNESSES", 1, lambda: cosignature.read_witnesses(WITNESSES), "1 to 0"),
        (container, "MAX_PACK_BYTES", len(ZIPPED), lambda: container.read_members(ZIPPED), "the file is larger than"),
        (container, "MAX_TOTAL_BYTES", sum(map(len, MEMBERS.values())), lambda: container.read_members(ZIPPED), "bytes unpacked; at most"),
        (container, "MAX_MEMBERS", len(MEMBERS), lambda: container.read_members(ZIPPED), "members or zip64; at most"),
        (container, "MAX_NAME_BYTES", max(map(len, MEMBERS)), lambda: container.read_members(ZIPPED), "unsafe member name"),
    ],
)  # fmt: skip
def test_the_largest_size_is_read_and_one_more_is_not(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    limit: str,
    largest: int,
    read: Callable[[], object],
    said: str,
) -> None:
    monkeypatch.setattr(module, limit, largest)
    assert read() is not None
    monkeypatch.setattr(module, limit, largest - 1)
    with pytest.raises(ValueError, match=said):
        read()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('schema = "assay/witnesses/2"\nwitnesses = []', "wanted schema"), ('schema = "assay/witnesses/1"\nwitnesses = []', "1 to 32"),
        ('schema = "assay/witnesses/1"\nwitnesses = 5', "1 to 32"), ('schema = "assay/witnesses/1"\nwitnesses = [["key"]]', "no other"),
    ],
)  # fmt: skip
def test_a_witness_list_is_a_list_of_tables(rows: str, said: str) -> None:
    assert cosignature.read_witnesses(WITNESSES).quorum == 1
    with pytest.raises(cosignature.BadWitnessList, match=said):
        cosignature.read_witnesses(f"quorum = 1\n{rows}".encode())


def test_the_member_with_most_lines_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_LINES", 5)
    with pytest.raises(BadPack, match="most of them in log/entries"):
        documents.read_documents(PLAIN)


def test_a_large_file_of_toml_is_not_parsed() -> None:
    assert load_toml(b"a = 1\n" + b"#" * (MAX_TOML_BYTES - 6)) == {"a": 1}
    dots = b"." * MAX_TOML_DOTS
    assert load_toml(b"b = 2\n# " + dots + b"\n# " + dots) == {"b": 2}
    with pytest.raises(ValueError, match="more than 32 dots"):
        load_toml(b"b = 2\n# " + dots + b".")
    with pytest.raises(ValueError, match="bytes of TOML"):
        load_toml(b"a = 1\n" + b"#" * (MAX_TOML_BYTES - 5))


def test_of_a_large_file_no_more_is_read_than_shows_that_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 20)
    monkeypatch.setattr(container, "MAX_PACK_BYTES", 10)
    assert container.read_pack(path) == b"x" * 11
    assert command._read(path, 10) == b"x" * 11


SIGNED = CHECKPOINT.split("\n\n")[1]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (SIGNED, "no signatures below a blank line"), (CHECKPOINT[:-1], "no signatures below a blank line"),
        (CHECKPOINT[:-1] + "x", "no signatures below a blank line"), (CHECKPOINT.replace("\n\n", "\n"), "no signatures below a blank line"),
        (CHECKPOINT.replace("assay/", "assay\t"), "control characters"), (CHECKPOINT.replace("\n\n", "\n\n\n"), "not origin, size, root and head"),
        ("\n" + CHECKPOINT.split("\n", 1)[1], "not origin, size, root and head"), (f"x\n{CHECKPOINT}", "not origin, size, root and head"),
        (CHECKPOINT.replace("\n14\n", "\n014\n"), "not origin, size, root and head"),
    ],
)  # fmt: skip
def test_a_note_of_another_form_is_none(bad: str, said: str) -> None:
    assert note.read_unsigned(CHECKPOINT).size == 14
    with pytest.raises(note.BadNote, match=said):
        note.read_unsigned(bad)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_statement_is_about_one_manifest(n: int) -> None:
    subject = {"name": "MANIFEST.sha256", "digest": {"sha256": "0" * 64}}
    said = {"_type": STATEMENT_TYPE, "subject": [subject] * n, "predicateType": "t", "predicate": "p"}
    assert (find_violation(said, _describe_statement("t", TEXT)) is None) is (n == 1)


def test_a_signature_counts_from_the_second_in_which_its_key_is_valid() -> None:
    for valid_from, code in (("2026-11-21T12:00:00Z", 0), ("2026-11-21T12:00:01Z", 4)):
        assert check(MEMBERS, write_trust().replace(b"2026-01-01T00:00:00Z", valid_from.encode())).exit_code == code


def test_an_annotation_ends_no_schema_and_every_key_is_compared() -> None:
    assert find_violation(5, {"$id": "x", "title": "y", "type": "string"}) is not None
    assert find_violation({"a": 1, "b": 2}, {"const": {"a": 1, "b": 2}}) is None
    assert find_violation({"a": 1, "b": 3}, {"const": {"a": 1, "b": 2}}) is not None
    assert find_violation([1, 3], {"const": [1, 2]}) is not None
    assert str(find_violation(5, {"type": "string"})).startswith("the document is 5")


def test_building_blocks_of_schemas() -> None:
    assert record({"a": TEXT}, {"b": TEXT}) == {
        "type": "object", "required": ["a"], "properties": {"a": TEXT, "b": TEXT}, "additionalProperties": False,
    }  # fmt: skip
    assert record({"a": TEXT})["properties"] == {"a": TEXT}
    assert list_of(TEXT) == {"type": "array", "items": TEXT}
    assert list_of(TEXT, least=1, most=0) == {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 0}


def tell_beginning(**changes: Any) -> BadPack | None:
    """A pack with a finding, and a log that begins with an event of another one."""
    story = tell_story()
    tell_finding(story)
    story.events[0] = ("finding.recorded", "F-0009", {"claims": ["C-0009"]}, True)
    read = documents.read_documents(build_files(story))
    first = dict(read.entries[0]) | changes
    parsed = {**read.parsed, "log/entries.jsonl": [first, *read.entries[1:]]}
    try:
        check_findings(documents.Documents(parsed, read.policy, read.lines))
    except BadPack as error:
        return error
    return None


def test_only_the_first_entry_may_be_about_a_finding_of_no_claim_of_the_pack() -> None:
    assert tell_beginning() is None
    for changes in (
        {"seq": 1}, {"payload": {"claims": ["C-0001"]}}, {"payload": {"claims": ["C-0009", "C-0002"]}}, {"payload": {"claims": "C-0009"}},
        {"payload": {}},
    ):  # fmt: skip
        assert "shows finding 'F-0009'" in str(tell_beginning(**changes)), changes


# The command, in this process: what it writes, and the exit code.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pack.zip").write_bytes(zip_up(MEMBERS))
    (tmp_path / "hidden.zip").write_bytes(zip_up(seal(disclosed_files(1))))
    (tmp_path / "false.zip").write_bytes(
        zip_up(edit("verdict/verdict.json", lambda one: one.update(overall="INCONCLUSIVE")))
    )
    (tmp_path / "none.zip").write_bytes(b"nothing")
    (tmp_path / "trust.toml").write_bytes(write_trust())
    expired = write_trust(more={ANNA: 'valid_to = "2026-02-01T00:00:00Z"'})
    (tmp_path / "expired.toml").write_bytes(expired)
    (tmp_path / "saved.txt").write_text(CHECKPOINT)
    (tmp_path / "openings.json").write_bytes(encode_canonical(make_openings(1)))
    wrong = make_openings(1)
    wrong["items"][0]["salt"] = "00" * 16
    (tmp_path / "wrong.json").write_bytes(encode_canonical(wrong))
    (tmp_path / "bad").write_text("x = 1")
    return tmp_path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(folder)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = command.run_verifier(arguments)
        return (code, *capsys.readouterr())

    return call


TRUST = ("--trust", "trust.toml")


@pytest.mark.parametrize(
    ("arguments", "code", "lines"),
    [
        (("pack.zip", *TRUST), 0, ["authenticity   SIGNER_VERIFIED", "time           UNANCHORED", "exit 0: integrity and signer verified"]),
        (("pack.zip", *TRUST, "--checkpoint", "saved.txt"), 0, ["time           ANCHORED", "1 container    PASSED", "8 time         NOT_CHECKED"]),
        (("pack.zip",), 3, ["pack           01JD5ZK3M8Q4V7W9X2Y6T0R1SN", "exit 3: not decided"]),
        (("false.zip", *TRUST), 4, ["integrity      INTEGRITY_FAILED", "exit 4: integrity or authenticity failed"]),
        (("false.zip",), 4, ["integrity      INTEGRITY_FAILED", "exit 4: integrity or authenticity failed"]),
        (("none.zip", *TRUST), 4, ["pack           unknown", "exit 4: integrity or authenticity failed"]),
        (("hidden.zip", *TRUST), 0, ["prompts        PROMPTS_NOT_CHECKED", "exit 0: "]),
        (("hidden.zip", *TRUST, "--openings", "openings.json"), 0, ["prompts        PROMPTS_MATCH", "exit 0: "]),
        (("hidden.zip", "--trust", "expired.toml", "--openings", "wrong.json"), 4, ["prompts        PROMPTS_FAILED", "exit 4: integrity or"]),
        (("hidden.zip", *TRUST, "--openings", "wrong.json"), 4, ["prompts        PROMPTS_FAILED", "exit 4: the openings do not match this pack"]),
    ],
)  # fmt: skip
def test_lines_and_exit_code_of_the_command(run: Run, arguments: tuple[str, ...], code: int, lines: list[str]) -> None:
    found, out, err = run(*arguments)
    assert (found, err) == (code, "")
    assert not [line for line in lines if f"\n{line}" not in f"\n{out}"], out


def test_json_of_the_command(run: Run) -> None:
    code, out, _ = run("hidden.zip", *TRUST, "--json")
    found = json.loads(out)
    assert out.startswith('{\n "')
    assert out.endswith("\n}\n")
    assert (code, found["exit_code"], found["integrity"]) == (0, 0, "INTEGRITY_VERIFIED")
    assert [row["step"] for row in found["steps"]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found["prompts"]["result"] == "PROMPTS_NOT_CHECKED"


@pytest.mark.parametrize("option", ["--trust", "--checkpoint", "--openings", "--witnesses"])
def test_a_file_of_another_kind_is_wrong_usage(run: Run, option: str) -> None:
    for name in ("bad", "missing", "."):
        code, out, err = run("pack.zip", option, name)
        assert (code, out) == (2, ""), name
        assert "Wanted: " in err
        assert "What to do: " in err


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("pack.zip", "--no-such-option"), ("pack.zip", "--trust")])
def test_a_call_of_another_form_is_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as end:
        run(*arguments)
    assert end.value.code == 2
    code, out, err = run("missing.zip")
    assert (code, out, "missing.zip: No such file" in err) == (2, "", True)


class Broken(io.StringIO):
    """A stream on a full disk, or whose reader has gone."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise self.error


def test_a_result_that_cannot_be_written_is_no_result(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    for arguments in (("pack.zip", *TRUST), ("--help",)):
        monkeypatch.setattr(sys, "stdout", Broken(OSError(errno.ENOSPC, "No space left on device")))
        assert command.run_verifier(arguments) == 2
        assert sys.stdout is None, "else the exit would fail again"
    monkeypatch.setattr(sys, "stdout", None)
    assert command.run_verifier(("pack.zip",)) == 2
    said = written.getvalue()
    assert "could not be written to standard output: No space left on device." in said
    assert "Standard output: No space left on device." in said
    assert "Standard output is closed." in said
    assert said.count("What to do: ") == 2


def test_a_reader_that_has_gone_is_no_error_and_help_ends_the_command(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(BrokenPipeError()))
    streams.write_result("x")
    assert sys.stdout is None
    streams.write_result("nothing is written without an output")
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(SystemExit) as end:
        command.run_verifier(("--help",))
    assert end.value.code == 0
    assert "--openings" in out.getvalue()
    assert "--json" in out.getvalue()
    assert streams.flush_output()


def test_a_result_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="utf-8"))
    streams.write_result("a line\n")
    assert buffer.getvalue() == b"a line\n"


def test_a_letter_that_an_output_lacks_is_numbered_and_a_lost_message_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", Broken(OSError(errno.ENOSPC, "No space left on device")))
    assert streams.prepare_streams()
    streams.write_result("\u6a21\n")
    assert buffer.getvalue() == b"\\u6a21\n"
    streams.write_message("x")
    assert sys.stderr is None, "else the exit would fail"


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "utf_8", "utf-8-sig", "cp65001", None])
def test_utf_8_has_many_names(name: str | None) -> None:
    assert streams.is_utf8(name)
    assert not any(streams.is_utf8(other) for other in ("ascii", "cp1252", "utf-16", "latin-1"))


def test_the_digest_of_a_model_is_twelve_digits_over_what_determines_its_numbers() -> None:
    """By sha256sum, of `["7777", null, "9999", "float32", "eager"]`."""
    identity = {
        "weights_sha256": "7777",
        "config_sha256": "9999",
        "dtype": "float32",
        "attention": "eager",
        "model": "toy",
    }
    assert compute_model_digest(identity) == "dd78bf181dde"


@pytest.mark.parametrize("more", [{}, {"dictionary_sha256": "d" * 64}, {"device": "cuda", "device_name": "A GPU 80GB"}])
def test_a_model_digest_is_that_of_the_product(more: dict[str, str]) -> None:
    """With a dictionary, or on another device, it has more parts."""
    known = ModelIdentity("m", "", "1" * 64, "2" * 64, "3" * 64, "float32", "eager", "none", "MIT", **more)
    assert compute_model_digest(known.to_json()) == known.short


def test_claims_that_have_no_verdict_are_named() -> None:
    read = documents.read_documents(PLAIN)
    assert recompute_verdict(read)["overall"] == "MEETS"
    twice = {**read.parsed, "claims/claims.json": [read.claims[0], read.claims[0]]}
    with pytest.raises(BadPack, match="the verdict cannot be computed: every claim has a unique id"):
        recompute_verdict(documents.Documents(twice, read.policy, read.lines))


def test_a_key_of_a_witness_that_is_none_is_named() -> None:
    name, key_id, material = VKEY.split("+", 2)
    assert cosignature.read_vkey(VKEY) == (name, ANNA.public_key)
    other = base64.b64encode(b"\1" + ANNA.public_key).decode()
    for bad, said in (
        (material[:-1], "not base64"), (other, "is not an Ed25519 key"), (material[:-4], "is not an Ed25519 key"), (material, "its id"),
    ):  # fmt: skip
        with pytest.raises(cosignature.BadWitnessList, match=rf"the key of {name}.*{said}"):
            cosignature.read_vkey(f"{name}+{'0' * 8 if bad is material else key_id}+{bad}")


def test_decisions_by_keys_that_count_are_counted() -> None:
    members = approve(approve(approve(MEMBERS, BEN, "reviewer"), CLEO, "approver"), MALLORY, "reviewer")
    assert check(members).decisions.detail.startswith("3 in this pack, 2 by keys that count")
    assert verify_pack(zip_up(members)).decisions.detail.startswith("3 in this pack; no signature was checked")


def test_a_change_before_results_could_be_seen_affects_no_claim() -> None:
    row = {"id": "D-1", "field": "delta", "effect_on_claims": ["C-0001"]}
    for access, found in (
        ("nothing_run", {}),
        ("results_seen", {"deviation": {"result": "INCONCLUSIVE", "reason": "D-1 changed delta"}}),
    ):
        assert _find_deviations([row | {"prior_access": access}], "C-0001") == found
        assert _find_deviations([row | {"prior_access": access}], "C-0002") == {}


@pytest.mark.parametrize("name", ["prompts", "findings", "answers"])
def test_every_part_is_checked_with_the_others(name: str) -> None:
    story = tell_story()
    tell_finding(story)
    tell_answer(story)
    genuine = build_files(story)
    check_semantics(documents.read_documents(genuine), genuine, None)
    story.documents["pack.json"]["withheld_count"] = 1 if name == "prompts" else 0
    if name != "prompts":
        story.events[-1][2].pop(name)
    changed = build_files(story)
    with pytest.raises(BadPack, match="withheld items|was logged with"):
        check_semantics(documents.read_documents(changed), changed, None)
