"""The REST API against hostile requests: no trace, path or secret comes back, nothing is read without a token, and bounds hold."""

from __future__ import annotations

import io
import itertools
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from toy.api import MODEL, PACK, list_rows, make_bearer, serve

from audit_core.api import application, limits
from audit_core.api.endpoint import Call
from audit_core.api.endpoints import ENDPOINTS
from audit_core.api.errors import describe_error
from audit_core.api.limits import MAX_JSON_BYTES, MAX_UPLOAD_BYTES, RateLimit
from audit_core.errors import IntegrityError, StoreRefused
from audit_core.governance import PersonRole, api_token
from audit_core.store import Action, audit_home, list_events, open_database
from audit_core.store.people import api_tokens
from audit_core.verifier.trust import MAX_TRUST_BYTES

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client() -> Iterator[TestClient]:
    with serve() as found:
        yield found


def read_fault(found: Any, status: int, code: str) -> dict[str, str]:
    assert found.status_code == status, found.text
    fault: dict[str, str] = found.json()["error"]
    assert set(fault) == {"code", "found", "wanted", "remedy", "request_id"}
    assert fault["code"] == code
    assert all(fault.values())
    assert found.headers["x-request-id"] == fault["request_id"]
    assert found.headers["cache-control"] == "no-store"
    return fault


SECRET = "A" * 43
WRONG = {
    "none": {},
    "another scheme": {"Authorization": "Basic YTpi"},
    "no form": {"Authorization": "Bearer abc"},
    "unknown": {"Authorization": f"Bearer assay_{'0' * 12}_{SECRET}"},
    "a second line": {"Authorization": f"Bearer assay_{'0' * 12}_{SECRET}\n"},
    "long": {"Authorization": "Bearer " + "a" * 5000},
    "a cookie": {"Cookie": f"token=assay_{'0' * 12}_{SECRET}"},
}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Without the limit of failures."""
    monkeypatch.setattr(application, "FAILURES_A_MINUTE", 10_000)
    with serve() as found:
        yield found


def test_without_a_valid_token_nothing_is_read_and_nothing_is_logged(
    patient: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(*_: Any) -> bytes:
        raise AssertionError("a body without a token was read")

    monkeypatch.setattr(application, "_read_bounded", read)
    for one, headers in itertools.product(ENDPOINTS, WRONG.values()):
        path = (
            one.path.replace("{run_id}", "0" * 32)
            .replace("{claim_id}", "C-0001")
            .replace("{job_id}", "0")
            .replace("{root_digest}", "0" * 64)
        )
        found = patient.request(one.method, path.lstrip("/"), headers=headers | JSON, content=b"{}")
        read_fault(found, 401, "bad_token")
        assert found.headers["www-authenticate"].startswith("Bearer")
    with open_database(audit_home()) as connection:
        assert list_events(connection, action=Action.PERSON_REFUSED) == ()


def test_a_wrong_secret_of_a_known_token_an_expired_and_a_token_in_the_address_are_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearer = make_bearer("admin")
    text = bearer["Authorization"].removeprefix("Bearer ")
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    read_fault(client.get("runs", headers={"Authorization": f"Bearer {wrong}"}), 401, "bad_token")
    read_fault(client.get(f"runs?token={text}"), 401, "bad_token")
    assert client.get("runs", headers=bearer).status_code == 200

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=2)

    monkeypatch.setattr("audit_core.store.people.person_log.datetime", Later)
    read_fault(client.get("runs", headers=bearer), 401, "expired")


def test_secrets_are_compared_in_constant_time_whether_or_not_the_token_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(
        api_token.hmac, "compare_digest", lambda one, other: compared.append((one, other)) or one == other
    )
    text, token = api_tokens.make_token(audit_home(), "a", [PersonRole.VIEWER], by="anna", days=1)
    found = api_token.read_token(text)
    assert found is not None
    assert api_token.is_secret_of(token, found[1])
    assert not api_token.is_secret_of(token, SECRET)
    assert not api_token.is_secret_of(None, SECRET)
    assert [len(one) + len(other) for one, other in compared] == [128] * 3
    assert not api_token.is_secret_of(None, ""), "the digest that stands in for no token opens nothing"


PATHS = [
    "packs/..%2f..%2fkeys%2flog.pem",
    "packs/%2e%2e",
    "runs/..%2f..%2fetc%2fpasswd",
    "claims/..%5c..",
    "jobs/%00",
    "packs/" + "0" * 63 + "%0a",
    "packs/" + "٣" * 64,
]


def test_no_address_leaves_its_place(client: TestClient) -> None:
    (audit_home() / "packs").mkdir()
    (audit_home() / "secret.evidence.zip").write_bytes(b"secret")
    bearer = make_bearer("researcher")
    for path in PATHS:
        found = client.get(path, headers=bearer)
        assert found.status_code == 404, path
        assert b"secret" not in found.content


MODELS = ["/etc", "../../etc", "./x", "~/models", "C:\\models", "", "a" * 300, "x\ny", "nowhere"]


def test_a_folder_of_the_server_is_no_model(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last is a folder here, and a hub id by its form."""
    monkeypatch.chdir(PACK.parents[2])
    bearer = make_bearer("researcher")
    for model in MODELS:
        asked = {"audit": "sweep", "model": model, "prompts": {"text": list_rows(1)}}
        read_fault(client.post("jobs", headers=bearer, json=asked), 422, "model_refused")


