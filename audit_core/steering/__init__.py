"""Steering: a vector added to the residual stream while a model writes, beside prompting and random directions.

What a direction *holds* is read elsewhere (probes, features); here the model writes with it, and the continuations are checked
for a concept by a word list. Concept score, fluency and off-target cost are three measures and are never one number.
"""

from audit_core.steering.asking import FILE, ask_concepts, find_own_dictionary, make_request, read_shipped
from audit_core.steering.concepts import Concept, SteeringTask, read_concepts
from audit_core.steering.directions import SteeringDirection, draw_random, find_directions
from audit_core.steering.measurement import measure_request
from audit_core.steering.results import (
    Continuation,
    Difference,
    DoseRow,
    Method,
    SteeringRequest,
    SteeringResult,
    SteeringRow,
    SteeringVerdict,
)
from audit_core.steering.verdicts import judge

__all__ = [
    "FILE",
    "Concept",
    "Continuation",
    "Difference",
    "DoseRow",
    "Method",
    "SteeringDirection",
    "SteeringRequest",
    "SteeringResult",
    "SteeringRow",
    "SteeringTask",
    "SteeringVerdict",
    "ask_concepts",
    "draw_random",
    "find_directions",
    "find_own_dictionary",
    "judge",
    "make_request",
    "measure_request",
    "read_concepts",
    "read_shipped",
]
