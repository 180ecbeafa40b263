"""What the page Decisions asks and shows."""

from ui.decisions import form, show

__all__ = ["form", "show"]
