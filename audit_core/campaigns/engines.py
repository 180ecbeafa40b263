"""Engines: hand tasks to workers; any of them may run a task twice, because tasks store each answer once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from audit_core.campaigns.worker import Task

Execute = Callable[[Task], None]


@dataclass(frozen=True)
class Ended:
    """A task that an engine has done with."""

    task: Task
    failure: str = ""
    """Why its worker did not finish it; empty if it did."""


class Engine(Protocol):
    """Runs tasks in any order and reports each one."""

    outlives_workers: bool
    """Whether this process goes on where a task ends its own."""

    def run(
        self,
        tasks: Sequence[Task],
        execute: Execute,
        *,
        on_submit: Callable[[Task], None],
        is_stopping: Callable[[], bool],
    ) -> Iterator[Ended]:
        """Run tasks until all have ended, or until `is_stopping`.

        Args:
            on_submit: called in this process before a task is handed out.
        """


class LocalEngine:
    """Runs tasks in this process, one at a time. A task that ends the process ends the campaign; run it again to go on."""

    outlives_workers = False

    def run(
        self,
        tasks: Sequence[Task],
        execute: Execute,
        *,
        on_submit: Callable[[Task], None],
        is_stopping: Callable[[], bool],
    ) -> Iterator[Ended]:
        """See `Engine`."""
        for task in tasks:
            if is_stopping():
                return
            on_submit(task)
            execute(task)
            yield Ended(task)
