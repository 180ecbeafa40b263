"""Step 5: documents parse in one way, have the form that this program knows, and no schema from inside the pack is asked."""

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator, Mapping
from copy import deepcopy
from random import Random
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from toy.answers import make_answer
from toy.findings import make_finding
from toy.packs import BEN, RUNS, approve, build_files, check, edit, genuine_members, name_failure, seal, tell_story

from audit_core.evidence.schema_files import FOLDER, render_schemas
from audit_core.references.crosswalk_file import SHIPPED_CROSSWALK
from audit_core.verifier.canonical_json import NotCanonical, encode_canonical
from audit_core.verifier.clock import NotATime, read_time
from audit_core.verifier.documents import FOLDERS, FORMS, REQUIRED, SCHEMAS, TOP_FILES
from audit_core.verifier.schema import UnknownKeyword, find_violation
from audit_core.verifier.strict_json import load_strict

METRICS = f"runs/{RUNS[0]}/metrics.json"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def fail(members: dict[str, bytes], match: str) -> None:
    found = check(members)
    assert name_failure(found).startswith("schema: "), name_failure(found)
    assert match in name_failure(found)
    assert (found.exit_code, found.documents) == (4, None)


def put(name: str, data: bytes) -> dict[str, bytes]:
    return seal({**genuine_members(), name: data})


# Canonical bytes.


@given(VALUES)
def test_the_verifiers_canonical_bytes_are_those_of_rfc8785(value: Any) -> None:
    assert encode_canonical(value) == rfc8785.dumps(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_written_as_rfc8785_writes_it(value: float) -> None:
    assert encode_canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value",
    [0.0, -0.0, 1e21, 1e20, 123456789012345680000.0, 1e-6, 1e-7, 1.5e-7, 5e-324, 1.7976931348623157e308, 0.1, 100.0, 1e22, 12.5e25, -1e-9,
     999999999999999900000.0, 0.000001234],
)  # fmt: skip
def test_doubles_at_the_borders_of_the_two_notations(value: float) -> None:
    assert encode_canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value", [2**53, -(2**53), float("nan"), float("inf"), "\ud800", {1: 2}, (1,), b"x", {"a": object()}]
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        encode_canonical(value)


@pytest.mark.parametrize(
    "name", ["pack.json", "claims/claims.json", METRICS, "log/inclusion.json", "policy/policy.resolved.json"]
)
def test_a_document_in_any_other_spelling_is_refused(name: str) -> None:
    fail(put(name, json.dumps(json.loads(genuine_members()[name]), indent=1).encode()), "not in canonical form")


# Strict parsing.


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b'{"a":1,"a":2}', "duplicate key"), (b"NaN", "is not a number"), (b"[1e999]", "outside the range"), (b"{", "not JSON"), (b"\xff", "not JSON"),
        (b"[" * 10_000 + b"]" * 10_000, "deep"), (b"1" * 5_000, "digits"), (b'"\\ud800"', "not JSON"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["environment/env.json", "pack.json"])
def test_a_document_that_two_readers_could_read_differently_is_refused(name: str, data: bytes, match: str) -> None:
    """Documents of other standards too, whose form is not ours to check."""
    began = time.monotonic()
    fail(put(name, data), match)
    assert time.monotonic() - began < 1


def test_lines_are_documents_of_their_own() -> None:
    name = f"runs/{RUNS[0]}/items.jsonl"
    line = genuine_members()[name].splitlines(keepends=True)[0]
    story = tell_story()
    for data, match in [
        (line[:-1], "has no line break"),
        (line + b"{}\n", "lacks item_id"),
        (line + b"\n", "not JSON"),
        (line + b"[1,\n", "not JSON"),
    ]:
        del story.documents[f"runs/{RUNS[0]}/manifest.json"]["outputs"]
        story = tell_story()
        story.documents[f"runs/{RUNS[0]}/manifest.json"]["outputs"] = {}
        fail(seal(build_files(story) | {name: data}), match)


