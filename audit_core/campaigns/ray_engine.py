"""Tasks on a Ray cluster, behind the extra `cluster`; workers share the data directory with this process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from audit_core.campaigns.engines import Ended, Execute
from audit_core.campaigns.worker import MAX_ATTEMPTS, Task
from audit_core.errors import Refused

_POLL_S = 0.5
_PATIENCE_S = 300.0
"""Wait for a machine with enough cores for a task; others can still be starting, or be replaced."""
_AHEAD = 2
"""Tasks handed out per free place, so that a worker has its next task when it ends one."""
LOCAL = "local"
"""Address that starts Ray on this machine for one campaign."""


class RayEngine:
    """Runs each task in a worker process of a cluster. Ray starts another worker where a process or a machine is lost."""

    outlives_workers = True

    def __init__(self, address: str, *, threads: int) -> None:
        self._address, self._threads = address, threads

    def run(
        self,
        tasks: Sequence[Task],
        execute: Execute,
        *,
        on_submit: Callable[[Task], None],
        is_stopping: Callable[[], bool],
    ) -> Iterator[Ended]:
        """See `Engine`.

        Raises:
            Refused: Ray is missing, the cluster does not answer, it refuses the token, or none of its machines has the cores of a task.
        """
        ray = _import_ray()
        _connect(ray, self._address)
        try:
            # max_calls=0: the process stays, and with it the model. A retry finds the answers that are already stored.
            remote = ray.remote(num_cpus=self._threads, max_retries=MAX_ATTEMPTS - 1, max_calls=0)(_call)
            waiting: list[Task] = list(tasks)
            pending: dict[Any, Task] = {}
            fitted = time.monotonic()
            while pending or (waiting and not is_stopping()):
                while waiting and len(pending) < self._count_places(ray) and not is_stopping():
                    on_submit(waiting[0])
                    task = waiting.pop(0)
                    pending[remote.remote(execute, task)] = task
                fitted = self._check_cores(ray, fitted)
                ready, _ = ray.wait(list(pending), num_returns=1, timeout=_POLL_S)
                for one in ready:
                    yield Ended(pending.pop(one), _read_failure(ray, one))
                if is_stopping():
                    # Tasks that no worker has begun are dropped; begun ones see the request themselves.
                    for one in pending:
                        ray.cancel(one, force=False, recursive=False)
        finally:
            ray.shutdown()

    def _check_cores(self, ray: Any, fitted: float) -> float:
        """When a machine last had the cores of a task; without one, Ray would wait and say nothing."""
        cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        if max(cores, default=0) >= self._threads:
            return time.monotonic()
        if time.monotonic() - fitted > _PATIENCE_S:
            raise Refused(
                f"For {_PATIENCE_S:.0f} s no machine of the cluster had {self._threads} cores; the largest has {max(cores, default=0)}.",
                wanted="a machine with as many cores as one task has threads.",
                remedy="start Ray on more or larger machines, or change `threads` in the campaign's file.",
            )
        return fitted

    def _count_places(self, ray: Any) -> int:
        return max(1, int(ray.cluster_resources().get("CPU", 0) // self._threads)) * _AHEAD


def _call(execute: Execute, task: Task) -> None:
    """The function that Ray runs: it returns nothing, because answers are in the campaign's folder."""
    execute(task)


def _import_ray() -> Any:
    # Usage statistics are on by default and leave the machine.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Without a token, access to the ports of a cluster is enough to run any program there.
    os.environ["RAY_AUTH_MODE"] = "token"
    try:
        import ray
    except ImportError as error:
        raise Refused(
            "Ray is not installed.", wanted="the extra `cluster`.", remedy="pip install 'assay[cluster]', or use `--engine local`."
        ) from error  # fmt: skip
    return ray


def _connect(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "configure_logging": False, "include_dashboard": False}
    try:
        if address == LOCAL:
            ray.init(address="local", **quiet)
        else:
            quiet.pop("include_dashboard")
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise Refused(
            f"The cluster at {address[:80]} did not accept this process: {str(error).strip().splitlines()[0][:300]}",
            wanted="a running cluster, and its token in RAY_AUTH_TOKEN or ~/.ray/auth_token.",
            remedy="copy the token from the head node (`ray get-auth-token`), and check the address.",
        ) from error


def _read_failure(ray: Any, reference: Any) -> str:
    try:
        ray.get(reference)
    except ray.exceptions.TaskCancelledError:
        return "cancelled before it began"
    except ray.exceptions.RayError as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}"
    return ""
