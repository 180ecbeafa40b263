"""Components by AtP*: attribution patching with its two corrections."""

from audit_core.circuits.discovery_by_screen import ScreenedOrder
from audit_core.estimators.attribution_patching_star import PLUGIN as METHOD

PLUGIN = ScreenedOrder(
    "attribution_patching_star", "What would each component do, by a line that follows the softmax?", METHOD
)