@pytest.mark.parametrize(
    ("prompts", "code"),
    [({"id": "../../x"}, "prompt_refused"), ({"text": "{}", "name": "../rows.jsonl"}, "prompt_refused"), ({}, "prompt_refused"),
     ({"text": "a,b\n1,2", "name": "rows.csv"}, "prompt_refused")],
)  # fmt: skip
def test_prompts_are_no_path_and_bad_rows_are_refused_at_once(client: TestClient, prompts: Any, code: str) -> None:
    asked = {"audit": "sweep", "model": MODEL, "prompts": prompts}
    read_fault(client.post("jobs", headers=make_bearer("researcher"), json=asked), 422, code)


@pytest.mark.parametrize(
    ("asked", "status", "code", "named"),
    [
        ({}, 422, "refused", "Neither"),
        ({"file": {"text": "a"}, "prompts": {"id": "indirect_object"}}, 422, "refused", "Both"),
        ({"file": {"text": "a", "name": "../../etc/passwd"}}, 422, "file_refused", "etc/passwd"),
        ({"file": {"text": "é" * 2_500_000}}, 413, "file_refused", "5,000,000"),
        ({"file": {"text": "a"}, "half": "exploratory"}, 422, "refused", "half"),
        ({"file": {"text": "a"}, "prompt": "q1"}, 422, "refused", "prompt"),
        ({"file": {"text": "a"}, "answers": {"file": "/etc/passwd"}}, 422, "refused", "no field"),
        ({"audit": "sweep", "file": {"text": "a"}}, 422, "refused", "file"),
        ({"file": {"path": "/etc/passwd"}}, 400, "bad_body", "file"),
        ({"audit": "tabular", "prompts": {"id": "indirect_object"}}, 422, "refused", "tabular"),
    ],
)
def test_a_file_of_an_audits_own_kind_is_text_and_no_path(
    client: TestClient, asked: Any, status: int, code: str, named: str
) -> None:
    body = {"audit": "tools", "model": MODEL} | asked
    assert named in read_fault(client.post("jobs", headers=make_bearer("researcher"), json=body), status, code)["found"]


BODIES = {
    "not JSON": (b"{", "Invalid JSON"),
    "deep": (b'{"answers":' * 5000, ""),
    "an unknown field": (b'{"audit":"sweep","prompts":{"id":"x"},"path":"/etc/passwd"}', "path"),
    "a wrong type": (b'{"audit":7,"prompts":{"id":"x"}}', "audit"),
    "a missing field": (b'{"prompts":{"id":"x"}}', "audit"),
    "not UTF-8": (b'{"audit":"\xff"}', ""),
}


def test_a_body_that_is_not_the_one_described_is_refused_by_its_field(client: TestClient) -> None:
    bearer = make_bearer("researcher") | JSON
    for body, named in BODIES.values():
        assert named in read_fault(client.post("jobs", headers=bearer, content=body), 400, "bad_body")["found"]


def test_the_type_of_a_body_is_checked_so_that_no_web_form_can_send_one(client: TestClient) -> None:
    bearer = make_bearer("researcher")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        read_fault(client.post("jobs", headers=bearer | {"Content-Type": kind}, content=b"{}"), 415, "bad_type")
    read_fault(client.post("verify", headers=bearer | JSON, content=b"{}"), 415, "bad_type")


def test_a_stated_and_a_real_size_above_the_bound_are_refused(client: TestClient) -> None:
    bearer = make_bearer("researcher") | JSON
    read_fault(client.post("jobs", headers=bearer, content=b" " * (MAX_JSON_BYTES + 1)), 413, "too_large")
    sent = []

    def chunks() -> Iterator[bytes]:
        for _ in range(64):
            sent.append(1)
            yield b" " * (1 << 20)

    read_fault(client.post("jobs", headers=bearer, content=chunks()), 413, "too_large")
    huge = bearer | {"Content-Length": str(MAX_UPLOAD_BYTES + 1), "Content-Type": "multipart/form-data; boundary=x"}
    read_fault(client.post("verify", headers=huge, content=b"x"), 413, "too_large")
    read_fault(client.get("runs", headers=make_bearer("viewer") | {"Content-Length": "9" * 30}), 413, "too_large")


def test_parts_that_are_not_asked_for_and_large_parts_are_refused(client: TestClient) -> None:
    bearer, pack = make_bearer("viewer"), PACK.read_bytes()
    files = {"pack": pack, "waivers": b""}
    read_fault(client.post("gate?policy=default", headers=bearer, files=files), 400, "bad_body")
    twice = [("pack", io.BytesIO(pack)), ("pack", io.BytesIO(pack))]
    read_fault(client.post("verify", headers=bearer, files=twice), 400, "bad_body")
    read_fault(client.post("verify", headers=bearer, data={"pack": "text"}, files={"trust": b""}), 400, "bad_body")
    read_fault(
        client.post("verify", headers=bearer, files={"trust": b"", "pack": pack, "x": b"", "y": b"", "z": b""}),
        400,
        "bad_body",
    )
    read_fault(
        client.post("verify", headers=bearer, files={"pack": pack, "trust": b"#" * (MAX_TRUST_BYTES + 1)}),
        413,
        "too_large",
    )
    read_fault(client.post("verify", headers=bearer, files={"pack": pack, "trust": b"keys = 3"}), 422, "refused")


