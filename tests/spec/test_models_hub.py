"""Fetching from the hub, against a small server that answers as the hub does."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789" * 4
WEIGHTS = save({"weight": np.zeros((500, 1000), dtype=np.float32)})
CONFIG = b'{"model_type": "llama"}'
REPOSITORIES: dict[str, dict[str, bytes]] = {
    "org/plain": {
        "config.json": CONFIG,
        "tokenizer.json": b"{}",
        "model.safetensors": WEIGHTS,
        "pytorch_model.bin": b"a pickle",
        "modeling.py": b"raise SystemExit",
        "onnx/model.safetensors": b"the same in another format",
        "consolidated.safetensors": b"the same in another layout",
    },
    "org/pickled": {"config.json": CONFIG, "pytorch_model.bin": b"a pickle"},
    "org/remote-code": {"config.json": b'{"auto_map": {"AutoModel": "m.M"}}', "model.safetensors": WEIGHTS},
    "org/not-a-model": {"README.md": b"hello"},
}
PROGRAM = """
import sys
from audit_core.errors import Cancelled, ModelRefused
from audit_core.models import resolve_model
from audit_core.models.access import ANONYMOUS, LINK, PAGE, read_command_line_access
access = {"page": PAGE, "link": LINK, "command": read_command_line_access()}.get((sys.argv[2:] or [""])[0], ANONYMOUS)
steps = []
def on_progress(stage, done, total):
    steps.append((stage, done, total))
    if sys.argv[2:] == ["stop"] and done: raise Cancelled("enough")
try:
    folder = resolve_model(sys.argv[1], on_progress, access)
    print("files", *sorted(path.name for path in folder.iterdir()))
    print("last step", *max(steps, default=()))
except ModelRefused as refusal:
    print("refused", refusal)
except Cancelled:
    print("cancelled")
print("torch" in sys.modules)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    served: list[str]
    asked: list[tuple[str, str | None]]
    """Every request's path, of whatever kind, and the authorization that it carried."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("authorization")))
        path = self.path.split("?")[0].strip("/")
        content = self.answer(path)
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hash(content) & 0xFFFFFFFF:x}"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if self.command == "GET":
            self.served.append(path)
            self.wfile.write(content or b"")

    def answer(self, path: str) -> bytes | None:
        api = path.startswith("api/models/")
        parts = path.removeprefix("api/models/").split("/")
        files = REPOSITORIES.get("/".join(parts[:2]))
        if files is None:
            return None
        if api and "tree" in parts:
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": f"{len(content):040x}"}
                for name, content in files.items()
            ]
            return json.dumps(entries).encode()
        if api:
            names = [{"rfilename": name} for name in files]
            return json.dumps({"id": "/".join(parts[:2]), "sha": COMMIT, "siblings": names}).encode()
        return files.get("/".join(parts[4:]))

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.served, Hub.asked = [], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def resolve(name: str, hub: str, home: Path, *flags: str, **variables: str) -> tuple[str, str]:
    """What `resolve_model(name)` does in a process of its own, and what it writes to stderr."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    environment = {**kept, "HF_ENDPOINT": hub, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", **variables}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, *flags],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("False\n"), "torch was loaded"
    return done.stdout, done.stderr


def test_a_hub_model_arrives_without_pickles_code_or_copies_in_other_formats(hub: str, tmp_path: Path) -> None:
    said, noise = resolve("org/plain", hub, tmp_path)
    assert "files config.json model.safetensors tokenizer.json\n" in said
    assert f"last step download {len(WEIGHTS)} {len(WEIGHTS)}" in said
    assert noise == ""
    assert not [path for path in Hub.served if path.endswith((".bin", ".py"))]


def test_a_fetched_hub_model_is_found_again_when_the_hub_is_gone(hub: str, tmp_path: Path) -> None:
    resolve("org/plain", hub, tmp_path)
    said, _ = resolve("org/plain", "http://127.0.0.1:9", tmp_path)
    assert "files config.json model.safetensors tokenizer.json" in said


def test_a_model_that_asks_for_remote_code_is_refused_before_its_weights_are_fetched(hub: str, tmp_path: Path) -> None:
    said, _ = resolve("org/remote-code", hub, tmp_path)
    assert "requests to run custom Python code" in said
    assert [path for path in Hub.served if path.endswith("config.json")]
    assert not [path for path in Hub.served if path.endswith(".safetensors")]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("org/pickled", "safetensors only"),
        ("org/not-a-model", "no config.json"),
        ("org/unheard-of", "is not on the hub, or you have no access to it"),
    ],
)
def test_what_the_hub_cannot_give_is_refused_with_a_remedy(name: str, says: str, hub: str, tmp_path: Path) -> None:
    said, _ = resolve(name, hub, tmp_path)
    assert said.startswith("refused")
    assert says in said
    assert "What to do" in said


def test_a_hub_out_of_reach_is_refused_with_a_remedy(tmp_path: Path) -> None:
    said, _ = resolve("org/plain", "http://127.0.0.1:9", tmp_path)
    assert said.startswith("refused The model org/plain could not be fetched")
    assert "give its folder" in said


def test_a_hub_download_stops_when_cancelled(hub: str, tmp_path: Path) -> None:
    said, _ = resolve("org/plain", hub, tmp_path, "stop")
    assert said.startswith("cancelled")
    assert not list(tmp_path.rglob("model.safetensors"))
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left in ([], ["CACHEDIR.TAG"]), "nothing of the model is left behind"


@pytest.mark.parametrize("who", ["library", "page", "link", "command"])
def test_no_request_carries_a_token_that_was_not_given_for_it(who: str, hub: str, tmp_path: Path) -> None:
    """A token of the server's would let whoever sends a link read what it may read."""
    (tmp_path / "token").write_text("hf_servers")
    kept = {"HF_TOKEN": "hf_servers", "HUGGING_FACE_HUB_TOKEN": "hf_servers"}
    others = {"AUDIT_HUB_TOKEN": "hf_of_the_command_line"} if who != "command" else {}
    said, _ = resolve("org/plain", hub, tmp_path, who, **kept, **others)
    assert {authorization for _, authorization in Hub.asked} <= {None}
    assert bool(Hub.asked) is (who != "link")
    assert said.startswith("refused" if who == "link" else "files")


def test_the_command_line_sends_the_token_of_its_own_variable(hub: str, tmp_path: Path) -> None:
    said, noise = resolve("org/plain", hub, tmp_path, "command", AUDIT_HUB_TOKEN="hf_mine", HF_TOKEN="hf_servers")
    assert said.startswith("files")
    assert {authorization for _, authorization in Hub.asked} == {"Bearer hf_mine"}
    assert "hf_mine" not in said + noise


def test_a_page_that_opens_by_itself_takes_a_hub_model_from_the_cache_and_asks_nothing(
    hub: str, tmp_path: Path
) -> None:
    resolve("org/plain", hub, tmp_path, "page")
    Hub.asked.clear()
    said, _ = resolve("org/plain", hub, tmp_path, "link")
    assert said.startswith("files config.json model.safetensors tokenizer.json")
    assert Hub.asked == [], "not even HEAD"


def test_a_cancelled_fetch_leaves_an_earlier_one_as_it_was(hub: str, tmp_path: Path) -> None:
    resolve("org/plain", hub, tmp_path, "page")
    before = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    resolve("org/plain", hub, tmp_path, "stop")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == before


def test_a_token_is_in_no_repr() -> None:
    from audit_core.models.access import ModelAccess

    assert "hf_mine" not in repr(ModelAccess(token="hf_mine"))
