"""Campaigns on a real Ray cluster of two raylets on this machine; `make campaign-tests` runs it and prints what was found.

A program and not a pytest module: it starts and kills processes of an environment of its own, and lasts minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PORT = 26379
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "OMP_NUM_THREADS": "1"}
# Patience for a busy machine; how a lost worker or node is noticed stays as it is: their connections close.
os.environ |= {
    "RAY_agent_register_timeout_ms": "400000", "RAY_worker_register_timeout_seconds": "400", "RAY_health_check_timeout_ms": "60000",
    "RAY_raylet_start_wait_time_s": "400", "RAY_gcs_server_request_timeout_seconds": "400", "RAY_gcs_rpc_server_reconnect_timeout_s": "400",
}  # fmt: skip
CAMPAIGN = """
name = "cluster"
models = ["planted-strict"]
prompts = ["planted-query", "planted-vote"]
threads = 1
prompts_per_run = 24

[[audits]]
name = "sweep"
answers = { kind = "head", replacement = "zero" }

[[audits]]
name = "sweep"
answers = { kind = "head", replacement = "mean" }

[[audits]]
name = "sweep"
answers = { kind = "mlp", replacement = "zero" }
"""
_STARTS = 8
_PATIENT = """
import inspect, sys, time
import ray._private.services as services
from ray import _raylet
get = services.get_node

def wait_longer(*words):
    end = time.monotonic() + 90
    while True:
        try:
            return get(*words)
        except RuntimeError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)

services.get_node = wait_longer
start = services.start_raylet

def start_at_once(*words, **named):
    place = inspect.signature(start).bind(*words, **named).arguments
    for name in (_raylet.METRICS_AGENT_PORT_NAME, _raylet.DASHBOARD_AGENT_LISTEN_PORT_NAME, _raylet.METRICS_EXPORT_PORT_NAME):
        _raylet.persist_port(place["session_dir"], place["node_id"], name, -1)
    return start(*words, **named)

services.start_raylet = start_at_once
from ray.scripts.scripts import main
sys.argv[0] = "ray"
main()
"""
"""`ray start` with more patience. It waits 30 seconds for a node, and a node waits 15 for the ports of Ray's dashboard, which is not
used here: both are constants, and two cores with other work take longer."""
_TOKEN = "a-token-of-this-test-that-is-long-enough-0123456789"


def check(name: str, is_met: bool, found: object = "") -> None:
    """Print one line, and end the program where it is not met."""
    print(f"{'ok    ' if is_met else 'FAILED'}  {name}{f': {found}' if found != '' else ''}", flush=True)
    if not is_met:
        sys.exit(1)


class Cluster:
    """A head node without workers, and two nodes with one place each, as processes of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{PORT}"
        self.nodes: list[subprocess.Popen[bytes]] = []

    def start(self, *, head: bool, cpus: int) -> subprocess.Popen[bytes]:
        """Start one node and wait for it. Ray gives a node 30 seconds, which a busy machine can take, so it is tried again."""
        for attempt in range(_STARTS):
            node, path = self._launch(head=head, cpus=cpus)
            while node.poll() is None and b"--block" not in path.read_bytes():
                time.sleep(0.2)
            if node.poll() is None:
                self.nodes.append(node)
                return node
            kill_group(node)
            print(f"node {len(self.nodes)} did not start in time, attempt {attempt + 1} of {_STARTS}", flush=True)
        check("the node starts", False, path.read_text(errors="replace")[-600:])
        raise AssertionError

    def _launch(self, *, head: bool, cpus: int) -> tuple[subprocess.Popen[bytes], Path]:
        """It stays in the foreground, so that its processes are below one that can be killed."""
        where = ["--head", f"--port={PORT}", "--include-dashboard=false"] if head else [f"--address={self.address}"]
        command = [
            sys.executable, "-c", _PATIENT, "start", *where, f"--num-cpus={cpus}", "--disable-usage-stats", "--block",
            f"--object-store-memory={100 << 20}",
        ]  # fmt: skip
        # With ports of its own choice, a node waits 15 seconds for its agents to choose them, and then aborts.
        first = PORT + 100 + 10 * len(self.nodes)
        names = ("dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export")
        command += [f"--{name}-port={first + at}" for at, name in enumerate(names)]
        if head:
            command += [f"--temp-dir={self.folder}", "--no-monitor"]
        path = self.folder / f"node-{len(self.nodes)}-{time.monotonic_ns()}.txt"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_TOKEN": _TOKEN}
        with path.open("wb") as log:
            node = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        return node, path

    def stop(self) -> None:
        """End the process groups that this program started."""
        for node in self.nodes:
            kill_group(node)


