"""Moving through a page by keyboard alone."""

from typing import Any

import pytest


def tab_to(page: Any, wanted: Any, most: int = 120) -> None:
    """Press Tab until `wanted` has the focus; a grid's cells are in a root of their own."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === one.getRootNode().activeElement"):
            return
    pytest.fail(f"{most} times Tab, and the focus did not come there")
