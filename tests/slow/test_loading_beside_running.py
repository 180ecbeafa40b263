"""A model that runs while others are loaded gives the numbers it gives alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from audit_core import Replacement, head, intervene, open_subject, tokenise
from audit_core.subjects.planted import find_planted

pytestmark = pytest.mark.slow


def test_loading_disturbs_no_run_and_runs_disturb_no_loading() -> None:
    """Loading puts torch on its meta device for a while; without one lock a run in another thread met it and failed."""
    subject, model = open_subject("planted-induction"), find_planted("planted-induction")
    assert model is not None
    prompts = tokenise(model.find_task("query").make(2, 0), subject.tokenizer)
    asked = [intervene([head(layer, index)], Replacement.ZERO) for layer in range(3) for index in range(6)]
    alone = subject.run(prompts, asked).answer
    stop = threading.Event()

    def keep_running() -> int:
        runs = 0
        while not stop.is_set():
            assert np.array_equal(subject.run(prompts, asked).answer, alone)
            runs += 1
        return runs

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(keep_running)
        try:
            for name in ("planted-strict", "default", "planted-strict"):
                assert not open_subject(name).fallback
        finally:
            stop.set()
        assert running.result() > 0
