"""What runs elsewhere: the container file, and the scripts of the GitHub action and the GitLab template, run against a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.routing import Mount
from toy.api import PACK, TRUST, make_bearer

from audit_core.api import PREFIX, Workbench, make_api
from audit_core.cli import main
from audit_core.data_folder import DATA
from audit_core.jobs import JobManager

ROOT = Path(__file__).resolve().parents[2]
POLICY = DATA / "policy/default.toml"
LINES = [
    line for line in (ROOT / "Containerfile").read_text().replace("\\\n", " ").splitlines() if not line.startswith("#")
]


@pytest.fixture
def server() -> Iterator[str]:
    """The application on a port of this machine."""
    jobs = JobManager()
    api = Starlette(routes=[Mount(PREFIX, make_api(Workbench(lambda *_: pytest.fail("no model"), lambda: jobs)))])
    running = uvicorn.Server(uvicorn.Config(api, port=0, log_level="critical"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        assert thread.is_alive()
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join()


def read_scripts() -> dict[str, str]:
    action = yaml.safe_load((ROOT / ".github/actions/gate/action.yml").read_text())
    template = yaml.safe_load((ROOT / "ci/gitlab.yml").read_text())
    return {"github": action["runs"]["steps"][0]["run"], "gitlab": "\n".join(template[".assay-gate"]["script"])}


def run_script(name: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """One of the scripts as its runner starts it: by a shell that stops at the first error."""
    given = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "GITHUB_ACTION_PATH": str(ROOT / ".github/actions/gate"),
        "GITHUB_OUTPUT": str(folder / "output"), "RUNNER_TEMP": str(folder), "GATE_SCRIPT": str(ROOT / "ci/gate.py"),
        "PACK": str(PACK), "POLICY": str(POLICY), "TRUST": str(TRUST),
    }  # fmt: skip
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", read_scripts()[name]]
    return subprocess.run(
        command, env=given | variables, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", ["github", "gitlab"])
def test_the_exit_code_of_a_pipeline_is_that_of_the_gate(
    name: str, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = make_bearer("viewer")["Authorization"].removeprefix("Bearer ")
    changed = tmp_path / "changed.zip"
    changed.write_bytes(PACK.read_bytes()[:-1])
    codes = set()
    for pack, trust in ((PACK, str(TRUST)), (changed, str(TRUST))):
        wanted = main(["gate", str(pack), "--policy", str(POLICY), *(["--trust", trust] if trust else [])])
        done = run_script(name, tmp_path, SERVER=server, ASSAY_TOKEN=token, PACK=str(pack), TRUST=trust)
        assert (done.returncode, done.stderr) == (wanted, "")
        assert token not in done.stdout
        codes.add(wanted)
    assert len(codes) > 1
    written = tmp_path / "assay-gate.json"
    assert json.loads(written.read_text())["exit_code"] == wanted
    capsys.readouterr()
    if name == "github":
        assert (tmp_path / "output").read_text().splitlines()[-1] == f"exit-code={wanted}"


WITHOUT = {
    "no token": {"ASSAY_TOKEN": ""},
    "a wrong token": {"ASSAY_TOKEN": f"assay_{'0' * 12}_{'A' * 43}"},
    "no server": {"SERVER": "http://127.0.0.1:9"},
    "no TLS": {"SERVER": "http://assay.example"},
    "no pack": {"PACK": "/nothing"},
    "a pack named like an option": {"PACK": "--help"},
    "a second line": {"ASSAY_TOKEN": "a\r\nX: y"},
}


@pytest.mark.parametrize("name", ["github", "gitlab"])
def test_without_a_decision_no_pipeline_passes(name: str, server: str, tmp_path: Path) -> None:
    for given in WITHOUT.values():
        done = run_script(name, tmp_path, **({"SERVER": server, "ASSAY_TOKEN": "x"} | given))
        assert done.returncode == 2, given
        assert "No decision" in done.stderr, given


@pytest.mark.parametrize(
    "reply",
    [{"exit_code": False}, {"exit_code": 7}, {}, [], {"exit_code": 0, "gate": {"exit_code": 1, "criteria": []}}],
)
def test_an_answer_that_names_no_decision_or_contradicts_itself_does_not_pass(reply: Any, tmp_path: Path) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            data = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        done = run_script("gitlab", tmp_path, SERVER=f"http://127.0.0.1:{other.server_port}", ASSAY_TOKEN="x")
        other.shutdown()
    assert done.returncode == 2


def test_no_input_of_the_action_is_put_into_the_text_of_its_script() -> None:
    for script in read_scripts().values():
        assert "${{" not in script


def test_the_container_runs_without_rights_and_says_whether_it_lives() -> None:
    stages = [at for at, line in enumerate(LINES) if line.startswith("FROM ")]
    last = LINES[stages[-1] :]
    users = [line for line in last if line.startswith("USER ")]
    assert re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", users[-1]), (
        "a number: Kubernetes cannot tell that a name is not root"
    )
    assert last.index(users[-1]) < next(at for at, line in enumerate(last) if line.startswith("ENTRYPOINT"))
    (health,) = [line for line in last if line.startswith("HEALTHCHECK")]
    assert f"{PREFIX}/healthz" in health
    assert 'CMD ["python"' in health
    ports = {int(number) for number in re.findall(r"(?:EXPOSE |127\.0\.0\.1:)(\d+)", "\n".join(last))}
    assert ports == {8502}
    assert all(
        "--require-hashes" in line or "constraints.txt" in line or "no-build-isolation" in line
        for line in LINES
        if "pip install" in line
    )


def test_everything_that_the_container_writes_is_outside_its_root() -> None:
    """With a read-only root, a folder that is neither the volume nor /tmp could not be written."""
    text = "\n".join(LINES)
    places = dict(re.findall(r"\b(AUDIT_HOME|AUDIT_MODELS|HF_HOME|HOME)=(\S+)", text))
    assert set(places) == {"AUDIT_HOME", "AUDIT_MODELS", "HF_HOME", "HOME"}
    assert all(place.startswith(("/data/", "/tmp")) for place in places.values())
    assert "PYTHONDONTWRITEBYTECODE=1" in text
    assert "VOLUME /data" in LINES


def test_the_image_gets_what_the_wheel_is_built_from_and_no_secret() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert {
        "app.py",
        "audit_core",
        "data",
        "pages",
        "ui",
        ".streamlit/config.toml",
        "tools/build_hook.py",
        "requirements.lock",
    } <= allowed
    assert all((ROOT / name).exists() for name in allowed)
    assert not any("secrets" in name or name in (".git", ".streamlit", ".venv") for name in allowed)
