"""Components by AtP*: attribution patching with its two corrections."""

from audit_core.circuits.discovery_by_screen import EstimatedOrder
from audit_core.estimators.attribution_patching_star import PLUGIN as METHOD

PLUGIN = EstimatedOrder(
    "attribution_patching_star", "What would each component do, by a line that follows the softmax?", METHOD
)
