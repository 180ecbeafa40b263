"""The published OpenAPI file is the one that the code describes, and what the API answers has the shape that it states."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from toy.api import MODEL, PACK, list_rows, make_bearer, serve, wait_for

from audit_core.api import PREFIX
from audit_core.api.endpoint import Download
from audit_core.api.endpoints import ENDPOINTS
from audit_core.api.openapi import describe_api
from audit_core.cli import main
from audit_core.store import audit_home, make_key
from audit_core.verifier.walk import verify_pack

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs/reference/openapi.json"


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def test_the_published_file_is_what_the_command_writes(tmp_path: Path) -> None:
    """To write it: `python -m audit_core api openapi --out docs/reference/openapi.json`."""
    assert main(["api", "openapi", "--out", str(tmp_path / "openapi.json")]) == 0
    assert (tmp_path / "openapi.json").read_bytes() == FILE.read_bytes()


def test_the_file_is_valid_in_its_references_and_names_every_endpoint(published: dict[str, Any]) -> None:
    schemas = published["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    names = {part.split('"')[0] for part in FILE.read_text().split("#/components/schemas/")[1:]}
    assert names == set(schemas), "a reference to nothing, or a shape that nothing refers to"
    found = {(method.upper(), path) for path, methods in published["paths"].items() for method in methods}
    assert found == {(one.method, one.path) for one in ENDPOINTS}
    ids = [method["operationId"] for methods in published["paths"].values() for method in methods.values()]
    assert len(ids) == len(set(ids)) == len(ENDPOINTS)
    for one in ENDPOINTS:
        assert {"401", "403", "413", "429", str(one.status)} <= set(
            published["paths"][one.path][one.method.lower()]["responses"]
        )


def test_the_served_file_is_the_published_one(published: dict[str, Any]) -> None:
    with serve() as client:
        assert client.get("openapi.json").json() == published == describe_api()
        assert published["servers"] == [{"url": PREFIX}]


@pytest.mark.usefixtures("short_draws")
def test_every_answer_has_the_shape_that_the_file_states(
    published: dict[str, Any], load_planted: Callable[[str], Any]
) -> None:
    """Each endpoint is called once; no field comes back that the file does not state, and none is missing."""
    make_key(audit_home(), "anna", passphrase="")
    asked = {"audit": "sweep", "model": MODEL, "prompts": {"text": list_rows()}}
    claim = 'name = "the head is needed"\ncomponents = ["L1.H0"]\nuniverse = "heads+mlps"\n'
    called = set()
    with serve(load_planted(MODEL)) as client:
        bearer = make_bearer("researcher", key="anna")

        def ask(method: str, path: str, name: str, **more: Any) -> Any:
            found = client.request(method, path, headers=bearer, **more)
            (one,) = [one for one in ENDPOINTS if one.name == name]
            assert found.status_code == one.status, found.text
            called.add(name)
            content = published["paths"][one.path][method.lower()]["responses"][str(one.status)]["content"]
            if one.returns is Download:
                assert list(content) == [found.headers["content-type"]]
                return found.content
            schema = {**content["application/json"]["schema"], "components": published["components"]}
            document = found.json()
            Draft202012Validator(schema).validate(document)
            shape = published["components"]["schemas"][one.returns.__name__]
            assert set(document) == set(shape["properties"])
            return document

        job = ask("POST", "jobs", "startAudit", json=asked)
        done = wait_for(client, job, bearer)
        ask("GET", f"jobs/{job['id']}", "readJob")
        ask("DELETE", f"jobs/{job['id']}", "cancelJob")
        ask("GET", "runs", "listRuns")
        ask("GET", f"runs/{done['outcome']['run_id']}", "readRun")
        frozen = {"claim": claim, "model": MODEL, "prompts": {"text": list_rows(6)}, "questions": []}
        plan = wait_for(client, ask("POST", "claims", "freezeClaim", json=frozen), bearer)
        assert plan["outcome"]["claim_id"] == "C-0001", plan
        reached = wait_for(client, ask("POST", "claims/C-0001/attempts", "attemptClaim"), bearer)["outcome"]
        assert (reached["attempt"], reached["state"]) == (1, "supported"), reached
        ask("GET", "claims", "listClaims")
        seen = ask("GET", "claims/C-0001", "readClaim")
        assert [line["run_id"] for line in seen["attempts"]] == [reached["run_id"]]
        assert seen["latest"]["state"] == "supported"
        assert seen["latest"]["families"]["resample"]["n"] > 0
        written = ask("POST", "packs", "writePack", json={"claims": ["C-0001"]})
        digest = written["root_digest"]
        assert written["attempts"] == {"C-0001": 1}
        assert [row["root_digest"] for row in ask("GET", "packs", "listPacks")["packs"]] == [digest]
        checked = verify_pack(ask("GET", f"packs/{digest}", "downloadPack"), None)
        assert (checked.manifest_sha256, checked.integrity) == (digest, "INTEGRITY_VERIFIED")
        ask("POST", "verify", "verifyPack", files={"pack": PACK.read_bytes()})
        ask("POST", "gate?policy=default", "gatePack", files={"pack": PACK.read_bytes()})
    assert called == {one.name for one in ENDPOINTS}
