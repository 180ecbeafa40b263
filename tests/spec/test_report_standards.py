"""Other tools' formats: valid by their own schemas, the same bytes each time, counter-evidence beside evidence, no markup."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from markdown_it import MarkdownIt
from rocrate.rocrate import ROCrate
from toy.sample_pack import MODEL, RUNS, sample_documents

from audit_core.evidence.ml_bom import SPEC, dump_model_bom, dump_package_bom
from audit_core.evidence.model_card import dump_model_card
from audit_core.evidence.ro_crate import dump_crate


def crate(documents: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    graph = json.loads(dump_crate(documents or sample_documents(), paths=["README.txt"]))["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_equal_documents_give_equal_bytes_in_every_format() -> None:
    turned = dict(reversed(sample_documents().items()))
    assert dump_crate(sample_documents()) == dump_crate(turned)
    assert dump_model_bom(sample_documents(), model_id=MODEL) == dump_model_bom(turned, model_id=MODEL)
    assert dump_package_bom(sample_documents()) == dump_package_bom(turned)
    assert dump_model_card(sample_documents(), model_id=MODEL) == dump_model_card(turned, model_id=MODEL)


def test_the_crate_names_every_member_and_every_run_with_what_it_made() -> None:
    entities = crate()
    assert set(sample_documents()) | {"README.txt"} <= set(entities)
    for run_id in RUNS.values():
        action = entities[f"#run-{run_id}"]
        assert action["@type"] == "CreateAction"
        assert action["instrument"] == {"@id": "#instrument"}
        assert {"@id": f"runs/{run_id}/metrics.json"} in action["result"]
        assert {"@id": "prereg/prereg.json"} in action["object"]
    assert entities["./"]["conformsTo"]["@id"].endswith("/wfrun/process/0.5")
    assert len(entities["./"]["mentions"]) == 3 + 3, "three runs, and what else the log shows: see below"
    assert entities["./"]["datePublished"] == sample_documents()["pack.json"]["created_at"]


def test_every_reference_of_the_crate_leads_somewhere() -> None:
    entities = crate()
    text = json.dumps([entity for key, entity in entities.items() if key != "ro-crate-metadata.json"])
    targets = set(re.findall(r'\{"@id": "([^"]+)"\}', text))
    assert {target for target in targets if not target.startswith("http")} <= set(entities)


def test_the_crate_is_read_back_by_the_library(tmp_path: Path) -> None:
    for path in [*sample_documents(), "README.txt"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("{}")
    (tmp_path / "ro-crate-metadata.json").write_bytes(dump_crate(sample_documents(), paths=["README.txt"]))
    assert len(ROCrate(tmp_path).root_dataset["mentions"]) == 6


def test_the_crate_says_who_did_what_when_as_the_log_does_and_nothing_more() -> None:
    """Every action's time and agent is an entry of the pack's log; what the log does not have, the crate does not say."""
    entities = crate()
    entries = {str(entry["seq"]): entry for entry in sample_documents()["log/entries.jsonl"]}
    actions = {key: entity for key, entity in entities.items() if entity["@type"] == "CreateAction"}
    assert {key for key in actions if key.startswith("#run-")} == {f"#run-{run_id}" for run_id in RUNS.values()}
    logged = {key.removeprefix("#log-"): entity for key, entity in actions.items() if key.startswith("#log-")}
    assert {entries[seq]["action"] for seq in logged} == {"prereg.frozen", "run.started", "pack.exported"}
    for seq, action in logged.items():
        times = {action["endTime"], action.get("startTime")} - {None}
        assert times <= {entry["ts"] for entry in entries.values() if entry["object_id"] == entries[seq]["object_id"]}
    for action in actions.values():
        assert entities[action["agent"]["@id"]] == {
            "@id": action["agent"]["@id"],
            "@type": "Person",
            "name": "sample-preparer",
        }
        assert action["instrument"] == {"@id": "#instrument"}
        assert action["description"]
    without_log = crate({name: one for name, one in sample_documents().items() if name != "log/entries.jsonl"})
    assert not [entity for entity in without_log.values() if entity["@type"] == "Person" or "agent" in entity]


def test_an_attempt_without_a_result_is_a_failed_action_with_its_reason() -> None:
    failed = [entity for entity in crate().values() if entity.get("error")]
    assert [entity["error"] for entity in failed] == ["failed control_failed"]
    assert failed[0]["actionStatus"] == {"@id": "http://schema.org/FailedActionStatus"}
    assert "result" not in failed[0]
    assert failed[0]["endTime"] > failed[0]["startTime"]


def test_the_export_made_the_verdict_and_reports_from_the_rest() -> None:
    (export,) = [entity for entity in crate().values() if str(entity.get("name")).startswith("Export of")]
    made, used = ({one["@id"] for one in export[name]} for name in ("result", "object"))
    assert "verdict/verdict.json" in made
    assert {"prereg/prereg.json", "policy/policy.resolved.json", "README.txt"} <= used
    assert not made & used


def test_a_name_of_markup_in_the_log_is_text_and_no_identifier() -> None:
    documents = sample_documents()
    documents["log/entries.jsonl"] = [entry | {"actor": "../<b>@id"} for entry in documents["log/entries.jsonl"]]
    people = [entity for entity in crate(documents).values() if entity["@type"] == "Person"]
    assert [one["name"] for one in people] == ["../<b>@id"]
    assert re.fullmatch(r"#person-[0-9a-f]{16}", people[0]["@id"])


@pytest.mark.parametrize("version", [SchemaVersion.V1_6, SchemaVersion.V1_7])
def test_bills_of_materials_are_valid_by_the_schema(version: SchemaVersion) -> None:
    """The positive control is a field that the schema does not know."""
    validator = JsonStrictValidator(version)
    for made in (dump_model_bom(sample_documents(), model_id=MODEL), dump_package_bom(sample_documents())):
        bom = json.loads(made) | {"specVersion": version.to_version()}
        assert validator.validate_str(json.dumps(bom)) is None
        assert validator.validate_str(json.dumps(bom | {"conforms": True})) is not None
    assert SPEC == "1.6"


def test_claims_are_declared_with_what_speaks_against_them() -> None:
    declared = json.loads(dump_model_bom(sample_documents(), model_id=MODEL))["declarations"]
    claims = {claim["bom-ref"]: claim for claim in declared["claims"]}
    known = {item["bom-ref"] for item in declared["evidence"]}
    assert claims["claim:C-0001"]["counterEvidence"] == []
    assert len(claims["claim:C-0002"]["counterEvidence"]) == 3
    assert all(set(claim["evidence"]) | set(claim["counterEvidence"]) <= known for claim in claims.values())
    assert "conformance" not in json.dumps(declared)
    assert "assessors" not in declared


def test_a_number_that_was_not_measured_is_in_no_format() -> None:
    card = json.loads(dump_model_bom(sample_documents(), model_id=MODEL))["metadata"]["component"]["modelCard"]
    rows = card["quantitativeAnalysis"]["performanceMetrics"]
    assert len(rows) == 12
    assert "transfer_ratio" not in {row["type"] for row in rows}
    head = dump_model_card(sample_documents(), model_id=MODEL).decode().split("---")[1]
    assert head.count("type: necessity_drop") == 6
    assert "transfer_ratio" not in head


def test_the_card_never_says_that_the_hub_checked_a_result() -> None:
    text = dump_model_card(sample_documents(), model_id=MODEL).decode()
    assert "verified" not in text.lower()
    assert "verifyToken" not in text


ATTACKS = ("<img src=file:///etc/passwd>", "![x](http://127.0.0.1:9/p.png)", "[a](http://127.0.0.1:9/)", "<script>alert(1)</script>", "---\nlicense: evil", "# big", "1. one", "`code`")  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_filed_text_is_text_in_the_card(attack: str) -> None:
    documents = sample_documents()
    documents["claims/claims.json"][0]["statement"] = attack
    documents["pack.json"]["limitations"] = [attack]
    documents[f"models/{MODEL}/identity.json"]["model"] = attack
    _, head, body = dump_model_card(documents, model_id=MODEL).decode().split("---\n", 2)
    shown = MarkdownIt("commonmark", {"html": True}).render(body)
    assert not re.search(r"<(img|a|script|code|ol|h4)\b", shown)
    assert shown.count("<h1>") == 1
    assert "\nlicense:" not in head
