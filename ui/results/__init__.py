"""Drawings of results: the file with an audit's name draws its result; without one it is drawn from its result type."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from audit_core import get_plugin
from ui.parts import plain_result


def show_result(audit: str, result: Any, place: str = "") -> None:
    """Draw a result of an audit.

    Args:
        place: key suffix, if the page draws results of an audit more than once.
    """
    plugin = get_plugin("audits", audit)
    name = f"{__name__}.{audit}"
    if importlib.util.find_spec(name) is None:
        plain_result.show(result, plugin.rows(result), f"{audit}{place}")
    else:
        importlib.import_module(name).show(result, place)
