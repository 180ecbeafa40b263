"""Circuit discovery by attribution patching: first-order estimates at the clean run."""

from audit_core.circuits.discovery_by_screen import EstimatedOrder
from audit_core.estimators.attribution_patching import PLUGIN as METHOD

PLUGIN = EstimatedOrder("attribution_patching", "What is each component's estimated effect, to first order?", METHOD)
