"""Names that lead out of their folder find nothing, though a file lies there; see docs/reference/threats.md."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy.prompts import make_pair

from audit_core.confirm import run_confirmatory
from audit_core.desk import assemble_pack
from audit_core.errors import AuditError
from audit_core.evidence.container import write_pack
from audit_core.evidence.keys import make_key
from audit_core.models import resolve_model
from audit_core.openings import load_openings
