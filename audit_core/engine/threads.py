"""How many cores a thread's matrix products may take."""

from __future__ import annotations

import os


def leave_a_core() -> None:
    """Let this thread's matrix products use all cores but one.

    A live answer shares the machine with the browser that shows it and the server that sends it; with every core taken,
    all three wait for each other (a third more time from click to number, measured on two cores).
    """
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))


def take_all_cores() -> None:
    """Let this thread's matrix products use every core: a thread begins with what another one last asked for."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