def kill_group(node: subprocess.Popen[bytes]) -> None:
    """kill -9 for every process of a node: raylet, workers and agents."""
    below = list_descendants(node.pid)
    for process in [*below, node.pid]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    node.wait()
    # Ray starts some processes in groups of their own, and a parent that died is no longer found as one.
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)


def list_descendants(process: int) -> list[int]:
    """Processes below one, nearest first."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = [process]
    for one in found:
        found.extend(child for child, parent in parents.items() if parent == one)
    return found[1:]


def find_workers(node: subprocess.Popen[bytes]) -> list[int]:
    """Worker processes of a node that have begun a task."""
    found = []
    for process in list_descendants(node.pid):
        try:
            words = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if b"ray::_call" in words:
            found.append(process)
    return found


def wait_for(what: str, is_met: Callable[[], bool], limit_s: float = 900.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + limit_s
    while not is_met():
        if time.monotonic() > end:
            check(what, False, f"not within {limit_s:.0f} s")
        time.sleep(0.05)


def read_results(home: Path, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "campaigns" / name / "results").glob("*.json")}


def plan(home: Path):  # type: ignore[no-untyped-def]
    """The campaign in a new data directory, in tasks of one question each so that there is a middle to kill in."""
    from audit_core.campaigns import plan as planning
    from audit_core.campaigns import plan_campaign, read_campaign

    planning.LEAST_S = 0.0
    return plan_campaign(read_campaign(CAMPAIGN.encode(), name="cluster.toml", folder=home), home)


def crash_on_one(question, home, on_progress):  # type: ignore[no-untyped-def]
    """Answer as ever, but end the process on one question, as a library does that runs out of memory."""
    from audit_core.campaigns.worker import answer_question

    if ("kind", "mlp") in question.answers and question.part == 1 and question.source.label == "planted-query":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer_question(question, home, on_progress)


def run(folder, address: str, execute=None):  # type: ignore[no-untyped-def]
    """Run a campaign on the cluster, in a thread."""
    from audit_core.campaigns import RayEngine, execute_task, run_campaign
    from audit_core.run import Actor

    found: list[BaseException | None] = []

    def work() -> None:
        try:
            run_campaign(
                folder, RayEngine(address, threads=1), actor=Actor("test", "cluster"), execute=execute or execute_task
            )
            found.append(None)
        except BaseException as error:
            found.append(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    return thread, found


@contextmanager
def open_cluster(folder: Path) -> Iterator[Cluster]:
    """Two nodes that work, and a head that does not."""
    cluster = Cluster(folder)
    try:
        cluster.start(head=True, cpus=0)
        cluster.start(head=False, cpus=1)
        cluster.start(head=False, cpus=1)
        yield cluster
    finally:
        cluster.stop()


def main() -> None:
    """Run all checks in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder for data directories and logs, kept afterwards")
    given = parser.parse_args().keep
    top = given or Path(tempfile.mkdtemp(prefix="assay-cluster-"))
    top.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    try:
        _run_checks(top)
        print(f"All as expected, in {time.monotonic() - begun:.0f} s.")
    finally:
        if given is None:
            shutil.rmtree(top, ignore_errors=True)


