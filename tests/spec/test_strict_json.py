"""Bytes that two readers could read differently are refused; what remains reads as Python's own reader reads it."""

import json
import unicodedata

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit_core.errors import Refused
from audit_core.evidence.canonical import dump_canonical, hash_document
from audit_core.verifier.strict_json import MAX_JSON_DEPTH, NotStrictJson, load_strict

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1, "a": 2}', b'[{"b": {"a": 1, "a": 1}}]', b"NaN", b"[Infinity]", b"-Infinity", b"1e999", b"", b"{", b"\xff",
        b'"\\ud800"', b"[" * 100 + b"]" * 100, b"1" * 5000, b"[1,]", b"\xef\xbb\xbf1", b"{'a': 1}",
    ],
)  # fmt: skip
def test_an_ambiguous_document_is_refused(data: bytes) -> None:
    with pytest.raises(NotStrictJson):
        load_strict(data)


def test_brackets_in_text_are_no_depth() -> None:
    assert load_strict(json.dumps("[" * 500 + '\\"').encode()) == "[" * 500 + '\\"'
    assert load_strict(b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH) is not None


def test_brackets_that_were_closed_before_count_once() -> None:
    deepest = b"[" * (MAX_JSON_DEPTH - 1), b"]" * (MAX_JSON_DEPTH - 1)
    assert load_strict(b"[" + b"[]," * 70 + deepest[0] + deepest[1] + b"]") is not None
    with pytest.raises(NotStrictJson, match="nested more than 64 deep"):
        load_strict(b"[" + b"[]," * 70 + deepest[0] + b"[]" + deepest[1] + b"]")


@given(VALUES)
def test_canonical_bytes_read_back_and_are_their_own_canonical_form(value: object) -> None:
    data = dump_canonical(value)
    again = load_strict(data)
    assert dump_canonical(again) == data
    assert json.loads(data) == again


EDGES = [
    9e-5,
    1e-4,
    1e-7,
    1e15,
    2.0**53 - 1,
    2.0**53,
    1e21,
    -0.0,
    0.5,
    "\ud800",
    "\x7f",
    "\u2028",
    '"\\/\b\x01',
    {"\uff61": 1, "😀": 2},
]


@given(st.lists(st.sampled_from(EDGES) | VALUES, max_size=4))
def test_canonical_bytes_are_those_of_the_library(value: list[object]) -> None:
    """Most documents are written by another encoder: numbers, escapes and the order of keys must not differ."""
    plain = json.loads(unicodedata.normalize("NFC", json.dumps(value, ensure_ascii=False)))
    try:
        wanted = rfc8785.dumps(plain)
    except rfc8785.CanonicalizationError:
        with pytest.raises(Refused):
            dump_canonical(value)
    else:
        assert dump_canonical(value) == wanted


def test_canonical_bytes_by_hand() -> None:
    """Keys by UTF-16 code unit, 1.0 as 1, no spaces (RFC 8785, 3.2); two spellings of one letter are one document."""
    assert dump_canonical({"b": 1.0, "a": [0.1, 1e21]}) == b'{"a":[0.1,1e+21],"b":1}'
    assert hash_document("e\u0301") == hash_document("\u00e9")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {"a": object()}, {1: 2}, {"a": "\ud800"}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(Refused):
        dump_canonical(value)
