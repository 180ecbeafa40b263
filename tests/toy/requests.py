"""Example requests of every audit: each with its defaults, and with every field set to something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from audit_core.attention.plausibility import Source
from audit_core.audits.ablation import AblationRequest
from audit_core.audits.attention import AttentionRequest
from audit_core.audits.attention_tests import AttentionTestsRequest
from audit_core.audits.circuit import CircuitRequest
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.confirmation import ConfirmationRequest
from audit_core.audits.curve import CurveRequest
from audit_core.audits.discover import DiscoverRequest
from audit_core.audits.edges import EdgesRequest
from audit_core.audits.paths import PathsRequest
from audit_core.audits.positions import PositionsRequest
from audit_core.audits.recomposition import RecompositionRequest
from audit_core.audits.rival import RivalRequest
from audit_core.audits.specificity import SpecificityRequest
from audit_core.audits.stability import StabilityRequest
from audit_core.audits.sweep import SweepRequest
from audit_core.audits.token_gradients import TokenGradientsRequest
from audit_core.audits.transfer import TransferRequest
from audit_core.circuits import OtherTask
from audit_core.claim import Claim, Role, Universe
from audit_core.component import Kind, edge, head, mlp
from audit_core.intervention import Direction, Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts, is_exploratory

CIRCUIT = (head(0, 0), head(1, 2))
WIDE = (head(1, 2), mlp(0))
MLPS, MEAN, ZERO = Universe.HEADS_MLPS, Replacement.MEAN, Replacement.ZERO
CHANCE = "answer_probability"


def list_examples(prompts: TokenisedPrompts) -> dict[str, list[Any]]:
    """Audit → requests; what a request lacks by default comes first."""
    one = replace(prompts, pairs=prompts.pairs[:1])
    explored, judged = (
        replace(prompts, pairs=tuple(pair for pair in prompts.pairs if is_exploratory(pair.prompt) is wanted))
        for wanted in (True, False)
    )
    wide = (judged, explored, WIDE, MLPS, MEAN, CHANCE, 7)
    claim = Claim("needed", CIRCUIT)
    full = Claim("alone", WIDE, MLPS, Role.SUFFICIENT, CHANCE, ZERO, 0.8, 0.01)
    return {
        "ablation": [
            AblationRequest(prompts, prompts, CIRCUIT),
            AblationRequest(
                one, prompts, (edge(1, 0, -1, 2),), Replacement.SCALE, Direction.DENOISING, 0.5, MLPS, CHANCE, 3
            ),
        ],
        "attention": [AttentionRequest(prompts, source, 2) for source in Source],
        "attention_tests": [
            AttentionTestsRequest(prompts, prompts),
            AttentionTestsRequest(prompts, explored, CIRCUIT, 2, (1, 2), 5),
        ],
        "circuit": [CircuitRequest(prompts, prompts, CIRCUIT), CircuitRequest(*wide)],
        "claim_test": [ClaimTestRequest(prompts, claim), ClaimTestRequest(judged, full, 4)],
        "confirmation": [
            ConfirmationRequest(judged, claim, explored),
            ConfirmationRequest(
                judged, full, explored, ("circuit", "stability"), (OtherTask(explored, CIRCUIT),), "random_order", 6
            ),
        ],
        "curve": [
            CurveRequest(prompts, prompts, CIRCUIT),
            CurveRequest(*wide, explored, "random_order", (*WIDE, head(0, 0)), 3),
        ],
        "discover": [
            DiscoverRequest(explored, explored, "exact"),
            DiscoverRequest(explored, judged, "random_order", MLPS, MEAN, CHANCE, 1),
        ],
        "edges": [EdgesRequest(one, 1, 0), EdgesRequest(one, 2, 3, CHANCE, 8)],
        "paths": [
            PathsRequest(prompts, prompts, CIRCUIT),
            PathsRequest(judged, explored, WIDE, True, MEAN, CHANCE, 9),
        ],
        "positions": [PositionsRequest(one, prompts, CIRCUIT), PositionsRequest(*wide)],
        "recomposition": [RecompositionRequest(prompts, prompts, CIRCUIT), RecompositionRequest(*wide)],
        "rival": [RivalRequest(judged, judged, CIRCUIT, explored=explored), RivalRequest(*wide, explored, "random_order")],
        "specificity": [
            SpecificityRequest(prompts, prompts, CIRCUIT),
            SpecificityRequest(*wide, (OtherTask(explored), OtherTask(judged, WIDE))),
        ],
        "stability": [
            StabilityRequest(explored, explored, "exact"),
            StabilityRequest(explored, judged, "random_order", MLPS, MEAN, CHANCE, 1, 4),
        ],
        "sweep": [
            SweepRequest(prompts, prompts),
            SweepRequest(
                judged, explored, Kind.MLP, Replacement.SCALE, Direction.DENOISING, -2.0, CHANCE, 3, "attribution_patching"
            ),
        ],
        "token_gradients": [TokenGradientsRequest(one, prompts), TokenGradientsRequest(one, explored, 4, 8, 2)],
        "transfer": [
            TransferRequest(judged, judged, CIRCUIT, explored=explored),
            TransferRequest(*wide, explored, "random_order"),
        ],
    }  # fmt: skip
