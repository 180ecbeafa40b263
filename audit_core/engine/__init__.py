"""Engine: runs many interventions on a transformer in one batch, each joining at its first edited layer."""

from audit_core.engine.threads import prioritise, spare_a_core, use_all_cores, use_cores

__all__ = [
    "prioritise",
    "spare_a_core",
    "use_all_cores",
    "use_cores",
]
