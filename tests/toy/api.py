"""The API of tests: the real application in this process, tokens by role, and one planted model in place of the pool."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from audit_core.api import PREFIX, Workbench, make_api
from audit_core.governance.people import PersonRole
from audit_core.jobs import JobManager
from audit_core.run import Auditor
from audit_core.store import RunLog, audit_home
from audit_core.store.people.api_tokens import make_token
from audit_core.subjects.planted import find_planted

MODEL = "planted-strict"
ROOT = Path(__file__).resolve().parents[2]
PACK = ROOT / "data/packs/planted-strict-1.evidence.zip"
TRUST = ROOT / "data/packs/trust.toml"


def make_bearer(*roles: str, **more: Any) -> dict[str, str]:
    """Headers with a new token."""
    text, _ = make_token(audit_home(), "a test", [PersonRole(role) for role in roles], by="anna", days=1, **more)
    return {"Authorization": f"Bearer {text}"}


def list_rows(count: int = 1) -> str:
    """Prompts of the planted model as JSON Lines, `count` of each template."""
    model = find_planted(MODEL)
    assert model is not None
    prompts = model.find_task("query").make(count, 0).prompts
    names = ("id", "clean", "corrupted", "answer", "foil", "template")
    return "\n".join(json.dumps({name: getattr(prompt, name) for name in names}) for prompt in prompts)


@contextmanager
def serve(subject: Any = None) -> Iterator[TestClient]:
    """A client of the application; every model name that the API accepts opens `subject`."""
    jobs = JobManager()
    bench = Workbench(lambda name, owner, report: Auditor(subject, RunLog(audit_home())), lambda: jobs)
    app = Starlette(routes=[Mount(PREFIX, make_api(bench))])
    with TestClient(app, base_url=f"http://testserver{PREFIX}", raise_server_exceptions=False) as client:
        try:
            yield client
        finally:
            jobs.shut_down()


def wait_for(client: TestClient, job: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """The job's state when it has ended."""
    for _ in range(300):
        found: dict[str, Any] = client.get(f"jobs/{job['id']}", headers=headers).json()
        if found.get("state") not in ("queued", "running"):
            return found
        time.sleep(0.2)
    raise AssertionError("the job did not end")
