"""A pack or document that would hold its reader for minutes is refused by what its bytes count, before anything is parsed."""

import json

import pytest
from toy.packs import check, genuine_members, name_failure, seal

from audit_core.verifier import documents, strict_json
from audit_core.verifier.container import BadPack
from audit_core.verifier.documents import MAX_LINES, read_documents
from audit_core.verifier.manifest import MAX_MANIFEST_BYTES, check_manifest
from audit_core.verifier.strict_json import MAX_JSON_DEPTH, MAX_JSON_VALUES, NotStrictJson, count_values, load_strict

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("runs/{run}/items.jsonl", b"{}\n" * MILLION),
        ("log/entries.jsonl", b"1\n" * MILLION),
        ("prereg/deviations.jsonl", b"\n" * MILLION),
        ("prompts/0123456789abcdef/items.jsonl", b'""\n' * MILLION),
        ("claims/notes.jsonl", b"[]\n" * (MAX_LINES + 1)),
        ("claims/claims.json", b"[" + b"0," * MILLION + b"0]"),
        ("report/wide.json", b"[" + b"[]," * MILLION + b"0]"),
        ("environment/wide.json", b'{"":{' + b'"a":0,' * MILLION + b'"b":0}}'),
    ],
)
def test_a_million_tiny_parts_in_any_member_are_refused_unparsed(
    monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    members = genuine_members()
    name = name.format(run=json.loads(members["pack.json"])["run_ids"][0])

    def refuse(data: bytes) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(documents, "load_strict", refuse)
    with pytest.raises(BadPack, match="lines of JSON|values in all"):
        read_documents(members | {name: content})


def test_many_members_that_are_small_one_by_one_are_counted_together() -> None:
    members = genuine_members()
    many = {f"report/{number}.jsonl": b"0\n" * 1_000 for number in range(MAX_LINES // 1_000)}
    with pytest.raises(BadPack, match="lines of JSON"):
        read_documents(members | many)
    wide = {f"report/{number}.json": b"[" + b"0," * 99_999 + b"0]" for number in range(5)}
    with pytest.raises(BadPack, match="values in all"):
        read_documents(members | wide)


def test_a_whole_pack_with_too_many_lines_fails_its_step() -> None:
    found = check(seal(genuine_members() | {"claims/notes.jsonl": b"{}\n" * (MAX_LINES + 1)}))
    assert found.exit_code == 4
    assert name_failure(found).startswith("schema: ")
    assert "lines of JSON" in name_failure(found)


def test_a_manifest_longer_than_one_of_every_member_is_refused_before_it_is_split() -> None:
    with pytest.raises(BadPack, match="larger than"):
        check_manifest({"MANIFEST.sha256": b"\n" * (MAX_MANIFEST_BYTES + 1)})


def test_as_many_values_as_allowed_are_read_and_one_more_is_not() -> None:
    wide = b"[" + b"0," * (MAX_JSON_VALUES - 3) + b"0]"
    assert count_values(wide) == MAX_JSON_VALUES - 1
    assert len(load_strict(wide)) == MAX_JSON_VALUES - 2
    with pytest.raises(NotStrictJson, match="values in one document"):
        load_strict(b"[" + b"0," * MAX_JSON_VALUES + b"0]")


@pytest.mark.parametrize(
    "text",
    ['"' + "[{" * 100 + '"', '["' + '\\"[{' * 100 + '"]', '["\\\\",' + '"[[[",' * 100 + "0]", '["' + "é[" * 100 + '"]'],
)
def test_brackets_within_texts_are_no_depth(text: str) -> None:
    assert load_strict(text.encode()) == json.loads(text)


@pytest.mark.parametrize("start", ["", '"\\"",', '"\\\\",', '"[","{",'])
def test_one_level_too_many_is_refused_whatever_is_before_it(start: str) -> None:
    deep = "[" * (MAX_JSON_DEPTH - 1) + "]" * (MAX_JSON_DEPTH - 1)
    assert load_strict(f"[{start}{deep}]".encode())
    with pytest.raises(NotStrictJson, match="deep"):
        load_strict(f"[{start}[{deep}]]".encode())


def test_a_text_without_an_end_is_refused_and_not_searched_again_and_again() -> None:
    for text in ('["' + "\\" * 200_001, '"' * 200_001 + "[" * 65, "[" * 65 + '\\"' * 100_000):
        with pytest.raises(NotStrictJson):
            load_strict(text.encode())


def test_unpaired_surrogates_are_found_wherever_an_escape_can_bring_one_in() -> None:
    for text in ('"\\ud800"', '["a",{"\\uDFFF":1}]', '{"a":"\\ude00\\ud83d"}'):
        with pytest.raises(NotStrictJson):
            load_strict(text.encode())
    assert load_strict(b'"\\ud83d\\ude00"') == "😀"
    assert strict_json.load_strict('"😀"'.encode()) == "😀"
