"""`ci/slurm_campaign.py` on a real SLURM of three nodes on this machine; `make slurm-tests` runs it and prints what was found.

A program and not a pytest module: it starts and kills daemons, and lasts minutes. Where SLURM is missing it says so and fails.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from campaign_cluster import ROOT, check, compare, kill_group, read_results, wait_for

PROGRAMS = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd"} | dict.fromkeys(
    ("sbatch", "srun", "sinfo", "scontrol", "scancel"), "slurm-client"
)
"""What is needed, and the Debian package that has it."""
NODES = ("n1", "n2", "n3")
CAMPAIGN = """
name = "slurm"
models = ["planted-strict"]
prompts = ["planted-query", "planted-vote"]
threads = 1
prompts_per_run = 8
"""
AUDITS = [("head", "zero"), ("head", "mean"), ("mlp", "zero"), ("mlp", "mean")]
# No accounting and no cgroups; processes are found by their parents, and one machine stands for three.
CONFIGURATION = """
ClusterName=assay
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={top}/munge/socket
CredType=cred/munge
SlurmctldPort={port}
StateSaveLocation={top}/state
SlurmdSpoolDir={top}/spool-%n
SlurmctldPidFile={top}/slurmctld.pid
SlurmdPidFile={top}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=0
SlurmdTimeout=20
KillWait=10
PropagateResourceLimits=NONE
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP
"""


class Slurm:
    """munged, slurmctld and a slurmd for each node, as processes of this program in one folder."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        os.environ["SLURM_CONF"] = str(top / "slurm.conf")

    def start(self) -> None:
        """Write the configuration, start all and wait until the nodes are idle."""
        self.top.chmod(0o755)
        for name in ("munge", "state", *(f"spool-{node}" for node in NODES)):
            (self.top / name).mkdir()
        key = self.top / "munge/key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        host, ports = socket.gethostname().partition(".")[0], find_free_ports(1 + len(NODES))
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=4000"
            for name, port in zip(NODES, ports[1:])
        )
        text = CONFIGURATION.format(host=host, user=getpass.getuser(), top=self.top, port=ports[0], nodes=nodes)
        (self.top / "slurm.conf").write_text(text)
        munge = [f"--{name}={self.top}/munge/{name}" for name in ("socket", "pid-file", "seed-file")]
        self._launch("munged", ["munged", "--foreground", f"--key-file={key}", *munge])
        wait_for("munge answers", (self.top / "munge/socket").exists, 30)
        self._launch("slurmctld", ["slurmctld", "-D"])
        for node in NODES:
            self._launch(node, ["slurmd", "-D", "-N", node])
        wait_for("the nodes are idle", lambda: ask("sinfo", "-h", "-o", "%D %t").strip() == "3 idle", 60)

    def _launch(self, name: str, command: list[str]) -> None:
        with (self.top / f"{name}.log").open("wb") as log:
            self.daemons[name] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill_node(self, node: str) -> None:
        """kill -9 for all that runs on a node: its daemon, its steps, and their processes."""
        tasks = find_processes(node)
        steps = {
            parent for task in tasks if (parent := read_parent(task)) and read_words(parent).startswith(b"slurmstepd")
        }
        kill_group(self.daemons.pop(node))
        for process in [*steps, *tasks]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def stop(self) -> None:
        """Cancel all jobs, and end the daemons."""
        if "slurmctld" in self.daemons:
            with suppress(subprocess.SubprocessError):
                ask("scancel", "--signal=KILL", "--user", getpass.getuser())
                time.sleep(3)
        for name in reversed(self.daemons):
            if name in NODES:
                for process in find_processes(name):
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
            kill_group(self.daemons[name])


def find_processes(node: str) -> list[int]:
    """Processes of jobs of this program on a node."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if (
                f"SLURMD_NODENAME={node}".encode() in words
                and f"SLURM_CONF={os.environ['SLURM_CONF']}".encode() in words
            ):
                found.append(int(path.parent.name))
    return found


def read_words(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def read_parent(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def find_free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def ask(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def read_state(job: str) -> str:
    """State of a job, such as RUNNING."""
    return re.search(r"JobState=(\w+)", ask("scontrol", "show", "job", job))[1]  # type: ignore[index]


def has_ended(job: str) -> bool:
    return read_state(job) in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL")


def submit(home: Path, file: Path, *words: str) -> str:
    """Call the script as a person does; returns the job's number."""
    done = call_script(home, file, "--nodes", str(len(NODES)), "--minutes", "30", *words)
    check("the script submits a job", done.returncode == 0, (done.stdout + done.stderr).strip()[-300:])
    return re.search(r"Job (\d+)", done.stdout)[1]  # type: ignore[index]


