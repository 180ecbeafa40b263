"""Plausibility views of attention as scores of units."""

from __future__ import annotations

import numpy as np

from audit_core.engine.pattern_gradients import read_attention_records
from audit_core.errors import NotMeasured
from audit_core.explanations.method import Array, Scores, Task
from audit_core.explanations.units import pool_positions
from audit_core.registry import get_plugin


def read_view(task: Task, name: str) -> Scores:
    """A view from `views/` of each prompt, added up over the tokens of each unit.

    Raises:
        NotMeasured: a layer has no heads, so that attention alone does not mix the tokens.
        Refused: it needs gradients and the subject has none.
    """
    view = get_plugin("views", name)
    found: dict[int, Array] = {}
    for at, record in read_attention_records(task.subject, task.prompts, with_gradients=view.needs_gradients):
        if np.isnan(record.patterns).any():
            raise NotMeasured("control_failed", "some layers have no heads and mix tokens in another way.")
        found[at] = pool_positions(view.read(record), task.units[at])
        task.on_progress(len(found), len(task.prompts))
    return Scores(tuple(found[at] for at in range(len(task.prompts))))
