"""Runs many interventions on a transformer at once: capture, then a wave that each intervention joins at its first layer."""

from audit_core.engine.threads import spare_a_core, use_all_cores

__all__ = [
    "spare_a_core",
    "use_all_cores",
]
