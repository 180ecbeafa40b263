"""Submit a campaign to SLURM as one job, with Ray on each of its nodes: `python slurm_campaign.py FILE.toml --nodes 4 --cores 16`.

Run it with the Python of an environment that has the extra `cluster`. That environment, the campaign, the folder of logs and the data
directory (AUDIT_HOME) need the same path on every node, on a shared file system. Submitted again, a job goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import submitit

_ATTEMPTS = 5
"""Starts of one node of Ray: it gives itself 30 seconds, which a busy machine or a slow file system can take."""
_HEAD_S = 600.0
"""Wait of the other nodes for the first."""
_END_S = 20.0
_POLL_S = 1.0
_PORTS = ("dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export")
"""Chosen here, as a node of Ray waits only 15 seconds for its agents to choose them."""
_STARTED = b"--block"
"""In what `ray start --block` prints once the node is there."""


def work(campaign: Path, cores: int, folder: Path) -> None:
    """One task on each node: the first is Ray's head and runs the campaign, all of them compute."""
    job = submitit.JobEnvironment()
    # A job that SLURM queues again keeps its number.
    name = f"{job.job_id}-{os.environ.get('SLURM_RESTART_COUNT', '0')}"
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    # A node of Ray that loses its head aborts, and would leave hundreds of megabytes in the folder of the job.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A node need not wait for its tasks when it ends: answers are stored one by one.
    os.environ["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] = "0"
    head = folder / f"{name}.head"
    logs = [folder / f"{name}_{job.global_rank}_ray_{attempt}.txt" for attempt in range(_ATTEMPTS)]
    if job.global_rank:
        serve(head, cores, logs)
    else:
        lead(campaign, head, cores, logs)


def lead(campaign: Path, head: Path, cores: int, logs: list[Path]) -> None:
    """Start the head, tell the other nodes its address and token, and run the campaign; its failure is the job's."""
    os.environ["RAY_AUTH_TOKEN"] = token = secrets.token_hex(32)
    for log in logs:
        # Not 6379: another job's head can be on this node.
        address = f"{find_address()}:{find_free_ports(1)[0]}"
        host, _, port = address.rpartition(":")
        words = ["--head", f"--node-ip-address={host}", f"--port={port}", "--include-dashboard=false"]
        with open_node(words, cores, log) as node:
            if not has_started(node, log):
                continue
            write_secret(head, f"{address} {token}")
            try:
                command = ["campaign", "run", str(campaign), "--engine", "ray", "--address", address]
                subprocess.run([sys.executable, "-m", "audit_core", *command], check=True)
            finally:
                head.unlink(missing_ok=True)
            return
    raise RuntimeError(f"Ray's head did not start; see {logs[-1]}")


def serve(head: Path, cores: int, logs: list[Path]) -> None:
    """Compute for the head while it is there; a node of Ray that is lost is started again."""
    end = time.monotonic() + _HEAD_S
    while not head.exists():
        if time.monotonic() > end:
            raise RuntimeError(f"No head within {_HEAD_S:.0f} s; see the log of task 0")
        time.sleep(_POLL_S)
    for log in logs:
        try:
            address, os.environ["RAY_AUTH_TOKEN"] = head.read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return
        with open_node([f"--address={address}"], cores, log) as node:
            while node.poll() is None and head.exists():
                time.sleep(_POLL_S)


@contextmanager
def open_node(words: list[str], cores: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A node of Ray as a process of its own. Not ended by `ray stop`, which ends every node of this user on the machine."""
    command = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", *words, "--block"]
    # Campaigns send nothing through the object store, for which Ray would keep 30% of the memory.
    command += [f"--num-cpus={cores}", f"--object-store-memory={100 << 20}", "--disable-usage-stats"]
    command += [f"--{name}-port={port}" for name, port in zip(_PORTS, find_free_ports(len(_PORTS)))]
    with log.open("wb") as file:
        node = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        yield node
    finally:
        node.terminate()
        with suppress(subprocess.TimeoutExpired):
            node.wait(_END_S)
        # What it started and left, and itself where it waits for something that is gone.
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)


def has_started(node: subprocess.Popen[bytes], log: Path) -> bool:
    """Wait until a node of Ray is there; False if it gave up."""
    while node.poll() is None and _STARTED not in log.read_bytes():
        time.sleep(_POLL_S)
    return node.poll() is None


def find_address() -> str:
    """The address of this node that others reach."""
    from ray.util import get_node_ip_address

    return str(get_node_ip_address())


def find_free_ports(n: int) -> list[int]:
    """Ports that no process of this machine uses now."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def write_secret(path: Path, text: str) -> None:
    """Write a file whole, for this user alone."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def check_threads(campaign: Path, cores: int) -> None:
    """Refuse a campaign whose tasks no node could take, before it waits in a queue.

    Raises:
        SystemExit: it does not say how many threads a task has, or says more than a node has cores.
    """
    threads = tomllib.loads(campaign.read_text(encoding="utf-8")).get("threads", 0)
    if not 1 <= threads <= cores:
        sys.exit(
            f"{campaign}: `threads` is {threads or 'not set'}. Wanted: 1 to {cores}, the cores of one node (--cores)."
        )


def submit(options: argparse.Namespace) -> str:
    """Queue the job and return its number."""
    options.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Not AutoExecutor: where there is no SLURM, that would run the campaign on this machine.
    executor = submitit.SlurmExecutor(options.logs.resolve())
    executor.update_parameters(
        job_name=f"assay-{options.campaign.stem}", nodes=options.nodes, ntasks_per_node=1, cpus_per_task=options.cores,
        time=options.minutes,
        # A node that is lost ends neither the job nor its step.
        additional_parameters={"no-kill": True} | dict(one.split("=", 1) for one in options.sbatch),
        # A step has one core per task unless it is asked for more, and the other tasks go on after one that fails.
        srun_args=["--no-kill", "--kill-on-bad-exit=0", "--wait=0", f"--cpus-per-task={options.cores}"],
    )  # fmt: skip
    return str(executor.submit(work, options.campaign.resolve(), options.cores, options.logs.resolve()).job_id)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("campaign", type=Path, help="a campaign in TOML, with `threads`")
    parser.add_argument("--nodes", type=int, default=2, help="default 2")
    parser.add_argument("--cores", type=int, default=1, help="of each node (default 1)")
    parser.add_argument("--minutes", type=int, default=240, help="time limit (default 240)")
    parser.add_argument(
        "--logs", type=Path, default=Path("slurm-logs"), help="folder on the shared file system (default slurm-logs)"
    )
    parser.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option of sbatch, as partition=long",
    )
    options = parser.parse_args()
    check_threads(options.campaign, options.cores)
    sys.stdout.write(f"Job {submit(options)}; its output is in {options.logs}.\n")


if __name__ == "__main__":
    main()