def test_documents_and_lines_have_a_largest_size() -> None:
    long = Random(0).randbytes(5 << 20).hex().encode()
    fail(put("environment/env.json", b'"' + long + b'"'), "larger than")
    fail(put("prompts/toy/items.jsonl", b'"' + long[: 2 << 20] + b'"\n'), "larger than")
    many = genuine_members()["log/entries.jsonl"].splitlines()[0] + b"\n"
    fail(
        put(
            "log/entries.jsonl",
            many + b"".join(b'"%s"\n' % long[i : i + 500_000] for i in range(0, 10_000_000, 500_000)),
        ),
        "larger than",
    )
    fail(put("policy/policy.toml", b"#" + long[:300_000]), "larger than")


def test_all_documents_together_have_a_largest_size() -> None:
    part = b'"' + Random(0).randbytes(3_900_000).hex().encode() + b'"'
    members = genuine_members() | {f"environment/part{number}.json": part for number in range(5)}
    fail(seal(members), "bytes of documents")


def test_lines_that_are_not_kept_may_be_many() -> None:
    lines = b'{"id":"p","clean":"%s"}\n' % Random(0).randbytes(300).hex().encode()
    name = "prompts/toy/items.jsonl"
    data = b"".join(lines.replace(b"p", b"%d" % number, 1) for number in range(1 + (8 << 20) // len(lines)))
    assert len(data) > 8 << 20
    stored = [
        (other, data if other == name else part) for other, part in seal({**genuine_members(), name: data}).items()
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for other, part in stored:
            archive.writestr(other, part)
    assert check(buffer.getvalue()).exit_code == 0


def test_a_file_of_empty_lines_is_refused_at_the_first() -> None:
    began = time.monotonic()
    fail(put("prompts/toy/items.jsonl", b"\n" * 500_000), "lines of JSON")
    fail(put("prompts/toy/items.jsonl", b"\n" * 50_000), "line 1 of")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(("name", "most"), [("claim_ids", 200), ("run_ids", 1_000)])
def test_claims_and_runs_have_a_largest_number(name: str, most: int) -> None:
    fail(edit("pack.json", lambda pack: pack.update({name: ["C-0001"] * (most + 1)})), f"at most {most}")


@pytest.mark.parametrize(
    ("data", "match"),
    [(b"\xff", "not TOML"), (b"a = ", "not TOML"), (b"a = " + b"[" * 5_000, "not TOML"), (b"", "cannot be applied"),
     (b"a = 1979-05-27", "cannot be applied")],
)  # fmt: skip
def test_a_policy_that_is_none_is_refused(data: bytes, match: str) -> None:
    fail(put("policy/policy.toml", data), match)


# Layout.


@pytest.mark.parametrize("name", REQUIRED)
def test_a_pack_without_a_document_that_every_pack_has_is_refused(name: str) -> None:
    members = genuine_members()
    del members[name]
    fail(seal(members), f"{name} is missing")


@pytest.mark.parametrize("part", ["manifest", "metrics"])
def test_a_run_that_the_header_names_is_there(part: str) -> None:
    members = genuine_members()
    del members[f"runs/{RUNS[0]}/{part}.json"]
    fail(seal(members), "is missing")


def test_a_run_that_the_header_does_not_name_is_refused_and_so_is_one_named_twice() -> None:
    fail(put("runs/" + "e" * 32 + "/stdout.txt", b"x"), "is not among the runs")
    fail(edit("pack.json", lambda pack: pack["run_ids"].append(RUNS[0])), "names a run twice")


@pytest.mark.parametrize("name", ["setup.txt", "bin/run.txt", "Pack.json", "claims.json"])
def test_a_file_outside_the_layout_is_refused(name: str) -> None:
    members = {other: data for other, data in genuine_members().items() if other.casefold() != name.casefold()}
    fail(seal({**members, name: b"{}"}), "is not part of a pack's layout")


def test_files_of_the_layout_that_hold_no_document_are_left_alone() -> None:
    more = {
        "report/report.html": b"<p>", "report/report.pdf": b"%PDF", "environment/requirements.lock.txt": b"x", "models/toy/README.md": b"# x",
        "ro-crate-metadata.json": b'{"@graph": []}', "prereg/prereg.md": b"x", f"runs/{RUNS[0]}/effects.parquet": b"PAR1",
        "verdict/gate.junit.xml": b"<x/>", "attestations/time.tsr": b"\x30",
    }  # fmt: skip
    found = check(seal({**genuine_members(), **more}) | {"attestations/time.tsr": b"\x30"})
    assert found.exit_code == 0
    assert "openssl ts" in found.steps[7].detail
    assert found.steps[4].detail == check(genuine_members()).steps[4].detail


def test_a_schema_inside_the_pack_is_never_asked() -> None:
    """A pack could bring a schema that allows what it holds."""
    members = genuine_members()
    lax = {**members, "schemas/pack.schema.json": b"{}", "pack.json": members["pack.json"][:-1] + b',"zzz":1}'}
    fail(seal(lax), "that is not described")


# Our own schemas, and the reader of schemas.


def documents() -> dict[str, list[Any]]:
    """A genuine document for each schema."""
    members = approve(genuine_members(), BEN, "reviewer")
    found: dict[str, list[Any]] = {}
    for name, place, _ in FORMS:
        for member, data in members.items():
            if re.fullmatch(re.escape(place).replace(r"\*", "[^/]+"), member):
                rows = data.splitlines() if place.endswith(".jsonl") else [data]
                found.setdefault(name, []).extend(json.loads(row) for row in rows)
    for name, member in (("statement", "pack"), ("approval", "approval-reviewer-0")):
        import base64

        envelope = json.loads(members[f"attestations/{member}.dsse.json"])
        found.setdefault("envelope", []).append(envelope)
        found[name] = [json.loads(base64.b64decode(envelope["payload"]))]
    found["consistency"].append({"from_size": 1, "to_size": 2, "proof": ["a" * 64]})
    found["deviation"] = [
        {"id": "D-1", "prereg_version": 1, "at": "2026-11-21T12:00:00Z", "by": "anna", "field": "x", "before": None, "after": [1], "reason": "y",
         "class": "error", "prior_access": "nothing_run", "approved_by": None, "effect_on_claims": ["C-0001"]}
    ]  # fmt: skip
    found["findings"] = [[make_finding()]]
    found["disclosure"] = [_disclose()]
    found["answer"] = [make_answer()]
    item = {"item_id": "item-0001", "template": "template-001"}
    found["withheld"] = [
        {"schema": "assay/withheld/1", "sha256": "a" * 64, "n_items": 1, "whole_sha256": "b" * 64, "n_whole": 1,
         "items": [item | {"commitment": "c" * 64}]}
    ]  # fmt: skip
    shipped = json.loads(SHIPPED_CROSSWALK.read_bytes())
    found["crosswalk"] = [{name: part[:2] if isinstance(part, list) else part for name, part in shipped.items()}]
    prompt = {name: "x" for name in ("id", "clean", "corrupted", "answer", "foil", "template", "group")}
    measured = {
        "run_id": RUNS[0],
        "ablation": "mean",
        "clean": 1,
        "corrupt": -1.5,
        "patched": 0,
        "empty": -1,
        "effect": 1,
    }
    found["openings"] = [
        {"schema": "assay/openings/1", "pack_id": found["pack"][0]["pack_id"],
         "items": [{"set": "a" * 16, "salt": "b" * 32, "item": item | {"prompt": prompt, "runs": [measured]}}]}
    ]  # fmt: skip
    return found


def _disclose() -> dict[str, Any]:
    """Of a set that is divided by template, with one earlier run."""
    run = {
        "run_id": "r1", "audit": "sweep", "started_at": "2026-11-21T09:00:00.000+00:00", "model_digest": "a1b2c3d4e5f6", "is_this_model": True,
        "shows_results": True, "n_prompts": 2, "n_shared": 1, "n_templates_shared": 1,
    }  # fmt: skip
    claim = {
        "claim_id": "C-0001", "frozen_at": "2026-11-21T10:00:00.000000Z", "runs_before": 1, "seed": {"value": 0, "derivation": "default"},
        "n_split": 1, "share_seen": 0.5, "share_touched": 1.0, "earlier_runs": [run], "n_more": 0,
    }  # fmt: skip
    divided = {
        "sha256": "1" * 64, "split": {"rule": 2, "salt": "0123456789abcdef", "derivation": "by template"}, "template_of": [0, 1],
        "templates": [
            {"skeleton": "a _", "n_exploratory": 1, "n_confirmatory": 0}, {"skeleton": None, "n_exploratory": 0, "n_confirmatory": 1},
        ],
        "n_labels": 2,
    }  # fmt: skip
    installation = {"log_id": "assay/0123456789abcdef", "began_at": "2026-11-21T08:00:00.000000Z", "runs": 1}
    return {"schema": "assay/disclosure/1", "installation": installation, "claims": [claim], "sets": [divided]}


def walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from walk(inner, (*path, key))


def mutate(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = deepcopy(document)
    if not path:
        return value
    target = changed
    for part in path[:-1]:
        target = target[part]
    if value is DELETED:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return changed


DELETED = object()
REPLACEMENTS = [
    DELETED,
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    0.5,
    1e300,
    "",
    "x",
    "C-0001",
    "a" * 64,
    [],
    [1],
    {},
    {"x": 1},
    "2026-11-21T12:00:00Z",
]


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_reader_of_schemas_agrees_with_jsonschema_on_genuine_and_changed_documents(name: str) -> None:
    schema, rng = SCHEMAS[name], Random(0)
    reference = Draft202012Validator(schema)
    examples = documents()[name]
    good = bad = 0
    for document in examples[:2]:
        assert find_violation(document, schema) is None
        places = list(walk(document))
        for path in rng.sample(places, min(25, len(places))):
            for value in REPLACEMENTS:
                if path == () and value is DELETED:
                    continue
                changed = mutate(document, path, value)
                ours, theirs = find_violation(changed, schema) is None, reference.is_valid(changed)
                assert ours is theirs, (path, value, find_violation(changed, schema))
                good, bad = good + ours, bad + (not ours)
    assert good or name == "consistency"
    assert bad > 20


KEYWORDS: Mapping[str, tuple[Any, list[Any]]] = {
    "type": ("integer", [1, 1.0, 1.5, True, "1", None]),
    "const": (1, [1, 1.0, True, "1"]),
    "enum": (
        [0, [1, {"a": True}], {"a": 1, "b": 2}],
        [
            0,
            5,
            "x",
            False,
            0.0,
            [1, {"a": True}],
            [1, {"a": 1}],
            [True, {"a": True}],
            [1.0, {"a": True}],
            {"b": 2, "a": 1},
            {"a": 1},
            {"a": 1, "c": 2},
            [1],
        ],
    ),
    "required": (["a"], [{}, {"a": None}, [], "a"]),
    "properties": ({"a": {"type": "null"}}, [{}, {"a": None}, {"a": 1}, {"b": 1}, [1]]),
    "additionalProperties": ({"type": "null"}, [{}, {"a": None}, {"a": 1}, [1]]),
    "pattern": ("^a+$", ["a", "aa", "b", "ba", "", 1]),
    "items": ({"type": "null"}, [[], [None], [None, 1], {}, "x"]),
    "minItems": (2, [[], [1], [1, 2], "x", {}]),
    "maxItems": (1, [[], [1], [1, 2], "xy"]),
    "minLength": (2, ["", "a", "ab", "\U0001f600", 1, []]),
    "minimum": (1, [0, 1, 1.0, 0.5, True, False, "0"]),
    "maximum": (0, [0, 1, 0.5, True, "1"]),
    "anyOf": ([{"type": "null"}, {"minimum": 3}], [None, 1, 3, "x"]),
}


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_each_keyword_means_what_jsonschema_says_it_means(keyword: str) -> None:
    wanted, values = KEYWORDS[keyword]
    schema = {keyword: wanted}
    answers = {find_violation(value, schema) is None for value in values}
    assert answers == {True, False}
    for value in values:
        assert (find_violation(value, schema) is None) is Draft202012Validator(schema).is_valid(value), value


def test_every_keyword_of_the_reader_is_tested_and_others_are_refused() -> None:
    from audit_core.verifier.schema import _RULES

    assert set(KEYWORDS) == set(_RULES)
    with pytest.raises(UnknownKeyword):
        find_violation(1, {"multipleOf": 2})


def test_a_pattern_ends_where_the_text_ends() -> None:
    """Python's `$` would take a line break more; ECMAScript's, which JSON Schema means, does not."""
    assert find_violation("a\n", {"pattern": "^a$"})


def test_our_schemas_are_valid_schemas_and_the_files_are_made_of_them() -> None:
    for name, data in render_schemas().items():
        Draft202012Validator.check_schema(json.loads(data))
        assert (FOLDER / name).read_bytes() == data, f"{name}: run audit_core.evidence.schema_files.write_schemas()"
    assert {path.name for path in FOLDER.iterdir()} == set(render_schemas())


def test_every_object_in_our_schemas_says_which_fields_it_has() -> None:
    free = []
    for name, schema in SCHEMAS.items():
        for path in walk(schema):
            inner: Any = schema
            for part in path:
                inner = inner[part]
            if (
                isinstance(inner, dict)
                and inner.get("type") == "object"
                and inner.get("additionalProperties") is not False
            ):
                free.append((name, path[-1] if path else "", "additionalProperties" in inner))
    assert {row[:2] for row in free if not row[2]} == {
        ("run", "resolved_config"),
        ("result", "conditions"),
        # Chance, self-repair, members and assumptions, as the product's own result has them: for a reader, and part of no check.
        ("result", 0),
        ("result", "items"),
        ("entry", "payload"),
    }


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda row: row.update(estimate=None), "of type"),
        (lambda row: row.update(reason="low_power"), "of type"),
        (lambda row: row.update(estimate=True), "of type number"),
    ],
)
def test_a_metric_is_a_number_or_a_reason_and_never_both(change: Any, match: str) -> None:
    fail(edit(METRICS, lambda rows: change(rows[0])), match)


@pytest.mark.parametrize("field", ["limitations", "not_assessed"])
def test_a_pack_says_what_it_does_not_show(field: str) -> None:
    fail(edit("pack.json", lambda pack: pack.update({field: []})), "at least 1")


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30T00:00:00Z",
        "2026-01-01T00:00:00+01:00",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00Z\n",
    ],
)
def test_a_time_in_another_form_is_no_time(text: str) -> None:
    with pytest.raises(NotATime):
        read_time(text)


def test_a_time_that_no_calendar_has_is_found_where_it_is_needed() -> None:
    found = check(edit("log/entries.jsonl", lambda rows: rows[-1].update(ts="2026-02-30T10:00:00Z")))
    assert "signature: '2026-02-30T10:00:00Z': day" in name_failure(found)


def test_strings_made_to_stall_a_pattern_are_answered_at_once() -> None:
    patterns = {
        inner["pattern"]
        for schema in SCHEMAS.values()
        for path in walk(schema)
        if isinstance(inner := find(schema, path), dict) and "pattern" in inner
    }
    assert len(patterns) > 5
    began = time.monotonic()
    for pattern in patterns:
        for hostile in (
            "0" * 1_000_000,
            "a" * 1_000_000 + "!",
            "0." * 500_000,
            "2026-11-21T12:00:00." + "9" * 1_000_000,
        ):
            assert find_violation(hostile, {"pattern": pattern})
    assert time.monotonic() - began < 2


def find(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def test_the_layout_names_every_folder_of_a_form() -> None:
    for _, place, _ in FORMS:
        assert place.split("/")[0] in FOLDERS or place in TOP_FILES
    assert load_strict(b"{}") == {}