def test_a_file_name_of_the_client_reaches_no_file_and_no_header(client: TestClient) -> None:
    files = {"pack": ("../../x\r\nSet-Cookie: a=b", b"not a pack")}
    found = client.post("verify", headers=make_bearer("viewer"), files=files)
    assert (found.status_code, found.json()["exit_code"]) == (200, 4)
    assert "set-cookie" not in found.headers
    assert not any(path.name.startswith("x") for path in audit_home().rglob("*"))


def test_parameters_are_bounded(client: TestClient) -> None:
    bearer = make_bearer("viewer")
    for query in ["limit=0", "limit=201", "limit=-1", "limit=1e3", "limit=²", "other=1", "limit=1&limit=2"]:
        read_fault(client.get(f"runs?{query}", headers=bearer), 400, "bad_query")


def test_an_unknown_address_or_method_has_the_same_shape(client: TestClient) -> None:
    assert client.get("nothing").json()["error"]["code"] == "not_found"
    found = client.put("runs")
    assert (found.status_code, found.json()["error"]["code"]) == (405, "no_such_method")


def test_a_defect_shows_neither_trace_nor_text(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    (listing,) = [one for one in ENDPOINTS if one.name == "listRuns"]

    def fail(_: Call) -> Any:
        raise ValueError("secret text of /srv/assay/keys")

    object.__setattr__(listing, "handle", fail)
    try:
        with serve() as other:
            found = other.get("runs", headers=make_bearer("viewer"))
    finally:
        from audit_core.api.runs import list_runs

        object.__setattr__(listing, "handle", list_runs)
    read_fault(found, 500, "defect")
    assert "secret" not in found.text
    assert "Traceback" not in found.text


@pytest.mark.parametrize(
    "error", [StoreRefused("/srv/x is full", wanted="y", remedy="z"), IntegrityError("/srv/x is altered")]
)
def test_an_error_that_names_folders_of_the_server_keeps_them_there(error: Any) -> None:
    status, fault, _ = describe_error(error, "id")
    assert status >= 500
    assert "/srv" not in str(fault)


def test_a_bucket_holds_its_number_and_refills_evenly() -> None:
    now = [0.0]
    limit = RateLimit(60, clock=lambda: now[0])
    assert [limit.wait_s("a") for _ in range(60)] == [0.0] * 60
    assert limit.wait_s("a") == pytest.approx(1.0)
    assert limit.wait_s("b") == 0.0
    now[0] = 0.5
    assert limit.wait_s("a") == pytest.approx(0.5)
    now[0] = 1.0
    assert limit.wait_s("a", take=False) == limit.wait_s("a") == 0.0
    assert limit.wait_s("a") > 0


def test_callers_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_KEPT", 10)
    limit = RateLimit(1)
    for number in range(1000):
        limit.wait_s(str(number))
    assert len(limit._left) == 10


def test_requests_refusals_and_failures_are_limited_and_say_when_to_come_back(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in (("REQUESTS_A_MINUTE", 3), ("REFUSALS_A_MINUTE", 2), ("FAILURES_A_MINUTE", 2)):
        monkeypatch.setattr(application, name, most)
    with serve() as client:
        viewer, other = make_bearer("viewer"), make_bearer("viewer")
        assert [client.get("claims", headers=viewer).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert [client.post("jobs", headers=other, json={}).status_code for _ in range(3)] == [403, 403, 429]
        found = [client.get("runs").status_code for _ in range(3)]
        assert found == [401, 401, 429]
        assert int(client.get("runs").headers["retry-after"]) >= 1
    with open_database(audit_home()) as connection:
        assert len(list_events(connection, action=Action.PERSON_REFUSED)) == 2


def test_no_token_is_in_what_the_server_writes(
    client: TestClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    bearer = make_bearer("viewer")
    secret = bearer["Authorization"].rsplit("_", 1)[1]
    with caplog.at_level(logging.DEBUG):
        client.get("runs", headers=bearer)
        client.post("jobs", headers=bearer, json={})
        client.get("runs", headers={"Authorization": bearer["Authorization"][:-1]})
    said = caplog.text + "".join(capfd.readouterr())
    assert secret[:-1] not in said


def test_a_token_is_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_tokens, "MAX_TOKENS", 2)
    make_bearer("viewer")
    make_bearer("viewer")
    with pytest.raises(Exception, match="2 valid tokens"):
        make_bearer("viewer")


def test_files_that_the_api_writes_are_private(tmp_path: Path) -> None:
    make_bearer("viewer")
    assert audit_home().stat().st_mode & 0o077 == 0
