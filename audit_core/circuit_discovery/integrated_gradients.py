"""Circuit discovery by attribution patching with integrated gradients."""

from audit_core.circuits.discovery_by_screen import EstimatedOrder
from audit_core.estimators.integrated_gradients import PLUGIN as METHOD

PLUGIN = EstimatedOrder(
    "integrated_gradients",
    "What is each component's estimated effect, by the average gradient between the prompts?",
    METHOD,
)
