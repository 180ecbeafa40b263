"""Plug-ins: metrics, one per file."""
