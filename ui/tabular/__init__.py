"""What the page Decisions asks and shows about tabular models."""

from ui.tabular import form, show

__all__ = ["form", "show"]
