"""Components by attribution patching: the straight line through the clean run."""

from audit_core.circuits.discovery_by_screen import EstimatedOrder
from audit_core.estimators.attribution_patching import PLUGIN as METHOD

PLUGIN = EstimatedOrder(
    "attribution_patching", "What would each component do, if the model were a straight line?", METHOD
)
