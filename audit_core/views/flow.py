"""Attention flow: maximum flow from each token to the answer position, with attention weights as capacities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.subject import Floats, read_only
from audit_core.view import AttentionRecord
from audit_core.views.rollout import mix_residual

SCALE = 1_000_000
"""The solver needs integer capacities: one unit is a millionth of an attention weight."""


def find_flows(steps: Floats) -> Floats:
    """Maximum flow from each token under the first layer to the last token over the last layer; shape (key,).

    Args:
        steps: capacities ½ (A + I) between adjacent layers; shape (layer, query, key).

    Source: Abnar and Zuidema 2020, arXiv:2005.00928, section 3; solved by Dinic's algorithm (SciPy), separately for each token.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    n_layers, n, _ = steps.shape
    layer, query, key = np.nonzero(steps > 0)
    capacity = np.rint(steps[layer, query, key] * SCALE).astype(np.int32)
    # A node is a token between two layers; edges run from the key below to the query above.
    ends = (layer * n + key, (layer + 1) * n + query)
    graph = csr_array((capacity, ends), shape=((n_layers + 1) * n,) * 2)
    target = n_layers * n + n - 1
    return np.array([maximum_flow(graph, at, target).flow_value / SCALE for at in range(n)], np.float32)


@dataclass(frozen=True)
class Flow:
    """Maximum flow of each token to the answer position, on the graph of `rollout`; 0 to 1; shape (key,)."""

    name: str = "flow"
    question: str = (
        "How much of each token can reach the answer position at most, with attention weights as capacities?"
    )
    hides: str = (
        "It hides the values that heads move, MLPs and signs; each token uses the full capacity, half of each step is residual "
        "by convention, and capacities are rounded to millionths."
    )
    needs_gradients: bool = False

    def read(self, looks: AttentionRecord) -> Floats:
        return read_only(find_flows(mix_residual(looks.patterns)))


PLUGIN = Flow()
