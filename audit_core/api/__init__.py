"""The REST API: runs, claims, packs, verification, the gate and jobs, for programs with a token."""

from audit_core.api.application import PREFIX, make_api
from audit_core.api.workbench import Workbench

__all__ = ["PREFIX", "Workbench", "make_api"]
