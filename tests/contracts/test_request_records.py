"""What the log and the content key say of a request, recorded before requests were made from their fields."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.requests import list_examples

from audit_core.component import head
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import list_plugins
from audit_core.request import Request, describe_request
from audit_core.run import Auditor
from audit_core.store import RunLog

RECORDED: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "recorded_requests.json").read_text(encoding="utf-8")
)
"""Audit → what each of its example requests was described as."""
LIBRARIES = {"torch": "1", "transformer_lens": "1", "transformers": "1", "numpy": "1", "scipy": "1"}


@pytest.fixture(scope="module")
def subject() -> AdditiveSubject:
    return AdditiveSubject({head(0, 0): 3.0, head(1, 2): -1.0})


@pytest.fixture(scope="module")
def examples(subject: AdditiveSubject) -> dict[str, list[Any]]:
    return list_examples(pair_up(subject))


def test_every_request_type_of_the_shelf_is_recorded(examples: dict[str, list[Any]]) -> None:
    for audit, plugin in list_plugins("audits").items():
        if plugin.__module__ == f"audit_core.audits.{audit}" and audit in RECORDED:
            assert all(type(request) is plugin.request for request in examples[audit])
    assert set(RECORDED) == set(examples)


@pytest.mark.parametrize("audit", RECORDED)
def test_the_log_describes_each_request_byte_for_byte_as_before(audit: str, examples: dict[str, list[Any]]) -> None:
    found = [json.dumps(describe_request(request)) for request in examples[audit]]
    assert found == [json.dumps(one["log"]) for one in RECORDED[audit]]


@pytest.mark.parametrize("audit", RECORDED)
def test_each_content_key_is_the_one_of_before(
    audit: str,
    subject: AdditiveSubject,
    examples: dict[str, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("audit_core.run.list_versions", lambda: {"assay": "99.0.0", **LIBRARIES})
    auditor = Auditor(subject, RunLog(tmp_path))
    found = [auditor.content_key(audit, request) for request in examples[audit]]
    assert found == [one["content_key"] for one in RECORDED[audit]]


@pytest.mark.parametrize("audit", RECORDED)
def test_replacements_kinds_and_reference_are_those_of_before(audit: str, examples: dict[str, list[Any]]) -> None:
    for request, one in zip(examples[audit], RECORDED[audit], strict=True):
        assert [way.value for way in request.replacements] == one["replacements"]
        assert sorted(kind.value for kind in request.kinds) == one["kinds"]
        assert [pair.prompt.id for pair in request.reference.pairs] == one["reference"]


def test_a_field_without_a_description_is_an_error_and_not_left_out(subject: AdditiveSubject) -> None:
    """Left out, two different requests would share one stored result."""

    @dataclass(frozen=True)
    class Strange(Request):
        prompts: TokenisedPrompts
        weights: dict[str, float]
        seed: int = 0

    with pytest.raises(TypeError, match="weights"):
        Strange(pair_up(subject), {"a": 1.0}).describe()
