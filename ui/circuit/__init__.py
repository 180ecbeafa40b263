"""The circuit page."""