def _run_checks(top: Path) -> None:
    from audit_core.campaigns import LocalEngine, read_status, run_campaign
    from audit_core.errors import Refused
    from audit_core.run import Actor
    from audit_core.store import RunLog

    me = Actor("test", "cluster")
    local, killed, crashed = (top / name for name in ("local", "killed", "crashed"))
    for home in (local, killed, crashed):
        home.mkdir(mode=0o700, exist_ok=True)
    base = plan(local)
    run_campaign(base, LocalEngine(), actor=me)
    expected = read_results(local, base.campaign_id)
    n = len(base.read_plan().questions)
    check(
        "the local engine answers every question",
        len(expected) == n == read_status(local, base.campaign_id).counts["done"],
        n,
    )

    with open_cluster(Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))) as cluster:
        first, second = cluster.nodes[1:]
        os.environ["RAY_AUTH_TOKEN"] = _TOKEN
        folder = plan(killed)
        thread, found = run(folder, cluster.address)
        wait_for(
            "two nodes have workers with tasks",
            lambda: (bool(find_workers(first)) and bool(find_workers(second))) or bool(found),
        )
        wait_for("an answer is stored", lambda: len(folder.list_ended()) >= 1)
        worker = find_workers(first)[0]
        os.kill(worker, signal.SIGKILL)
        print(f"killed  -9 a worker, with {len(folder.list_ended())} of {n} answers stored", flush=True)
        stored = len(folder.list_ended())
        wait_for("answers after the worker's death", lambda: len(folder.list_ended()) > stored)
        check(
            "the campaign is still running when the node is killed", thread.is_alive() and len(folder.list_ended()) < n
        )
        kill_group(second)
        print(f"killed  -9 a node, with {len(folder.list_ended())} of {n} answers stored", flush=True)
        thread.join(1200)
        check("the campaign ends by itself", not thread.is_alive() and found == [None], found)
        compare(killed, folder.campaign_id, expected, n)

        bad = plan(crashed)
        thread, found = run(bad, cluster.address, partial(execute_with, crash_on_one))
        thread.join(1200)
        status = read_status(crashed, bad.campaign_id)
        failed = {line.options: (line.reason, line.state.value) for line in status.lines if line.state == "failed"}
        check("a question that ends its process is recorded as failed, with the reason",
              set(failed.values()) == {("process_died", "failed")} and all("mlp" in one for one in failed), failed)  # fmt: skip
        check("and stops no other question", status.counts["done"] == n - status.counts["failed"] and status.counts["failed"] > 0,
              {state.value: count for state, count in status.counts.items() if count})  # fmt: skip
        outcomes = sorted(record.outcome for record in RunLog(crashed).list_runs())
        check(
            "the log has every run once",
            len(outcomes) == n and outcomes.count("failed") == status.counts["failed"],
            len(outcomes),
        )
        check_cores(cluster.address, Refused)
        check_token(top, cluster.address, Refused)


def execute_with(answer, task):  # type: ignore[no-untyped-def]
    """`execute_task` with another answer."""
    from audit_core.campaigns.worker import execute_task

    execute_task(task, answer=answer)


def compare(home: Path, name: str, expected: dict[str, bytes], n: int) -> None:
    """Hold a cluster's results and log against the local engine's."""
    from audit_core.store import RunLog, open_database, verify_log

    found = read_results(home, name)
    check("0 lost", set(found) == set(expected), f"{len(found)} of {len(expected)}")
    check("every result is equal byte for byte to the local engine's", found == expected)
    records = RunLog(home).list_runs()
    keys = [record.content_key for record in records]
    check("0 duplicate in the log", len(keys) == len(set(keys)) == n, f"{len(keys)} runs, {len(set(keys))} keys")
    check("all runs are done", {record.outcome for record in records} == {"done"})
    with open_database(home) as connection:
        check("the log verifies", verify_log(connection).findings == ())


def check_cores(address: str, refused: type[Exception]) -> None:
    """Tasks that no machine can take are refused; Ray would wait for one for ever."""
    from audit_core.campaigns import RayEngine, Task, ray_engine

    ray_engine._PATIENCE_S = 3.0
    found = ""
    try:
        list(
            RayEngine(address, threads=99).run(
                [Task("/", "none", (), 99)], print, on_submit=str, is_stopping=lambda: False
            )
        )
    except refused as error:
        found = str(error)
    check("tasks that need more cores than any machine has are refused", "99 cores" in found, found[:120])


def check_token(top: Path, address: str, refused: type[Exception]) -> None:
    """A process with a wrong token, and one without, is refused; each is a process of its own, as Ray reads the token once."""
    for what, token in (("a wrong token", "another-token-that-is-as-long-as-the-right-one-98765"), ("no token", "")):
        home = top / what.replace(" ", "-")
        home.mkdir(mode=0o700)
        shutil.copytree(top / "local" / "campaigns", home / "campaigns")
        for path in home.glob("campaigns/*/results/*.json"):
            path.unlink()
        environment = {**os.environ, "AUDIT_HOME": str(home), "PYTHONPATH": str(ROOT), "HOME": str(home)}
        environment.pop("RAY_AUTH_TOKEN")
        if token:
            environment["RAY_AUTH_TOKEN"] = token
        name = next((home / "campaigns").iterdir()).name
        command = [sys.executable, "-m", "audit_core", "campaign", "run", name, "--engine", "ray", "--address", address]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
        last = done.stderr.strip().splitlines()[-1:] or [""]
        check(f"{what} is refused", done.returncode == 2 and "did not accept" in done.stderr, last[0][:220])
        check(f"{what} computes nothing", not list(home.glob("campaigns/*/results/*.json")))


if __name__ == "__main__":
    main()
