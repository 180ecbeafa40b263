"""The keyboard of somebody without a mouse."""

from typing import Any

import pytest


def tab_to(page: Any, wanted: Any, most: int = 120) -> None:
    """Press Tab until `wanted` has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            return
    pytest.fail(f"{most} times Tab, and the focus did not come there")
