"""A stored result is read back by today's classes: a change of its shape must raise the `version` of its audit."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from audit_core.registry import list_plugins

SHAPES = {
    "ablation": {8: "090e708191902c54"},
    "attention": {8: "e41a9109ff9e9181"},
    "attention_tests": {8: "65b4634c71b148f4"},
    "benchmark": {1: "bafeb92e8e7027aa", 2: "0d8313f1b5e6189a"},
    "both_sides": {1: "453f78ee76bd49bb"},
    "circuit": {8: "af2ac43f25ae7d2a"},
    "claim_test": {8: "06477227dfbb87d5", 9: "4411e84349ecec79", 10: "eded739a9b4371e8"},
    "closed_documents": {1: "cb7783cf35db0387", 2: "a942d93bb1ed125f"},
    "closed_tools": {1: "2824ecfdd3688361"},
    "confirmation": {8: "a66a8a82822295ae", 9: "108611255852696a", 10: "b10497a8ad47edfa"},
    "curve": {8: "c121deac05ed4d66"},
    "decisions": {1: "5db351fe32e383ac", 2: "de2dfce95d1756ea", 3: "4fbad170e63848c2"},
    "discover": {8: "bd6a8dc70652bb4d"},
    "documents": {1: "fe2fe402c3529eaa", 2: "a91dacfcac2648d7"},
    "edges": {8: "c91e452c49000749"},
    "experts": {1: "61d34ebfddb70df2", 2: "f87d07c31c6b407c", 3: "a358e9953fb0beac"},
    "explanations": {1: "3a6b044db7d9102a", 2: "e3910a925eb5f435", 3: "847719135abc7c50"},
    "feature_evaluation": {1: "ae98bc9148084781"},
    "feature_versions": {1: "8e93369654fc60e8"},
    "features": {1: "c36d28b52b7ff411"},
    "lenses": {1: "846e60972f765b8f", 2: "770557d73f798097"},
    "paths": {8: "ff202d296556a5c2"},
    "positions": {8: "6c4635ee06148def"},
    "probes": {1: "552d56a22bb0faff"},
    "rationale": {1: "09ab67f40d793a14"},
    "recomposition": {8: "1a0114fc6d1da0b9"},
    "rival": {8: "e9ac3488363591c3"},
    "robustness": {1: "1c2e0ca05b9e9cb6", 2: "30e9ab6f646d549e"},
    "source_tokens": {1: "4666d35f9a60b94a", 2: "4a045176578c5cfe"},
    "specificity": {8: "1f19124a46eabeb7"},
    "stability": {8: "b08c13e5385263bd"},
    "steering": {1: "64d40133bb1ca2f1", 2: "e6536b2bdf55a775"},
    "sweep": {8: "9b4504acfdd1b476"},
    "tabular": {1: "27d216afb5a13993", 2: "e1a3ef2560c1e375"},
    "token_gradients": {8: "c15a53df8a313407"},
    "tools": {1: "ff8d10b1788364bb"},
    "transfer": {8: "585f15d0ef051292"},
    "vision": {1: "cf9cd03dce576a44", 2: "f63579efd81c4501"},
}
"""Audit → version → digest of the shape of its result. To change a result: raise its audit's `version`, and add its digest here."""
AUDITS = list_plugins("audits")


def digest_shape(result: type) -> str:
    """Digest of what the JSON of a result may contain; names of classes and their docstrings are no part of it."""
    schema = TypeAdapter(result).json_schema()
    return hashlib.sha256(json.dumps(_bare(schema, schema.get("$defs", {})), sort_keys=True).encode()).hexdigest()[:16]


def _bare(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with each reference replaced by what it refers to, without titles and descriptions."""
    if isinstance(schema, list):
        return [_bare(value, definitions) for value in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _bare(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    kept = {key: value for key, value in schema.items() if key not in ("$defs", "description", "title")}
    # A field may be named "title": names of fields are keys of `properties`, and all of them stay.
    fields = {name: _bare(field, definitions) for name, field in kept.pop("properties", {}).items()}
    return {key: _bare(value, definitions) for key, value in kept.items()} | ({"properties": fields} if fields else {})


def test_every_audit_has_pinned_shapes() -> None:
    assert set(SHAPES) == set(AUDITS)


@pytest.mark.parametrize("audit", AUDITS)
def test_results_of_one_version_have_one_shape(audit: str) -> None:
    """Else an old log would give a new page a result that it cannot read."""
    plugin = AUDITS[audit]
    assert type(plugin.version) is int
    assert SHAPES[audit][plugin.version] == digest_shape(plugin.result)
