"""Plug-ins: how passages are ranked for a question."""
