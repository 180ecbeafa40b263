"""Plug-ins: circuit discovery methods, one per file."""
