"""Circuit discovery by AtP*: attribution patching with its two corrections."""

from audit_core.circuits.discovery_by_screen import EstimatedOrder
from audit_core.estimators.attribution_patching_star import PLUGIN as METHOD

PLUGIN = EstimatedOrder(
    "attribution_patching_star", "What is each component's estimated effect, to first order with exact softmax?", METHOD
)
