"""Components by attribution patching along the way between the two prompts."""

from audit_core.circuits.discovery_by_screen import EstimatedOrder
from audit_core.estimators.integrated_gradients import PLUGIN as METHOD

PLUGIN = EstimatedOrder(
    "integrated_gradients", "What would each component do, by the average slope between the prompts?", METHOD
)
