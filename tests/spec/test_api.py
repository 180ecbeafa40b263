"""The REST API: who may do what, jobs, verification and the gate; the way from claim to pack is in tests/repository/test_openapi.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from toy.api import MODEL, PACK, TRUST, list_rows, make_bearer, serve, wait_for
from toy.probe_texts import write_votes

from audit_core.cli import main
from audit_core.dictionaries.shelf import PLANTED
from audit_core.registry import get_plugin
from audit_core.store import Action, audit_home, list_events, open_database
from audit_core.subject import no_progress

Bearer = dict[str, str]
SWEEP = {"audit": "sweep", "model": MODEL, "prompts": {"text": list_rows()}}


@pytest.fixture
def client() -> Iterator[TestClient]:
    with serve() as found:
        yield found


def count(action: Action) -> list[dict[str, Any]]:
    with open_database(audit_home()) as connection:
        return [
            {**event.payload, "about": event.object_id, "actor": event.actor}
            for event in list_events(connection, action=action)
        ]


# Written by hand, a row an endpoint: what viewer, researcher, reviewer, approver and admin get.
TABLE = {
    "GET runs": "200 200 200 200 200",
    "GET claims": "200 200 200 200 200",
    "POST claims": "403 400 403 403 403",
    "GET claims/C-0001": "404 404 404 404 404",
    "POST claims/C-0001/attempts": "403 404 403 403 403",
    "GET packs": "200 200 200 200 200",
    "POST packs": "403 403 403 403 403",
    f"GET packs/{'0' * 64}": "403 404 403 403 403",
    "POST verify": "400 400 400 400 400",
    "POST gate": "400 400 400 400 400",
    "POST jobs": "403 400 400 403 403",
    f"GET jobs/{'0' * 32}": "404 404 404 404 404",
    f"DELETE jobs/{'0' * 32}": "404 404 404 404 404",
    f"GET runs/{'0' * 32}": "404 404 404 404 404",
}
ROLES = ("viewer", "researcher", "reviewer", "approver", "admin")


@pytest.mark.parametrize("at", range(len(ROLES)), ids=ROLES)
def test_each_role_gets_what_the_table_says_and_every_refusal_is_logged(client: TestClient, at: int) -> None:
    """400 is a request that was admitted and whose empty body was then read; a token without a signing key writes no pack."""
    bearer, wanted = make_bearer(ROLES[at]), {}
    for row, codes in TABLE.items():
        method, path = row.split()
        kind = "multipart/form-data; boundary=x" if path in ("verify", "gate") else "application/json"
        body = (
            b"--x--\r\n"
            if path in ("verify", "gate")
            else b"{}"
            if method == "POST" and "attempts" not in path
            else b""
        )
        found = client.request(method, path, headers=bearer | {"Content-Type": kind}, content=body)
        assert (row, found.status_code) == (row, int(codes.split()[at])), found.text
        wanted[row] = found.status_code
    refused = count(Action.PERSON_REFUSED)
    assert len(refused) == sum(code == 403 for code in wanted.values())
    assert {event["why"] for event in refused} <= {"not_allowed", "out_of_area"}
    assert all(event["actor"].startswith("api token|") for event in refused)


def test_the_table_by_hand_names_every_endpoint() -> None:
    from audit_core.api.endpoints import ENDPOINTS

    assert len(TABLE) == len(ENDPOINTS)


def test_a_token_opens_its_areas_alone(client: TestClient) -> None:
    from audit_core.governance.api_token import ApiArea

    bearer = make_bearer("researcher", areas=[ApiArea.VERIFY])
    found = client.get("runs", headers=bearer)
    assert (found.status_code, found.json()["error"]["code"]) == (403, "out_of_area")
    assert [event["why"] for event in count(Action.PERSON_REFUSED)] == ["out_of_area"]
    assert client.post("verify", headers=bearer, files={"pack": PACK.read_bytes()}).status_code == 200


def test_a_pack_is_verified_with_the_keys_of_the_request_and_changed_bytes_are_found(client: TestClient) -> None:
    bearer, data = make_bearer("viewer"), PACK.read_bytes()
    trusted = client.post("verify", headers=bearer, files={"pack": data, "trust": TRUST.read_bytes()}).json()
    assert (trusted["exit_code"], trusted["trust"]) == (0, "request")
    assert trusted["verification"]["authenticity"] == "SIGNER_VERIFIED"
    assert client.post("verify", headers=bearer, files={"pack": data}).json()["exit_code"] == 3
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    assert client.post("verify", headers=bearer, files={"pack": bytes(changed)}).json()["exit_code"] == 4


def test_the_gate_decides_as_the_command_does_and_logs_it(
    client: TestClient, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    from audit_core.data_folder import DATA

    policy = DATA / "policy/default.toml"
    code = main(["gate", str(PACK), "--policy", str(policy), "--trust", str(TRUST), "--json"])
    reported = json.loads(capsys.readouterr().out)
    files = {"pack": PACK.read_bytes(), "trust": TRUST.read_bytes()}
    bearer = make_bearer("viewer")
    mine = client.post("gate", headers=bearer, files=files | {"policy": policy.read_bytes()}).json()
    shipped = client.post("gate?policy=default", headers=bearer, files=files).json()
    assert mine["exit_code"] == shipped["exit_code"] == code
    assert mine["gate"] == shipped["gate"] == reported
    assert [event["exit_code"] for event in count(Action.GATE_DECIDED)] == [code] * 3
    both = client.post("gate?policy=default", headers=bearer, files=files | {"policy": policy.read_bytes()})
    assert (both.status_code, both.json()["error"]["code"]) == (422, "policy_refused")


def test_a_sweep_is_a_job_of_its_token_and_its_result_a_run(load_planted: Callable[[str], Any]) -> None:
    with serve(load_planted(MODEL)) as client:
        mine, other, reviewer = make_bearer("researcher"), make_bearer("researcher"), make_bearer("reviewer")
        started = client.post("jobs", headers=mine, json=SWEEP)
        assert started.status_code == 202
        assert client.get(f"jobs/{started.json()['id']}", headers=other).status_code == 404
        done = wait_for(client, started.json(), mine)
        assert (done["state"], done["error"]) == ("done", None)
        run = done["outcome"]["run_id"]
        found = client.get(f"runs/{run}", headers=mine).json()
        cells = {cell["component"]: cell["estimate"] for cell in found["result"]["cells"]}
        assert len(cells) == len(load_planted(MODEL).components("head"))
        assert all({"value", "low", "high", "n", "unit"} <= set(estimate) for estimate in cells.values())
        assert found["evidence"]["cells"]
        assert client.get(f"runs/{run}", headers=other).status_code == 403
        assert client.get(f"runs/{run}", headers=reviewer).status_code == 200
        lines = {line["run_id"]: line for line in client.get("runs", headers=other).json()["runs"]}
        assert lines[run]["is_own"] is False
        assert "result" not in lines[run]


def test_a_file_of_an_audits_own_kind_gives_what_the_library_gives(load_planted: Callable[[str], Any]) -> None:
    """Labelled texts: the page, the command and the API read them by one function, and the run is the same."""
    subject, raw = load_planted(MODEL), write_votes("majority", n_pairs=3)
    answers = {"dictionary": PLANTED, "features": "L1.F1", "described": "A"}
    audit = get_plugin("audits", "features")
    with serve(subject) as client:
        bearer = make_bearer("researcher")
        asked = {
            "audit": "features",
            "model": MODEL,
            "answers": answers,
            "file": {"text": raw.decode(), "name": "votes.csv"},
        }
        done = wait_for(client, client.post("jobs", headers=bearer, json=asked).json(), bearer)
        assert done["error"] is None, done["error"]
        run = client.get(f"runs/{done['outcome']['run_id']}", headers=bearer).json()
        wrong = asked | {"file": {"text": "no,columns\n1,2", "name": "votes.csv"}}
        failed = wait_for(client, client.post("jobs", headers=bearer, json=wrong).json(), bearer)
    request = audit.ask_file(subject, raw, "votes.csv", answers)
    expected = audit.run(subject, request, means=None, on_progress=no_progress)
    (row,) = run["result"]["rows"]
    assert row["firing_rate"] == expected.rows[0].firing_rate > 0
    assert row["label_verdict"] == expected.rows[0].label_verdict
    assert run["run"]["kind"] == "features"
    assert failed["state"] == "failed", "a file that cannot be read is no result"
    assert failed["error"]["remedy"]


def test_a_job_that_fails_says_what_was_found_wanted_and_to_do(load_planted: Callable[[str], Any]) -> None:
    with serve(load_planted(MODEL)) as client:
        bearer = make_bearer("researcher")
        asked = SWEEP | {"answers": {"kind": "planet"}}
        failed = wait_for(client, client.post("jobs", headers=bearer, json=asked).json(), bearer)
        assert (failed["state"], failed["error"]["code"]) == ("failed", "refused")
        assert "planet" in failed["error"]["found"]
        assert failed["error"]["remedy"]
        (line,) = client.get("runs", headers=bearer).json()["runs"]
        assert line["outcome"] == "refused"


def test_the_commands_make_list_and_revoke_a_token(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "token", "create", "--name", "ci", "--role", "viewer", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert client.get("runs", headers=bearer).status_code == 200
    secret = made["token"].split("_", 2)[2]
    main(["api", "token", "list", "--json"])
    assert secret not in (listed := capsys.readouterr().out)
    assert json.loads(listed)["tokens"][0]["state"] == "valid"
    assert main(["api", "token", "revoke", made["id"]]) == 0
    found = client.get("runs", headers=bearer)
    assert (found.status_code, found.json()["error"]["code"]) == (401, "bad_token")
    assert main(["api", "token", "revoke", made["id"]]) == 2
    with open_database(audit_home()) as connection:
        assert all(secret not in event.body for event in list_events(connection))
    assert all(secret.encode() not in path.read_bytes() for path in audit_home().rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "wrong", [["--days", "0"], ["--days", "400"], ["--name", " "], ["--key", "unknown"]], ids=["none", "long", "unnamed", "key"]
)  # fmt: skip
def test_a_token_that_cannot_be_made_is_refused(wrong: list[str]) -> None:
    assert main(["api", "token", "create", "--name", "ci", "--role", "viewer", *wrong]) == 2
    assert count(Action.TOKEN_MADE) == []


def test_the_server_listens_beyond_this_machine_only_behind_tls(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "serve", "--host", "0.0.0.0"]) == 2
    assert "--tls-proxy" in capsys.readouterr().err


def test_the_dashboard_serves_the_same_api() -> None:
    from audit_core.api import PREFIX
    from ui.flow import api

    assert api.PREFIX == PREFIX
    with TestClient(Starlette(routes=[api.mount_api()])) as client:
        answer = client.get(f"{PREFIX}/runs")
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "bad_token"
        assert client.get(f"{PREFIX}/nothing", headers={"Authorization": "Bearer assay_x_y"}).status_code in (401, 404)