def call_script(home: Path, file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AUDIT_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "ci/slurm_campaign.py"), str(file), "--logs", str(home / "logs"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def make_home(top: Path, name: str, file: Path):  # type: ignore[no-untyped-def]
    """A new data directory with the campaign planned in tasks of one question each, so that there is a middle to kill in."""
    from audit_core.campaigns import load_campaign, plan_campaign
    from audit_core.campaigns import plan as planning

    planning.LEAST_S = 0.0
    home = top / name
    home.mkdir(mode=0o700)
    return plan_campaign(load_campaign(file), home)


def stop_job(folder, job: str, stop: tuple[str, ...], n: int) -> dict[str, int]:  # type: ignore[no-untyped-def]
    """Stop a job in the middle; returns when each answer was stored."""
    before = len(folder.list_ended())
    wait_for("answers of this job", lambda: len(folder.list_ended()) >= before + 3 or has_ended(job))
    check("the job is running when it is stopped", read_state(job) == "RUNNING")
    ask(*stop, job)
    wait_for("its processes end", lambda: not any(find_processes(node) for node in NODES), 120)
    stored = read_times(folder)
    check(f"{' '.join(stop)} stops it in the middle", 0 < len(stored) < n, f"{len(stored)} of {n} answers")
    return stored


def read_times(folder) -> dict[str, int]:  # type: ignore[no-untyped-def]
    return {path.name: path.stat().st_mtime_ns for path in (folder.path / "results").glob("*.json")}


def check_clean(home: Path) -> None:
    """What holds the token is gone, and no process of a job is left."""
    check("no token is left in the folder of logs", not list((home / "logs").glob("*.head")))
    wait_for("no process of the job is left", lambda: not any(find_processes(node) for node in NODES), 60)


@contextmanager
def open_slurm(top: Path) -> Iterator[Slurm]:
    slurm = Slurm(top)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


def run_checks(top: Path) -> None:
    """All checks in order; the death of a node comes last."""
    from audit_core.campaigns import LocalEngine, run_campaign
    from audit_core.run import Actor

    file = top / "campaign.toml"
    rows = [
        f'[[audits]]\nname = "sweep"\nanswers = {{ kind = "{kind}", replacement = "{how}" }}\n' for kind, how in AUDITS
    ]
    file.write_text("\n".join([CAMPAIGN, *rows]))
    base = make_home(top, "local", file)
    run_campaign(base, LocalEngine(), actor=Actor("test", "cluster"))
    expected, n = read_results(base.home, base.campaign_id), len(base.read_plan().questions)
    check("the local engine answers every question", len(expected) == n, n)
    with open_slurm(Path(tempfile.mkdtemp(prefix="slurm-", dir=top))) as slurm:
        check_whole(top, file, expected)
        check_stopped(top, file, expected)
        check_failing(top, file)
        check_lost_node(slurm, top, file, expected)


def check_whole(top: Path, file: Path, expected: dict[str, bytes]) -> None:
    """A job that is left alone."""
    folder = make_home(top, "whole", file)
    job = submit(folder.home, file)
    used: set[str] = set()

    def watch() -> bool:
        used.update(node for node in NODES if any(b"ray::_call" in read_words(one) for one in find_processes(node)))
        return has_ended(job)

    wait_for("the job ends", watch)
    check("the job is complete", read_state(job) == "COMPLETED", read_state(job))
    check("more than one node computed", len(used) > 1, sorted(used))
    compare(folder.home, folder.campaign_id, expected, len(expected))
    check_clean(folder.home)


def check_stopped(top: Path, file: Path, expected: dict[str, bytes]) -> None:
    """Jobs that end in the middle, one after the other: at their time limit, cancelled, and displaced by another job."""
    folder, n = make_home(top, "stopped", file), len(expected)
    stored: dict[str, int] = {}
    attempts: dict[str, int] = {}
    signalled = ("scancel", "--signal=USR2")
    # What SLURM sends 90 seconds before the limit. Early in a job of half an hour, submitit reads it as displaced: queue again.
    for stop, minutes, end in ((signalled, "9", "FAILED"), (("scancel",), "30", "CANCELLED"), (signalled, "30", "")):
        job = submit(folder.home, file, "--minutes", minutes)
        found = stop_job(folder, job, stop, n)
        check("and loses no earlier answer", stored.items() <= found.items())
        stored, attempts = found, folder.count_attempts()
        if end:
            wait_for("the job ends", lambda job=job: has_ended(job), 180)  # type: ignore[misc]
            check("its state", read_state(job) == end, read_state(job))
    wait_for("SLURM has it in the queue", lambda: read_state(job) == "PENDING", 60)
    ask("scontrol", "update", f"JobId={job}", "StartTime=now")
    wait_for("the job ends", lambda: has_ended(job))
    check(
        "queued again, it is complete",
        read_state(job) == "COMPLETED",
        f"{read_state(job)}, {ask_restarts(job)} restart",
    )
    done = {key: count for key, count in attempts.items() if f"{key}.json" in stored}
    check("no stored answer was computed again", stored.items() <= read_times(folder).items()
          and done.items() <= folder.count_attempts().items(), f"{len(stored)} answers of three jobs")  # fmt: skip
    compare(folder.home, folder.campaign_id, expected, n)
    check_clean(folder.home)


def ask_restarts(job: str) -> str:
    return re.search(r"Restarts=(\d+)", ask("scontrol", "show", "job", job))[1]  # type: ignore[index]


def check_failing(top: Path, file: Path) -> None:
    """Jobs that can give nothing end at once, or are never queued."""
    home = top / "failing"
    home.mkdir(mode=0o700)
    wrong = top / "wrong.toml"
    wrong.write_text(file.read_text().replace("planted-strict", "/no/such/model"))
    job = submit(home, wrong)
    wait_for("the job ends", lambda: has_ended(job), 180)
    check("a campaign that is refused ends its job on every node", read_state(job) == "FAILED", read_state(job))
    check_clean(home)
    for threads in ("", "threads = 2"):
        wrong.write_text(file.read_text().replace("threads = 1", threads))
        done = call_script(home, wrong)
        check("threads that no node has are refused before the queue", done.returncode == 1, done.stderr.strip()[-120:])


def check_lost_node(slurm: Slurm, top: Path, file: Path, expected: dict[str, bytes]) -> None:
    """A node, and not the first, that is killed with all its processes in the middle."""
    folder, n = make_home(top, "lost", file), len(expected)
    job = submit(folder.home, file)
    wait_for("answers, and a worker on the last node", lambda: has_ended(job) or (
        bool(folder.list_ended()) and any(b"ray::_call" in read_words(one) for one in find_processes(NODES[-1]))))  # fmt: skip
    slurm.kill_node(NODES[-1])
    stored = len(folder.list_ended())
    # What SLURM does by itself once the node has not answered for a while, which can be longer than this campaign.
    ask("scontrol", "update", f"NodeName={NODES[-1]}", "State=DOWN", "Reason=killed")
    check(
        f"killed -9 node {NODES[-1]} in the middle", not has_ended(job) and 0 < stored < n, f"{stored} of {n} answers"
    )
    wait_for("the job ends", lambda: has_ended(job), 600)
    check("the job is complete without the node", read_state(job) == "COMPLETED", read_state(job))
    compare(folder.home, folder.campaign_id, expected, n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder for data directories and logs, kept afterwards")
    given = parser.parse_args().keep
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        packages = " ".join(sorted({PROGRAMS[name] for name in missing}))
        sys.exit(f"Missing: {', '.join(missing)}. Nothing was tested. On Debian: apt-get install {packages}")
    top = (given or Path(tempfile.mkdtemp(prefix="assay-slurm-"))).resolve()
    top.mkdir(parents=True, exist_ok=True)
    top.chmod(0o755)
    begun = time.monotonic()
    # So that daemons end with this program, also where it runs in the background.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda number, _: sys.exit(128 + number))
    print(ask("slurmd", "-V").strip(), flush=True)
    try:
        run_checks(top)
        print(f"All as expected, in {time.monotonic() - begun:.0f} s.")
    finally:
        if given is None:
            shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    main()
